"""The verdict about a window: what is tested, how large an effect must be, and what it means together.

A window drifts when an effect is large enough to matter and too large to be chance, over all that is tested. Fewer rows
than `minimum_rows` are neither drift nor none. A window that cannot be compared is never `ok`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from usecase.mlops.baseline.drift import Category, Numeric
from usecase.mlops.drift import compare
from usecase.mlops.drift.compare import Comparison
from usecase.mlops.drift.reader import Found
from usecase.mlops.drift.tally import ColumnTally, NumberTally, WindowTally, WordTally
from usecase.mlops.sections import Monitoring

Verdict = Literal["ok", "drift", "insufficient_data", "schema_change", "broken"]
# What is worse hides what is not: columns that are gone explain all the rest.
ORDER: tuple[Verdict, ...] = ("ok", "insufficient_data", "drift", "broken", "schema_change")
Check = Literal[
    "distribution",
    "completeness",
    "range",
    "categories",
    "type",
    "contract",
    "missing_column",
    "extra_column",
    "relations",
    "rows",
]

MAIN_SHARE = 0.95  # of the false alarms that are allowed, for distributions; the other checks share the rest
TOLERANCE = 0.01  # share of rows beyond the baseline, of a wrong type, or refused by the contract, that is let pass
MOSTLY = 0.5  # of a column's values: with more of another type, it is another column
MINIMUM_CORRELATION = 0.2  # difference of two correlations that matters


@dataclass(frozen=True)
class Finding:
    """One check of one column (None: of the rows as a whole). `effect` and `limit` are shares.

    `p`, where it was tested: the chance that any check of a window without drift is as unlikely as this one.
    """

    column: str | None
    check: Check
    verdict: Verdict
    message: str
    effect: float = 0.0
    limit: float = 0.0
    p: float | None = None


@dataclass(frozen=True)
class Judged:
    """The verdict, and all findings, the worst first."""

    verdict: Verdict
    findings: list[Finding]

    def of(self, column: str) -> list[Finding]:
        """The findings about one column."""
        return [finding for finding in self.findings if finding.column == column]

    @property
    def alarms(self) -> list[Finding]:
        """Findings that are not ok."""
        return [finding for finding in self.findings if finding.verdict != "ok"]


def judge(window: WindowTally, read: Found, limits: Monitoring) -> Judged:
    """Compare a window with its baseline. `read` tells what was left out of it."""
    found = [*_unread(read), *_schema(window), *_broken(window, limits)]
    if window.rows < limits.minimum_rows:
        need = f"{window.rows:,} rows, {limits.minimum_rows:,} are needed to tell drift from chance"
        found.append(Finding(None, "rows", "insufficient_data", need))
    else:
        settled = {finding.column for finding in found}
        tested = [finding for tally in window.columns for finding in _tested(tally, window, limits, settled)]
        found += _significant([*tested, *_relations(window, settled)], limits)
    order = sorted(found, key=lambda finding: (-ORDER.index(finding.verdict), -finding.effect))
    return Judged(worst(found, "insufficient_data"), order)


def worst(findings: Iterable[Finding], none: Verdict) -> Verdict:
    """The worst verdict of the findings, or `none` without any."""
    return max((finding.verdict for finding in findings), key=ORDER.index, default=none)


def _unread(read: Found) -> Iterator[Finding]:
    share = read.unread / max(1, read.calls, read.unread)
    if share > TOLERANCE:
        most = read.odd.most_common(1)[0][0]
        yield Finding(None, "rows", "broken", f"{share:.1%} of the calls cannot be read: {most}", share, TOLERANCE)


def _schema(window: WindowTally) -> Iterator[Finding]:
    for name, rows in sorted(window.absent.items()):
        if rows / window.rows > TOLERANCE:
            share = rows / window.rows
            yield Finding(
                name, "missing_column", "schema_change", f"is missing in {share:.1%} of the rows", share, TOLERANCE
            )
    for name, rows in sorted(window.extra.items()):
        if rows / window.rows > TOLERANCE:
            yield Finding(
                name, "extra_column", "schema_change", "is not in the contract", rows / window.rows, TOLERANCE
            )
    wanted, known = {column.name for column in window.contract.features}, set(window.baseline.features)
    for name in sorted(wanted ^ known):
        check: Check = "extra_column" if name in wanted else "missing_column"
        where = "baseline" if name in wanted else "contract"
        yield Finding(name, check, "schema_change", f"is not in the {where}: train again")


def _broken(window: WindowTally, limits: Monitoring) -> Iterator[Finding]:
    """What needs no statistics: types, and columns that have lost their values or their variety."""
    for tally in window.columns:
        given = tally.rows - tally.missing
        if given and (share := tally.wrong / given) > TOLERANCE:
            verdict: Verdict = "schema_change" if share > MOSTLY else "broken"
            message = f"{share:.1%} of the values are no {tally.column.type}"
            yield Finding(tally.name, "type", verdict, message, share, TOLERANCE)
        if not given and tally.rows >= limits.minimum_rows and tally.known.missing < 1:
            yield Finding(tally.name, "completeness", "broken", "has no value in any row", 1 - tally.known.missing)
        elif tally.present >= limits.minimum_rows and tally.is_constant and _varied(tally):
            yield Finding(tally.name, "distribution", "broken", "holds one value in all rows", 1.0)
    for problem in window.problems:
        share = problem.rows / window.rows
        if share > TOLERANCE and not window.features[problem.column].wrong:
            yield Finding(problem.column, "contract", "broken", f"{problem.message}", share, TOLERANCE)


def _varied(tally: ColumnTally) -> bool:
    """Whether the baseline knows more than one value, of which none is nearly all."""
    known = tally.known
    if isinstance(known, Numeric):
        return bool(known.cuts)
    return isinstance(known, Category) and max([*known.shares.values(), known.other]) < 1 - TOLERANCE


def _tested(
    tally: ColumnTally, window: WindowTally, limits: Monitoring, settled: set[str | None]
) -> Iterator[tuple[Finding, Comparison]]:
    """Checks of a column with a chance of its own to be wrong."""
    if tally.name in settled or not tally.rows:
        return
    m = tally.trained * (1 - tally.known.missing)
    gap = compare.share(tally.missing / tally.rows, tally.known.missing, tally.rows, tally.trained)
    words = f"{tally.missing / tally.rows:.1%} of the rows have no value, in training {tally.known.missing:.1%}"
    yield Finding(tally.name, "completeness", "ok", words, limit=limits.minimum_effect), gap
    if tally.present < limits.minimum_rows:
        return
    outside = compare.beyond(tally.beyond, tally.present, m)
    if isinstance(tally, NumberTally):
        if tally.known.kind == "number":  # a moment always moves on
            found = compare.numeric(tally.known.shares, tally.counts, m)
            message = f"{found.effect:.1%} more rows lie {_side(tally, found)}" if found.effect else "as in training"
            yield Finding(tally.name, "distribution", "ok", message, limit=limits.minimum_effect), found
            words = f"{outside.effect:.1%} of the values are outside of the range in training"
            yield Finding(tally.name, "range", "ok", words, limit=TOLERANCE), outside
    elif isinstance(tally, WordTally):
        found = compare.categorical(tally.known.shares, tally.counts, tally.present, m, limits.minimum_effect)
        yield Finding(tally.name, "distribution", "ok", _moved(tally, found), limit=limits.minimum_effect), found
        if not tally.known.other:
            # a category that was seen once says that others were missed
            rare = sum(share * m < 1.5 for share in tally.known.shares.values())
            outside = compare.beyond(tally.beyond, tally.present, m, 1 + rare)
            words = f"{outside.effect:.1%} of the values are none of those in training"
            words += f": {', '.join(map(repr, tally.unknown))}" if tally.unknown else ""
            yield Finding(tally.name, "categories", "ok", words, limit=TOLERANCE), outside


def _relations(window: WindowTally, settled: set[str | None]) -> Iterator[tuple[Finding, Comparison]]:
    known, moments = window.baseline.relations, window.moments
    if known and moments and moments.rows and not settled & set(known.columns):
        now, then = moments.correlations(), np.array(known.correlations)
        found = compare.relations(now, then, moments.rows, known.rows, known.columns)
        message = f"the correlation of {found.where} has changed by {found.effect:.2f}"
        yield Finding(None, "relations", "ok", message, limit=MINIMUM_CORRELATION), found


def _significant(tested: list[tuple[Finding, Comparison]], limits: Monitoring) -> Iterator[Finding]:
    """Both: an effect over its limit, and a p-value that holds over all tests of the window."""
    for main in (True, False):
        family = [pair for pair in tested if (pair[0].check == "distribution") is main]
        part = MAIN_SHARE if main else 1 - MAIN_SHARE
        budgets = compare.budgets([found.need for _, found in family], limits.false_alarms * part)
        chances = compare.adjusted([found.p for _, found in family], budgets)
        for (finding, found), chance in zip(family, chances, strict=True):
            p = min(1.0, chance / part)
            verdict: Verdict = "drift" if p <= limits.false_alarms and found.effect > finding.limit else "ok"
            yield replace(finding, verdict=verdict, effect=found.effect, p=p)


def _side(tally: NumberTally, found: Comparison) -> str:
    place = int(found.where or 0)
    lower = tally.counts[: place + 1].sum() / tally.present > sum(tally.known.shares[: place + 1])
    return f"{'at or below' if lower else 'above'} {tally.shown(tally.known.cuts[place])}"


def _moved(tally: WordTally, found: Comparison) -> str:
    if not found.where:
        return f"rare categories: {found.effect:.1%} of the rows more or less" if found.effect else "as in training"
    now = tally.counts[found.where] / tally.present
    return f"{found.where!r} in {now:.1%} of the rows, in training {tally.known.shares[found.where]:.1%}"
