"""How far a window lies from the baseline, and how often a window without drift would lie as far: numpy alone.

Each comparison gives an effect, a share of rows, and a p-value. `n` rows of a window and `m` of the baseline are both
samples, so both add to what chance may do. Why these statistics: they hold their false alarms at any window size and
name an effect that does not shrink or grow with it, as bare p-values and bare distances do (measured by the template).
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

NODES = 96  # of the quadrature; more change no p-value in its third digit
MIN_STEP = 0.005  # between cut points, as a share of rows: a nearer one sees what its neighbour sees
MIN_EXPECTED = 5  # rows of a category; below, the normal approximation fails, and rare ones are counted together


class Comparison(NamedTuple):
    """`effect` is a share of rows, from 0 to 1; `p` the chance of it without drift; `where` it was found."""

    effect: float
    p: float
    where: str = ""


def numeric(shares: Sequence[float], counts: npt.NDArray[np.int64], m: float) -> Comparison:
    """Largest difference between the cumulative shares at the cut points (Kolmogorov-Smirnov on a grid).

    `shares` (bins) are the baseline's, `counts` (bins) the rows of the window. `where` is the number of the cut.
    """
    n = int(counts.sum())
    before = np.cumsum(shares)[:-1]
    if not n or not m or not len(before):
        return Comparison(0.0, 1.0)
    gaps = np.abs(np.cumsum(counts)[:-1] / n - before)
    place = int(gaps.argmax())
    effect = float(gaps[place])
    return Comparison(effect, bridge_p(before, effect / math.sqrt(1 / n + 1 / m)), str(place))


def bridge_p(places: Vector, limit: float) -> float:
    """The chance that a Brownian bridge leaves [-limit, limit] at one of `places` (k, ascending, from 0 to 1).

    That is how a difference of two empirical distributions behaves, times (1/n + 1/m) ** -0.5. A bridge has no memory,
    so its density inside the band is carried from place to place, by Gauss-Legendre quadrature.
    """
    kept: list[float] = []
    for place in places.tolist():
        if MIN_STEP / 2 < place < 1 - MIN_STEP / 2 and (not kept or place - kept[-1] >= MIN_STEP):
            kept.append(place)
    bound = sum(two_sided(limit / math.sqrt(place * (1 - place))) for place in kept)
    if not kept or limit <= 0:
        return 1.0
    if bound < 1e-6 or len(kept) == 1:  # then the union bound is all but exact
        return min(1.0, bound)
    nodes, weights = (values * limit for values in _quadrature())
    density = _normal(nodes, 0.0, math.sqrt(kept[0] * (1 - kept[0])))
    for here, there in pairwise(kept):
        spread = math.sqrt((there - here) * (1 - there) / (1 - here))
        density = _normal(nodes[:, None], nodes[None, :] * (1 - there) / (1 - here), spread) @ (weights * density)
    return min(1.0, max(0.0, 1 - float(weights @ density)))


def categorical(shares: Mapping[str, float], counts: Mapping[str, int], n: int, m: float) -> Comparison:
    """Largest difference of a category's share. `counts` are rows by category of `shares`; the others count together.

    `where` is the category. Rare ones are counted together with the others, named "".
    """
    if not n or not m:
        return Comparison(0.0, 1.0)
    pooled = {name: (counts.get(name, 0) + share * m) / (n + m) for name, share in shares.items()}
    frequent = [name for name, share in pooled.items() if n * share >= MIN_EXPECTED and n * (1 - share) >= MIN_EXPECTED]
    now = np.array([*(counts.get(name, 0) for name in frequent), 0.0]) / n
    then = np.array([*(shares[name] for name in frequent), 0.0])
    now[-1], then[-1] = 1 - now.sum(), 1 - then.sum()
    together = (now * n + then * m) / (n + m)
    spread = np.sqrt(np.maximum(together * (1 - together), 0) * (1 / n + 1 / m))
    gaps = np.abs(now - then)
    scores = np.divide(gaps, spread, out=np.zeros_like(gaps), where=(spread > 0) & (together * n >= MIN_EXPECTED))
    tested = int(np.count_nonzero(scores)) or 1
    place = int(scores.argmax())
    # of two categories both say the same
    p = min(1.0, (1 if tested == 2 else tested) * two_sided(float(scores[place]))) if scores[place] else 1.0
    return Comparison(float(gaps[place]), p, [*frequent, ""][place])


def share(now: float, then: float, n: float, m: float) -> Comparison:
    """Difference between two shares of rows: of `now` in n rows of the window, and of `then` in m of the baseline."""
    together = (now * n + then * m) / (n + m) if n + m else 0.0
    spread = math.sqrt(together * (1 - together) * (1 / n + 1 / m)) if n and m and 0 < together < 1 else 0.0
    return Comparison(abs(now - then), two_sided(abs(now - then) / spread) if spread else 1.0)


def beyond(rows: int, n: int, m: float, known: float = 2.0) -> Comparison:
    """Share of the window's rows where the baseline had none: outside of its minimum and maximum, or of its categories.

    Such rows come without drift too: the places that m rows leave free hold Beta(`known`, m + 1 - known) of all rows,
    with 2 for the two sides of a range. So the count of n rows is beta-binomial.
    """
    if not rows or m <= known:
        return Comparison(rows / n if n else 0.0, 1.0)
    a, b = known, m + 1 - known
    k = np.arange(rows, dtype=np.float64)  # the chance of fewer rows
    logs = _log_beta(k + a, n - k + b) - _log_beta(a, b) - np.log(n + 1) - _log_beta(n - k + 1, k + 1)
    return Comparison(rows / n, max(0.0, 1 - float(np.exp(logs).sum())))


def relations(now: Vector, then: Vector, n: int, m: int, names: Sequence[str]) -> Comparison:
    """Largest change of a correlation (d x d) between two columns, by Fisher's z; over all pairs of `names`.

    What single columns cannot show: that they belong together in another way. `effect` is the difference of the two
    correlations.
    """
    rows, columns = np.triu_indices(len(names), 1)
    if not len(rows) or n < 4 or m < 4:
        return Comparison(0.0, 1.0)
    before, after = (np.clip(matrix[rows, columns], -0.999999, 0.999999) for matrix in (then, now))
    scores = np.abs(np.arctanh(after) - np.arctanh(before)) / math.sqrt(1 / (n - 3) + 1 / (m - 3))
    place = int(scores.argmax())
    p = min(1.0, len(rows) * two_sided(float(scores[place])))
    where = f"{names[rows[place]]} and {names[columns[place]]}"
    return Comparison(float(abs(after[place] - before[place])), p, where)


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which of several tests are significant so that none is by chance in all but `level` of the data sets.

    Holm: "A Simple Sequentially Rejective Multiple Test Procedure" (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    significant = [False] * len(p_values)
    for rank, place in enumerate(order):
        if p_values[place] > level / (len(p_values) - rank):
            break
        significant[place] = True
    return significant


def two_sided(score: float) -> float:
    """The chance that a standard normal number lies as far from 0."""
    return math.erfc(abs(score) / math.sqrt(2))


@cache
def _quadrature() -> tuple[Vector, Vector]:
    """Places from -1 to 1, and the weight of each."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return nodes, weights


def _normal(x: Vector, mean: Vector | float, spread: float) -> Vector:
    density: Vector = np.exp(-0.5 * ((x - mean) / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
    return density


def _log_beta(a: Vector | float, b: Vector | float) -> Vector:
    """Logarithm of the beta function, elementwise."""
    lgamma = np.vectorize(math.lgamma, otypes=[np.float64])
    result: Vector = lgamma(a) + lgamma(b) - lgamma(np.add(a, b))
    return result
