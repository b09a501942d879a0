"""What has become of an execution: steps, reasons, logs, and an exit status for scripts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import sagemaker_backends

from usecase.mlops.aws import status as status_module
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.aws.status import log_link, studio_link

from .conftest import ACCOUNT, REGION
from .moto_gaps import set_steps

pytestmark = pytest.mark.usefixtures("repository", "facts")
Usecase = Callable[..., tuple[int, str, str]]
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
JOB = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
PREPROCESS = {
    "StepName": "Preprocess",
    "StepStatus": "Succeeded",
    "StartTime": BEGIN,
    "EndTime": BEGIN + timedelta(seconds=95),
    "Metadata": {"ProcessingJob": {"Arn": f"{JOB}:processing-job/p-1"}},
    "CacheHitResult": {"SourcePipelineExecutionArn": f"{JOB}:pipeline/churn-dev/execution/before"},
}
TRAIN = {
    "StepName": "Train",
    "StepStatus": "Executing",
    "StartTime": BEGIN,
    "Metadata": {"TrainingJob": {"Arn": f"{JOB}:training-job/t-1"}},
}
FAILED = TRAIN | {
    "StepStatus": "Failed",
    "EndTime": BEGIN + timedelta(seconds=5),
    "FailureReason": "AlgorithmError:\nx",
}
GATE = {
    "StepName": "CheckQuality",
    "StepStatus": "Succeeded",
    "Metadata": {"Condition": {"Outcome": "False"}},
}
REFUSED = {
    "StepName": "QualityGateFailed",
    "StepStatus": "Failed",
    "Metadata": {"Fail": {"ErrorMessage": "The model is not good enough: auc 0.6 < 0.7"}},
}
REGISTERED = {
    "StepName": "RegisterModel",
    "StepStatus": "Succeeded",
    "Metadata": {"RegisterModel": {"Arn": f"{JOB}:model-package/churn-dev/3"}},
}


@pytest.fixture
def started(aws: boto3.Session, usecase: Usecase) -> Callable[..., str]:
    """Starts an execution with this status and these steps."""
    usecase("pipeline", "deploy", "--apply")
    client = aws.client("sagemaker")
    parameters = [parameter["Name"] for parameter in _parameters(client) if "DefaultValue" not in parameter]

    def start(status: str, *steps: dict[str, Any]) -> str:
        arn: str = client.start_pipeline_execution(
            PipelineName="churn-dev", PipelineParameters=[{"Name": name, "Value": "1"} for name in parameters]
        )["PipelineExecutionArn"]
        set_steps(sagemaker_backends[ACCOUNT][REGION], arn, status, list(steps))
        return arn

    return start


def _parameters(client: Any) -> list[dict[str, Any]]:
    definition = client.describe_pipeline(PipelineName="churn-dev")["PipelineDefinition"]
    found: list[dict[str, Any]] = json.loads(definition)["Parameters"]
    return found


def test_steps_are_told_with_time_reason_and_version(started: Callable[..., str], usecase: Usecase) -> None:
    arn = started("Succeeded", PREPROCESS, REGISTERED)
    status, out, err = usecase("pipeline", "status")
    assert (status, err) == (0, "")
    assert out.splitlines() == [
        arn,
        f"Console: {studio_link(arn)}",
        "Preprocess           Processing     Succeeded      95 s  taken from the cache",
        f"RegisterModel        RegisterModel  Succeeded            {JOB}:model-package/churn-dev/3",
        "Succeeded",
    ]


@pytest.mark.parametrize(
    ("state", "steps", "code", "says"),
    [
        ("Executing", [PREPROCESS, TRAIN], 3, ""),
        ("Stopping", [TRAIN], 3, ""),
        ("Failed", [PREPROCESS, FAILED], 1, "Failed: step Train: AlgorithmError: x"),
        ("Failed", [GATE, REFUSED], 1, "Failed: step QualityGateFailed: The model is not good enough: auc 0.6 < 0.7"),
        ("Stopped", [PREPROCESS], 1, "Stopped: no reason given"),
        ("CompletedWithFailures", [FAILED], 1, "CompletedWithFailures: step Train: AlgorithmError: x"),
    ],
)
def test_the_exit_status_says_how_it_stands(
    state: str, steps: list[dict[str, Any]], code: int, says: str, started: Callable[..., str], usecase: Usecase
) -> None:
    arn = started(state, *steps)
    status, out, err = usecase("pipeline", "status", "--execution", arn.rpartition("/")[2])
    assert status == code
    assert err == (f"error: execution {arn.rpartition('/')[2]}: {says}\n" if says else "")
    if FAILED in steps:
        assert log_link(f"{JOB}:training-job/t-1", "TrainingJob") in out
    if GATE in steps:
        assert "Condition      Succeeded            outcome False" in out


def test_waiting_tells_each_change_once(
    started: Callable[..., str], usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = started("Executing", PREPROCESS)
    later = [
        ("Executing", [PREPROCESS, TRAIN]),
        ("Executing", [PREPROCESS, TRAIN]),
        ("Succeeded", [PREPROCESS, TRAIN | {"StepStatus": "Succeeded"}]),
    ]

    def sleep(seconds: float) -> None:
        assert seconds == status_module.POLL_SECONDS
        set_steps(sagemaker_backends[ACCOUNT][REGION], arn, *later.pop(0))

    monkeypatch.setattr("time.sleep", sleep)
    status, out, _ = usecase("pipeline", "status", "--wait")
    assert (status, later) == (0, [])
    assert [line.split()[:3] for line in out.splitlines()[2:-1]] == [
        ["Preprocess", "Processing", "Succeeded"],
        ["Train", "Training", "Executing"],
        ["Train", "Training", "Succeeded"],
    ]


def test_the_newest_execution_is_meant(started: Callable[..., str], usecase: Usecase) -> None:
    older, newer = started("Failed", FAILED), started("Succeeded", PREPROCESS)
    assert usecase("pipeline", "status")[1].startswith(newer)
    assert usecase("pipeline", "status", "--execution", older)[1].startswith(older)


def test_an_execution_that_is_not_there_is_one_line(usecase: Usecase, facts: PlatformFacts, repository: Path) -> None:
    expected = {
        (): "error: pipeline churn-dev: Pipeline 'churn-dev' does not exist. (ResourceNotFound)\n",
        ("--execution", "arn:aws:sagemaker:eu-central-1:1:pipeline/x/execution/y"): "is no execution of arn:aws:sage",
        ("--execution", "abc"): "pipeline/churn-dev/execution/abc: Could not find",
    }
    for words, says in expected.items():
        status, _, err = usecase("pipeline", "status", *words)
        assert status == 1
        assert says in err
        assert err.count("\n") == 1
    usecase("pipeline", "deploy", "--apply")
    assert usecase("pipeline", "status")[2] == (
        "error: pipeline churn-dev has no execution: usecase pipeline start --env dev\n"
    )


def test_links_lead_to_the_partitions_console() -> None:
    assert log_link("arn:aws:sagemaker:eu-west-1:1:processing-job/p-1", "ProcessingJob") == (
        "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/"
        "$252Faws$252Fsagemaker$252FProcessingJobs$3FlogStreamNameFilter$3Dp-1"
    )
    link = studio_link("arn:aws-cn:sagemaker:cn-north-1:1:pipeline/x/execution/y")
    assert link.startswith("https://cn-north-1.console.amazonaws.cn/sagemaker/")
