"""Rows made from the contract alone: tests and demonstrations need no real data, and CI never sees any."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from usecase.mlops.check import DTYPES, columns_of
from usecase.mlops.contract import Column, Contract

ROWS, ROWS_PER_CLASS = 300, 40
MISSING_SHARE = 0.05
FIRST_DAY = date(2020, 1, 1)


def synthetic_rows(contract: Contract, count: int | None = None, seed: int = 0) -> pl.DataFrame:
    """`count` typed rows that keep the contract: id, features, target and protected columns.

    The target follows the first feature. By default so many that each class is in each part of a split.
    """
    count = count or max(ROWS, ROWS_PER_CLASS * len(contract.classes))
    generator = np.random.default_rng(seed)
    columns = {column.name: _values(column, count, generator) for column in contract.features}
    order = np.argsort(
        np.argsort([str(value).zfill(24) for value in columns[contract.features[0].name]], kind="stable")
    )
    columns[contract.target.name] = _target(contract, order / count)
    if contract.id is not None:
        typed = pl.Series(range(count)).cast(DTYPES[contract.id.type], strict=False)
        columns[contract.id.name] = typed.to_list()
    kept = columns_of(contract)
    columns |= {column.name: _values(column, count, generator) for column in kept if column.name not in columns}
    return pl.DataFrame([pl.Series(c.name, columns[c.name], dtype=DTYPES[c.type], strict=False) for c in kept])


def _values(column: Column, count: int, generator: np.random.Generator) -> list[Any]:
    limits = column.constraints
    values: list[Any]  # of the column's type, or None
    if limits.enum:
        values = [limits.enum[i] for i in generator.integers(0, len(limits.enum), count)]
    elif column.type == "boolean":
        values = [bool(bit) for bit in generator.integers(0, 2, count)]
    elif column.type in ("date", "datetime"):
        values = [FIRST_DAY + timedelta(days=int(day)) for day in generator.integers(0, 1000, count)]
        if column.type == "datetime":
            values = [datetime(day.year, day.month, day.day) for day in values]
    elif column.type == "string":
        values = [f"text {number}" for number in generator.integers(0, count, count)]
    else:
        low = float(limits.minimum) if limits.minimum is not None else 0.0
        high = float(limits.maximum) if limits.maximum is not None else low + 100.0
        numbers = generator.uniform(low, high, count)
        values = [round(n) for n in numbers.tolist()] if column.type == "integer" else numbers.tolist()
    if not limits.required:
        for position in np.flatnonzero(generator.random(count) < MISSING_SHARE):
            values[position] = None
    return values


def _target(contract: Contract, rank: Any) -> list[Any]:
    """Classes in bands, or values in a line, along the rank (0 to 1) of each row."""
    if contract.classes:
        return [contract.classes[int(place * len(contract.classes))] for place in rank]
    low = contract.target.constraints.minimum
    high = contract.target.constraints.maximum
    start, end = (float(low), float(high)) if low is not None and high is not None else (0.0, 1.0)
    values = start + (end - start) * rank
    return (
        [round(value) for value in values] if contract.target.type == "integer" else [float(value) for value in values]
    )
