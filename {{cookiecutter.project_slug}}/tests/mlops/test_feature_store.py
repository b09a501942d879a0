"""Features over time: the join never sees the future, and agrees with the plain definition of it."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usecase.mlops.errors import UserError
from usecase.mlops.feature_store import IS_DELETED, WRITE_TIME, LocalFeatureGroup, event_times, join
from usecase.mlops.settings import FeatureStore

SETTINGS = FeatureStore(group="people", record_id="person", event_time="at")
START = datetime(2026, 1, 1)


def rows(*items: tuple[str, int, float]) -> pl.DataFrame:
    """(person, day, income) per row."""
    return pl.DataFrame(
        {
            "person": [person for person, _, _ in items],
            "at": [START + timedelta(days=day) for _, day, _ in items],
            "income": [income for _, _, income in items],
        }
    )


class Written:
    """A group whose history is given."""

    settings = SETTINGS

    def __init__(self, history: pl.DataFrame) -> None:
        self.history = history

    def write(self, rows: pl.DataFrame) -> int:
        raise NotImplementedError

    def read(self) -> pl.DataFrame:
        return self.history


def test_a_row_gets_what_was_known_at_its_moment(tmp_path: Path) -> None:
    group = LocalFeatureGroup(SETTINGS, tmp_path)
    assert group.write(rows(("a", 1, 10.0), ("a", 5, 50.0), ("b", 3, 30.0))) == 3
    spine = rows(("a", 4, 0), ("a", 5, 0), ("b", 2, 0), ("c", 9, 0)).drop("income").with_columns(churned=pl.lit("no"))
    joined = join(spine, group)
    assert joined["income"].to_list() == [10.0, 50.0, None, None]
    assert joined["person"].to_list() == ["a", "a", "b", "c"]


def test_a_correction_of_the_same_moment_wins(tmp_path: Path) -> None:
    group = LocalFeatureGroup(SETTINGS, tmp_path)
    group.write(rows(("a", 1, 10.0)))
    group.write(rows(("a", 1, 11.0)))
    assert join(rows(("a", 2, 0)).drop("income"), group)["income"].to_list() == [11.0]


def test_a_deleted_record_has_no_features_from_then_on() -> None:
    history = rows(("a", 1, 10.0), ("a", 3, 10.0)).with_columns(
        pl.lit(START).alias(WRITE_TIME), pl.Series(IS_DELETED, [False, True])
    )
    spine = rows(("a", 2, 0), ("a", 3, 0), ("a", 8, 0)).drop("income")
    assert join(spine, Written(history))["income"].to_list() == [10.0, None, None]


@given(st.data())
def test_the_join_is_the_plain_definition(data: st.DataObject) -> None:
    person, day = st.sampled_from("abc"), st.integers(0, 8)
    written = data.draw(st.lists(st.tuples(person, day, st.integers(0, 3), st.booleans()), min_size=1, max_size=25))
    asked = data.draw(st.lists(st.tuples(person, day), min_size=1, max_size=10))
    history = rows(*((p, d, float(i)) for i, (p, d, _, _) in enumerate(written))).with_columns(
        # later in the list is written later, where the drawn hour is the same
        pl.Series(WRITE_TIME, [START + timedelta(hours=h, seconds=i) for i, (_, _, h, _) in enumerate(written)]),
        pl.Series(IS_DELETED, [gone for _, _, _, gone in written]),
    )
    spine = rows(*((p, d, 0.0) for p, d in asked)).drop("income")

    def plain(person: str, day: int) -> float | None:
        past = [(d, h, i, gone) for i, (p, d, h, gone) in enumerate(written) if p == person and d <= day]
        return None if not past or max(past)[3] else float(max(past)[2])

    assert join(spine, Written(history))["income"].to_list() == [plain(p, d) for p, d in asked]


@pytest.mark.parametrize(
    "values",
    [
        ["2026-01-31"],
        ["2026-01-31T00:00:00"],
        ["2026-01-31T00:00:00Z"],
        ["2026-01-31T01:00:00+01:00"],
        [date(2026, 1, 31)],
        [datetime(2026, 1, 31, tzinfo=UTC)],
        [datetime(2026, 1, 31, tzinfo=UTC).timestamp()],
    ],
)
def test_moments_are_read_however_they_are_written(values: list[Any]) -> None:
    assert event_times(pl.Series("at", values)).to_list() == [datetime(2026, 1, 31)]


def test_what_a_group_refuses_is_one_line(tmp_path: Path) -> None:
    group = LocalFeatureGroup(SETTINGS, tmp_path)
    with pytest.raises(UserError, match="the feature group is empty"):
        group.read()
    with pytest.raises(UserError, match="column 'at': 'soon' is no moment"):
        group.write(pl.DataFrame({"person": ["a"], "at": ["soon"], "income": [1.0]}))
    with pytest.raises(UserError, match="column 'person' is missing"):
        group.write(pl.DataFrame({"at": ["2026-01-01"]}))
    with pytest.raises(UserError, match="column 'at' is empty in 1 rows"):
        group.write(pl.DataFrame({"person": ["a"], "at": pl.Series([None], dtype=pl.String)}))
    assert not list(tmp_path.rglob("*.parquet"))
    group.write(rows(("a", 1, 10.0)))
    with pytest.raises(UserError, match="also has income"):
        group.write(rows(("a", 1, 10.0)).drop("income"))
    with pytest.raises(UserError, match="has no wealth"):
        group.write(rows(("a", 1, 10.0)).with_columns(wealth=pl.lit(1)))
    with pytest.raises(UserError, match="both the rows and feature group 'people' have income"):
        join(rows(("a", 1, 10.0)), group)
