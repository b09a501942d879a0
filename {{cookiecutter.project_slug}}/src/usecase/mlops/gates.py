"""The quality gates: is this model good enough to be registered, and which gate says no, by how much.

Each gate compares what was measured on the test rows, or between the parts of the split, with a limit of the settings.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from usecase.mlops import metrics
from usecase.mlops.contract import Contract
from usecase.mlops.data_report import DataReport
from usecase.mlops.errors import UserError
from usecase.mlops.model import Model, Predictions
from usecase.mlops.score import Champion
from usecase.mlops.tables import read_batches

MIN_GROUP_ROWS = 30  # of a smaller group a metric says little: it is listed, not judged
MAX_GROUPS = 10  # a protected number with more values is cut into quartiles
NOISE_ERRORS = 3  # so many standard errors of a label shift are chance


@dataclass(frozen=True)
class Limits:
    """The limits of all gates; None leaves a gate out. Units and meaning: `Quality` in usecase.mlops.settings."""

    thresholds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    champion_version: str = "none"
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
    """Add an option per limit to the command line of Evaluate; without it the gate is left out."""
    parser.add_argument("--thresholds", type=json.loads, default={}, help="JSON: metric -> minimum or maximum")
    parser.add_argument("--champion-version", default="none", help="the version in --champion-dir")
    parser.add_argument("--champion-metric", default="")
    parser.add_argument("--champion-tolerance", type=float, default=0.0)
    parser.add_argument("--fairness-metric", default="")
    for name in ("fairness-gap", "overlap", "label-shift", "flagged-rows"):
        parser.add_argument(f"--maximum-{name}", type=float)


@dataclass(frozen=True)
class Check:
    """One comparison: passed when `value` `operator` `threshold` holds. Without a value nothing could be compared."""

    gate: str
    metric: str
    value: float | None
    operator: str
    threshold: float | None
    passed: bool
    note: str = ""
    reason: str = ""  # in words and numbers, for the person who asks why


@dataclass(frozen=True)
class Tested:
    """The test rows (n): what is true, what was predicted (n x classes, or n), and each row's groups by column."""

    task: str
    labels: list[str]
    actual: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float32]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Model, input_dir: Path, predict: Callable[[pl.DataFrame, Model], Predictions]) -> "Tested":
        """Predict the rows in `input_dir` batch by batch. Only target, prediction and groups are kept."""
        actual, predicted, protected = [], [], []
        names = [column.name for column in model.contract.protected]
        for rows in read_batches(input_dir):
            answers = predict(rows, model)
            actual.append(model.preprocessor.labels(rows))
            predicted.append(np.array(answers.values) if answers.probabilities is None else answers.probabilities)
            protected.append(rows.select(name for name in names if name in rows.columns))
        return cls(
            task=model.preprocessor.task,
            labels=[str(label) for label in model.preprocessor.classes],
            actual=np.concatenate(actual),
            predicted=np.concatenate(predicted).astype(np.float32),
            groups=group_names(pl.concat(protected), model.contract) if names else {},
        )

    def frame(self) -> pl.DataFrame:
        """predictions.parquet: actual, predicted, probability_<i> per class, and group:<column>, one row per row."""
        classes = self.task != "regression"
        columns: dict[str, Any] = {
            "actual": [self.labels[int(i)] for i in self.actual] if classes else self.actual,
            "predicted": [self.labels[i] for i in self.predicted.argmax(axis=1)] if classes else self.predicted,
        }
        if classes:
            columns |= {f"probability_{i}": self.predicted[:, i] for i in range(len(self.labels))}
        return pl.DataFrame(columns | {f"group:{name}": list(groups) for name, groups in self.groups.items()})


def judge(
    evaluation: Mapping[str, Any],
    report: DataReport,
    measured: Tested,
    limits: Limits,
    champion: Champion | None = None,
) -> dict[str, Any]:
    """quality.json as a mapping: every check, how many failed, and why in one line. Raises UserError.

    evaluation: evaluation.json. report: of Preprocess. champion: what the champion answered for the same rows.
    """
    values = next(iter(evaluation.values()))
    fairness = list(_groups(measured, limits)) if limits.maximum_fairness_gap is not None else []
    checks = [
        *_thresholds(measured.task, values, limits.thresholds),
        *_champion(measured, values, limits, champion),
        *_fairness(fairness, values, measured, limits),
        *_splits(report, limits),
    ]
    failed = [check for check in checks if not check.passed]
    compared = champion.compared(measured.actual, measured.task, limits.champion_metric) if champion else None
    return {
        "failed": len(failed),
        "reason": "; ".join(check.reason for check in failed or checks if check.reason) or "no gate is set",
        "checks": [asdict(check) for check in checks],
        "fairness": fairness,
        "champion": compared,
    }


def group_names(rows: pl.DataFrame, contract: Contract) -> dict[str, list[str]]:
    """The group of each row (n) in each protected column: its value, its quartile for numbers, or `missing`."""
    found = {}
    for column in contract.protected:
        if column.name in rows.columns:
            found[column.name] = _names(rows[column.name])
    return found


def _names(values: pl.Series) -> list[str]:
    if values.dtype == pl.String or values.dtype == pl.Boolean or values.drop_nulls().n_unique() <= MAX_GROUPS:
        return values.cast(pl.String).fill_null("missing").to_list()
    numbers = values.to_physical().cast(pl.Float64)
    edges = np.unique(np.quantile(numbers.drop_nulls().to_numpy(), [0, 0.25, 0.5, 0.75, 1]))
    shown = values.drop_nulls().sort()
    texts = [str(shown[round(share * (len(shown) - 1))]) for share in np.linspace(0, 1, len(edges))]
    bands = [f"{low} to {high}" for low, high in zip(texts, texts[1:], strict=False)] or texts
    place = np.clip(np.searchsorted(edges, numbers.to_numpy(), side="left") - 1, 0, len(bands) - 1)
    return ["missing" if gone else bands[i] for gone, i in zip(values.is_null(), place, strict=True)]


def _thresholds(task: str, values: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterable[Check]:
    for metric, limit in thresholds.items():
        value = _value(values, metric, f"quality.{task}.{metric}")
        for bound, threshold in limit.items():
            sign = ">=" if bound == "minimum" else "<="
            passed = value >= threshold if bound == "minimum" else value <= threshold
            reason = f"{metric} {value:.4g} {'is' if passed else 'is not'} {sign} {threshold:g}"
            yield Check("threshold", metric, value, sign, threshold, passed, reason=reason)


def _champion(
    measured: Tested, values: Mapping[str, Any], limits: Limits, champion: Champion | None
) -> Iterable[Check]:
    metric = limits.champion_metric
    if champion is None or not metric:
        return
    if champion.predicted is None:
        yield Check("champion", metric, None, "", None, passed=True, note=champion.note)
        return
    value = _value(values, metric, "quality.champion.metric")
    other = metrics.point(measured.task, metric, measured.actual, champion.predicted)
    if other is None:
        raise UserError(
            f"quality.champion.metric: {metric} cannot be measured again for the champion: use a built-in one"
        )
    slack = limits.champion_tolerance * (1 if metrics.is_score(metric) else abs(other))
    more = metrics.is_score(metric)
    limit = other - slack if more else other + slack
    passed = value >= limit if more else value <= limit
    sign = ">=" if more else "<="
    verb = "is not worse than" if passed else "is worse than"
    reason = (
        f"champion: {metric} {value:.4g} {verb} {other:.4g} of version {champion.version}"
        f" by more than {slack:.3g} (difference {abs(value - other):.3g})"
    )
    yield Check("champion", metric, value, sign, limit, passed, f"version {champion.version}: {other:.4g}", reason)


def _groups(measured: Tested, limits: Limits) -> Iterable[dict[str, Any]]:
    """Metrics per group of each protected column."""
    wanted = dict.fromkeys([limits.fairness_metric, *metrics.GROUP_METRICS[measured.task]])
    for column, names in measured.groups.items():
        labels = np.array(names)
        for group in sorted(set(names)):
            rows = labels == group
            found = {
                metric: metrics.point(measured.task, metric, measured.actual[rows], measured.predicted[rows])
                for metric in wanted
            }
            yield {"column": column, "group": group, "rows": int(rows.sum()), "metrics": found}


def _fairness(
    groups: Sequence[Mapping[str, Any]], values: Mapping[str, Any], measured: Tested, limits: Limits
) -> Iterable[Check]:
    metric, maximum = limits.fairness_metric, limits.maximum_fairness_gap
    if maximum is None:
        return
    if measured.groups and metric not in metrics.names(measured.task):
        known = ", ".join(metrics.names(measured.task))
        raise UserError(f"quality.fairness.metric: no such metric {metric!r}: use one of {known}")
    for column in measured.groups:
        of_column = [group for group in groups if group["column"] == column]
        judged = [g for g in of_column if g["rows"] >= MIN_GROUP_ROWS and g["metrics"][metric] is not None]
        small = [g["group"] for g in of_column if g not in judged]
        note = f"not judged, too few rows: {', '.join(small)}" if small else ""
        if len(judged) < 2:
            note = f"{column}: fewer than two groups have {MIN_GROUP_ROWS} rows"
            yield Check("fairness", metric, None, "", None, passed=True, note=note)
            continue
        low, high = (pick(judged, key=lambda g: g["metrics"][metric]) for pick in (min, max))
        gap = high["metrics"][metric] - low["metrics"][metric]
        if not metrics.is_score(metric):
            overall = metrics.point(measured.task, metric, measured.actual, measured.predicted) or 0.0
            gap = gap / overall if overall else 0.0
        passed = gap <= maximum
        reason = (
            f"fairness: {metric} of {column}={low['group']} {low['metrics'][metric]:.4g} and {column}={high['group']}"
            f" {high['metrics'][metric]:.4g} differ by {gap:.3g}, {'within' if passed else 'more than'} {maximum:g}"
        )
        yield Check("fairness", f"{metric} gap, {column}", gap, "<=", maximum, passed, note, reason)


def _splits(report: DataReport, limits: Limits) -> Iterable[Check]:
    if limits.maximum_flagged_rows is not None:
        share = report.flagged_rows / report.rows
        what = "share of rows with a value out of range or an unseen category"
        yield _share("contract", "flagged rows", share, limits.maximum_flagged_rows, what)
    if limits.maximum_overlap is not None:
        part, share = max(report.overlap.items(), key=lambda item: item[1])
        what = f"share of {part} rows that stand in the training rows too"
        yield _share("overlap", f"overlap, {part}", share, limits.maximum_overlap, what)
    if limits.maximum_label_shift is not None:
        shift, maximum = report.label_shift, limits.maximum_label_shift
        value, error = shift.value, shift.standard_error
        chance = value > maximum and value <= NOISE_ERRORS * error
        of = f"share of class {shift.label}" if shift.label is not None else "mean of the target"
        note = f"within {NOISE_ERRORS} standard errors ({error:.3g})" if chance else ""
        passed = value <= maximum or chance
        reason = (
            f"label_shift: {of} differs by {value:.3g} between train and {shift.part},"
            f" {'within' if passed else 'more than'} {maximum:g}"
        )
        yield Check("label_shift", f"label shift, {shift.part}", value, "<=", maximum, passed, note, reason)


def _share(gate: str, metric: str, value: float, maximum: float, what: str) -> Check:
    passed = value <= maximum
    reason = f"{gate}: {what} is {value:.3g}, {'within' if passed else 'more than'} {maximum:g}"
    return Check(gate, metric, value, "<=", maximum, passed, reason=reason)


def _value(values: Mapping[str, Any], metric: str, setting: str) -> float:
    if "value" not in values.get(metric, {}):
        known = ", ".join(name for name, content in values.items() if "value" in content)
        raise UserError(f"{setting}: no such metric: use one of {known}")
    return float(values[metric]["value"])
