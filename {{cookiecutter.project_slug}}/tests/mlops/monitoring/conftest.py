"""An endpoint whose calls are captured, on a mocked S3 that can be told to refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import polars as pl
import pytest
from aws.conftest import REGION, aws, facts, settings
from botocore.awsrequest import AWSResponse
from drift.people import CONTRACT, baseline, capture

from usecase.mlops.baseline.drift import FILE_NAME
from usecase.mlops.monitoring import objects
from usecase.mlops.monitoring.function import RESERVE_SECONDS, handler

__all__ = ["aws", "facts", "settings"]
CAPTURED, ARTIFACTS = "people-dev-capture", "people-dev-artifacts"
ENDPOINT, BASELINE = "people/capture/people-dev", f"people/baseline/{FILE_NAME}"
EVENT = {"time": "2026-01-02T04:10:00Z"}  # asks about the hour in which people.record says that calls were
REPORT = "people/monitor/2026/01/02/0300/60-minutes-version-3/report.json"


class Clock:
    """The context of an invocation: it has time until `reads` objects were asked for."""

    def __init__(self, reads: float = float("inf")) -> None:
        self.reads, self.asked = reads, 0

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (RESERVE_SECONDS + (600 if self.asked < self.reads else -1)))


class Monitor:
    """The function with its buckets. `refuse` says which requests S3 refuses: operation and number -> code, or ""."""

    def __init__(self, session: boto3.Session, folder: Path) -> None:
        self.s3, self.folder = session.client("s3"), folder
        self.refuse: Callable[[str, int], str] = lambda operation, number: ""
        self.requests: dict[str, int] = {}
        self.clock = Clock()
        self.watched: Callable[[str], None] = lambda key: None

    def capture(self, key: str, content: str | bytes) -> None:
        """Put a file of captured calls below the endpoint's folder."""
        self.s3.put_object(Bucket=CAPTURED, Key=f"{ENDPOINT}/{key}", Body=content)

    def calls(self, count: int, seed: int = 1, drift: bool = False) -> list[str]:
        """Lines of data capture."""
        capture(self.folder / "calls", count, seed, _richer if drift else None)
        (file,) = (self.folder / "calls").rglob("*.jsonl")
        return file.read_text().splitlines(keepends=True)

    def traffic(self, count: int, drift: bool = False) -> None:
        """Capture calls in one file."""
        self.capture("AllTraffic/2026/01/02/03/calls.jsonl", "".join(self.calls(count, drift=drift)))

    def look(self, **event: str) -> dict[str, Any]:
        """Invoke the function, as the scheduler does."""
        self.requests.clear()
        boto3.setup_default_session(region_name=REGION)
        events = boto3.DEFAULT_SESSION.events
        events.register("before-send.s3", self._sent)
        events.register("before-call.s3", self._called)
        try:
            return handler(event or EVENT, self.clock)
        finally:
            boto3.DEFAULT_SESSION = None

    def report(self) -> dict[str, Any]:
        """The report of the hour."""
        content: dict[str, Any] = json.load(self.s3.get_object(Bucket=CAPTURED, Key=REPORT)["Body"])
        return content

    def _called(self, model: Any, params: dict[str, Any], **_: Any) -> None:
        self.watched(f"{model.name} {params['url_path']}")

    def _sent(self, request: Any, event_name: str, **_: Any) -> AWSResponse | None:
        operation = event_name.rpartition(".")[2]
        self.requests[operation] = self.requests.get(operation, 0) + 1
        if operation == "GetObject" and ENDPOINT in request.url:
            self.clock.asked += 1
        code = self.refuse(operation, self.requests[operation])
        if not code:
            return None
        status = {"AccessDenied": 403, "NoSuchKey": 404}.get(code, 503)
        return _Refused(request.url, status, {}, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


def _richer(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(pl.col("income") * 1.5)


class _Refused(AWSResponse):  # type: ignore[misc]
    def __init__(self, url: str, status: int, headers: dict[str, str], content: bytes) -> None:
        super().__init__(url, status, headers, None)
        self._content = content


@pytest.fixture
def monitor(aws: boto3.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Monitor:
    """The function of dev, with the baseline of version 3 and no traffic."""
    made = Monitor(aws, tmp_path)
    for bucket in (CAPTURED, ARTIFACTS):
        made.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    baseline().model_copy(update={"contract": CONTRACT}).save(tmp_path / FILE_NAME)
    made.s3.put_object(Bucket=ARTIFACTS, Key=BASELINE, Body=(tmp_path / FILE_NAME).read_bytes())
    monkeypatch.setattr(objects, "FIRST_PAUSE", 0.001)
    for name, value in {
        "USECASE_PROJECT": "people",
        "USECASE_ENVIRONMENT": "dev",
        "ENDPOINT_NAME": "people-dev",
        "CAPTURE_URI": f"s3://{CAPTURED}/{ENDPOINT}/",
        "BASELINE_URI": f"s3://{ARTIFACTS}/people/baseline/",
        "REPORT_URI": f"s3://{CAPTURED}/people/monitor",
        "MODEL_PACKAGE_ARN": "arn:aws:sagemaker:eu-central-1:123456789012:model-package/people-dev/3",
        "WINDOW_MINUTES": "60",
        "CAPTURE_GRACE_MINUTES": "10",
        "MINIMUM_ROWS": "500",
        "MINIMUM_EFFECT": "0.05",
        "FALSE_ALARMS": "0.05",
    }.items():
        monkeypatch.setenv(name, value)
    return made
