"""Preprocessing as a whole: batches, parts, reports, hosts; and the data that it refuses."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from usecase.mlops.contract import Contract
from usecase.mlops.data_report import DataReport
from usecase.mlops.errors import UserError
from usecase.mlops.features import Preprocessor
from usecase.mlops.prepare import DataCheck, Hosts, Preparation
from usecase.mlops.split import split
from usecase.mlops.tables import PIECE_BYTES, read_pieces, read_table

CONTRACT = """\
name: people
schema:
  missingValues: ['', NA]
  fields:
  - {name: id, type: string, role: id}
  - {name: age, type: integer, role: feature, constraints: {minimum: 0, maximum: 120}}
  - {name: income, type: number, role: feature}
  - {name: plan, type: string, role: feature, constraints: {enum: [basic, pro]}}
  - {name: sex, type: string, role: ignored, protected: true}
  - {name: note, type: string, role: ignored}
  - {name: churned, type: string, role: target, constraints: {enum: ['no', 'yes']}}
"""
WITHOUT_ID = CONTRACT.replace("role: id}", "role: ignored}")
N = 240
Columns = dict[str, list[str | None]]


def rows(**changed: list[Any]) -> pl.DataFrame:
    columns: dict[str, list[Any]] = {
        "id": [f"person {i}" for i in range(N)],
        "age": [str(20 + i * 7 % 60) for i in range(N)],
        "income": ["NA" if i % 11 == 0 else f"{i * 37 % 101}.5" for i in range(N)],
        "plan": [["basic", "pro"][i // 3 % 2] for i in range(N)],
        "sex": [["f", "m"][i // 5 % 2] for i in range(N)],
        "note": ["hello"] * N,
        "churned": [["no", "yes"][i * i % 7 % 2] for i in range(N)],
    }
    return pl.DataFrame({**columns, **changed})


Prepare = Callable[..., Path]


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Preprocess `frames` as files of one folder, or as files of several hosts; returns the folder of outputs."""

    def run(
        *frames: pl.DataFrame,
        contract: str = CONTRACT,
        hosts: int = 1,
        piece_bytes: int = PIECE_BYTES,
        name: str = "out",
    ) -> Path:
        monkeypatch.setattr(
            "usecase.mlops.prepare.read_pieces", lambda path, numbers: read_pieces(path, piece_bytes, numbers)
        )  # small files in many pieces
        (tmp_path / "data_contract.yaml").write_text(contract)
        names = tuple(f"algo-{number + 1}" for number in range(hosts))
        for number, host in enumerate(names):
            data = tmp_path / name / "data" / host
            data.mkdir(parents=True)
            for position, frame in enumerate(frames):
                if position % hosts == number:
                    frame.write_csv(data / f"{position}.csv")
            with Preparation(tmp_path, tmp_path / name, Hosts(host, names)) as preparation:
                for batch in preparation.checked_batches(data):
                    parts = split(batch, preparation.contract)
                    preparation.fit(parts["train"])
                    preparation.write(parts)
        return tmp_path / name

    return run


def part(out: Path, name: str) -> pl.DataFrame:
    return read_table(out / name).sort("id")


def test_outputs(prepare: Prepare) -> None:
    out = prepare(rows())
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file() and "data/" not in str(path))
    assert files == [
        "preprocessor/data_contract.yaml",
        "preprocessor/preprocessor.json",
        "report/data_report.json",
        "test/part-algo-1-00000.parquet",
        "train/part-algo-1-00000.parquet",
        "validation/part-algo-1-00000.parquet",
    ]
    report = json.loads((out / "report/data_report.json").read_text())
    assert list(report) == [
        "data_sha256",
        "rows",
        "features",
        "task",
        "target",
        "warnings",
        "flagged_rows",
        "splits",
        "overlap",
        "label_shift",
    ]
    assert sum(report["splits"].values()) == report["rows"] == N
    assert set(report["label_shift"]) == {"value", "standard_error", "part", "class"}
    train = part(out, "train")
    assert train.columns == ["id", "age", "income", "plan", "sex", "churned"]
    assert train.schema["age"] == pl.Int64
    assert Preprocessor.load(out / "preprocessor").feature_names == ["age", "income", "plan=basic", "plan=pro"]


def test_batches_and_formats_change_nothing(prepare: Prepare, tmp_path: Path) -> None:
    one, many = prepare(rows(), name="one"), prepare(rows(), name="many", piece_bytes=500)
    assert len(list(read_pieces(tmp_path / "many/data/algo-1", 500))) > 10
    typed = prepare(rows(), name="typed")
    for name in ("train", "validation", "test"):
        assert part(one, name).equals(part(many, name))
        assert part(one, name).equals(part(typed, name))
    for file in ("preprocessor/preprocessor.json", "report/data_report.json"):
        assert (one / file).read_text() == (many / file).read_text()


def test_parquet_gives_the_same_hash_and_parts(prepare: Prepare, tmp_path: Path) -> None:
    out = prepare(rows())
    frame = pl.concat(list(DataCheck(Contract.load(tmp_path)).batches(tmp_path / "out/data/algo-1")))
    (tmp_path / "parquet").mkdir()
    frame.with_columns(note=pl.lit("x")).write_parquet(tmp_path / "parquet/rows.parquet")
    with Preparation(tmp_path, tmp_path / "other") as preparation:
        for batch in preparation.checked_batches(tmp_path / "parquet"):
            parts = split(batch, preparation.contract)
            preparation.fit(parts["train"])
            preparation.write(parts)
    assert DataReport.load(tmp_path / "other/report") == DataReport.load(out / "report")
    assert part(tmp_path / "other", "test").equals(part(out, "test"))


def test_several_hosts_are_as_one(prepare: Prepare) -> None:
    twice = pl.concat([rows()[:120]] * 2).with_columns(id=rows()["id"])
    last = rows(age=["-5", "150", *rows()["age"][2:]])[:60].with_columns(id=rows()["id"][180:])
    frames = [twice[:100], twice[100:180].with_columns(plan=pl.lit("NA"), age=pl.lit("121")), last]
    one, two = prepare(*frames, name="one"), prepare(*frames, name="two", hosts=2)
    assert {path.name for path in (two / "train").iterdir()} == {
        "part-algo-1-00000.parquet",
        "part-algo-2-00000.parquet",
    }
    assert {path.name for path in (two / "report").iterdir()} == {"data_report-algo-1.json", "data_report-algo-2.json"}
    for name in ("train", "validation", "test"):
        assert part(one, name).equals(part(two, name))
    merged = DataReport.load(two / "report").model_dump()
    alone = DataReport.load(one / "report").model_dump()
    warnings = [sorted(report.pop("warnings"), key=len) for report in (merged, alone)]
    assert [[warning.split(":")[-1] for warning in each] for each in warnings] == [
        [" '-5' is below 0", " '150' is above 120 (and 80 more rows)"],
        [" '-5' is below 0", " '121' is above 120 (and 80 more rows)"],
    ]
    assert merged == {**alone, "label_shift": pytest.approx(alone["label_shift"])}
    assert merged["flagged_rows"] == 82
    assert merged["overlap"]["test"] > 0
    assert Preprocessor.load(two / "preprocessor") == Preprocessor.load(one / "preprocessor")


def test_a_column_is_a_copy_only_where_all_hosts_say_so(prepare: Prepare) -> None:
    copied = rows(plan=["basic" if label == "no" else "pro" for label in rows()["churned"]])
    out = prepare(copied[:120], rows()[120:], hosts=2)
    assert DataReport.load(out / "report").rows == N


def test_a_host_without_a_file_leaves_the_work_to_others(prepare: Prepare) -> None:
    out = prepare(rows(), hosts=2)
    assert DataReport.load(out / "report").rows == N
    assert Preprocessor.load(out / "preprocessor").feature_names


def test_a_missing_report_of_a_host_is_named(prepare: Prepare) -> None:
    out = prepare(rows()[:120], rows()[120:], hosts=2)
    (out / "report/data_report-algo-2.json").unlink()
    with pytest.raises(UserError, match="the data report of algo-2 is missing"):
        DataReport.load(out / "report")


def test_what_needs_all_rows_is_refused_when_hosts_meet(prepare: Prepare) -> None:
    twice = prepare(rows()[:120], rows()[100:], hosts=2, name="twice")
    with pytest.raises(UserError, match="column 'id': values stand in the files of several hosts"):
        DataReport.load(twice / "report")
    same = rows(churned=["no"] * N)
    constant = prepare(same[:120], same[120:], hosts=2, name="constant")
    with pytest.raises(UserError, match="target 'churned' is always 'no'"):
        DataReport.load(constant / "report")
    copied = rows(plan=["basic" if label == "no" else "pro" for label in rows()["churned"]])
    copy = prepare(copied[:120], copied[120:], hosts=2, name="copy")
    with pytest.raises(UserError, match="column 'plan' is identical to the target"):
        DataReport.load(copy / "report")


@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, 500])
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"income": [None] * N}, "column 'income' has no values"),
        ({"churned": ["no"] * N}, "target 'churned' is always 'no'"),
        ({"churned": ["no"] * (N - 1) + ["yes"]}, "class 'yes' of target 'churned' has only one row"),
        ({"churned": ["no"] * (N - 2) + ["yes"] * 2}, "part .* has no row of class 'yes' of 'churned'"),
        ({"plan": ["pro" if x == "no" else "basic" for x in rows()["churned"]]}, "column 'plan' is identical to the"),
        ({"age": ["30"] * (N - 1) + ["old"]}, f"column 'age', row {N}: 'old' is no integer$"),
        ({"age": ["x", *["30"] * (N - 2), "y"]}, r"column 'age', row 1: 'x' is no integer \(and 1 more rows\)$"),
        ({"id": [f"p{i % (N - 1)}" for i in range(N)]}, f"column 'id', row {N}: .* stands there twice$"),
        ({"id": [f"p{i % (N - 4)}" for i in range(N)]}, rf"row {N - 3}: .* stands there twice \(and 3 more rows\)$"),
        ({name: ["?"] * N for name in ("age", "income", "churned")}, "is no integer .* is no number .* is none of"),
    ],
)
def test_useless_data_is_refused_and_nothing_is_left(
    prepare: Prepare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: Columns, says: str, piece_bytes: int
) -> None:
    monkeypatch.setattr("usecase.mlops.prepare.PART_BYTES", 500)  # so that files are written before the last batch
    with pytest.raises(UserError, match=says) as error:
        prepare(rows(**changed), piece_bytes=piece_bytes)
    assert "\n" not in str(error.value)
    left = [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".csv"]
    assert left == []


def test_too_few_rows(prepare: Prepare) -> None:
    with pytest.raises(UserError, match="the data has 1 row: at least 20 are needed"):
        prepare(rows()[:1])


def test_many_problems_are_still_one_line(prepare: Prepare) -> None:
    bad = ["x"] * N
    contract = CONTRACT.replace("type: string, role: ignored", "type: date, role: feature").replace(
        "name: income, type: number", "name: income, type: boolean"
    )
    with pytest.raises(UserError, match=r"; and \d+ more$"):
        prepare(rows(id=bad, age=bad, income=bad, sex=bad, note=bad, churned=bad), contract=contract)


def test_rows_of_several_files_are_named_by_file(prepare: Prepare) -> None:
    frame = rows(age=["30"] * (N - 1) + ["old"])
    with pytest.raises(UserError, match=r"column 'age', row 40 of 1\.csv: 'old' is no integer"):
        prepare(frame[:200], frame[200:])
    with pytest.raises(UserError, match=r"column 'id', row 11 of 1\.csv: the value stands there twice"):
        prepare(rows(), pl.concat([rows(id=[f"new {i}" for i in range(N)])[:10], rows()[:1]]), name="ids")


def test_missing_values_of_a_unique_column_may_repeat(prepare: Prepare) -> None:
    contract = CONTRACT.replace(
        "name: income, type: number, role: feature",
        "name: income, type: number, role: feature, constraints: {unique: true}",
    )
    income = [None if i % 2 else str(i) for i in range(N)]
    assert prepare(rows(income=income), contract=contract, piece_bytes=500)
    with pytest.raises(UserError, match=r"column 'income', row 240: .* stands there twice$"):
        prepare(rows(income=[*income[:-1], "0"]), contract=contract, piece_bytes=500, name="again")


@pytest.mark.parametrize(("words", "cell"), [("[NA]", " "), ("['', NA, '-1']", "-1")])
def test_numbers_that_are_read_at_once_are_checked_alike(prepare: Prepare, words: str, cell: str) -> None:
    contract = CONTRACT.replace("['', NA]", words)
    frame = rows(age=[cell, *["30"] * (N - 1)])
    if cell == " ":
        with pytest.raises(UserError, match="column 'age', row 1: ' ' is no integer"):
            prepare(frame, contract=contract)
    else:
        out = prepare(frame, contract=contract)
        ages = pl.concat([part(out, name) for name in ("train", "validation", "test")])
        assert ages["age"].null_count() == 1


def test_warnings_are_counted_over_batches(prepare: Prepare) -> None:
    frame = rows(age=["200" if i % 10 == 0 else "30" for i in range(N)], plan=["gold", *rows()["plan"][1:]])
    report = DataReport.load(prepare(frame, piece_bytes=500) / "report")
    assert report.warnings == [
        "column 'age', row 1: '200' is above 120 (and 23 more rows)",
        "column 'plan', row 1: 'gold' is none of the values in the contract",
    ]
    assert report.flagged_rows == 24


def test_the_data_hash_is_of_values_not_of_the_file(prepare: Prepare) -> None:
    def hashed(name: str, *frames: pl.DataFrame) -> str:
        return DataReport.load(prepare(*frames, name=name) / "report").data_sha256

    first = hashed("first", rows())
    ages = rows()["age"]
    assert hashed("rewritten", rows(age=[f" {age}.0" for age in ages]).select(reversed(rows().columns))) == first
    assert hashed("note", rows(note=["other"] * N)) == first
    assert hashed("changed", rows(age=["21", *ages[1:]])) != first
    assert hashed("moved", rows(income=[*rows()["income"][1:], "NA"])) != first
    assert hashed("two", rows()[:99], rows()[99:]) == hashed("renamed", rows()[99:], rows()[:99])


def test_overlap_is_the_share_of_rows_that_stand_in_train(prepare: Prepare) -> None:
    def overlap(name: str, frame: pl.DataFrame) -> dict[str, float]:
        return DataReport.load(prepare(frame, name=name) / "report").overlap

    half = pl.concat([rows()[:60]] * 2 + [rows()[120:]]).with_columns(id=rows()["id"])
    found = overlap("half", half)
    out = prepare(half, name="again")
    keys = ["age", "income", "plan", "churned"]
    train = part(out, "train").select(keys).unique()
    for name, share in found.items():
        test = part(out, name)
        assert share == pytest.approx(test.join(train, on=keys, how="semi", nulls_equal=True).height / test.height)
        assert share > 0.2
    apart = rows(income=[f"{i}.25" for i in range(N)])
    assert overlap("apart", apart) == {"validation": 0, "test": 0}


def test_rows_without_an_id_are_placed_by_their_features_alone(prepare: Prepare) -> None:
    frame = pl.concat([rows(), rows(churned=["yes" if x == "no" else "no" for x in rows()["churned"]])])
    out = prepare(frame, contract=WITHOUT_ID)
    features = ["age", "income", "plan"]
    parts = [read_table(out / name).select(features).unique() for name in ("train", "validation", "test")]
    for first, second in [*pairwise(parts), (parts[0], parts[2])]:
        assert first.join(second, on=features, how="semi", nulls_equal=True).height == 0


def test_few_features_to_split_by_are_said(prepare: Prepare) -> None:
    contract = WITHOUT_ID.replace("name: age, type: integer, role: feature", "name: age, type: integer, role: ignored")
    frame = rows(income=[str(i % 40) for i in range(N)], plan=["pro"] * N)
    (warning,) = DataReport.load(prepare(frame, contract=contract) / "report").warnings
    assert "only 40 of 240 rows have different ones" in warning
    assert DataReport.load(prepare(rows(), contract=WITHOUT_ID, name="many") / "report").warnings == []


@pytest.mark.parametrize("regression", [False, True])
def test_label_shift(prepare: Prepare, regression: bool) -> None:
    contract = CONTRACT.replace(
        "type: string, role: target, constraints: {enum: ['no', 'yes']}", "type: number, role: target"
    )
    frame = rows(churned=[str(i * i % 97) for i in range(N)]) if regression else rows()
    out = prepare(frame, contract=contract if regression else CONTRACT)
    shift = DataReport.load(out / "report").label_shift
    values = {
        name: np.array([float(x) if regression else x == "yes" for x in part(out, name)["churned"]])
        for name in ("train", "validation", "test")
    }
    train, other = values["train"], values[shift.part]
    scale = train.std(ddof=1) if regression else 1.0
    gaps = {name: abs(values[name].mean() - train.mean()) / scale for name in ("validation", "test")}
    spread = other.std(ddof=1) / scale
    share = np.concatenate([train, other]).mean()
    variances = (1, spread**2) if regression else (share * (1 - share), share * (1 - share))
    assert (shift.label is None) == regression
    assert shift.part == max(gaps, key=lambda name: gaps[name])
    assert shift.value == pytest.approx(max(gaps.values()))
    assert shift.standard_error == pytest.approx((variances[0] / len(train) + variances[1] / len(other)) ** 0.5)


def test_a_protected_column_is_checked_and_carried_but_no_feature(prepare: Prepare) -> None:
    contract = CONTRACT.replace("protected: true", "protected: true, constraints: {enum: [f, m], required: true}")
    with pytest.raises(UserError, match="column 'sex', row 3: is empty but a value is required"):
        prepare(rows(sex=["f", "m", None] * (N // 3)), contract=contract)
    out = prepare(rows(), contract=contract, name="good")
    assert part(out, "test")["sex"].unique().sort().to_list() == ["f", "m"]
    assert "sex" not in Preprocessor.load(out / "preprocessor").feature_names


def test_large_parts_are_cut_into_files(prepare: Prepare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usecase.mlops.prepare.PART_BYTES", 1000)
    out = prepare(rows(), piece_bytes=500)
    assert len(list((out / "train").iterdir())) > 3
    assert part(out, "train").equals(part(prepare(rows(), name="whole"), "train"))


def test_hosts_of_a_processing_job(tmp_path: Path) -> None:
    file = tmp_path / "resourceconfig.json"
    assert Hosts.read(file) == Hosts("algo-1", ("algo-1",))
    file.write_text('{"current_host": "algo-2", "hosts": ["algo-1", "algo-2"]}')
    assert Hosts.read(file) == Hosts("algo-2", ("algo-1", "algo-2"))
    file.write_text("{}")
    with pytest.raises(UserError, match="names no current_host and hosts"):
        Hosts.read(file)
