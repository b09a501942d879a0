"""What the model looks at in traffic: its own contributions, held against those of the training rows."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from drift.people import GROUPED, PROTECTED, rows
from usecase.mlops.check import as_text
from usecase.mlops.contract import Contract
from usecase.mlops.drift.importance import IMPORTANCE, MAX_ROWS, Importance, Sample, compare, measure, section


def look(version: Path, asked: pl.DataFrame, contract: Contract = GROUPED) -> Importance:
    sample = Sample()
    sample.add(as_text(asked, GROUPED))
    return measure(version, sample, contract, 500, 0.05)


def test_the_same_people_move_nothing(trained: Path) -> None:
    found = look(trained, rows(1500, 3))
    assert (found.status, found.rows) == ("measured", 1500)
    assert found.shift is not None
    assert found.shift < 0.05
    assert [item.name for item in found.inputs if item.moved] == []
    assert sum(item.now for item in found.inputs) == pytest.approx(1)


def test_an_input_that_the_model_looks_at_more_is_named(trained: Path) -> None:
    poor = rows(1500, 3).with_columns(age=pl.lit(30), active=pl.lit(False), income=pl.col("income") * 0.7)
    found = look(trained, poor)
    assert found.shift is not None
    assert found.shift > 0.1
    assert {item.name for item in found.inputs if item.moved} >= {"active"}
    assert "active" in str(section(found))


@pytest.mark.parametrize(
    ("fault", "status", "note"),
    [
        ("no archive", "not_available", "no model.tar.gz"),
        ("no importance", "not_available", "no importance.json"),
        ("odd importance", "not_available", "no importance.json"),
        ("damaged archive", "not_available", "cannot be unpacked"),
        ("another contract", "not_available", "the contract has changed"),
        ("few rows", "insufficient_data", "499 rows, 500 are needed"),
        ("a column less", "insufficient_data", "0 rows"),
    ],
)
def test_what_cannot_be_told_has_no_number(trained: Path, tmp_path: Path, fault: str, status: str, note: str) -> None:
    version = shutil.copytree(trained, tmp_path / "version")
    asked, contract = rows(600), GROUPED
    match fault:
        case "no archive":
            (version / "model.tar.gz").unlink()
        case "no importance":
            (version / IMPORTANCE).unlink()
        case "odd importance":
            (version / IMPORTANCE).write_text("[]")
        case "damaged archive":
            (version / "model.tar.gz").write_bytes(b"x")
        case "another contract":
            limits = {"constraints": {"enum": ["basic", "plus", "pro"]}}
            fields = [field | (limits if field["name"] == "plan" else {}) for field in PROTECTED]
            contract = Contract.model_validate({"name": "people", "schema": {"fields": fields}})
        case "few rows":
            asked = rows(499)
        case "a column less":
            asked = asked.drop("plan")
    found = look(version, asked, contract)
    assert (found.status, found.shift, list(found.inputs)) == (status, None, [])
    assert note in found.note
    assert json.loads(json.dumps(found.content()))["shift"] is None
    assert "measured" in str(section(found)) or "Not enough data" in str(section(found))


def test_other_inputs_are_not_compared() -> None:
    now = pl.DataFrame({"input": ["age"], "mean": [1.0], "error": [0.1]})
    assert compare({"age": 1.0, "plan": 1.0}, now, 600, 0.05).status == "not_available"
    assert compare({"age": 0.0}, now, 600, 0.05).status == "not_available"


def test_chance_moves_nothing() -> None:
    now = pl.DataFrame({"input": ["age", "plan"], "mean": [0.6, 0.4], "error": [0.03, 0.03]})
    assert [item.moved for item in compare({"age": 1.0, "plan": 1.0}, now, 100, 0.05).inputs] == [False, False]
    assert [item.moved for item in compare({"age": 1.0, "plan": 1.0}, now, 100, 0.2).inputs] == [False, False]
    sure = now.with_columns(error=pl.lit(0.003))
    assert [item.moved for item in compare({"age": 1.0, "plan": 1.0}, sure, 100, 0.05).inputs] == [True, True]


def test_a_sample_is_bounded_and_takes_from_all_parts() -> None:
    sample = Sample()
    for part in range(20):
        sample.add(rows(3000, part).with_columns(plan=pl.lit("plus" if part < 10 else "pro")))
    drawn = sample.typed(GROUPED)
    assert drawn.height == MAX_ROWS
    assert (drawn["plan"] == "plus").mean() == pytest.approx(0.5, abs=0.05)
