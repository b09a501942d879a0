"""The Lambda function: one look at one window of captured traffic, once.

The report of a window is written last, and only where there is none: that is what makes a window done, and its
metrics told. An event that comes again finds it. What fails raises, so that Lambda tries again, then keeps the event.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import boto3
import numpy as np
import polars as pl
from botocore.config import Config
from botocore.exceptions import ClientError
from pydantic import BaseModel, ConfigDict, Field

from usecase.mlops.aws.errors import explained
from usecase.mlops.baseline.drift import FILE_NAME, DriftBaseline
from usecase.mlops.baseline.model_monitor import VIOLATIONS
from usecase.mlops.capture import VARIANT
from usecase.mlops.contract import Contract
from usecase.mlops.drift.groups import GroupTally
from usecase.mlops.drift.judge import Finding, Judged, judge, worst
from usecase.mlops.drift.reader import Found, read_calls
from usecase.mlops.drift.report import PAGE, REPORT, Report, emf
from usecase.mlops.drift.tally import PREDICTION, WindowTally, WordTally
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256
from usecase.mlops.monitoring.objects import WORKERS, Coverage, Patience, Traffic
from usecase.mlops.monitoring.window import Window
from usecase.mlops.sections import Monitoring
from usecase.mlops.yamlfile import parse

ENOUGH = 0.9  # of a window must have been read for the verdict ok
RESERVE_SECONDS = 30.0  # for the verdict and the report, before the function is stopped
# Pauses are ours (see Patience); what else is asked of S3 is little.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 3},
    connect_timeout=5,
    read_timeout=15,
    max_pool_connections=WORKERS + 1,
)
URI = r"^s3://[a-z0-9.-]+/.+$"
KINDS = {REPORT: "application/json", VIOLATIONS[0]: "application/json", PAGE: "text/html; charset=utf-8"}
TAKEN = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")


class Context(Protocol):
    """What Lambda tells of an invocation."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until it is stopped."""


class Variables(BaseModel):
    """The environment of the function, as terraform/modules/monitor sets it.

    `capture_uri` is of the endpoint, with a folder per variant. `baseline_uri` is drift_baseline.json, or its folder.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    project: str = Field(alias="USECASE_PROJECT", min_length=1)
    environment: str = Field(alias="USECASE_ENVIRONMENT", min_length=1)
    endpoint: str = Field(alias="ENDPOINT_NAME", min_length=1)
    capture_uri: str = Field(alias="CAPTURE_URI", pattern=URI)
    baseline_uri: str = Field(alias="BASELINE_URI", pattern=URI)
    report_uri: str = Field(alias="REPORT_URI", pattern=URI)
    model_package_arn: str = Field(alias="MODEL_PACKAGE_ARN", pattern=r"/\d+$")
    window_minutes: int = Field(alias="WINDOW_MINUTES", ge=1)
    grace_minutes: int = Field(alias="CAPTURE_GRACE_MINUTES", ge=0)
    minimum_rows: int = Field(alias="MINIMUM_ROWS")
    minimum_effect: float = Field(alias="MINIMUM_EFFECT")
    false_alarms: float = Field(alias="FALSE_ALARMS")

    @property
    def limits(self) -> Monitoring:
        """When a window drifts. Raises UserError."""
        given = {name: getattr(self, name) for name in ("minimum_rows", "minimum_effect", "false_alarms")}
        return parse(Monitoring, given, "environment of the function")

    @property
    def version(self) -> str:
        """Number of the version in service."""
        return self.model_package_arn.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class WindowReport(Report):
    """The report of a window in AWS: with its bounds, and what of it was read.

    `mean` is that of predicted numbers; of two classes the share of the positive one.
    """

    span: Window
    version: str
    coverage: Coverage
    mean: float | None

    @property
    def is_partial(self) -> bool:
        """Whether some of the traffic was not read."""
        return self.coverage.share < 1

    def content(self) -> dict[str, Any]:
        """See Report."""
        content, read = super().content(), self.coverage
        content["version_in_service"] = self.version
        content["window"] |= {
            "start": self.span.start.isoformat(),
            "end": self.span.end.isoformat(),
            "partial": self.is_partial,
            "objects": {"there": read.objects, "read": read.read_objects, "all_listed": read.complete},
            "bytes": {"there": read.size, "read": read.read_size},
        }
        return content


def handler(event: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Look at the window that `event` asks about: {"time": ...}, or {"window_start": ..., "window_end": ...}.

    Returns the verdict and where the report is. What it raises, MonitorFailed has told before.
    """
    try:
        variables = parse(Variables, dict(os.environ), "environment of the function")
        window = Window.of(event, variables.window_minutes, variables.grace_minutes)
        return look(variables, window, boto3.client("s3", config=CLIENT_CONFIG), context)
    except Exception as error:
        where = {"Endpoint": os.environ.get("ENDPOINT_NAME", "unknown")}
        _say(json.dumps(emf({"MonitorFailed": 1}, where, time.time()) | {"Reason": " ".join(str(error).split())}))
        raise


def look(variables: Variables, window: Window, s3: Any, context: Context) -> dict[str, Any]:
    """Compare the traffic of a window with the baseline, and report it unless that is done. Raises UserError."""
    bucket, prefix = _place(variables.report_uri)
    folder = f"{prefix}/{window.folder}/{window.minutes}-minutes-version-{variables.version}"
    uri = f"s3://{bucket}/{folder}/{REPORT}"
    with explained(uri):
        # listed, not asked for: what is not there is refused to those who may not list all
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"{folder}/{REPORT}", MaxKeys=1)
        if listed.get("Contents"):
            before = json.load(s3.get_object(Bucket=bucket, Key=f"{folder}/{REPORT}")["Body"])
            return _done(window, str(before["verdict"]), uri, again=True)
    with tempfile.TemporaryDirectory() as made:
        baseline = Path(made, FILE_NAME)
        known, contract = _baseline(variables, s3, baseline)
        report = _compared(variables, window, s3, context, known, contract, file_sha256(baseline))
        report.write(Path(made), [report.entry()])
        with explained(uri):
            # the report itself comes last: it says that all is there
            first = all(_put(s3, bucket, folder, Path(made, name)) for name in (PAGE, VIOLATIONS[0], REPORT))
    if first:
        told = {name: float(value) for name, value in _metrics(report)}  # CloudWatch knows no true and false
        _say(json.dumps(emf(told, {"Endpoint": variables.endpoint}, window.end.timestamp())))
        for finding in report.judged.alarms:
            _say(f"{finding.column or 'all rows'}: {finding.message}")
    return _done(window, report.judged.verdict, uri, again=not first)


def _baseline(variables: Variables, s3: Any, file: Path) -> tuple[DriftBaseline, Contract]:
    """What the traffic is held against; without it nothing may be called ok. Raises UserError."""
    uri = variables.baseline_uri
    if not uri.endswith(f"/{FILE_NAME}"):
        uri = f"{uri.rstrip('/')}/{FILE_NAME}"
    bucket, key = _place(uri)
    try:
        with explained(f"{uri}: broken: there is no baseline"):
            file.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        known = DriftBaseline.load(file)
    except UserError as error:
        raise UserError(str(error).replace(str(file), uri)) from None
    if known.contract is None:
        raise UserError(f"{uri}: broken: names no contract: version {variables.version} is too old, train a new one")
    return known, known.contract


def _compared(
    variables: Variables,
    window: Window,
    s3: Any,
    context: Context,
    known: DriftBaseline,
    contract: Contract,
    sha256: str,
) -> WindowReport:
    patience = Patience(lambda: context.get_remaining_time_in_millis() / 1000 - RESERVE_SECONDS)
    bucket, prefix = _place(f"{variables.capture_uri.rstrip('/')}/{VARIANT}")
    traffic = Traffic(s3, bucket, prefix, window, variables.grace_minutes)
    tally, found, total = WindowTally(known, contract), Found(), 0.0
    groups = GroupTally(tally)
    with explained(f"s3://{bucket}/{prefix}"):
        for batch in read_calls(traffic.lines(patience, found), contract, found, (window.start, window.end)):
            tally.add(batch.rows)
            tally.add_answers(batch.answers)
            groups.add(batch.rows, batch.answers)
            numbers = batch.answers[PREDICTION].cast(pl.Float64, strict=False)
            total += float(np.nansum(numbers.set(numbers.is_infinite(), None).to_numpy()))
    coverage = traffic.coverage
    if not coverage.read_objects and (coverage.objects or not coverage.complete):
        raise UserError(f"s3://{bucket}/{prefix}: nothing could be read before the time was up ({coverage})")
    limits = variables.limits
    judged = judge(tally, found, limits)
    if coverage.share < ENOUGH:
        message = f"the time was up when {coverage} were read"
        findings = [*judged.findings, Finding(None, "rows", "insufficient_data", message, coverage.share, ENOUGH)]
        judged = Judged(worst(findings, "insufficient_data"), findings)
    return WindowReport(
        project=variables.project,
        environment=variables.environment,
        data=f"s3://{bucket}/{prefix}",
        baseline=variables.baseline_uri,
        baseline_sha256=sha256,
        window=tally,
        read=found,
        judged=judged,
        limits=limits,
        gaps=groups.gaps({}),
        span=window,
        version=variables.version,
        coverage=coverage,
        mean=_mean(tally, contract, total),
    )


def _mean(tally: WindowTally, contract: Contract, total: float) -> float | None:
    """Of predicted numbers, whose sum is `total`; of two classes the share of the positive one; else None."""
    answers = tally.answers[PREDICTION]
    if not answers.present or len(contract.classes) > 2:
        return None
    if isinstance(answers, WordTally):
        positive = contract.classes[-1]
        word = contract.target.true_values[0] if positive is True else str(positive)
        return answers.counts[word] / answers.present
    return total / answers.present


def _metrics(report: WindowReport) -> Iterator[tuple[str, float]]:
    """What CloudWatch is told of a window. One with too little traffic is neither drifted nor not."""
    verdict, answers = report.judged.verdict, report.window.answers[PREDICTION]
    yield "MonitoredRows", report.window.rows
    yield "Predictions", answers.present
    yield "MonitorFailed", verdict in ("broken", "schema_change")
    yield "InsufficientWindow", verdict == "insufficient_data"
    yield "DriftedColumns", len({finding.column for finding in report.judged.alarms if finding.verdict == "drift"})
    if verdict != "insufficient_data":
        yield "DriftedWindow", verdict == "drift"
    if (effect := report.effect(answers)) is not None:
        yield "PredictionEffect", effect
    if report.mean is not None:
        yield "PredictionMean", report.mean


def _put(s3: Any, bucket: str, folder: str, file: Path) -> bool:
    """Write an object; False when it is the report, and another one was written meanwhile."""
    once = {"IfNoneMatch": "*"} if file.name == REPORT else {}
    try:
        s3.put_object(
            Bucket=bucket,
            Key=f"{folder}/{file.name}",
            Body=file.read_bytes(),
            ContentType=KINDS[file.name],
            **once,
        )
    except ClientError as error:
        if once and error.response["Error"].get("Code", "") in TAKEN:
            return False
        raise
    return True


def _done(window: Window, verdict: str, uri: str, again: bool) -> dict[str, Any]:
    _say(f"{window}: {'was reported before: ' if again else ''}{verdict}: {uri}")
    return {
        "window_start": window.start.isoformat(),
        "window_end": window.end.isoformat(),
        "verdict": verdict,
        "report": uri,
        "reported_before": again,
    }


def _place(uri: str) -> tuple[str, str]:
    """Bucket and key, without a slash at the end."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key.rstrip("/")


def _say(line: str) -> None:
    """A line of the log; CloudWatch takes metrics from those that are EMF."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
