"""What is known of a window, for programs and for people: report.json, violations, CloudWatch metrics, report.html."""

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from usecase.mlops.baseline.blocks import Block, Card, Figures, Section, Table, Text, Tile
from usecase.mlops.baseline.blocks import Verdict as Cell
from usecase.mlops.baseline.model_monitor import VIOLATIONS, Violation, Violations
from usecase.mlops.baseline.page import as_html
from usecase.mlops.baseline.plots import Plot
from usecase.mlops.drift import groups, importance, plots
from usecase.mlops.drift.groups import Gap
from usecase.mlops.drift.history import Entry
from usecase.mlops.drift.importance import Importance
from usecase.mlops.drift.judge import Finding, Judged, Verdict, worst
from usecase.mlops.drift.reader import Found
from usecase.mlops.drift.tally import ColumnTally, NumberTally, WindowTally, WordTally
from usecase.mlops.files import write_json
from usecase.mlops.sections import Monitoring

REPORT, PAGE, METRICS = "report.json", "report.html", "metrics.jsonl"
# The types of Model Monitor ("Schema for Violations", SageMaker Developer Guide); it has none for other checks.
VIOLATION_TYPES = {
    "distribution": "baseline_drift_check",
    "range": "baseline_drift_check",
    "completeness": "completeness_check",
    "categories": "categorical_values_check",
    "type": "data_type_check",
    "contract": "data_type_check",
    "missing_column": "missing_column_check",
    "extra_column": "extra_column_check",
}
WORDS: dict[Verdict, str] = {
    "ok": "no drift",
    "drift": "drift",
    "insufficient_data": "not enough data",
    "schema_change": "the schema has changed",
    "broken": "the data is broken",
}
MAX_METRIC_COLUMNS = 20  # each is a metric that CloudWatch charges for
MAX_FIGURES = 60
UNITLESS = ("Effect", "PredictionEffect", "PredictionMean")  # metrics that count nothing


@dataclass(frozen=True)
class Report:
    """A window, its verdict, and where it comes from. `data` and `baseline` name the two sides for people.

    `gaps` between groups and the model's `importance` inform, and change no verdict; None: nobody has looked.
    `gap_limit` is that of the gates, where it is one of a difference.
    """

    project: str
    environment: str
    data: str
    baseline: str
    baseline_sha256: str
    window: WindowTally
    read: Found
    judged: Judged
    limits: Monitoring
    gaps: Sequence[Gap] | None = None
    gap_limit: float | None = None
    importance: Importance | None = None

    def write(self, folder: Path, history: Sequence[Entry]) -> None:
        """Write all files; `history` are the windows before and this one, from old to new. Raises OSError."""
        write_json(folder / REPORT, self.content())
        violations = Violations(violations=list(self._violations()))
        violations.save(folder / VIOLATIONS[0])
        (folder / METRICS).write_text("".join(f"{json.dumps(line)}\n" for line in self.metrics(time.time())))
        (folder / PAGE).write_text(as_html(self._card(history)), encoding="utf-8")

    def content(self) -> dict[str, Any]:
        """What report.json holds."""
        read = self.read
        return {
            "version": 1,
            "verdict": self.judged.verdict,
            "reasons": [f"{finding.column or 'all rows'}: {finding.message}" for finding in self.judged.alarms],
            "window": {
                "data": self.data,
                "first": read.first or None,
                "last": read.last or None,
                "rows": self.window.rows,
                "files": read.files,
                "calls": read.calls,
                "left_out": read.unread,
                "odd": dict(read.odd.most_common()),
            },
            "baseline": {
                "source": self.baseline,
                "sha256": self.baseline_sha256,
                "rows": self.window.baseline.rows,
            },
            "limits": self.limits.model_dump(include={"minimum_rows", "minimum_effect", "false_alarms"}),
            "columns": [self._column(tally) for tally in self.ranked()],
            "findings": [asdict(finding) for finding in self.judged.findings],
            "groups": None if self.gaps is None else [gap.content() for gap in self.gaps],
            "importance": self.importance and self.importance.content(),
            "contract": [
                {"column": said.column, "rule": said.message, "rows": said.rows, "refused": refused}
                for refused, log in ((True, self.window.problems), (False, self.window.warnings))
                for said in log
            ],
        }

    def ranked(self) -> list[ColumnTally]:
        """The columns, the worst first."""
        place = {finding.column: -rank for rank, finding in reversed(list(enumerate(self.judged.findings)))}
        return sorted(self.window.columns, key=lambda tally: -place.get(tally.name, -math.inf))

    def effect(self, tally: ColumnTally) -> float | None:
        """How far the distribution of a column has moved; None when that was not tested."""
        found = [f for f in self.judged.of(tally.name) if f.check == "distribution"]
        return found[0].effect if found else None

    def entry(self) -> Entry:
        """The window in one line of history."""
        effects = {tally.name: effect for tally in self.window.columns if (effect := self.effect(tally)) is not None}
        return Entry(
            data=self.data,
            baseline_sha256=self.baseline_sha256,
            first=self.read.first,
            last=self.read.last,
            rows=self.window.rows,
            verdict=self.judged.verdict,
            columns=sorted({finding.column for finding in self.judged.alarms if finding.column}),
            effects=effects,
            gaps={f"{gap.column}: {gap.measure}": gap.gap for gap in self.gaps or () if gap.gap is not None},
            importance_shift=self.importance.shift if self.importance else None,
        )

    def metrics(self, now: float) -> Iterator[dict[str, Any]]:
        """CloudWatch's Embedded Metric Format: a line for the window, and one for each of the worst columns."""
        verdicts: dict[str, float] = {
            "Drift": self.judged.verdict == "drift",
            "Broken": self.judged.verdict == "broken",
            "SchemaChange": self.judged.verdict == "schema_change",
            "InsufficientData": self.judged.verdict == "insufficient_data",
            "Rows": self.window.rows,
            "CallsLeftOut": self.read.unread,
        }
        where = {"Project": self.project, "Environment": self.environment}
        yield emf({name: float(value) for name, value in verdicts.items()}, where, now)
        measured = [(tally.name, effect) for tally in self.ranked() if (effect := self.effect(tally)) is not None]
        for name, effect in measured[:MAX_METRIC_COLUMNS]:
            yield emf({"Effect": effect}, {**where, "Column": name}, now)

    def _column(self, tally: ColumnTally) -> dict[str, Any]:
        return {
            "name": tally.name,
            "verdict": worst(self.judged.of(tally.name), "insufficient_data"),
            "kind": tally.known.kind,
            "effect": self.effect(tally),
            "rows": tally.rows,
            "missing": tally.missing,
            "wrong_type": tally.wrong,
            "outside": tally.beyond,
        }

    def _violations(self) -> Iterator[Violation]:
        for finding in self.judged.alarms:
            if finding.column and finding.check in VIOLATION_TYPES:
                yield Violation(
                    feature_name=finding.column,
                    constraint_check_type=VIOLATION_TYPES[finding.check],
                    description=finding.message,
                )

    def _card(self, history: Sequence[Entry]) -> Card:
        verdict = self.judged.verdict
        alarms = self.judged.alarms
        tone: Any = {"ok": "good", "insufficient_data": "plain"}.get(verdict, "bad")
        columns = list(self.window.columns)
        flagged = {finding.column for finding in alarms if finding.column}
        when = f"{self.read.first} to {self.read.last}" if self.read.first else self.data
        return Card(
            kind="Drift report",
            title=self.project,
            summary=f"Traffic **{when}** compared with the training rows of {self.baseline}.",
            tiles=[
                Tile("Verdict", WORDS[verdict], tone=tone),
                Tile("Columns", f"{len(flagged)} of {len(columns)}", "have moved or are broken"),
                Tile("Rows", f"{self.window.rows:,}", f"against {self.window.baseline.rows:,} in training"),
                Tile("Calls left out", f"{self.read.unread:,}", f"of {max(self.read.calls, self.read.unread):,}"),
            ],
            notice="",
            sections=[section for section in self._sections(history) if section.blocks],
        )

    def _sections(self, history: Sequence[Entry]) -> Iterator[Section]:
        alarms = self.judged.alarms
        what: list[Block] = [_findings(alarms)] if alarms else [Text("Nothing has moved further than chance explains.")]
        yield Section("What was found", what)
        if len(history) > 1:
            yield Section("Over time", [Figures([plot]) for plot in self._over_time(history)])
        drawn = [tally for tally in self.ranked() if isinstance(tally, NumberTally | WordTally) and tally.present]
        figures = [self._figure(place, tally) for place, tally in enumerate(drawn[:MAX_FIGURES])]
        yield Section("Columns, the worst first", [Figures(figures)] if figures else [])
        if self.importance:
            yield importance.section(self.importance)
        if self.gaps is not None:
            yield groups.section(self.gaps, self.gap_limit)
        yield Section("All checks", [_findings(self.judged.findings, "All checks, with what was measured")])
        yield Section("What was read", list(self._read()))

    def _figure(self, place: int, tally: NumberTally | WordTally) -> Plot:
        found = self.judged.of(tally.name)
        alarms = [finding for finding in found if finding.verdict != "ok"] or found[:1]
        note = "; ".join(finding.message for finding in alarms)
        return Plot(f"column_{place}", tally.name, note, plots.distribution(tally))

    def _over_time(self, history: Sequence[Entry]) -> Iterator[Plot]:
        labels = [(entry.last or entry.data)[-24:] for entry in history]
        effects = {t.name: [entry.effects.get(t.name) for entry in history] for t in self.ranked()}
        note = "How far the distribution has moved, as a share of rows."
        svg = plots.over_time(_told(effects), labels, self.limits.minimum_effect)
        yield Plot("over_time", "The worst columns in the windows so far", note, svg)
        names = dict.fromkeys(name for entry in reversed(history) for name in entry.gaps)
        if gaps := _told({name: [entry.gaps.get(name) for entry in history] for name in names}):
            note = "The largest difference between two groups with enough rows."
            yield Plot("gaps_over_time", "Gaps between groups", note, plots.over_time(gaps, labels, None))
        shifts = _told({"importance": [entry.importance_shift for entry in history]})
        if shifts:
            note = "The share of what moves the answers that has gone to other inputs."
            yield Plot("importance_over_time", "Importance", note, plots.over_time(shifts, labels, None))

    def _read(self) -> Iterator[Block]:
        facts = [("data", self.data), ("files", f"{self.read.files:,}"), ("calls", f"{self.read.calls:,}")]
        facts += [("first and last call", f"{self.read.first} to {self.read.last}")] if self.read.first else []
        facts += [("baseline (SHA-256)", self.baseline_sha256)]
        facts += [(f"odd: {reason}", f"{count:,}") for reason, count in self.read.odd.most_common()]
        yield Table(("what", "value"), facts)
        said = [(p.column, p.message, f"{p.rows:,}") for p in [*self.window.problems, *self.window.warnings]]
        if said:
            yield Text("### What the contract says of the rows")
            yield Table(("column", "rule", "rows"), said, numeric=frozenset({2}))


def _told(lines: dict[str, list[float | None]]) -> dict[str, list[float | None]]:
    """Without those that were never measured."""
    return {name: values for name, values in lines.items() if any(value is not None for value in values)}


def _findings(findings: Iterable[Finding], summary: str = "") -> Table:
    rows: list[tuple[str | Cell, ...]] = [
        (
            f"`{finding.column}`" if finding.column else "all rows",
            Cell(finding.verdict.replace("_", " "), "good" if finding.verdict == "ok" else "bad"),
            finding.check.replace("_", " "),
            f"{finding.effect:.3f}",
            "-" if finding.p is None else f"{finding.p:.1g}",
            finding.message,
        )
        for finding in findings
    ]
    head = ("column", "verdict", "check", "effect", "p", "what")
    return Table(head, rows, numeric=frozenset({3, 4}), summary=summary)


def emf(values: dict[str, float], dimensions: dict[str, str], now: float) -> dict[str, Any]:
    """A line of the Embedded Metric Format ("Specification: Embedded metric format", CloudWatch User Guide)."""
    metrics = [{"Name": name, "Unit": "None" if name in UNITLESS else "Count"} for name in values]
    about = {"Namespace": "usecase/monitor", "Dimensions": [list(dimensions)], "Metrics": metrics}
    return {"_aws": {"Timestamp": round(now * 1000), "CloudWatchMetrics": [about]}, **dimensions, **values}
