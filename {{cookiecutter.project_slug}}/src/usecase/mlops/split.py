"""Divide rows by a stable hash, so that a row keeps its place when the file grows, is sorted anew or cut otherwise.

A champion of last month has then never been trained on today's test rows.
"""

from itertools import accumulate

import numpy as np
import polars as pl

from usecase.mlops.contract import Contract
from usecase.mlops.hashing import Keys, mix, row_keys

SALT = np.uint64(0x7573656361736531)  # "usecase1" in ASCII: with another, every row would find another place
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


def split(rows: pl.DataFrame, contract: Contract) -> dict[str, pl.DataFrame]:
    """Rows (n, typed; a batch or all) by name of the part, each in order; a part of a batch may have no rows.

    The hash is of the id, else of the features without the target: rows with equal features stay together, or the
    model would be tested with rows that it has seen.
    """
    places = mix(split_keys(rows, contract) ^ SALT)
    part = np.zeros(rows.height, np.uint8)
    for share in list(accumulate(SHARES.values()))[:-1]:
        part += places >= np.uint64(round(share * 2**64))
    return {name: rows.filter(pl.Series(part == number)) for number, name in enumerate(SHARES)}


def split_keys(rows: pl.DataFrame, contract: Contract) -> Keys:
    """The key by which each row (n) is placed: of its id, else of its features."""
    return row_keys(rows.select([contract.id.name] if contract.id else [column.name for column in contract.features]))
