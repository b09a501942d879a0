"""What has become of an execution: its steps with state, time, reason and the place of their logs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import boto3

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.pipeline import pipeline_name
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings

POLL_SECONDS = 15.0
RUNNING = ("Executing", "Stopping")
ENDED_WELL = "Succeeded"
# CloudWatch log group of each kind of job ("Log groups and streams", SageMaker Developer Guide).
LOG_GROUPS = {
    "ProcessingJob": "/aws/sagemaker/ProcessingJobs",
    "TrainingJob": "/aws/sagemaker/TrainingJobs",
    "TransformJob": "/aws/sagemaker/TransformJobs",
}
CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


@dataclass(frozen=True)
class Step:
    """One step that has begun. `seconds` is None until it has ended; `log` is a link, blank for what is no job."""

    name: str
    type: str
    state: str
    seconds: float | None
    message: str
    log: str

    @property
    def line(self) -> str:
        """All but the link, in a line."""
        lasted = "" if self.seconds is None else f"{self.seconds:.0f} s"
        return f"{self.name:<20} {self.type:<14} {self.state:<10} {lasted:>8}  {self.message}".rstrip()


@dataclass(frozen=True)
class Execution:
    """An execution and those of its steps that have begun, oldest first."""

    arn: str
    status: str
    reason: str
    steps: list[Step]

    @property
    def exit_code(self) -> int:
        """0 succeeded, 1 failed or stopped, 3 still running."""
        return 3 if self.status in RUNNING else int(self.status != ENDED_WELL)

    @property
    def failure(self) -> str:
        """Why it did not succeed, in a line."""
        failed = [f"step {step.name}: {step.message}" for step in self.steps if step.state == "Failed"]
        return "; ".join(failed) or self.reason or "no reason given"


def find_execution(connection: boto3.Session, settings: Settings, name: str = "") -> str:
    """ARN of the execution with this ARN or id, or of the newest one. Raises UserError."""
    pipeline = pipeline_name(settings)
    if name:
        partition = connection.get_partition_for_region(settings.aws_region)
        account, region = settings.aws_account, settings.aws_region
        prefix = f"arn:{partition}:sagemaker:{region}:{account}:pipeline/{pipeline}/execution/"
        if name.startswith("arn:") and not name.startswith(prefix):
            raise UserError(f"{name}: is no execution of {prefix.removesuffix('/execution/')}: which --env?")
        return prefix + name.removeprefix(prefix)
    with explained(f"pipeline {pipeline}"):
        listed = connection.client("sagemaker").list_pipeline_executions(
            PipelineName=pipeline, SortBy="CreationTime", SortOrder="Descending", MaxResults=1
        )["PipelineExecutionSummaries"]
    if not listed:
        raise UserError(f"pipeline {pipeline} has no execution: usecase pipeline start --env {settings.environment}")
    return str(listed[0]["PipelineExecutionArn"])


def read_execution(connection: boto3.Session, arn: str) -> Execution:
    """The execution as it is now. Raises UserError."""
    client = connection.client("sagemaker")
    with explained(arn):
        found = client.describe_pipeline_execution(PipelineExecutionArn=arn)
        pages = client.get_paginator("list_pipeline_execution_steps").paginate(
            PipelineExecutionArn=arn, SortOrder="Ascending"
        )
        steps = [_step(raw) for page in pages for raw in page["PipelineExecutionSteps"]]
    return Execution(arn, found["PipelineExecutionStatus"], _one_line(found.get("FailureReason")), steps)


def watch(connection: boto3.Session, arn: str, say: Callable[[str], None], wait: bool) -> Execution:
    """Say a line per step, with `wait` again whenever one changes until the execution has ended. Raises UserError."""
    told: dict[str, str] = {}
    while True:
        execution = read_execution(connection, arn)
        for step in execution.steps:
            if told.get(step.name) != step.state:
                told[step.name] = step.state
                say(step.line)
                if step.log and step.state == "Failed":
                    say(f"{'':<20} {step.log}")
        if not wait or execution.status not in RUNNING:
            return execution
        time.sleep(POLL_SECONDS)


def studio_link(arn: str) -> str:
    """The console's page that leads to SageMaker Studio, where pipelines are shown as graphs."""
    return f"{_console(arn)}/sagemaker/home?region={arn.split(':')[3]}#/studio-landing"


def log_link(job_arn: str, kind: str) -> str:
    """The console's page with the log streams of a job."""
    name = job_arn.rpartition("/")[2]
    group = quote(quote(LOG_GROUPS[kind], safe=""), safe="").replace("%", "$")  # the console's own way to escape
    region = job_arn.split(":")[3]
    place = f"log-groups/log-group/{group}$3FlogStreamNameFilter$3D{name}"
    return f"{_console(job_arn)}/cloudwatch/home?region={region}#logsV2:{place}"


def _console(arn: str) -> str:
    _, partition, _, region, *_ = arn.split(":")
    return f"https://{region}.{CONSOLES.get(partition, 'console.aws.amazon.com')}"


def _step(raw: Mapping[str, Any]) -> Step:
    metadata: Mapping[str, Any] = raw.get("Metadata") or {"": {}}
    kind, details = next(iter(metadata.items()))
    begun, ended = raw.get("StartTime"), raw.get("EndTime")
    job = details.get("Arn", "")
    messages = [
        _one_line(raw.get("FailureReason")),
        _one_line(details.get("ErrorMessage")),  # of a Fail step
        f"outcome {details['Outcome']}" if "Outcome" in details else "",  # of a Condition step
        "taken from the cache" if raw.get("CacheHitResult") else "",
        job if kind == "RegisterModel" else "",
    ]
    return Step(
        name=raw["StepName"],
        type=kind.removesuffix("Job"),
        state=raw["StepStatus"],
        seconds=(ended - begun).total_seconds() if begun and ended else None,
        message="; ".join(dict.fromkeys(message for message in messages if message)),
        log=log_link(job, kind) if job and kind in LOG_GROUPS else "",
    )


def _one_line(text: object) -> str:
    return " ".join(str(text or "").split())
