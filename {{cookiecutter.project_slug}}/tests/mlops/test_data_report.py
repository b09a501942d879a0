"""Counts that merge, and what a report says of them; the way from files to a report is tested in test_prepare."""

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usecase.mlops.contract import Contract
from usecase.mlops.data_report import DataReport, Mirror, Part, Tally, mirrors
from usecase.mlops.errors import UserError
from usecase.mlops.split import split

FIELDS = [
    {"name": "id", "type": "integer", "role": "id"},
    {"name": "size", "type": "number", "role": "feature"},
    {"name": "colour", "type": "string", "role": "feature"},
    {"name": "price", "type": "number", "role": "target"},
]
CONTRACT = Contract.model_validate({"name": "things", "schema": {"fields": FIELDS}})


def rows(n: int = 300, first: int = 0) -> pl.DataFrame:
    numbers = range(first, first + n)
    return pl.DataFrame(
        {
            "id": numbers,
            "size": [i * 7 % 13 / 2 for i in numbers],
            "colour": [["red", "blue", None][i % 3] for i in numbers],
            "price": [i * 31 % 101 / 4 for i in numbers],
        }
    )


def tally(*batches: pl.DataFrame, host: str = "algo-1", hosts: tuple[str, ...] = ("algo-1",)) -> Tally:
    counted = Tally.of(CONTRACT, host, list(hosts))
    for number, batch in enumerate(batches):
        counted.add(split(batch, CONTRACT), CONTRACT)
        counted.files.append(f"hash {host} {number}")
    return counted


@pytest.mark.parametrize(
    ("values", "target", "copied"),
    [
        (["a", "b", "a", "b"], [1, 2, 1, 2], True),
        (["a", "b", "a", "a"], [1, 2, 1, 2], False),
        (["a", "b", "c", "b"], [1, 2, 1, 2], False),
        (["a", None, "a", "b"], [1, 2, 1, 2], False),
        ([1.5, 2.5, 3.5, 4.5], [1.5, 2.5, 3.5, 4.5], True),
        ([1, 2, 3, 4], [1.0, 2.0, 3.0, 4.0], True),
        ([9, 8, 7, 6], [1, 2, 3, 4], False),  # an index pairs with any target that has a value per row
        (["1", "2", "3", "4"], [1, 2, 3, 4], False),
        ([True, False, True, False], ["yes", "no", "yes", "no"], True),
    ],
)
def test_a_copy_of_the_target(values: list[object], target: list[object], copied: bool) -> None:
    column, goal = pl.Series(values, strict=False), pl.Series(target, strict=False)
    assert mirrors(column, goal) == copied
    one, other = Mirror(), Mirror()
    one.add(column[:2], goal[:2])
    other.add(column[2:], goal[2:])
    one.merge(Mirror.model_validate_json(other.model_dump_json()))
    assert one.stands(4) == copied


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=8), st.integers(1, 8))
def test_a_copy_is_seen_alike_in_batches(pairs: list[tuple[int, int]], size: int) -> None:
    column, goal = (pl.Series(values) for values in zip(*pairs, strict=True))
    mirror = Mirror()
    for start in range(0, len(column), size):
        mirror.add(column[start : start + size], goal[start : start + size])
    assert mirror.stands(len(column)) == mirrors(column, goal)


def test_a_copy_of_many_values_is_not_kept_in_memory() -> None:
    mirror = Mirror()
    numbers = pl.Series(range(30_000))
    mirror.add(numbers, numbers.reverse())
    assert mirror.pairs is None
    assert not mirror.stands(60_000)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(1, 10))
def test_moments_of_batches_are_those_of_all(values: list[float], size: int) -> None:
    total = Part()
    for start in range(0, len(values), size):
        total.merge(Part.of(pl.Series(values[start : start + size]), []))
    whole = pl.Series(values)
    assert total.rows == len(values)
    assert total.mean == pytest.approx(whole.mean(), abs=1e-6)
    assert total.variance == pytest.approx(whole.var() or 0.0, rel=1e-6, abs=1e-3)
    assert (total.minimum, total.maximum) == (whole.min(), whole.max())


def test_batches_change_nothing() -> None:
    one = tally(rows()).report().model_dump(exclude={"data_sha256"})
    many = (
        tally(*(rows()[start : start + 17] for start in range(0, 300, 17))).report().model_dump(exclude={"data_sha256"})
    )
    assert many["target"] == pytest.approx(one["target"])
    for same in ("rows", "splits", "overlap", "flagged_rows"):
        assert many[same] == one[same]


def test_reports_of_hosts_are_read_as_one(tmp_path: Path) -> None:
    hosts = ("algo-1", "algo-2")
    for number, host in enumerate(hosts):
        tally(rows(150, number * 150), host=host, hosts=hosts).save(tmp_path / f"data_report-{host}.json")
    report = DataReport.load(tmp_path)
    assert report.splits == tally(rows()).report().splits
    report.save(tmp_path / "data_report.json")
    assert DataReport.load(tmp_path) == report
    assert "class" in json.loads((tmp_path / "data_report.json").read_text())["label_shift"]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.txt", "", "holds no data_report.json"),
        ("data_report.json", "{", "data_report.json: cannot be read"),
        ("data_report.json", "[]", "must hold one JSON object"),
        ("data_report.json", '{"rows": 1}', "data_report.json: "),
        ("data_report-algo-1.json", "{}", "data_report-algo-1.json: "),
    ],
)
def test_a_damaged_report_is_named(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=says):
        DataReport.load(tmp_path)


def test_reports_of_another_contract_are_not_mixed(tmp_path: Path) -> None:
    hosts = ("algo-1", "algo-2")
    tally(rows(150), hosts=hosts).save(tmp_path / "data_report-algo-1.json")
    other = tally(rows(150, 150), host="algo-2", hosts=hosts)
    other.contract_sha256 = "other"
    other.save(tmp_path / "data_report-algo-2.json")
    with pytest.raises(UserError, match=r"data_report-algo-2\.json: was made with another contract"):
        DataReport.load(tmp_path)


def test_a_part_that_is_too_thin_is_refused() -> None:
    train = split(rows(100), CONTRACT)["train"]
    with pytest.raises(UserError, match=rf"the validation part has 0 of {train.height} rows: more data is needed"):
        tally(train).report()
