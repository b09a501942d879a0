"""Your tests of your code: a start that you extend as preprocessing.py grows."""

from pathlib import Path

import polars as pl

from usecase.mlops.contract import Contract
from usecase.mlops.tables import read_table
from usecase.preprocessing import add_features, preprocess

ROOT = Path(__file__).parents[1]


def sample() -> tuple[Contract, pl.DataFrame]:
    contract = Contract.load(ROOT / "data_contract.yaml")
    return contract, contract.check(read_table(ROOT / contract.path)).frame


def test_the_data_keeps_the_contract() -> None:
    contract = Contract.load(ROOT / "data_contract.yaml")
    assert contract.check(read_table(ROOT / contract.path)).problems == []


def test_features_of_a_row_do_not_depend_on_other_rows() -> None:
    _, rows = sample()
    together = add_features(rows).head(5)
    alone = pl.concat([add_features(rows.slice(i, 1)) for i in range(5)])
    assert together.equals(alone)


def test_features_do_not_need_the_target() -> None:
    contract, rows = sample()
    assert add_features(rows.drop(contract.target.name)).height == rows.height


def test_every_row_is_in_exactly_one_part(tmp_path: Path) -> None:
    contract, rows = sample()
    preprocess(ROOT / contract.path, ROOT, tmp_path)
    parts = [read_table(tmp_path / name) for name in ("train", "validation", "test")]
    assert sum(part.height for part in parts) == rows.height
    assert pl.concat(parts).sort(pl.all()).equals(rows.sort(pl.all()))
