"""Labels that come late, twice and against one another; what they say of the model; what it may learn from them."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from drift.people import CONTRACT, FIELDS, GROUPED, answers, capture, rows
from usecase.mlops.cli import app
from usecase.mlops.contract import Contract
from usecase.mlops.drift.feedback import gaps, merge, quality, settle, training_rows
from usecase.mlops.errors import UserError


def labels(*told: tuple[str, str, str]) -> pl.DataFrame:
    """(inference id, label, time) of each."""
    ids, values, times = zip(*told, strict=True)
    return pl.DataFrame({"inference_id": ids, "row": ["1"] * len(ids), "label": values, "time": times})


SETTLED: dict[str, tuple[list[tuple[str, str, str]], list[tuple[str, str]], tuple[int, int, int]]] = {
    "one": ([("a", "yes", "")], [("a", "yes")], (0, 0, 0)),
    "the same twice": ([("a", "yes", ""), ("a", "yes", "")], [("a", "yes")], (1, 0, 0)),
    "the same later": ([("a", "yes", "1"), ("a", "yes", "2")], [("a", "yes")], (1, 0, 0)),
    "corrected": ([("a", "yes", "1"), ("a", "no", "2")], [("a", "no")], (0, 1, 0)),
    "corrected, out of order": ([("a", "no", "2"), ("a", "yes", "1")], [("a", "no")], (0, 1, 0)),
    "a conflict": ([("a", "yes", "1"), ("a", "no", "1"), ("b", "no", "1")], [("b", "no")], (0, 0, 1)),
    "a conflict without times": ([("a", "yes", ""), ("a", "no", "")], [], (0, 0, 1)),
    "a conflict that was settled": ([("a", "yes", "1"), ("a", "no", "1"), ("a", "no", "2")], [("a", "no")], (1, 1, 0)),
}


@pytest.mark.parametrize("case", SETTLED)
def test_one_label_holds_or_none(case: str) -> None:
    told, expected, counts = SETTLED[case]
    settled, *found = settle(labels(*told))
    assert settled.select("inference_id", "label").rows() == expected
    assert tuple(found) == counts


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    capture(tmp_path / "traffic", 400)
    return tmp_path


def write(folder: Path, table: pl.DataFrame) -> Path:
    table.write_csv(folder / "labels.csv")
    return folder / "labels.csv"


def truth(wrong: int = 0) -> pl.DataFrame:
    """The labels of the traffic: what was answered, but for the first `wrong`."""
    said = answers(400)["prediction"]
    right = [value != (number < wrong) for number, value in enumerate(said)]
    return pl.DataFrame(
        {"inference_id": [f"id-{i}" for i in range(400)], "label": ["yes" if value else "no" for value in right]}
    )


def test_labels_find_their_calls(folder: Path) -> None:
    told = pl.concat(
        [truth().head(300), pl.DataFrame({"inference_id": ["nobody", "id-5", ""], "label": ["yes", "perhaps", "no"]})]
    )
    merged = merge(folder / "traffic", write(folder, told), CONTRACT)
    assert merged.counts == {
        "labels": 303,
        "repeated": 0,
        "corrected": 0,
        "conflicts": 0,
        "unknown": 1,
        "waiting": 100,
        "invalid": 2,
    }
    assert merged.rows.height == 300


def test_labels_that_come_later_are_added(folder: Path) -> None:
    early = merge(folder / "traffic", write(folder, truth().head(100)), CONTRACT)
    late = merge(folder / "traffic", write(folder, truth()), CONTRACT)
    assert (early.waiting, late.waiting) == (300, 0)


def test_quality_is_what_the_labels_say(folder: Path) -> None:
    measured = quality(merge(folder / "traffic", write(folder, truth(wrong=40)), CONTRACT), CONTRACT)
    assert [(entry["period"], entry["rows"]) for entry in measured] == [("", 400), ("2026-01-02", 400)]
    assert measured[0]["metrics"]["accuracy"] == pytest.approx(0.9)
    assert quality(merge(folder / "traffic", write(folder, truth().head(49)), CONTRACT), CONTRACT) == []


def test_groups_drift_apart_over_time(folder: Path) -> None:
    asked, told = rows(400), truth()
    # of the people with `plus` each second answer is wrong
    unfair = [i for i, plan in enumerate(asked["plan"]) if plan == "plus"][::2]
    flipped = [("no" if label == "yes" else "yes") if i in unfair else label for i, label in enumerate(told["label"])]
    merged = merge(folder / "traffic", write(folder, told.with_columns(label=pl.Series(flipped))), GROUPED)
    measured = quality(merged, GROUPED)
    assert {entry["group"] for entry in measured if entry["column"]} >= {"basic", "plus"}
    found = gaps(measured, "accuracy")
    assert found["plan"]["2026-01-02"] == pytest.approx(0.5, abs=0.01)
    fair = merge(folder / "traffic", write(folder, told), GROUPED)
    assert gaps(quality(fair, GROUPED), "accuracy")["plan"] == {"": 0, "2026-01-02": 0}


def test_labelled_requests_become_rows_to_train_on(folder: Path) -> None:
    merged = merge(folder / "traffic", write(folder, truth().head(10)), CONTRACT)
    learned = training_rows(merged, folder / "traffic", CONTRACT)
    assert learned.columns == [column.name for column in CONTRACT.table.fields]
    assert learned.height == 10
    assert learned["age"].cast(pl.Int64).to_list() == rows(400)["age"].head(10).to_list()
    assert learned["left"].to_list() == truth()["label"].head(10).to_list()


def test_a_table_of_answered_rows_needs_no_number_of_the_row(tmp_path: Path) -> None:
    """Answers that a batch wrote into a table are calls of one row each."""
    said = answers(400).select(pl.col("prediction").replace_strict({True: "yes", False: "no"}, return_dtype=pl.String))
    table = tmp_path / "answered.csv"
    pl.concat([truth().select("inference_id"), rows(400), said], how="horizontal").write_csv(table)
    merged = merge(table, write(tmp_path, truth().head(10)), CONTRACT)
    assert training_rows(merged, table, CONTRACT)["left"].to_list() == truth()["label"].head(10).to_list()


def test_numbers_have_labels_too(tmp_path: Path) -> None:
    fields = [*FIELDS[:-1], {"name": "cost", "type": "number", "role": "target"}]
    contract = Contract.model_validate({"name": "people", "schema": {"fields": fields}})
    table = rows(100).with_columns(prediction=pl.lit(10.0), inference_id=pl.int_range(pl.len()).cast(pl.String))
    table.write_parquet(tmp_path / "answered.parquet")
    told = table.select("inference_id", label=pl.lit("12.5"))
    merged = merge(tmp_path / "answered.parquet", write(tmp_path, told), contract)
    assert quality(merged, contract)[0]["metrics"]["mae"] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["a"], "label": ["yes"]}, "has no column 'inference_id'"),
        ({"inference_id": ["a"], "truth": ["yes"]}, "has no column 'label'"),
    ],
)
def test_labels_without_their_columns_are_refused(folder: Path, table: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        merge(folder / "traffic", write(folder, pl.DataFrame(table)), CONTRACT)


def test_the_command_writes_quality_and_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path("data_contract.yaml").write_text(yaml.safe_dump({"name": "people", "schema": {"fields": FIELDS}}))
    write(folder, truth(wrong=40))
    found = CliRunner().invoke(app, ["feedback", "--data", "traffic", "--labels", "labels.csv", "--output", "out"])
    assert found.exit_code == 0, found.output
    assert "accuracy 0.9" in found.output
    content = json.loads(Path("out/quality.json").read_text())
    assert content["labels"]["labels"] == 400
    assert content["quality"][0]["metrics"]["accuracy"] == pytest.approx(0.9)
    assert pl.read_csv("out/training.csv").height == 400
    refused = CliRunner().invoke(app, ["feedback", "--data", "traffic"])
    assert isinstance(refused.exception, UserError)
