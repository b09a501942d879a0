"""What the service counts: one definition, told to CloudWatch as lines of the log (EMF) or to Prometheus by /metrics.

Formats: "Embedded metric format specification" (CloudWatch); "Exposition formats", text 0.0.4 (Prometheus).
"""

import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

NAMESPACE = "usecase/serving"
SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
TENTHS = tuple(number / 10 for number in range(1, 11))
FEW = 20  # values, which Python counts faster than numpy
MAX_SERIES = 200  # per metric, against labels that clients choose


@dataclass(frozen=True, eq=False)  # each is itself alone, which makes it a cheap key
class Metric:
    """A thing that is counted (counter), measured now (gauge) or laid into `buckets` (histogram)."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str  # as CloudWatch calls it
    help: str
    label: str = ""
    buckets: tuple[float, ...] = ()

    @property
    def cloudwatch(self) -> str:
        """The name in CloudWatch: as its own metrics are called."""
        return "".join(word.title() for word in self.name.removesuffix("_total").split("_"))


REQUESTS = Metric("requests_total", "counter", "Count", "Answered requests to /invocations", "status")
LATENCY = Metric("request_seconds", "histogram", "Seconds", "Time from headers to answer", buckets=SECONDS)
IN_FLIGHT = Metric("requests_in_flight", "gauge", "Count", "Requests that are being answered")
ROWS = Metric("rows_total", "counter", "Count", "Rows in answered requests")
REFUSED = Metric("validation_errors_total", "counter", "Count", "Requests or rows that broke the contract", "column")
FLAGGED = Metric("flagged_values_total", "counter", "Count", "Values out of range or of no known category", "column")
CLASSES = Metric("predictions_total", "counter", "Count", "Predictions by class", "prediction")
PROBABILITY = Metric(
    "prediction_probability", "histogram", "None", "Probability of the predicted class", buckets=TENTHS
)
VALUES = Metric("prediction_value_sum", "counter", "None", "Sum of predicted numbers; divide by rows for the mean")
METRICS = (REQUESTS, LATENCY, IN_FLIGHT, ROWS, REFUSED, FLAGGED, CLASSES, PROBABILITY, VALUES)


class Metrics:
    """The numbers of one worker since it started, and since they were last told to CloudWatch."""

    def __init__(self) -> None:
        self._counts: dict[Metric, dict[str, float]] = {metric: {} for metric in METRICS}
        self._buckets = {metric: [0] * (len(metric.buckets) + 1) for metric in METRICS if metric.buckets}
        self._sums = dict.fromkeys(self._buckets, 0.0)
        self._told: dict[tuple[Metric, str], float] = {}
        self._told_buckets = {metric: list(buckets) for metric, buckets in self._buckets.items()}

    def add(self, metric: Metric, amount: float = 1, label: str = "") -> None:
        """Count."""
        counts = self._counts[metric]
        if label not in counts and len(counts) >= MAX_SERIES:
            label = "other"
        counts[label] = counts.get(label, 0) + amount

    def observe(self, metric: Metric, *values: float) -> None:
        """Lay values into their buckets."""
        buckets, bounds = self._buckets[metric], metric.buckets
        if len(values) < FEW:
            for value in values:
                buckets[bisect_left(bounds, value)] += 1
        else:
            for place, number in enumerate(np.bincount(np.searchsorted(bounds, values)).tolist()):
                buckets[place] += number
        self._sums[metric] += sum(values)

    def prometheus(self) -> str:
        """All numbers as Prometheus reads them."""
        return "".join(f"{line}\n" for metric in METRICS for line in self._lines(metric))

    def emf(self) -> Iterator[dict[str, Any]]:
        """What was counted since the last call: a log line per label, without the ones that did not change."""
        series: dict[tuple[str, str], list[tuple[Metric, Any]]] = {}
        for metric, counts in self._counts.items():
            for label, count in counts.items():
                told = 0.0 if metric.kind == "gauge" else self._told.get((metric, label), 0.0)
                if count != told:
                    series.setdefault((metric.label, label), []).append((metric, count - told))
                self._told[metric, label] = count
        for metric, buckets in self._buckets.items():
            told_buckets = self._told_buckets[metric]
            bounds = (*metric.buckets, metric.buckets[-1])
            new = {b: n - t for b, n, t in zip(bounds, buckets, told_buckets, strict=True) if n != t}
            if new:
                histogram = {"Values": list(new), "Counts": list(new.values())}
                series.setdefault(("", ""), []).append((metric, histogram))
            self._told_buckets[metric] = list(buckets)
        for (name, label), values in series.items():
            yield _emf_line(name, label, values)

    def _lines(self, metric: Metric) -> Iterator[str]:
        name = f"usecase_{metric.name}"
        yield f"# HELP {name} {metric.help}"
        yield f"# TYPE {name} {metric.kind}"
        if metric.kind != "histogram":
            for label, count in (self._counts[metric] or ({} if metric.label else {"": 0})).items():
                yield f"{name}{_label(metric.label, label)} {count:.17g}"
            return
        total = 0
        for bound, count in zip((*metric.buckets, "+Inf"), self._buckets[metric], strict=True):
            total += count
            yield f"{name}_bucket{_label('le', str(bound))} {total}"
        yield f"{name}_sum {self._sums[metric]:.17g}"
        yield f"{name}_count {total}"


def _emf_line(name: str, label: str, values: list[tuple[Metric, Any]]) -> dict[str, Any]:
    dimension = name.title()
    definitions = [{"Name": metric.cloudwatch, "Unit": metric.unit} for metric, _ in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": [[dimension] if name else []], "Metrics": definitions}
    line: dict[str, Any] = {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}}
    line |= {metric.cloudwatch: value for metric, value in values}
    return line | ({dimension: label or "none"} if name else {})


def _label(name: str, value: str) -> str:
    if not name:
        return ""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return "{" + f'{name}="{escaped}"' + "}"  # in pieces: a brace beside a brace or a percent sign is Jinja's
