"""The function as Lambda calls it: verdict, report and metrics of one window, once, whatever S3 does meanwhile."""

import gzip
import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from drift.people import GROUPED
from moto.s3.models import s3_backends

from usecase.mlops.baseline.drift import FILE_NAME
from usecase.mlops.errors import UserError
from usecase.mlops.monitoring import objects

from .conftest import ARTIFACTS, BASELINE, CAPTURED, ENDPOINT, REPORT, Clock, Monitor

Told = pytest.CaptureFixture[str]


def metrics(told: Told) -> list[dict[str, Any]]:
    """What CloudWatch would take from the log: the values of each line of EMF, checked against its own directive."""
    lines = [json.loads(line) for line in told.readouterr().out.splitlines() if line.startswith("{")]
    found = []
    for line in lines:
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"]) == ("usecase/monitor", [["Endpoint"]])
        assert line["Endpoint"] == "people-dev"
        values = {metric["Name"]: line[metric["Name"]] for metric in directive["Metrics"]}
        assert {type(value) for value in values.values()} <= {int, float}
        found.append(values)
    return found


def test_drift_is_reported_and_told(monitor: Monitor, capsys: Told) -> None:
    monitor.traffic(1500, drift=True)
    answer = monitor.look()
    assert answer == {
        "window_start": "2026-01-02T03:00:00+00:00",
        "window_end": "2026-01-02T04:00:00+00:00",
        "verdict": "drift",
        "report": f"s3://{CAPTURED}/{REPORT}",
        "reported_before": False,
    }
    (told,) = metrics(capsys)
    assert told["MonitoredRows"] == told["Predictions"] == 1500
    assert (told["DriftedWindow"], told["MonitorFailed"], told["InsufficientWindow"]) == (1, 0, 0)
    assert told["DriftedColumns"] >= 1
    assert told["PredictionMean"] == pytest.approx(0.25, abs=0.05)  # of people.answers
    assert 0 <= told["PredictionEffect"] < 0.05
    report = monitor.report()
    assert any(reason.startswith("income: ") for reason in report["reasons"])
    assert report["window"]["partial"] is False
    assert report["version_in_service"] == "3"
    folder = REPORT.rpartition("/")[0]
    violations = json.load(monitor.s3.get_object(Bucket=CAPTURED, Key=f"{folder}/constraint_violations.json")["Body"])
    assert {"income"} <= {violation["feature_name"] for violation in violations["violations"]}
    page = monitor.s3.get_object(Bucket=CAPTURED, Key=f"{folder}/report.html")
    assert page["ContentType"].startswith("text/html")
    assert b"<svg" in page["Body"].read()


def test_gaps_between_groups_are_in_the_report(monitor: Monitor) -> None:
    known = json.load(monitor.s3.get_object(Bucket=ARTIFACTS, Key=BASELINE)["Body"])
    grouped = json.dumps(known | {"contract": GROUPED.model_dump(mode="json")})
    monitor.s3.put_object(Bucket=ARTIFACTS, Key=BASELINE, Body=grouped)
    monitor.traffic(900)
    assert monitor.look()["verdict"] == "ok"
    gaps = monitor.report()["groups"]
    assert {gap["column"] for gap in gaps} == {column.name for column in GROUPED.protected} != set()
    assert all(0 <= gap["gap"] < 0.3 for gap in gaps if gap["gap"] is not None)


def test_metrics_stand_at_the_end_of_their_window(monitor: Monitor, capsys: Told) -> None:
    monitor.traffic(600)
    monitor.look()
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert line["_aws"]["Timestamp"] == 1767326400000  # 2026-01-02T04:00:00Z


def test_an_event_that_comes_again_tells_nothing_twice(monitor: Monitor, capsys: Told) -> None:
    monitor.traffic(600)
    first = monitor.look()
    kept = monitor.s3.head_object(Bucket=CAPTURED, Key=REPORT)["LastModified"], monitor.report()
    assert len(metrics(capsys)) == 1
    monitor.traffic(600, drift=True)
    again = monitor.look()
    assert again == first | {"reported_before": True}
    assert "PutObject" not in monitor.requests
    told = capsys.readouterr().out
    assert "2026-01-02T03:00Z to 2026-01-02T04:00Z: was reported before: ok" in told
    assert "{" not in told
    assert (monitor.s3.head_object(Bucket=CAPTURED, Key=REPORT)["LastModified"], monitor.report()) == kept


def test_of_two_at_the_same_time_one_tells(monitor: Monitor, capsys: Told) -> None:
    monitor.traffic(600)

    def another(request: str) -> None:
        if request.startswith("PutObject") and request.endswith("/report.json"):
            monitor.watched = lambda _: None
            monitor.s3.put_object(Bucket=CAPTURED, Key=REPORT, Body=b"{}")

    monitor.watched = another
    assert monitor.look()["reported_before"] is True
    assert metrics(capsys) == []
    assert monitor.report() == {}


def test_another_version_or_window_has_its_own_report(
    monitor: Monitor, capsys: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor.traffic(600)
    reports = {monitor.look()["report"]}
    reports.add(monitor.look(window_start="2026-01-02T03:00:00Z", window_end="2026-01-02T03:30:00Z")["report"])
    monkeypatch.setenv("MODEL_PACKAGE_ARN", "arn:aws:sagemaker:eu-central-1:123456789012:model-package/people-dev/4")
    reports.add(monitor.look()["report"])
    assert len(reports) == len(metrics(capsys)) == 3


def test_calls_of_other_hours_and_of_the_shadow_are_left_alone(monitor: Monitor, capsys: Told) -> None:
    lines = monitor.calls(1200)
    at = "2026-01-02T03:04:05Z"
    before, early, late, after = (
        [line.replace(at, f"2026-01-02T{time}Z") for line in part]
        for part, time in zip(
            (lines[:200], lines[200:500], lines[500:1100], lines[1100:]),
            ("02:59:59", "03:00:00", "03:59:59", "04:00:00"),
            strict=True,
        )
    )
    monitor.capture("AllTraffic/2026/01/02/02/crossing.jsonl", "".join(before + early))
    monitor.capture("AllTraffic/2026/01/02/03/calls.jsonl", "".join(late + after))
    monitor.capture("AllTraffic/2026/01/02/05/later.jsonl", "".join(early))
    monitor.capture("Shadow/2026/01/02/03/calls.jsonl", "".join(late))
    monitor.capture("AllTraffic/2026/01/02/03/notes.txt", "no traffic")
    assert monitor.look()["verdict"] == "ok"
    assert metrics(capsys)[0]["MonitoredRows"] == 900
    assert monitor.report()["window"]["last"] == "2026-01-02T03:59:59Z"


@pytest.mark.parametrize("calls", [0, 1, 499])
def test_too_little_traffic_is_neither_drift_nor_none(monitor: Monitor, capsys: Told, calls: int) -> None:
    if calls:
        monitor.traffic(calls, drift=True)
    assert monitor.look()["verdict"] == "insufficient_data"
    (told,) = metrics(capsys)
    assert (told["InsufficientWindow"], told["MonitoredRows"], told["MonitorFailed"]) == (1, calls, 0)
    assert "DriftedWindow" not in told


def test_damaged_files_are_counted_and_not_fatal(monitor: Monitor, capsys: Told) -> None:
    lines = monitor.calls(1500)
    monitor.capture("AllTraffic/2026/01/02/03/a.jsonl", "".join(lines[:700]) + lines[700][:50])
    monitor.capture("AllTraffic/2026/01/02/03/b.jsonl", gzip.compress("".join(lines[700:1400]).encode()))
    monitor.capture("AllTraffic/2026/01/02/03/c.jsonl.gz", gzip.compress("".join(lines[1400:]).encode())[:-40])
    monitor.capture("AllTraffic/2026/01/02/03/d.jsonl", "")
    monitor.capture("AllTraffic/2026/01/02/03/e.jsonl", b"\xff\xfe\n" + lines[0].replace("03:04:05Z", "").encode())
    assert monitor.look()["verdict"] == "ok"
    window = monitor.report()["window"]
    assert 1400 <= window["rows"] < 1500
    assert window["odd"] == {
        "a line is no record of data capture, cut off at the end of its file": 1,
        "a file is damaged": 1,
        "a line is no record of data capture": 1,
        "a record has no time": 1,
    }


def test_traffic_that_is_mostly_damaged_is_broken(monitor: Monitor, capsys: Told) -> None:
    monitor.capture("AllTraffic/2026/01/02/03/a.jsonl", "".join(monitor.calls(1000)) + "no JSON\n" * 50)
    assert monitor.look()["verdict"] == "broken"
    (told,) = metrics(capsys)
    assert (told["MonitorFailed"], told["DriftedWindow"]) == (1, 0)


@pytest.mark.parametrize(
    ("baseline", "says"),
    [
        (None, f"s3://{ARTIFACTS}/{BASELINE}: broken: there is no baseline: "),
        ("{", f"s3://{ARTIFACTS}/{BASELINE}: cannot be read as JSON"),
        ('{"version": 2}', f"s3://{ARTIFACTS}/{BASELINE}: "),
        ("without a contract", f"s3://{ARTIFACTS}/{BASELINE}: broken: names no contract: version 3 is too old"),
    ],
)
def test_without_a_baseline_nothing_is_ok(monitor: Monitor, capsys: Told, baseline: str | None, says: str) -> None:
    """It raises, so that the window is kept in the queue; once the baseline is there, the same event is judged."""
    monitor.traffic(600)
    known = monitor.s3.get_object(Bucket=ARTIFACTS, Key=BASELINE)["Body"].read()
    if baseline is None:
        monitor.s3.delete_object(Bucket=ARTIFACTS, Key=BASELINE)
    else:
        named = json.dumps(json.loads(known) | {"contract": None}) if baseline.startswith("without") else baseline
        monitor.s3.put_object(Bucket=ARTIFACTS, Key=BASELINE, Body=named)
    with pytest.raises(UserError, match=re.escape(says)) as error:
        monitor.look()
    assert "\n" not in str(error.value)
    (told,) = metrics(capsys)
    assert told == {"MonitorFailed": 1}
    monitor.s3.put_object(Bucket=ARTIFACTS, Key=BASELINE, Body=known)
    assert monitor.look()["verdict"] == "ok"


def test_the_baseline_may_be_named_itself(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BASELINE_URI", f"s3://{ARTIFACTS}/{BASELINE}")
    assert BASELINE.endswith(f"/{FILE_NAME}")
    monitor.traffic(600)
    assert monitor.look()["verdict"] == "ok"


def test_s3_that_asks_to_slow_down_is_asked_again(monitor: Monitor) -> None:
    lines = monitor.calls(600)
    for number in range(20):
        monitor.capture(f"AllTraffic/2026/01/02/03/{number}.jsonl", "".join(lines[number * 30 : number * 30 + 30]))
    monitor.refuse = lambda operation, number: (
        ("SlowDown", "InternalError", "ServiceUnavailable")[number % 3]
        if operation in ("GetObject", "ListObjectsV2") and number % 2
        else ""
    )
    assert monitor.look()["verdict"] == "ok"
    assert monitor.requests["GetObject"] > 40
    assert monitor.report()["window"]["rows"] == 600


def test_s3_that_refuses_until_the_end_fails_the_window(monitor: Monitor, capsys: Told) -> None:
    monitor.traffic(600)
    monitor.clock.reads = 3
    monitor.refuse = lambda operation, number: "SlowDown" if operation == "GetObject" and number > 1 else ""
    with pytest.raises(UserError, match=r"nothing could be read before the time was up \(0 of 1 objects, 0 of"):
        monitor.look()
    assert metrics(capsys) == [{"MonitorFailed": 1}]
    monitor.refuse, monitor.clock = lambda operation, number: "", Clock()
    assert monitor.look()["verdict"] == "ok"  # as Lambda tries again


@pytest.mark.parametrize("operation", ["GetObject", "ListObjectsV2", "PutObject"])
def test_what_is_denied_is_not_tried_again(monitor: Monitor, capsys: Told, operation: str) -> None:
    monitor.traffic(600)
    monitor.refuse = lambda asked, number: "AccessDenied" if asked == operation else ""
    with pytest.raises(UserError, match=f"{operation} is denied to the role"):
        monitor.look()
    assert monitor.requests[operation] == 1
    assert metrics(capsys) == [{"MonitorFailed": 1}]
    with pytest.raises(ClientError):
        monitor.report()


@pytest.mark.parametrize(
    ("drift", "reads", "verdict"), [(False, 60, "insufficient_data"), (True, 60, "drift"), (False, 99, "ok")]
)
def test_what_was_not_read_in_time_is_said(
    monitor: Monitor, capsys: Told, drift: bool, reads: int, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drift in a sample is drift; a sample that is too small of the window is never ok."""
    monkeypatch.setattr(objects, "WORKERS", 1)
    monkeypatch.setattr(objects, "IN_FLIGHT", 1)
    lines = monitor.calls(2000, drift=drift)
    for number in range(100):
        monitor.capture(f"AllTraffic/2026/01/02/03/{number}.jsonl", "".join(lines[number * 20 : number * 20 + 20]))
    monitor.clock.reads = reads
    assert monitor.look()["verdict"] == verdict
    report = monitor.report()
    there = report["window"]["objects"]
    assert there["there"] == 100
    assert 50 <= there["read"] < 100
    assert report["window"]["partial"] is True
    assert report["window"]["rows"] == 20 * there["read"]
    said = f"all rows: the time was up when {there['read']} of 100 objects, "
    assert any(reason.startswith(said) for reason in report["reasons"]) is (reads == 60)
    assert metrics(capsys)[0].get("DriftedWindow", 0) == drift


def test_a_file_that_is_gone_or_too_large_is_said(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = monitor.calls(1500)
    for number in range(10):
        monitor.capture(f"AllTraffic/2026/01/02/03/{number}.jsonl", "".join(lines[number * 100 : number * 100 + 100]))
    monitor.capture("AllTraffic/2026/01/02/03/large.jsonl", "".join(lines[1000:]))
    monkeypatch.setattr(objects, "MAX_OBJECT_BYTES", 150_000)
    monitor.refuse = lambda operation, number: "NoSuchKey" if (operation, number) == ("GetObject", 5) else ""
    assert monitor.look()["verdict"] == "insufficient_data"
    assert monitor.report()["window"]["odd"] == {"a file has more than 0 MiB": 1, "a file is gone": 1}


def test_thousands_of_small_files(monitor: Monitor) -> None:
    """Three pages of a listing, a call a file."""
    backend = s3_backends["123456789012"]["global"]  # put there directly: the requests would take most of the time
    for number, line in enumerate(monitor.calls(2100)):
        backend.put_object(CAPTURED, f"{ENDPOINT}/AllTraffic/2026/01/02/03/{number}.jsonl", line.encode())
    assert monitor.look()["verdict"] == "ok"
    window = monitor.report()["window"]
    assert window["files"] == window["rows"] == window["objects"]["read"] == 2100
    assert monitor.requests["ListObjectsV2"] == 1 + 1 + 3 + 1  # for the report, and the hours before, of and after


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("CAPTURE_URI", "people", "environment of the function: CAPTURE_URI: "),
        ("MODEL_PACKAGE_ARN", "latest", "environment of the function: MODEL_PACKAGE_ARN: "),
        ("MINIMUM_ROWS", "5", "environment of the function: minimum_rows: "),
        ("WINDOW_MINUTES", "", "environment of the function: WINDOW_MINUTES: "),
    ],
)
def test_a_wrong_environment_is_one_line(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=f"^{re.escape(says)}"):
        monitor.look()
