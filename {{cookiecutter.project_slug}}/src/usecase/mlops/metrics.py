"""Metrics in the layout that SageMaker's model registry and Model Monitor read (evaluation.json), and the thresholds.

Layout and names: "Model Quality Metrics and Amazon CloudWatch Monitoring", SageMaker Developer Guide.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

from usecase.mlops.errors import UserError

Vector = npt.NDArray[np.float64]
Point = Callable[[Vector, npt.NDArray[np.float32]], float]

RESAMPLES = 50
CURVE_POINTS = 101

BINARY: dict[str, Point] = {
    "auc": lambda y, p: sk.roc_auc_score(y, p[:, 1]),
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(axis=1)),
    "precision": lambda y, p: sk.precision_score(y, p.argmax(axis=1), zero_division=0.0),
    "recall": lambda y, p: sk.recall_score(y, p.argmax(axis=1), zero_division=0.0),
    "f1": lambda y, p: sk.f1_score(y, p.argmax(axis=1), zero_division=0.0),
    "log_loss": lambda y, p: sk.log_loss(y, p, labels=[0, 1]),
}
MULTICLASS: dict[str, Point] = {
    "accuracy": lambda y, p: sk.accuracy_score(y, p.argmax(axis=1)),
    "weighted_precision": lambda y, p: sk.precision_score(y, p.argmax(axis=1), average="weighted", zero_division=0.0),
    "weighted_recall": lambda y, p: sk.recall_score(y, p.argmax(axis=1), average="weighted", zero_division=0.0),
    "weighted_f1": lambda y, p: sk.f1_score(y, p.argmax(axis=1), average="weighted", zero_division=0.0),
    "log_loss": lambda y, p: sk.log_loss(y, p, labels=list(range(p.shape[1]))),
}
REGRESSION: dict[str, Point] = {
    "r2": sk.r2_score,
    "mae": sk.mean_absolute_error,
    "mse": sk.mean_squared_error,
    "rmse": sk.root_mean_squared_error,
}
POINTS = {"binary_classification": BINARY, "multiclass_classification": MULTICLASS, "regression": REGRESSION}


def evaluate(
    task: str, actual: Vector, predicted: npt.NDArray[np.float32], classes: list[str], seed: int = 0
) -> dict[str, Any]:
    """evaluation.json as a mapping: each metric with `value` and `standard_deviation` (of a seeded bootstrap).

    actual: class index or value per row (n); predicted: probabilities (n x classes), or values (n) for regression.
    """
    report: dict[str, Any] = {
        name: {"value": float(point(actual, predicted)), "standard_deviation": spread}
        for (name, point), spread in zip(POINTS[task].items(), _spreads(task, actual, predicted, seed), strict=True)
    }
    if task != "regression":
        counts = sk.confusion_matrix(actual, predicted.argmax(axis=1), labels=list(range(len(classes))))
        report["confusion_matrix"] = {
            label: {other: int(counts[i, j]) for j, other in enumerate(classes)} for i, label in enumerate(classes)
        }
    if task == "binary_classification":
        report |= _curves(actual, predicted[:, 1])
    return {f"{task}_metrics": report}


def check_thresholds(evaluation: Mapping[str, Any], thresholds: Mapping[str, Any]) -> dict[str, Any]:
    """quality.json as a mapping: each threshold, whether it holds, and the whole in one sentence.

    thresholds: metric -> {"minimum": x} or {"maximum": x}. Raises UserError for a metric that evaluation.json lacks.
    """
    section, found = next(iter(evaluation.items()))
    checks = []
    for metric, limits in thresholds.items():
        if "value" not in found.get(metric, {}):
            known = ", ".join(name for name, values in found.items() if "value" in values)
            raise UserError(f"quality.{section.removesuffix('_metrics')}.{metric}: no such metric: use one of {known}")
        value = found[metric]["value"]
        for bound, limit in limits.items():
            passed = value >= limit if bound == "minimum" else value <= limit
            sign = ">=" if bound == "minimum" else "<="
            checks.append({"metric": metric, "value": value, "operator": sign, "threshold": limit, "passed": passed})
    failed = [check for check in checks if not check["passed"]]
    words = [
        f"{c['metric']} {c['value']:.4g} {'is' if c['passed'] else 'is not'} {c['operator']} {c['threshold']:g}"
        for c in failed or checks
    ]
    return {"failed": len(failed), "reason": ", ".join(words) or "no threshold is set", "checks": checks}


def _spreads(task: str, actual: Vector, predicted: npt.NDArray[np.float32], seed: int) -> list[float]:
    """Standard deviation of each metric over resampled test rows (Efron's bootstrap)."""
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(actual), len(actual))
        if len(np.unique(actual[rows])) > 1:  # AUC and R2 are undefined for a single class or value
            values.append([point(actual[rows], predicted[rows]) for point in POINTS[task].values()])
    return [float(spread) for spread in np.std(values, axis=0)] if values else [0.0] * len(POINTS[task])


def _curves(actual: Vector, scores: npt.NDArray[np.float32]) -> dict[str, Any]:
    false_positive, true_positive, _ = sk.roc_curve(actual, scores)
    precision, recall, _ = sk.precision_recall_curve(actual, scores)
    return {
        "receiver_operating_characteristic_curve": {
            "false_positive_rates": _thin(false_positive),
            "true_positive_rates": _thin(true_positive),
        },
        "precision_recall_curve": {"precisions": _thin(precision), "recalls": _thin(recall)},
    }


def _thin(values: npt.NDArray[np.float64]) -> list[float]:
    """At most CURVE_POINTS of the values, first and last among them: registry entries stay small."""
    keep = np.unique(np.linspace(0, len(values) - 1, min(len(values), CURVE_POINTS)).astype(int))
    return [float(value) for value in values[keep]]
