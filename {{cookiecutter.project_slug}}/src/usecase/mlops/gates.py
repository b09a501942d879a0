"""The quality gates: whether a model may be registered, and if not, which gate refuses it and by how much.

What was measured on the test rows, and what Preprocess found out about the data, against the limits of the settings.
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from usecase.mlops import champion as champions
from usecase.mlops.champion import Champion
from usecase.mlops.data_report import DataReport
from usecase.mlops.errors import UserError
from usecase.mlops.metrics import GROUP_METRICS, METRICS, Metric
from usecase.mlops.scored import GROUP, Scored

MIN_GROUP_ROWS = 30  # a metric of fewer rows is luck
NOISE = 3  # so many standard errors of a label shift are luck
ROUNDING = 1e-9  # 0.93 - 0.02 is a little more than 0.91 in binary fractions
MAX_LISTED = 5


@dataclass(frozen=True)
class Limits:
    """The limits of all gates, in the units of `Quality` in usecase.mlops.settings. None or blank: no such gate."""

    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    champion_version: str = champions.NONE
    champion_metric: str = ""
    champion_tolerance: float = 0.0
    fairness_metric: str = ""
    maximum_fairness_gap: float | None = None
    maximum_overlap: float | None = None
    maximum_label_shift: float | None = None
    maximum_flagged_rows: float | None = None

    @classmethod
    def given(cls, options: argparse.Namespace) -> "Limits":
        """From the command line: the options of `add_options`."""
        return cls(**{item.name: getattr(options, item.name) for item in fields(cls)})


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for each limit to the command line of Evaluate; a gate whose option is not given is left out."""
    parser.add_argument("--thresholds", type=json.loads, default={}, help="JSON: metric -> minimum or maximum")
    parser.add_argument("--champion-version", default=champions.NONE, help="of the model in --champion-dir")
    parser.add_argument("--champion-metric", default="")
    parser.add_argument("--champion-tolerance", type=float, default=0.0)
    parser.add_argument("--fairness-metric", default="")
    for name in ("fairness-gap", "overlap", "label-shift", "flagged-rows"):
        parser.add_argument(f"--maximum-{name}", type=float)


@dataclass(frozen=True)
class Check:
    """What one gate looked at: passed if `value` `operator` `threshold` holds. Without a value nothing was compared.

    `note` says what the numbers do not; `failure` is the sentence for the person who asks why a model is refused.
    """

    gate: str
    metric: str
    value: float | None
    operator: str
    threshold: float | None
    passed: bool = True
    note: str = ""
    failure: str = ""

    def __str__(self) -> str:
        note = f" ({self.note})" if self.note else ""
        return f"{self.gate}: {self.metric} {self.value:.4g} {self.operator} {self.threshold:.4g}{note}"


def judge(
    evaluation: Mapping[str, Any], report: DataReport, scored: Scored, champion: Champion, limits: Limits
) -> dict[str, Any]:
    """quality.json as a mapping: every check, how many failed, and why in one line. Raises UserError.

    evaluation: evaluation.json, maybe with metrics of the use case's own. report: of Preprocess.
    """
    groups = measure_groups(scored)
    compared = _compare(evaluation, scored, champion, limits.champion_metric) if limits.champion_metric else None
    checks = [
        *_thresholds(evaluation, limits.thresholds),
        *_champion(compared, champion, scored.task, limits),
        *_fairness(evaluation, groups, scored, limits),
        *_overlap(report, limits.maximum_overlap),
        *_label_shift(report, limits.maximum_label_shift),
        *_contract(report, limits.maximum_flagged_rows),
    ]
    failures = [check.failure for check in checks if not check.passed]
    more = [f"and {len(failures) - MAX_LISTED} more"] if len(failures) > MAX_LISTED else []
    held = "; ".join(str(check) for check in checks if check.value is not None) or "no limit is set"
    return {
        "failed": len(failures),
        "reason": "; ".join([*failures[:MAX_LISTED], *more]) or held,
        "checks": [{name: value for name, value in asdict(check).items() if name != "failure"} for check in checks],
        "fairness": groups,
        "champion": compared,
    }


def measure_groups(scored: Scored) -> list[dict[str, Any]]:
    """All metrics of each group of each protected column, as quality.json has them; None where one is undefined."""
    found = []
    for column in scored.protected:
        names = scored.frame[GROUP + column]
        for group in names.unique().sort():
            answers = scored.answers.rows((names == group).to_numpy())
            measured = {name: metric.of(answers) for name, metric in GROUP_METRICS[scored.task].items()}
            found.append({"column": column, "group": group, "rows": len(answers.actual), "metrics": measured})
    return found


def _thresholds(evaluation: Mapping[str, Any], thresholds: Mapping[str, Mapping[str, float]]) -> Iterator[Check]:
    measured = _values(evaluation)
    for metric, limits in thresholds.items():
        if metric not in measured:
            task = next(iter(evaluation)).removesuffix("_metrics")
            raise UserError(f"quality.{task}.{metric}: no such metric: use one of {', '.join(measured)}")
        value = measured[metric]
        for bound, limit in limits.items():
            sign, passed = (">=", value >= limit) if bound == "minimum" else ("<=", value <= limit)
            found, wanted = _apart(value, limit)
            failure = f"threshold: {metric} {found} is not {sign} {wanted}"
            yield Check("threshold", metric, value, sign, limit, passed, failure=failure)


def _compare(evaluation: Mapping[str, Any], scored: Scored, champion: Champion, name: str) -> dict[str, Any] | None:
    """Both measured on the same rows, as quality.json has it."""
    metric = _known(name, METRICS[scored.task], "quality.champion.metric", evaluation)
    if champion.answers is None:
        return None
    value, other = metric.of(scored.answers) or 0.0, metric.of(champion.answers) or 0.0
    return {"version": champion.version, "metric": name, "value": value, "champion_value": other}


def _champion(compared: Mapping[str, Any] | None, champion: Champion, task: str, limits: Limits) -> Iterator[Check]:
    name, tolerance = limits.champion_metric, limits.champion_tolerance
    if not name:
        return
    is_error = METRICS[task][name].is_error
    sign, side = ("<=", "above") if is_error else (">=", "below")
    if compared is None:
        yield Check("champion", name, None, sign, None, note=champion.note)
        return
    value, other = compared["value"], compared["champion_value"]
    threshold = other * (1 + tolerance) if is_error else other - tolerance
    worse = _share(value - other, other) if is_error else other - value
    (found, before), (gap, allowed) = _apart(value, other), _amounts(worse, tolerance, is_error)
    of = f"of version {champion.version}"
    failure = f"champion: {name} {found} is {side} {before} {of} by {gap}, more than {allowed} allowed"
    note = f"version {champion.version}: {before}"
    yield Check("champion", name, value, sign, threshold, worse <= tolerance + ROUNDING, note, failure)


def _fairness(
    evaluation: Mapping[str, Any], groups: list[dict[str, Any]], scored: Scored, limits: Limits
) -> Iterator[Check]:
    name, maximum = limits.fairness_metric, limits.maximum_fairness_gap
    if maximum is None:
        return
    metric = _known(name, GROUP_METRICS[scored.task], "quality.fairness.metric", evaluation)
    if not scored.protected:
        yield Check("fairness", name, None, "<=", maximum, note="no column of the contract is protected")
    for column in scored.protected:
        of_column = [group for group in groups if group["column"] == column]
        judged = [group for group in of_column if not _why_unjudged(group, name)]
        unjudged = [f"{_label(group)} ({why})" for group in of_column if (why := _why_unjudged(group, name))]
        note = f"not judged: {_listed(unjudged)}" if unjudged else ""
        if len(judged) < 2:
            note = "; ".join(filter(None, [f"{column} has fewer than two groups to compare", note]))
            yield Check("fairness", name, None, "<=", maximum, note=note)
            continue
        judged.sort(key=lambda group: group["metrics"][name])
        low, high = (group["metrics"][name] for group in (judged[0], judged[-1]))
        gap = _share(high - low, metric.of(scored.answers) or 0.0) if metric.is_error else high - low
        shown = _apart(low, high)
        least, most = (f"{_label(group)} {text}" for group, text in zip((judged[0], judged[-1]), shown, strict=True))
        differ, allowed = _amounts(gap, maximum, metric.is_error)
        failure = f"fairness: {name} of {least} and {most} differ by {differ}, more than {allowed}"
        note = "; ".join(filter(None, [f"{least}, {most}", note]))
        yield Check("fairness", name, gap, "<=", maximum, gap <= maximum + ROUNDING, note, failure)


def _overlap(report: DataReport, maximum: float | None) -> Iterator[Check]:
    if maximum is None:
        return
    for part, share in report.overlap.items():
        found, allowed = _amounts(share, maximum, percent=True)
        failure = f"overlap: {found} of the {part} rows stand in the training rows too, more than {allowed}"
        yield Check("overlap", f"{part} rows in train", share, "<=", maximum, share <= maximum, failure=failure)


def _label_shift(report: DataReport, maximum: float | None) -> Iterator[Check]:
    if maximum is None:
        return
    shift, luck = report.label_shift, NOISE * report.label_shift.standard_error
    what, unit = "the mean of the target", " standard deviations"
    if shift.label is not None:
        what, unit = f"the share of {shift.label}", ""
    name, threshold, note = f"shift in {what}, {shift.part}", maximum, ""
    if maximum < shift.value <= luck:
        threshold, note = luck, f"{NOISE} standard errors: may be luck; the limit is {maximum:.4g}"
    found, allowed = _apart(shift.value, maximum)
    failure = (
        f"label_shift: {what} differs by {found}{unit} between the {shift.part} and the training rows"
        f" (standard error {shift.standard_error:.4g}), more than {allowed}"
    )
    yield Check("label_shift", name, shift.value, "<=", threshold, shift.value <= threshold, note, failure)


def _contract(report: DataReport, maximum: float | None) -> Iterator[Check]:
    if maximum is None:
        return
    share = report.flagged_rows / report.rows
    found, allowed = _amounts(share, maximum, percent=True)
    failure = (
        f"contract: {found} of the rows ({report.flagged_rows} of {report.rows}) have a value that is out of range"
        f" or of no known category, more than {allowed}"
    )
    yield Check("contract", "flagged rows", share, "<=", maximum, share <= maximum, failure=failure)


def _values(evaluation: Mapping[str, Any]) -> dict[str, float]:
    """The metrics of evaluation.json that are one number."""
    found = next(iter(evaluation.values()))
    return {name: item["value"] for name, item in found.items() if isinstance(item, dict) and "value" in item}


def _known(name: str, metrics: Mapping[str, Metric], setting: str, evaluation: Mapping[str, Any]) -> Metric:
    """The metric of that name. One of the use case's own was measured once: not on a champion, not on groups."""
    if name not in metrics:
        own = name in _values(evaluation)
        problem = f"{name!r} is your own and can only be a threshold" if own else f"no such metric {name!r}"
        raise UserError(f"{setting}: {problem}: use one of {', '.join(metrics)}")
    return metrics[name]


def _why_unjudged(group: Mapping[str, Any], metric: str) -> str:
    if group["rows"] < MIN_GROUP_ROWS:
        return f"{group['rows']} row{'s' * (group['rows'] != 1)}"
    return f"{metric} is undefined" if group["metrics"][metric] is None else ""


def _label(group: Mapping[str, Any]) -> str:
    return f"{group['column']}={group['group']}"


def _listed(words: list[str]) -> str:
    more = [f"{len(words) - MAX_LISTED} more"] if len(words) > MAX_LISTED else []
    return ", ".join([*words[:MAX_LISTED], *more])


def _share(part: float, whole: float) -> float:
    """`part` of `whole`; nothing is no part of it, and something is infinitely more than nothing."""
    return part / whole if whole else (0.0 if not part else math.inf)


def _amounts(value: float, limit: float, percent: bool) -> tuple[str, str]:
    """Both in words, as a number or in percent."""
    if not percent:
        return _apart(value, limit)
    found, allowed = _apart(100 * value, 100 * limit)
    return f"{found} %", f"{allowed} %"


def _apart(value: float, other: float) -> tuple[str, str]:
    """Both in four digits, or so many that they differ when the numbers do."""
    for digits in (4, 6, 9, 12):
        texts = f"{value:.{digits}g}", f"{other:.{digits}g}"
        if texts[0] != texts[1] or value == other:
            break
    return texts
