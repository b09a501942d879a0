"""How far a window lies from the baseline, and how often a window without drift would lie as far: numpy alone.

Each comparison gives an effect, a share of rows, and a p-value. `n` rows of a window and `m` of the baseline are both
samples, so both add to what chance may do. Why these statistics: they hold their false alarms at any window size and
name an effect that does not shrink or grow with it, as bare p-values and bare distances do (measured by the template).

Of the false alarms that a window may have, each test gets what it needs to find a change that must not be missed, and
an equal part of what is left (`budgets`): equal parts alone would be wasted on tests that find theirs with less.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

# Changes that must be found: half a standard deviation of normal numbers, as the largest difference of the cumulative
# shares, and 10 points of the rows more in a category, in 96 of 100 windows; 10 points less, in 90. So many standard
# errors lie they above the limit then.
NUMBERS_MOVED, CATEGORY_MOVED = 0.197, 0.10
SURE, SURE_OF_LESS = 1.75, 1.28
EVEN = 0.12  # of the false alarms, in equal parts at least
SPARE = 0.0003  # an equal part of a column, about; its categories share it

NODES = 96  # of the quadrature; more change no p-value in its third digit
MIN_STEP = 0.005  # between cut points, as a share of rows: a nearer one sees what its neighbour sees
MIN_EXPECTED = 5  # rows of a category; below, the normal approximation fails, and rare ones are counted together


class Comparison(NamedTuple):
    """`effect` is a share of rows, from 0 to 1; `p` the chance of it without drift; `where` it was found.

    `need` is the p-value that a change may have at most so that one that matters is found as often as it must be.
    """

    effect: float
    p: float
    where: str = ""
    need: float = 0.0


def numeric(shares: Sequence[float], counts: npt.NDArray[np.int64], m: float) -> Comparison:
    """Largest difference between the cumulative shares at the cut points, and the difference of the mean ranks.

    The first (Kolmogorov-Smirnov on a grid) sees every change, the second (Wilcoxon's rank sum) a shift much sooner;
    p is twice the smaller one of theirs. `shares` (bins) are the baseline's, `counts` (bins) the rows of the window.
    `where` is the number of the cut.
    """
    n, known = int(counts.sum()), np.asarray(shares)
    before = np.cumsum(known)[:-1]
    if not n or not m or not len(before):
        return Comparison(0.0, 1.0)
    noise = math.sqrt(1 / n + 1 / m)
    gaps = np.abs(np.cumsum(counts)[:-1] / n - before)
    place = int(gaps.argmax())
    effect = float(gaps[place])
    ranks = np.cumsum(known) - known / 2 - 0.5  # of the bins' middles; their mean is 0
    spread = math.sqrt(float(known @ ranks**2))
    shift = float(counts @ ranks) / n / spread / noise
    need = min(1.0, 4 * math.exp(-2 * max(0.0, NUMBERS_MOVED / noise - SURE / 2) ** 2))  # Smirnov's, for all places
    return Comparison(effect, min(1.0, 2 * min(bridge_p(before, effect / noise), two_sided(shift))), str(place), need)


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


def categorical(shares: Mapping[str, float], counts: Mapping[str, int], n: int, m: float, matters: float) -> Comparison:
    """Difference of a category's share that chance explains least, of those larger than `matters` if there are any.

    Each category may have more rows or fewer: two tests, by the signed root of the likelihood ratio (G). `counts` are
    rows by category of `shares`; the others count together with the rare ones. `where` is the category, "" for those.
    """
    if not n or not m:
        return Comparison(0.0, 1.0)
    pooled = {name: (counts.get(name, 0) + share * m) / (n + m) for name, share in shares.items()}
    frequent = [name for name, share in pooled.items() if n * share >= MIN_EXPECTED and n * (1 - share) >= MIN_EXPECTED]
    now = np.array([*(counts.get(name, 0) for name in frequent), 0.0]) / n
    then = np.array([*(shares[name] for name in frequent), 0.0])
    now[-1], then[-1] = max(0.0, 1 - now.sum()), max(0.0, 1 - then.sum())
    tested = np.flatnonzero((now * n + then * m) * n >= MIN_EXPECTED * (n + m))
    if len(tested) < 2:
        return Comparison(0.0, 1.0)
    if len(tested) == 2:
        tested = tested[:1]  # the other one says the same
    now, then, names = now[tested], then[tested], [[*frequent, ""][place] for place in tested]
    roots = _likelihood_roots(now, then, n, m)
    p = np.array([one_sided(root) for root in (*roots, *-roots)])  # of more rows, of fewer
    needs = np.array([_needed(share, change, n, m) for change in (CATEGORY_MOVED, -CATEGORY_MOVED) for share in then])
    parts = needs + SPARE / len(needs)
    chances = p * parts.sum() / parts
    gaps = np.tile(np.abs(now - then), 2)
    place = int(np.where(gaps > matters, chances, chances + 2).argmin())
    found = float(min(1.0, chances[place]))
    return Comparison(float(gaps[place]), found, names[place % len(names)], float(needs.sum()))


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


def budgets(needs: Sequence[float], level: float) -> Vector:
    """How much of `level` each test gets: its need, or less when there is not enough for all, and an equal part."""
    wanted = np.asarray(needs, dtype=np.float64)
    total = float(wanted.sum())
    given = wanted * min(1.0, (1 - EVEN) * level / total) if total else wanted
    parts: Vector = given + (level - given.sum()) / max(1, len(wanted))
    return parts


def adjusted(p_values: Sequence[float], parts: Vector) -> list[float]:
    """p-values so that those under the sum of `parts` are wrong in no more than this share of all windows together.

    Holm's procedure with weights: "A Simple Sequentially Rejective Multiple Test Procedure" (1979).
    """
    found, before, left = [1.0] * len(p_values), 0.0, float(parts.sum())
    level = left
    for place in sorted(range(len(p_values)), key=lambda i: p_values[i] / parts[i]):
        before = max(before, min(1.0, p_values[place] / parts[place] * left))
        found[place] = before
        left = max(level * 1e-9, left - parts[place])
    return found


def one_sided(score: float) -> float:
    """The chance that a standard normal number is larger."""
    return math.erfc(score / math.sqrt(2)) / 2


def two_sided(score: float) -> float:
    """The chance that a standard normal number lies as far from 0."""
    return math.erfc(abs(score) / math.sqrt(2))


def _needed(share: float, change: float, n: float, m: float) -> float:
    """The one-sided p-value at which a share that has changed by so much is found as often as it must be."""
    after = share + change
    if not 0 < after < 1:
        return 0.0
    together = (after * n + share * m) / (n + m)
    spread = math.sqrt(together * (1 - together) * (1 / n + 1 / m))
    sure = SURE if change > 0 else SURE_OF_LESS
    return one_sided((abs(change) - sure * math.sqrt(after * (1 - after) / n + share * (1 - share) / m)) / spread)


def _likelihood_roots(now: Vector, then: Vector, n: float, m: float) -> Vector:
    """Signed roots of the likelihood ratio of two shares (k): standard normal without drift, in the tails too."""
    together = (now * n + then * m) / (n + m)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = sum(
            rows * (np.where(part > 0, part * np.log(part / whole), 0))
            for rows, side in ((n, now), (m, then))
            for part, whole in ((side, together), (1 - side, 1 - together))
        )
    roots: Vector = np.sign(now - then) * np.sqrt(np.maximum(2 * ratio, 0))
    return roots


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
