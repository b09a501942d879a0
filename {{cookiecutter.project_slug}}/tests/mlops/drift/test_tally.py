"""Texts are counted by their different words: as the contract reads them, and every rule of it still holds."""

from typing import Any

import polars as pl
import pytest

from drift.people import FIELDS, baseline, rows
from usecase.mlops.contract import Contract
from usecase.mlops.drift.tally import WindowTally, WordTally

BASELINE = baseline()


def counted(
    words: list[str | None],
    constraints: dict[str, Any] | None = None,
    policy: str = "missing",
    missing: tuple[str, ...] = ("", "NA"),
) -> WindowTally:
    """A window in batches of eight, whose plans are these. In training they were basic, plus and pro."""
    fields = [field | ({"constraints": constraints or {}} if field["name"] == "plan" else {}) for field in FIELDS]
    about = {"fields": fields, "missingValues": missing}
    window = WindowTally(
        BASELINE,
        Contract.model_validate({"name": "people", "policy": {"unseen_category": policy}, "schema": about}),
    )
    asked = rows(len(words)).with_columns(plan=pl.Series(words, dtype=pl.String))
    for batch in asked.iter_slices(8):
        window.add(batch)
    return window


@pytest.mark.parametrize("constraints", [{}, {"unique": True}, {"enum": ["basic", "plus"]}])
def test_words_are_those_that_the_contract_reads(constraints: dict[str, Any]) -> None:
    words = ["basic", " basic", "plus", "gold ", "gold", " gold", "silver", "silver", None, "", " NA ", "basic"]
    plan = counted(words, constraints).features["plan"]
    assert isinstance(plan, WordTally)
    assert plan.counts == {"basic": 3, "plus": 1}
    assert (plan.rows, plan.missing, plan.wrong, plan.beyond) == (12, 3, 0, 5)
    assert plan.unknown == ["gold", "silver"]


def test_a_word_of_training_may_stand_for_a_missing_value_now() -> None:
    plan = counted(["basic", "pro", "plus", "pro"], missing=("pro",)).features["plan"]
    assert isinstance(plan, WordTally)
    assert plan.counts == {"basic": 1, "plus": 1}
    assert (plan.rows, plan.missing, plan.beyond) == (4, 2, 0)


@pytest.mark.parametrize(
    ("words", "constraints", "policy", "refused", "noted"),
    [
        (["basic", "gold", "basic"], {"enum": ["basic"]}, "reject", [(2, 1)], []),
        (["basic", " gold", "gold", "pro"], {"enum": ["basic"]}, "missing", [], [(2, 3)]),
        (["basic", None, "NA "], {"required": True}, "missing", [(2, 2)], []),
        (["basic", "pro", "basic"], {"unique": True}, "missing", [(3, 1)], []),
        (["basic"] * 9 + ["", "basic"], {"required": True}, "missing", [(10, 1)], []),
        (["basic", " basic", "pro"], {"enum": ["basic", "pro"], "required": True}, "reject", [], []),
        (["basic"] * 9 + ["gold", "pro"], {"enum": ["basic", "plus", "pro"]}, "reject", [(10, 1)], []),
    ],
)
def test_a_rule_of_the_contract_holds_for_texts(
    words: list[str | None],
    constraints: dict[str, Any],
    policy: str,
    refused: list[tuple[int, int]],
    noted: list[tuple[int, int]],
) -> None:
    window = counted(words, constraints, policy)
    assert [(problem.row, problem.rows) for problem in window.problems] == refused
    assert [(problem.row, problem.rows) for problem in window.warnings] == noted
