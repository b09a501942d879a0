"""Metrics: of all test rows in the layout that SageMaker's registry and Model Monitor read, and of groups of rows.

Layout and names: "Model Quality Metrics and Amazon CloudWatch Monitoring", SageMaker Developer Guide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn import metrics as sk

Vector = npt.NDArray[np.float64]
Probabilities = npt.NDArray[np.float32]

RESAMPLES = 50
RESAMPLED_ROWS = 20_000
CURVE_POINTS = 101


@dataclass(frozen=True)
class Answers:
    """What is true and what a model answers for the same rows (n): class indices, or values for regression.

    `probabilities` (n x classes) are None for regression.
    """

    actual: Vector
    predicted: Vector
    probabilities: Probabilities | None = None

    @property
    def scores(self) -> Probabilities:
        """The probabilities of a classifier."""
        if self.probabilities is None:
            raise TypeError("answers of a regression hold no probabilities")
        return self.probabilities

    def rows(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> "Answers":
        """The answers for some of the rows: a mask (n), or their positions, each as often as it is named."""
        probabilities = None if self.probabilities is None else self.probabilities[chosen]
        return Answers(self.actual[chosen], self.predicted[chosen], probabilities)


Measure = Callable[[Answers], float]


@dataclass(frozen=True)
class Metric:
    """How a metric is measured (NaN where it is undefined) and compared.

    Of an error less is better, and two are compared by their ratio; of others more is better, they end at 1, and two
    are compared by their difference.
    """

    measure: Measure
    is_error: bool = False

    def of(self, answers: Answers) -> float | None:
        """The value for some rows (n); None where it is undefined, as AUC is for rows of one class."""
        value = float(self.measure(answers)) if len(answers.actual) else np.nan
        return None if np.isnan(value) else value


def _by_prediction(function: Callable[..., float], **options: Any) -> Measure:
    """A metric of scikit-learn that compares what is true with what was predicted."""
    return lambda answers: function(answers.actual, answers.predicted, **options)


def _auc(answers: Answers) -> float:
    return sk.roc_auc_score(answers.actual, answers.scores[:, 1]) if _varies(answers.actual) else np.nan


def _log_loss(answers: Answers) -> float:
    return float(sk.log_loss(answers.actual, answers.scores, labels=list(range(answers.scores.shape[1]))))


def _r2(answers: Answers) -> float:
    return float(sk.r2_score(answers.actual, answers.predicted)) if _varies(answers.actual) else np.nan


def _varies(values: Vector) -> bool:
    return bool((values != values[0]).any())


METRICS: dict[str, dict[str, Metric]] = {
    "binary_classification": {
        "auc": Metric(_auc),
        "accuracy": Metric(_by_prediction(sk.accuracy_score)),
        "precision": Metric(_by_prediction(sk.precision_score, zero_division=np.nan)),
        "recall": Metric(_by_prediction(sk.recall_score, zero_division=np.nan)),
        "f1": Metric(_by_prediction(sk.f1_score, zero_division=np.nan)),
        "log_loss": Metric(_log_loss, is_error=True),
    },
    "multiclass_classification": {
        "accuracy": Metric(_by_prediction(sk.accuracy_score)),
        "weighted_precision": Metric(_by_prediction(sk.precision_score, average="weighted", zero_division=0.0)),
        "weighted_recall": Metric(_by_prediction(sk.recall_score, average="weighted", zero_division=0.0)),
        "weighted_f1": Metric(_by_prediction(sk.f1_score, average="weighted", zero_division=0.0)),
        "log_loss": Metric(_log_loss, is_error=True),
    },
    "regression": {
        "r2": Metric(_r2),
        "mae": Metric(_by_prediction(sk.mean_absolute_error), is_error=True),
        "mse": Metric(_by_prediction(sk.mean_squared_error), is_error=True),
        "rmse": Metric(_by_prediction(sk.root_mean_squared_error), is_error=True),
    },
}
# What is compared between groups of people: besides the metrics above, how often each gets the positive answer
# (alike in all groups: demographic parity).
GROUP_METRICS = METRICS | {
    "binary_classification": METRICS["binary_classification"]
    | {"selection_rate": Metric(lambda answers: float(answers.predicted.mean()))}
}


def evaluate(task: str, answers: Answers, classes: list[str], seed: int = 0) -> dict[str, Any]:
    """evaluation.json as a mapping: each metric with `value` and `standard_deviation` (of a seeded bootstrap).

    A metric that is undefined for the rows, as the precision of a model that never answers "positive", counts as 0.
    """
    report: dict[str, Any] = {
        name: {"value": metric.of(answers) or 0.0, "standard_deviation": spread}
        for (name, metric), spread in zip(METRICS[task].items(), _spreads(task, answers, seed), strict=True)
    }
    if task != "regression":
        counts = sk.confusion_matrix(answers.actual, answers.predicted, labels=list(range(len(classes))))
        report["confusion_matrix"] = {
            label: {other: int(counts[i, j]) for j, other in enumerate(classes)} for i, label in enumerate(classes)
        }
    if task == "binary_classification":
        report |= _curves(answers.actual, answers.scores[:, 1])
    return {f"{task}_metrics": report}


def _spreads(task: str, answers: Answers, seed: int) -> list[float]:
    """Standard deviation of each metric over resampled test rows (Efron's bootstrap).

    Of more than RESAMPLED_ROWS rows, so many are drawn each time, and the spread is scaled to all rows: it falls with
    the square root of their number ("m out of n" bootstrap). The work is bounded that way.
    """
    generator = np.random.default_rng(seed)
    rows = len(answers.actual)
    drawn = min(rows, RESAMPLED_ROWS)
    resamples = [answers.rows(generator.integers(0, rows, drawn)) for _ in range(RESAMPLES)]
    spreads = []
    for metric in METRICS[task].values():
        values = [value for sample in resamples if (value := metric.of(sample)) is not None]
        spreads.append(float(np.std(values) * np.sqrt(drawn / rows)) if values else 0.0)
    return spreads


def _curves(actual: Vector, scores: Probabilities) -> dict[str, Any]:
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
