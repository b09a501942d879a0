"""Groups in captured traffic: what each was answered, how good it was, and no number where none can be told."""

import numpy as np
import polars as pl
import pytest

from drift.people import CONTRACT, GROUPED, answers, baseline, rows
from usecase.mlops.check import as_text
from usecase.mlops.contract import Contract
from usecase.mlops.drift.groups import Gap, GroupTally, by_quality, section
from usecase.mlops.drift.tally import WindowTally

BASELINE = baseline()
COUNT = 2000


def gaps(asked: pl.DataFrame, said: pl.DataFrame, contract: Contract = GROUPED, parts: int = 4) -> dict[str, Gap]:
    window = WindowTally(BASELINE, contract)
    groups = GroupTally(window)
    size = max(1, asked.height // parts)
    for start in range(0, asked.height, size):
        part, answered = asked.slice(start, size), said.slice(start, size)
        window.add(part)
        groups.add(part, answered)
    return {gap.column: gap for gap in groups.gaps({("plan", "pro"): {"selection_rate": 0.2}})}


def unfair(asked: pl.DataFrame, rate: float) -> pl.DataFrame:
    """The answers, but of the people with `pro` each is a yes with this rate."""
    drawn = pl.Series(np.random.default_rng(5).random(asked.height) < rate)
    said = answers(asked.height)["prediction"]
    return pl.DataFrame({"prediction": asked.select(pl.when(pl.col("plan") == "pro").then(drawn).otherwise(said))})


@pytest.mark.parametrize("text", [True, False])
def test_each_group_has_its_rate(text: bool) -> None:
    asked = rows(COUNT)
    said = unfair(asked, 0.8)
    table = asked.with_columns(said=said["prediction"])
    expected = dict(table.group_by("plan").agg(pl.col("said").mean()).rows())
    if text:
        asked, said = as_text(asked, GROUPED), said.select(pl.col("prediction").cast(pl.String))
    found = gaps(asked, said)["plan"]
    assert (found.status, found.measure) == ("measured", "share of True")
    assert {group.name: group.value for group in found.groups} == pytest.approx(expected)
    assert found.gap == pytest.approx(max(expected.values()) - min(expected.values()))
    (pro,) = [group for group in found.groups if group.name == "pro"]
    assert pro.then == 0.2
    assert pro.error == pytest.approx(2 * np.sqrt(0.8 * 0.2 / pro.rows), rel=0.1)
    assert found.then is None  # of the other groups nothing is known


def test_without_unfairness_the_gap_is_small() -> None:
    found = gaps(rows(COUNT), answers(COUNT))
    assert found["plan"].gap is not None
    assert found["plan"].gap < 0.12


def test_numbers_are_bands_of_the_training_rows() -> None:
    asked = rows(COUNT).with_columns(age=pl.when(pl.int_range(pl.len()) >= 40).then("age"))
    groups = gaps(asked, answers(COUNT))["age"].groups
    assert [group.name for group in groups] == ["up to 35", "35 to 45", "45 to 52", "over 52", "(missing)"]
    assert sum(group.rows for group in groups) == COUNT
    assert min(group.rows for group in groups[:4]) > 350


def test_unknown_values_are_one_group_without_a_name() -> None:
    asked = rows(COUNT).with_columns(plan=pl.lit("secret ") + pl.int_range(pl.len()).cast(pl.String))
    assert [group.name for group in gaps(asked, answers(COUNT))["plan"].groups] == ["(other)"]


@pytest.mark.parametrize("count", [0, 20])
def test_few_rows_have_no_gap(count: int) -> None:
    found = gaps(rows(count), answers(count), parts=1)["plan"]
    assert found.status == ("insufficient_data" if count else "not_available")
    assert found.gap is None
    assert found.note


def test_a_small_group_is_named_and_not_compared() -> None:
    asked = pl.concat([rows(1000).filter(pl.col("plan") != "pro"), rows(1000).filter(pl.col("plan") == "pro").head(5)])
    said = pl.DataFrame({"prediction": [False] * (asked.height - 5) + [True] * 5})
    found = gaps(asked, said)["plan"]
    assert (found.gap, found.note) == (0, "too few rows to be compared: pro (5)")


def test_what_is_not_in_the_traffic_is_not_available() -> None:
    found = gaps(rows(COUNT).drop("plan"), answers(COUNT))
    assert (found["plan"].status, found["plan"].gap) == ("not_available", None)
    assert found["age"].status == "measured"
    assert gaps(rows(COUNT), answers(COUNT).select("probability"))["plan"].status == "not_available"
    assert gaps(rows(COUNT), answers(COUNT), CONTRACT) == {}


def test_labels_give_gaps_in_the_metric_of_the_gates() -> None:
    measured = [
        {"period": "", "column": "plan", "group": "pro", "rows": 80, "metrics": {"accuracy": 0.6}},
        {"period": "", "column": "plan", "group": "plus", "rows": 90, "metrics": {"accuracy": 0.9}},
        {"period": "2026-01-02", "column": "plan", "group": "pro", "rows": 80, "metrics": {"accuracy": 0.1}},
        {"period": "", "column": "", "group": "", "rows": 170, "metrics": {"accuracy": 0.7}},
    ]
    age, plan = by_quality(measured, "accuracy", GROUPED, {("plan", "pro"): {"accuracy": 0.8}})
    assert (age.status, age.gap) == ("insufficient_data", None)
    assert plan.gap == pytest.approx(0.3)
    tones = {limit: str(section([plan], limit)) for limit in (0.2, 0.4)}
    assert "tone='bad'" in tones[0.2]
    assert "tone='bad'" not in tones[0.4]
