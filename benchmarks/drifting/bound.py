"""How often a category's share that has grown by ten points can be found at all, and how often it is."""

from __future__ import annotations

import sys
from math import sqrt
from pathlib import Path
from statistics import NormalDist

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np  # type: ignore[import-not-found,import-untyped,unused-ignore]
from shifts import TRAINED
from usecase.mlops.drift import compare  # type: ignore[import-not-found,import-untyped,unused-ignore]
from usecase.mlops.drift.judge import MAIN_SHARE  # type: ignore[import-not-found,import-untyped,unused-ignore]
from usecase.mlops.sections import Monitoring  # type: ignore[import-not-found,import-untyped,unused-ignore]

GROWN = 0.1
COLUMNS = (1, 5, 12, 25, 50)
WINDOWS = 2000
NORMAL = NormalDist()


def best(share: float, rows: int, columns: int, level: float) -> float:
    """The power of the best test there is for one column (Neyman and Pearson), which knows what it looks for.

    Columns are alike and independent, so each may be wrong in 1 - (1 - level) ** (1 / columns) of the windows. The best
    test of a share that grows to a known one is by the rows of the category, one-sided, whatever the others do; both
    shares are known from samples, hence normal. Randomness at the limit is left out: it is less than a row.
    """
    after, each = share + GROWN, 1 - (1 - level) ** (1 / columns)
    together = (after * rows + share * TRAINED) / (rows + TRAINED)
    without = sqrt(together * (1 - together) * (1 / rows + 1 / TRAINED))
    spread = sqrt(after * (1 - after) / rows + share * (1 - share) / TRAINED)
    return NORMAL.cdf((GROWN - NORMAL.inv_cdf(1 - each) * without) / spread)


def ours(share: float, rows: int, columns: int, limits: Monitoring) -> float:
    """The power of `usecase monitor`, which looks for more and fewer rows of each category, of `columns` like this."""
    chance = np.random.default_rng(0)
    found = 0
    for _ in range(WINDOWS):
        then, now = chance.binomial(TRAINED, share) / TRAINED, int(chance.binomial(rows, share + GROWN))
        shares, counts = {"a": then, "b": 1 - then}, {"a": now, "b": rows - now}
        one = compare.categorical(shares, counts, rows, TRAINED, limits.minimum_effect)
        parts = compare.budgets([one.need] * columns, limits.false_alarms * MAIN_SHARE)
        p = compare.adjusted([one.p, *[1.0] * (columns - 1)], parts)[0]
        found += p <= limits.false_alarms * MAIN_SHARE and one.effect > limits.minimum_effect
    return found / WINDOWS


def main() -> None:
    """Print the table."""
    limits, rows = Monitoring(), 500
    print(f"| share of the rows | {' | '.join(f'{columns} columns' for columns in COLUMNS)} |")
    print("| --- " * (1 + len(COLUMNS)) + "|")
    for share in (0.08, 0.15, 0.25, 0.4, 0.5):
        pairs = [(best(share, rows, k, limits.false_alarms), ours(share, rows, k, limits)) for k in COLUMNS]
        cells = " | ".join(f"{mine:.1%} of {most:.1%}" for most, mine in pairs)
        print(f"| {share:.0%} to {share + GROWN:.0%} | {cells} |".replace("%", " %"), flush=True)


if __name__ == "__main__":
    main()
