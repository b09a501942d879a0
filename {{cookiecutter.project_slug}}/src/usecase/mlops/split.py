"""Divide rows by a stable hash, so that a row keeps its place when the file grows or is sorted anew.

A champion of last month has then never been trained on today's test rows.
"""

import hashlib

import polars as pl

from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.tables import row_texts

SALT = b"usecase-split-1"
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


def split(rows: pl.DataFrame, contract: Contract) -> dict[str, pl.DataFrame]:
    """Rows (n, typed) by name of the part. The hash is of the id, else of the whole row, so equal rows stay together.

    Raises UserError when a part is too small to train or to measure with.
    """
    key = rows.select(contract.id.name) if contract.id else rows
    points = pl.Series([_point(text) for text in row_texts(key.select(sorted(key.columns)))], dtype=pl.Float64)
    parts = {}
    low = 0.0
    for name, share in SHARES.items():
        parts[name] = rows.filter((points >= low) & (points < low + share))
        low += share
    for name, part in parts.items():
        _refuse_thin(name, part, rows.height, contract)
    return parts


def _point(text: str) -> float:
    """A point in [0, 1) that depends on nothing but the text."""
    digest = hashlib.blake2b(text.encode(), digest_size=7, salt=SALT).digest()
    return int.from_bytes(digest, "big") / 2**56


def _refuse_thin(name: str, part: pl.DataFrame, total: int, contract: Contract) -> None:
    if part.height < 2:
        raise UserError(f"the {name} part has {part.height} of {total} rows: more data is needed")
    present = set(part[contract.target.name].unique().to_list())
    absent = [label for label in contract.classes if label not in present]
    if absent and (name == "train" or len(present) < 2):
        raise UserError(
            f"the {name} part ({part.height} of {total} rows) has no row of class {absent[0]!r}"
            f" of {contract.target.name!r}: more rows of it are needed, or drop it from the contract"
        )
