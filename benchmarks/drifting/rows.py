"""Rows of 20 numbers and 5 categories without drift, and what is done to them; the same for every tool."""

from __future__ import annotations

import numpy as np  # type: ignore[import-not-found,import-untyped,unused-ignore]
import numpy.typing as npt  # type: ignore[import-not-found,import-untyped,unused-ignore]

Columns = dict[str, npt.NDArray[np.generic]]

NUMBERS, CATEGORIES = 20, 5
LEVELS = ("a", "b", "c", "d", "e")
SHARES = (0.4, 0.25, 0.15, 0.12, 0.08)
TRAINED = 5_000
# The column that moves in each case; none without drift.
CASES = {"none": "", "0.2 sd": "n0", "0.5 sd": "n0", "8 % to 18 %": "c0", "25 % to 35 %": "c0", "40 % to 50 %": "c0"}


def make(rows: int, seed: int, case: str = "none") -> Columns:
    """Numbers: ten normal, five log-normal, five exponential in steps of 0.1 (so with ties)."""
    chance = np.random.default_rng(seed)
    columns: Columns = {f"n{i}": chance.normal(size=rows) for i in range(10)}
    columns |= {f"n{i}": chance.lognormal(size=rows) for i in range(10, 15)}
    columns |= {f"n{i}": chance.exponential(size=rows).round(1) for i in range(15, NUMBERS)}
    columns |= {f"c{i}": chance.choice(LEVELS, rows, p=SHARES) for i in range(CATEGORIES)}
    if case.endswith(" sd"):
        columns["n0"] = columns["n0"] + float(case.removesuffix(" sd"))
    elif case != "none":
        grown = SHARES.index(float(case.split()[0]) / 100)
        rest = 1 - SHARES[grown]
        shares = [share + 0.1 if i == grown else share * (1 - 0.1 / rest) for i, share in enumerate(SHARES)]
        columns["c0"] = chance.choice(LEVELS, rows, p=shares)
    return columns


def pair(rows: int, seed: int, case: str = "none") -> tuple[Columns, Columns]:
    """The training rows of a seed, and a window."""
    return make(TRAINED, 2 * seed), make(rows, 2 * seed + 1, case)
