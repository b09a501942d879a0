"""Groups of people: by value, in bands, and without a value."""

from datetime import date, timedelta

import polars as pl

from usecase.mlops.scored import MAX_GROUPS, name_groups


def counts(values: pl.Series) -> dict[str, int]:
    return dict(name_groups(values).value_counts().sort(values.name).rows())


def test_categories_and_booleans_are_groups_by_value() -> None:
    assert counts(pl.Series("sex", ["f", "m", None, "f"])) == {"(missing)": 1, "f": 2, "m": 1}
    assert counts(pl.Series("old", [True, False, True, None])) == {"(missing)": 1, "false": 1, "true": 2}


def test_few_numbers_and_dates_are_groups_by_value() -> None:
    assert counts(pl.Series("children", [0, 1, 1, 2])) == {"0": 1, "1": 2, "2": 1}
    assert counts(pl.Series("rooms", [1.0, 2.5, None])) == {"(missing)": 1, "1": 1, "2.5": 1}
    assert counts(pl.Series("day", [date(2024, 1, 1)] * 3)) == {"2024-01-01": 3}


def test_many_numbers_become_quarters() -> None:
    ages = pl.Series("age", [*range(20, 60), None])
    assert counts(ages) == {"(missing)": 1, "30 to 39": 10, "40 to 49": 10, "50 and over": 10, "up to 29": 10}
    assert counts(ages / 8) == {
        "(missing)": 1,
        "3.75 to 4.875": 10,
        "5 to 6.125": 10,
        "6.25 and over": 10,
        "up to 3.625": 10,
    }


def test_many_dates_become_quarters() -> None:
    days = pl.Series("born", [date(2000, 1, 1) + timedelta(days=i) for i in range(40)])
    assert set(name_groups(days)) == {
        "up to 2000-01-10",
        "2000-01-11 to 2000-01-20",
        "2000-01-21 to 2000-01-30",
        "2000-01-31 and over",
    }


def test_numbers_that_are_mostly_alike_are_told_apart_from_the_others() -> None:
    low = pl.Series("gain", [0] * 90 + list(range(1, 21)))
    assert counts(low) == {"1 and over": 20, "up to 0": 90}
    high = pl.Series("hours", list(range(1, 21)) + [40] * 90)
    assert counts(high) == {"40 and over": 90, "up to 20": 20}


def test_rare_values_are_one_group() -> None:
    places = pl.Series("place", [f"p{i:03}" for i in range(80) for _ in range(2 if i < MAX_GROUPS else 1)])
    found = counts(places)
    assert len(found) == MAX_GROUPS + 1
    assert found["(other)"] == 80 - MAX_GROUPS
