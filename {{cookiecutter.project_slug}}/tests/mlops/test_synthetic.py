"""Rows made from a contract keep that contract, whatever it holds."""

from pathlib import Path
from typing import Any

import pytest

from usecase.mlops.check import check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.split import split
from usecase.mlops.synthetic import synthetic_rows

ROOT = Path(__file__).parents[2]
TARGETS: dict[str, dict[str, Any]] = {
    "binary": {"type": "string", "constraints": {"enum": ["no", "yes"]}},
    "multiclass": {"type": "integer", "constraints": {"enum": [1, 2, 3]}},
    "boolean": {"type": "boolean"},
    "number": {"type": "number", "constraints": {"minimum": -1.5, "maximum": 2.5}},
    "open number": {"type": "integer"},
}
FEATURES = [
    {"name": "id", "type": "string", "role": "id"},
    {"name": "age", "type": "integer", "role": "feature", "constraints": {"minimum": 18, "maximum": 99}},
    {"name": "size", "type": "number", "role": "feature", "constraints": {"required": True}},
    {"name": "plan", "type": "string", "role": "feature", "constraints": {"enum": ["a", "b", "c"]}},
    {"name": "day", "type": "date", "role": "feature"},
    {"name": "seen", "type": "datetime", "role": "feature"},
    {"name": "on", "type": "boolean", "role": "feature"},
    {"name": "note", "type": "string", "role": "ignored"},
    {"name": "sex", "type": "string", "role": "ignored", "protected": True, "constraints": {"enum": ["f", "m"]}},
]


def test_every_class_is_in_every_part() -> None:
    enum = [f"class {number}" for number in range(80)]
    target = {"name": "goal", "type": "string", "role": "target", "constraints": {"enum": enum}}
    contract = Contract.model_validate({"name": "things", "schema": {"fields": [*FEATURES, target]}})
    assert set(split(synthetic_rows(contract), contract)) == {"train", "validation", "test"}


@pytest.mark.parametrize("target", TARGETS)
def test_rows_keep_the_contract(target: str) -> None:
    fields = [*FEATURES, {"name": "goal", "role": "target", **TARGETS[target]}]
    contract = Contract.model_validate({"name": "things", "schema": {"fields": fields}})
    rows = synthetic_rows(contract, 200)
    checked = check_rows(rows, contract)
    assert checked.problems == checked.warnings == []
    assert checked.frame.equals(rows)
    assert set(contract.classes) <= set(rows["goal"].to_list())
    assert rows["age"].null_count() > 0
    assert rows["sex"].drop_nulls().n_unique() == 2
    assert rows["size"].null_count() == 0
    assert synthetic_rows(contract, 200).equals(rows)
    assert not synthetic_rows(contract, 200, seed=1).equals(rows)


def test_rows_keep_the_contract_of_this_repository() -> None:
    contract = Contract.load(ROOT)
    assert check_rows(synthetic_rows(contract), contract).problems == []
