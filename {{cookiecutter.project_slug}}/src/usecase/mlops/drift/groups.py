"""Groups of people in captured traffic: how often each gets which answer, and how good the answers are for each.

A difference is no verdict about a window: groups may differ for good reasons. It is shown beside that of the test rows,
so that people see it grow. What cannot be told says why, and has no number.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from usecase.mlops.baseline.blocks import Block, Section, Table, Text
from usecase.mlops.baseline.blocks import Verdict as Cell
from usecase.mlops.check import as_text, as_type, blank_to_null
from usecase.mlops.contract import Contract
from usecase.mlops.drift.tally import PREDICTION, NumberTally, WindowTally, WordTally, words

MIN_ROWS = 30  # of a group, as for the gates; below, a rate is luck
BANDS = 4  # that numbers are put into, of about as many training rows each
MISSING, OTHER = "(missing)", "(other)"
SELECTION_RATE = "selection_rate"
Status = Literal["measured", "insufficient_data", "not_available"]


@dataclass(frozen=True)
class Group:
    """One group: its rows, the value now give or take two standard errors (None: not known), and in the test rows."""

    name: str
    rows: int
    value: float | None
    error: float | None = None
    then: float | None = None


@dataclass(frozen=True)
class Gap:
    """The groups of a protected column by one measure, and how far apart the outer two are.

    `is_quality`: the measure is a metric of labelled rows, which the gates have a limit for.
    """

    column: str
    measure: str
    status: Status
    note: str = ""
    groups: Sequence[Group] = ()
    is_quality: bool = False

    @property
    def gap(self) -> float | None:
        """Between the groups with enough rows."""
        return _apart([group.value for group in self.groups if group.rows >= MIN_ROWS])

    @property
    def then(self) -> float | None:
        """The gap of the same groups in the test rows; None unless all of them are known there."""
        known = [group.then for group in self.groups if group.rows >= MIN_ROWS]
        return None if None in known else _apart(known)

    def content(self) -> dict[str, Any]:
        """What report.json holds."""
        groups = [
            {"group": g.name, "rows": g.rows, "value": g.value, "error": g.error, "test_rows": g.then}
            for g in self.groups
        ]
        about = {"column": self.column, "measure": self.measure, "status": self.status, "note": self.note}
        return {**about, "gap": self.gap, "gap_test_rows": self.then, "groups": groups}


class GroupTally:
    """Answers by group of each protected column, counted batch by batch: a window is added to right before this."""

    def __init__(self, window: WindowTally) -> None:
        self._contract = window.contract
        self._columns = {
            column.name: tally
            for column in window.contract.protected
            if isinstance(tally := window.features.get(column.name), NumberTally | WordTally)
        }
        classes = self._contract.classes
        # of two classes one rate says all
        self._labels = classes[1:] if len(classes) == 2 else classes
        # rows, and sums of the outcomes and of their squares
        self._sums: dict[str, dict[str, npt.NDArray[np.float64]]] = {name: {} for name in self._columns}
        self._unknown: set[str] = set()

    def add(self, rows: pl.DataFrame, answers: pl.DataFrame) -> None:
        """Add requests (n) that `window` has just counted, and what was answered."""
        if not self._columns or PREDICTION not in answers.columns:
            return
        target = self._contract.target
        given = blank_to_null(answers[PREDICTION].alias(target.name), self._contract.table.missing_values)
        said = as_type(words(given, target), target)
        for name, tally in self._columns.items():
            if name not in rows.columns:
                self._unknown.add(name)
                continue
            frame = pl.DataFrame({"group": self._groups(rows[name], tally), "said": said}).drop_nulls("said")
            for (group,), part in frame.group_by("group"):
                outcomes = self._outcomes(part["said"])
                found = np.concatenate([[part.height], outcomes.sum(axis=0), np.square(outcomes).sum(axis=0)])
                before = self._sums[name].get(str(group))
                self._sums[name][str(group)] = found if before is None else before + found

    def gaps(self, tested: Mapping[tuple[str, str], Mapping[str, float | None]]) -> list[Gap]:
        """One for each protected column. `tested` holds metrics of the test rows by column and group."""
        return [self._gap(column.name, tested) for column in self._contract.protected]

    def _gap(self, name: str, tested: Mapping[tuple[str, str], Mapping[str, float | None]]) -> Gap:
        if name not in self._columns or name in self._unknown:
            return Gap(name, "", "not_available", "the column is not in the traffic, or had no values in training")
        sums = self._sums[name]
        if not sums:
            return Gap(name, "", "not_available", "the traffic holds no answers")
        measures = [f"share of {label}" for label in self._labels] or [f"mean of {self._contract.target.name}"]
        binary = len(self._labels) == 1
        found = []
        for place, measure in enumerate(measures):
            groups = [
                _group(group, values, place, tested.get((name, group), {}).get(SELECTION_RATE) if binary else None)
                for group, values in sums.items()
            ]
            found.append(settled(Gap(name, measure, "measured", groups=groups)))
        return max(found, key=lambda gap: gap.gap or 0.0)

    def _groups(self, given: pl.Series, tally: NumberTally | WordTally) -> pl.Series:
        if isinstance(tally, NumberTally):
            bands, names = _bands(tally)
            places = tally.places()
            return pl.Series([*names, MISSING])[np.where(places < 0, len(names), bands[places])]
        given = blank_to_null(given, self._contract.table.missing_values)
        texts = as_text(as_type(given, tally.column).to_frame(), self._contract).to_series()
        known = texts.is_in(pl.Series(list(tally.known.shares), dtype=pl.String).implode())
        return texts.set(~known, OTHER).fill_null(MISSING)

    def _outcomes(self, said: pl.Series) -> npt.NDArray[np.float64]:
        """Answers (n) as n x outcomes: which of the classes it is, or the number."""
        columns = [said == label for label in self._labels] or [said]
        return np.column_stack([column.cast(pl.Float64).to_numpy() for column in columns])


def by_quality(
    measured: Iterable[Mapping[str, Any]],
    metric: str,
    contract: Contract,
    tested: Mapping[tuple[str, str], Mapping[str, float | None]],
) -> list[Gap]:
    """Gaps in a metric of labelled traffic: `measured` is what usecase.mlops.drift.feedback.quality has found."""
    groups: dict[str, list[Group]] = defaultdict(list)
    for entry in measured:
        if entry["column"] and not entry["period"]:
            then = tested.get((entry["column"], entry["group"]), {}).get(metric)
            groups[entry["column"]].append(
                Group(entry["group"], entry["rows"], entry["metrics"].get(metric), then=then)
            )
    return [
        settled(Gap(c.name, metric, "measured", groups=groups[c.name], is_quality=True)) for c in contract.protected
    ]


def settled(gap: Gap) -> Gap:
    """The gap with its groups in order, and with a word why there is none, or why some are left out."""
    gap = replace(gap, groups=sorted(gap.groups, key=_rank))
    small = [f"{group.name} ({group.rows})" for group in gap.groups if group.rows < MIN_ROWS or group.value is None]
    note = f"too few rows to be compared: {', '.join(small)}" if small else ""
    if gap.gap is None:
        note = "; ".join(filter(None, ["fewer than two groups to compare", note]))
        return replace(gap, status="insufficient_data", note=note)
    return replace(gap, note=note)


def section(gaps: Sequence[Gap], limit: float | None) -> Section:
    """For the report. `limit` is that of the gates."""
    return Section("Groups of people", list(_blocks(gaps, limit)))


def _blocks(gaps: Sequence[Gap], limit: float | None) -> Iterator[Block]:
    if not gaps:
        yield Text("Not measured: no column of the data contract is marked as `protected`.")
        return
    allowed = f" The gates let a model pass with a gap of {limit:g} in their metric." if limit is not None else ""
    yield Text(
        "What each group was answered, give or take two standard errors, beside the test rows where those are known."
        f"{allowed} This does not change the verdict: groups may differ for good reasons, and a person must look."
    )
    rows = []
    for gap in gaps:
        tone: Literal["good", "bad", "plain"] = "plain"
        now = gap.gap
        if now is not None and limit is not None and gap.is_quality:
            tone = "bad" if now > limit else "good"
        told = (
            "not enough data" if gap.status == "insufficient_data" else "not measured" if now is None else _number(now)
        )
        rows.append((f"`{gap.column}`", gap.measure, Cell(told, tone), _number(gap.then), gap.note))
    yield Table(("column", "measure", "gap now", "gap in test rows", "note"), rows, numeric=frozenset({3}))
    cells = [
        (
            f"`{gap.column}`",
            gap.measure,
            group.name,
            f"{group.rows:,}",
            _number(group.value) + (f" ± {group.error:.3f}" if group.error else ""),
            _number(group.then),
        )
        for gap in gaps
        for group in gap.groups
    ]
    if cells:
        yield Table(("column", "measure", "group", "rows", "now", "in test rows"), cells, numeric=frozenset({3, 4, 5}))


def _group(name: str, values: npt.NDArray[np.float64], place: int, then: float | None) -> Group:
    outcomes = (len(values) - 1) // 2
    rows, total, squares = int(values[0]), float(values[1 + place]), float(values[1 + outcomes + place])
    mean = total / rows
    variance = max(0.0, squares / rows - mean**2)
    return Group(name, rows, mean, 2 * math.sqrt(variance / rows), then)


def _bands(tally: NumberTally) -> tuple[npt.NDArray[np.int64], list[str]]:
    """The band of each bin, and the bands' names."""
    ends = np.cumsum(tally.known.shares)[:-1]
    if not len(ends):
        return np.zeros(1, np.int64), ["all values"]
    wanted = np.arange(1, BANDS) / BANDS
    chosen = np.unique(np.abs(ends[None, :] - wanted[:, None]).argmin(axis=1))
    cuts = [tally.shown(tally.known.cuts[i]) for i in chosen]
    between = [f"{low} to {high}" for low, high in pairwise(cuts)]
    bands = np.searchsorted(chosen, np.arange(len(ends) + 1), side="left")
    return bands, [f"up to {cuts[0]}", *between, f"over {cuts[-1]}"]


def _rank(group: Group) -> tuple[int, float, str]:
    """Bands by their numbers, the open ones first and last; then all others by name."""
    number = re.match(r"(?:up to |over )?(-?[\d.]+)", group.name)
    upper = group.name.startswith("over ") or group.name.endswith(" and over")
    kind = 3 if not number else 0 if group.name.startswith("up to ") else 2 if upper else 1
    return kind, float(number[1]) if number else 0.0, group.name


def _apart(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) - min(known) if len(known) > 1 else None


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
