"""One definition of the numbers, told in two formats, and a dashboard that asks for no others."""

import json
import re
from pathlib import Path

from usecase.mlops.serving import metrics
from usecase.mlops.serving.metrics import METRICS, Metrics

DASHBOARD = Path(__file__).parents[2] / "docs" / "grafana.json"


def test_prometheus_reads_counts_labels_and_buckets() -> None:
    counted = Metrics()
    counted.add(metrics.REQUESTS, label="200")
    counted.add(metrics.REQUESTS, 2, label="400")
    counted.observe(metrics.LATENCY, 0.0007)
    counted.observe(metrics.LATENCY, 99)
    counted.add(metrics.REFUSED, label='a"b\n')
    lines = counted.prometheus().splitlines()
    assert 'usecase_requests_total{status="400"} 2' in lines
    assert 'usecase_request_seconds_bucket{le="0.0005"} 0' in lines
    assert 'usecase_request_seconds_bucket{le="0.001"} 1' in lines
    assert 'usecase_request_seconds_bucket{le="+Inf"} 2' in lines
    assert "usecase_request_seconds_count 2" in lines
    assert r'usecase_validation_errors_total{column="a\"b\n"} 1' in lines


def test_many_values_are_counted_as_one_by_one() -> None:
    values = [number / 97 for number in range(100)]
    one_by_one, at_once = Metrics(), Metrics()
    for value in values:
        one_by_one.observe(metrics.PROBABILITY, value)
    at_once.observe(metrics.PROBABILITY, *values)
    buckets = [[line for line in m.prometheus().splitlines() if "_bucket" in line] for m in (one_by_one, at_once)]
    assert buckets[0] == buckets[1]


def test_cloudwatch_is_told_what_is_new() -> None:
    counted = Metrics()
    counted.add(metrics.REQUESTS, 3, label="200")
    counted.observe(metrics.LATENCY, 0.002)
    (requests, latency) = sorted(counted.emf(), key=lambda line: "Status" not in line)
    assert (requests["Requests"], requests["Status"]) == (3, "200")
    assert requests["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Status"]]
    assert latency["RequestSeconds"] == {"Values": [0.0025], "Counts": [1]}
    assert list(counted.emf()) == []
    counted.add(metrics.REQUESTS, label="200")
    assert [line["Requests"] for line in counted.emf()] == [1]


def test_labels_that_clients_choose_do_not_fill_the_memory() -> None:
    counted = Metrics()
    for number in range(10_000):
        counted.add(metrics.REFUSED, label=str(number))
    assert counted.prometheus().count("usecase_validation_errors_total{") == metrics.MAX_SERIES + 1


def test_the_dashboard_asks_for_numbers_that_there_are() -> None:
    text = json.dumps(json.loads(DASHBOARD.read_text())["panels"])
    asked = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"usecase_(\w+)", text)}
    assert asked <= {metric.name for metric in METRICS}
    assert len(asked) >= 8
