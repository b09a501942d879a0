"""A quantile sketch: the distribution of any number of values, in the memory of some thousand.

"Optimal Quantile Approximation in Streams" (Karnin, Lang, Liberty, 2016), with alternating instead of random choices,
so that the same data gives the same sketch. Its parameters are those of SageMaker Model Monitor.
"""

import math

import numpy as np
import numpy.typing as npt

SIZE, SHRINK = 2048, 0.64  # k and c of the paper: how many values the top level may hold, and how much less each below

Vector = npt.NDArray[np.float64]


class Sketch:
    """Values seen so far: one of level i stands for 2**i of them, so that the weights add up to their number.

    Up to SIZE values are all kept. Of more, a quantile is off by about 0.1 % of the rows.
    """

    def __init__(self) -> None:
        self._levels: list[Vector] = [np.empty(0)]
        self._odd = False

    @property
    def levels(self) -> list[list[float]]:
        """The values of each level, in order."""
        return [np.sort(level).tolist() for level in self._levels]

    def add(self, values: Vector) -> None:
        """Add finite values (n). Of a large batch only every so manieth, in order, is looked at."""
        level = max(0, math.ceil(math.log2(max(1, len(values)) / SIZE)))
        run = 2**level
        ordered = np.sort(values)
        whole = len(ordered) // run * run
        self._insert(level, ordered[:whole].reshape(-1, run)[:, self._middle(run)])
        self._insert(0, ordered[whole:])
        self._compact()

    def at_most(self, limits: Vector) -> npt.NDArray[np.int64]:
        """How many of the values are at most as large as each of the limits (m)."""
        values, up_to = self._cumulated()
        return up_to[np.searchsorted(values, limits, side="right")]

    def below(self, limits: Vector) -> npt.NDArray[np.int64]:
        """How many of the values are smaller than each of the limits (m)."""
        values, up_to = self._cumulated()
        return up_to[np.searchsorted(values, limits, side="left")]

    def quantiles(self, shares: Vector) -> Vector:
        """For each share (m, from 0 to 1) the smallest value that so many of the values do not exceed."""
        values, up_to = self._cumulated()
        found = np.searchsorted(up_to[1:], shares * up_to[-1], side="left")
        quantiles: Vector = values[np.minimum(found, len(values) - 1)]
        return quantiles

    def _cumulated(self) -> tuple[Vector, npt.NDArray[np.int64]]:
        """The values (n) in order, and the weight of the first 0 to n of them (n + 1)."""
        values = np.concatenate(self._levels)
        weights = np.repeat([2**level for level in range(len(self._levels))], [len(level) for level in self._levels])
        order = np.argsort(values, kind="stable")
        return values[order], np.concatenate([[0], np.cumsum(weights[order])])

    def _insert(self, level: int, values: Vector) -> None:
        while len(self._levels) <= level:
            self._levels.append(np.empty(0))
        self._levels[level] = np.concatenate([self._levels[level], values])

    def _compact(self) -> None:
        """Halve each level that is too long; the values that are kept go up, where they count twice."""
        level = 0
        while level < len(self._levels):
            values = self._levels[level]
            if len(values) > self._capacity(level):
                ordered = np.sort(values)
                pairs = len(ordered) // 2 * 2
                self._levels[level] = ordered[pairs:]
                self._insert(level + 1, ordered[self._middle(2) : pairs : 2])
            level += 1

    def _capacity(self, level: int) -> int:
        return max(2, math.ceil(SIZE * SHRINK ** (len(self._levels) - 1 - level)))

    def _middle(self, run: int) -> int:
        """The position that stands for a run of values: left and right of the middle in turns."""
        self._odd = not self._odd
        return run // 2 - self._odd if run > 1 else 0
