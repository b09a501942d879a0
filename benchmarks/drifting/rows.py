"""Rows of 20 numbers and 5 categories without drift, and what is done to them; the same for every tool."""

from __future__ import annotations

import numpy as np  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy.typing as npt  # type: ignore[import-not-found,import-untyped,unused-ignore]
from shifts import CATEGORIES, LEVELS, NUMBERS, SHARES

Columns = dict[str, npt.NDArray[np.generic]]


def make(rows: int, seed: int, case: str = "none") -> Columns:
    """Numbers: ten normal, five log-normal, five exponential in steps of 0.1 (so with ties)."""
    chance = np.random.default_rng(seed)
    columns: Columns = {f"n{i}": chance.normal(size=rows) for i in range(10)}
    columns |= {f"n{i}": chance.lognormal(size=rows) for i in range(10, 15)}
    columns |= {f"n{i}": chance.exponential(size=rows).round(1) for i in range(15, NUMBERS)}
    columns |= {f"c{i}": chance.choice(LEVELS, rows, p=SHARES) for i in range(CATEGORIES)}
    if case.endswith(" sd"):
        columns["n0"] = np.add(columns["n0"], float(case.removesuffix(" sd")))
    elif case != "none":
        grown = SHARES.index(float(case.split()[0]) / 100)
        rest = 1 - SHARES[grown]
        shares = [share + 0.1 if i == grown else share * (1 - 0.1 / rest) for i, share in enumerate(SHARES)]
        columns["c0"] = chance.choice(LEVELS, rows, p=shares)
    return columns
