"""The statistics: against simulations and known values, since a p-value that is off is a false alarm or a blind eye."""

import numpy as np
import pytest

from usecase.mlops.drift import compare

TENTHS = np.arange(1, 10) / 10


@pytest.mark.parametrize("limit", [0.6, 0.8, 1.2, 1.5])
@pytest.mark.parametrize("places", [TENTHS, np.array([0.02, 0.5, 0.98]), np.array([0.3])])
def test_the_chance_of_a_bridge_is_that_of_simulated_ones(places: np.ndarray, limit: float) -> None:
    steps = np.diff([0, *places, 1])
    walks = np.cumsum(np.random.default_rng(0).normal(size=(200_000, len(steps))) * np.sqrt(steps), axis=1)
    bridges = walks[:, :-1] - places * walks[:, -1:]
    simulated = (np.abs(bridges).max(axis=1) > limit).mean()
    assert compare.bridge_p(places, limit) == pytest.approx(simulated, abs=0.004)


def test_a_bridge_watched_everywhere_is_kolmogorov_s() -> None:
    # his distribution at 1.3581 is 0.95 (Smirnov: "Table for Estimating the Goodness of Fit", 1948); a bridge that is
    # watched at steps of 0.01 only passes a limit as one does that lies 0.5826 * sqrt(0.01) higher (Siegmund, 1979)
    assert compare.bridge_p(np.arange(1, 100) / 100, 1.3581 - 0.05826) == pytest.approx(0.05, abs=0.002)


def test_p_values_of_numbers_hold_their_level() -> None:
    chance = np.random.default_rng(1)
    found = []
    for _ in range(1500):
        trained, now = chance.normal(size=2000), chance.normal(size=800)
        cuts = np.quantile(trained, TENTHS)
        counts = np.bincount(np.searchsorted(cuts, now), minlength=10)
        found.append(compare.numeric([0.1] * 10, counts, 2000).p)
    for level in (0.01, 0.05, 0.2):  # of two that go together, twice the smaller one is a little too careful
        share, luck = np.mean(np.array(found) < level), 3 * np.sqrt(level / 1500)
        assert 0.6 * level - luck < share < level + luck


def test_a_shift_is_found_sooner_by_ranks_than_by_the_largest_gap() -> None:
    counts = np.array([70, 75, 80, 90, 95, 105, 110, 115, 125, 135])
    found = compare.numeric([0.1] * 10, counts, 5000)
    largest = compare.bridge_p(TENTHS, found.effect / np.sqrt(1 / 1000 + 1 / 5000))
    assert found.p < largest / 50


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.4, 0.3, 0.2, 0.1], [0.9, 0.05, 0.05]])
def test_categories_hold_their_level(shares: list[float]) -> None:
    chance = np.random.default_rng(2)
    names, false = "abcd"[: len(shares)], 0
    for _ in range(2000):
        trained, now = (chance.multinomial(count, shares) for count in (3000, 600))
        known = {name: count / 3000 for name, count in zip(names, trained, strict=True)}
        counts = {name: int(count) for name, count in zip(names, now, strict=True)}
        false += compare.categorical(known, counts, 600, 3000, 0).p < 0.05
    assert 0.03 < false / 2000 < 0.065


def test_the_category_that_moved_is_named() -> None:
    found = compare.categorical({"a": 0.6, "b": 0.3, "c": 0.1}, {"a": 500, "b": 400, "c": 100}, 1000, 10_000, 0.05)
    assert found.effect == pytest.approx(0.1)
    assert found.where in ("a", "b")
    assert found.p < 1e-6


def test_rare_categories_count_together() -> None:
    known = {"a": 0.9} | {f"rare {number}": 0.001 for number in range(100)}
    found = compare.categorical(known, {"a": 700}, 1000, 10_000, 0.05)
    assert found.where in ("a", "")
    assert found.effect == pytest.approx(0.2)


def test_values_beyond_a_range_come_without_drift_too() -> None:
    chance = np.random.default_rng(3)
    found = []
    for _ in range(2000):
        trained, now = chance.exponential(size=500), chance.exponential(size=500)
        rows = int(((now < trained.min()) | (now > trained.max())).sum())
        found.append(compare.beyond(rows, 500, 500).p)
    assert np.mean(np.array(found) < 0.05) < 0.06
    assert compare.beyond(50, 500, 500).p < 1e-9


def test_a_changed_correlation_is_found_and_named() -> None:
    then = np.array([[1, 0.1, 0.8], [0.1, 1, 0], [0.8, 0, 1]])
    now = then.copy()
    now[0, 2] = now[2, 0] = 0.5
    found = compare.relations(now, then, 1000, 1000, ["a", "b", "c"])
    assert found.where == "a and c"
    assert found.effect == pytest.approx(0.3)
    assert found.p < 1e-9
    assert compare.relations(then, then, 1000, 1000, ["a", "b", "c"]).p == 1


def test_a_change_that_matters_is_named_before_one_that_is_less_likely_but_small() -> None:
    known, now = {"a": 0.5, "b": 0.499, "c": 0.001}, {"a": 1120, "b": 800, "c": 80}
    found = compare.categorical(known, now, 2000, 10_000, 0.05)
    assert found.where == "b"
    assert found.effect == pytest.approx(0.099)
    assert compare.categorical(known, now, 2000, 10_000, 0.5).where == "c"


def test_p_values_are_adjusted_as_in_holm_s_paper() -> None:
    def significant(*p_values: float) -> list[bool]:
        parts = compare.budgets([0.0] * len(p_values), 0.05)
        return [p <= 0.05 for p in compare.adjusted(p_values, parts)]

    assert significant(0.01, 0.04, 0.03, 0.005) == [True, False, False, True]
    assert significant(0.0126, 0.5, 0.5, 0.5) == [False] * 4
    assert significant() == []


@pytest.mark.parametrize("needs", [[0.0, 0.0], [0.01, 0.0, 0.002], [0.3, 0.2], []])
def test_budgets_are_the_level(needs: list[float]) -> None:
    parts = compare.budgets(needs, 0.05)
    assert parts.sum() == pytest.approx(0.05 if needs else 0)
    assert all(part > 0 for part in parts)
    assert all(part >= need for part, need in zip(parts, needs, strict=True)) is (sum(needs) < 0.04)


GROWN = {"40 to 50": (0.5, 0.2083, 0.125, 0.1, 0.0667), "25 to 35": (0.3467, 0.35, 0.13, 0.104, 0.0693)}


@pytest.mark.parametrize("case", ["none", *GROWN])
def test_ten_points_are_found_among_25_columns_in_500_rows(case: str) -> None:
    chance, shares = np.random.default_rng(4), (0.4, 0.25, 0.15, 0.12, 0.08)
    said = 0
    for _ in range(600):
        now = [chance.multinomial(500, GROWN.get(case, shares)), *chance.multinomial(500, shares, 4)]
        pairs = zip(chance.multinomial(5000, shares, 5) / 5000, now, strict=True)
        found = [
            compare.categorical(dict(zip("abcde", a, strict=True)), dict(zip("abcde", b, strict=True)), 500, 5000, 0.05)
            for a, b in pairs
        ]
        p_values, needs = [c.p for c in found] + [1.0] * 20, [c.need for c in found] + [0.0] * 20
        adjusted = compare.adjusted(p_values, compare.budgets(needs, 0.0475))
        said += min(adjusted[:5]) <= 0.0475 if case == "none" else adjusted[0] <= 0.0475
    assert said / 600 > 0.93 if case in GROWN else said / 600 < 0.06


def test_nothing_is_nothing() -> None:
    assert compare.numeric([1.0], np.array([5]), 100).p == 1
    assert compare.numeric([0.5, 0.5], np.array([0, 0]), 100).p == 1
    assert compare.categorical({}, {}, 0, 0, 0).p == 1
    assert compare.share(0, 0, 10, 10).p == 1
    assert compare.beyond(0, 10, 10).p == 1
    assert compare.relations(np.eye(1), np.eye(1), 10, 10, ["a"]).p == 1
