"""Metrics in the layout that SageMaker's model registry and Model Monitor read (evaluation.json), one metric at a time, and by group.

Layout and names: "Model Quality Metrics and Amazon CloudWatch Monitoring", SageMaker Developer Guide.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

Vector = npt.NDArray[np.float64]
Point = Callable[[Vector, npt.NDArray[np.float32]], float]

RESAMPLES = 50
RESAMPLED_ROWS = 20_000
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
# The share of rows that get the positive class: equal in all groups when a model has demographic parity.
GROUP_ONLY: dict[str, dict[str, Point]] = {
    "binary_classification": {"selection_rate": lambda _, p: float(p.argmax(axis=1).mean())},
    "multiclass_classification": {},
    "regression": {},
}
# What evidence shows per group of a protected column, beside the metric that the gate judges.
GROUP_METRICS = {
    "binary_classification": ("accuracy", "recall", "precision", "selection_rate"),
    "multiclass_classification": ("accuracy", "weighted_recall"),
    "regression": ("mae", "rmse"),
}
ERRORS = {"log_loss", "mae", "mse", "rmse"}
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


def names(task: str) -> list[str]:
    """Metrics that can be measured for any rows: those of evaluation.json, and the share of predictions per class."""
    return [*POINTS[task], *GROUP_ONLY[task]]


def is_score(metric: str) -> bool:
    """Whether more is better and 1 is the most (auc, r2), so that two are compared by their difference.

    The others are errors: less is better, and they are compared by ratio.
    """
    return metric not in ERRORS


def point(task: str, metric: str, actual: Vector, predicted: npt.NDArray[np.float32]) -> float | None:
    """One metric of rows (n); None where it is unknown or undefined, as AUC is for rows of a single class."""
    measure = POINTS[task].get(metric) or GROUP_ONLY[task].get(metric)
    if measure is None or not len(actual) or (metric in ("auc", "r2") and len(np.unique(actual)) < 2):
        return None
    return float(measure(actual, predicted))


def _spreads(task: str, actual: Vector, predicted: npt.NDArray[np.float32], seed: int) -> list[float]:
    """Standard deviation of each metric over resampled test rows (Efron's bootstrap).

    Of many rows, resamples of RESAMPLED_ROWS are drawn, and the spread is scaled by the square root of the share.
    """
    generator = np.random.default_rng(seed)
    size = min(len(actual), RESAMPLED_ROWS)
    values = []
    for _ in range(RESAMPLES):
        rows = generator.integers(0, len(actual), size)
        if len(np.unique(actual[rows])) > 1:  # AUC and R2 are undefined for a single class or value
            values.append([point(actual[rows], predicted[rows]) for point in POINTS[task].values()])
    if not values:
        return [0.0] * len(POINTS[task])
    return [float(spread) for spread in np.std(values, axis=0) * np.sqrt(size / len(actual))]


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
