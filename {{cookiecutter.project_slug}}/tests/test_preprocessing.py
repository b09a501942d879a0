"""Your tests of preprocessing.py: a start that you extend. The rows are made from the contract, so CI needs no data."""

from pathlib import Path

import polars as pl
import pytest

from usecase.mlops.contract import Contract
from usecase.mlops.synthetic import synthetic_rows
from usecase.mlops.tables import read_table
from usecase.preprocessing import add_features, preprocess

ROOT = Path(__file__).parents[1]


@pytest.fixture
def contract() -> Contract:
    return Contract.load(ROOT)


@pytest.fixture
def rows(contract: Contract) -> pl.DataFrame:
    return synthetic_rows(contract)


def test_features_of_a_row_do_not_depend_on_other_rows(rows: pl.DataFrame) -> None:
    together = add_features(rows).head(5)
    alone = pl.concat([add_features(rows.slice(i, 1)) for i in range(5)])
    assert together.equals(alone)


def test_features_do_not_need_the_target(contract: Contract, rows: pl.DataFrame) -> None:
    assert add_features(rows.drop(contract.target.name)).height == rows.height


def test_every_row_is_in_exactly_one_part(rows: pl.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rows.write_parquet(tmp_path / "data" / "rows.parquet")
    preprocess(tmp_path / "data", ROOT, tmp_path / "out")
    parts = [read_table(tmp_path / "out" / name) for name in ("train", "validation", "test")]
    assert pl.concat(parts).sort(pl.all()).equals(rows.sort(pl.all()))
