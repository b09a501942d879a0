"""What a deployment brings along to look for drift: the monitor's code, and where the version's baseline is."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws.conftest import ACCOUNT, REGION

from usecase.mlops.monitoring import package

from .conftest import Account, FakeTerraform

Usecase = Callable[..., tuple[int, str, str]]
FOLDER = "s3://churn-dev-artifacts/churn-dev/pipelines-1/Baseline/baseline"
CODE = b"the code of the monitor"
pytestmark = pytest.mark.usefixtures("repository", "terraform")


@pytest.fixture(autouse=True)
def code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zip is built by a test of its own; here it is short."""

    def build(folder: Path) -> Path:
        (folder / package.FILE).write_bytes(CODE)
        return folder / package.FILE

    monkeypatch.setattr(package, "build", build)


@pytest.fixture
def version(account: Account) -> str:
    """A version with a baseline."""
    return account.version(DriftBaselineUri=f"{FOLDER}/drift_baseline.json")


def planned(terraform: FakeTerraform) -> dict[str, Any]:
    values: dict[str, Any] = terraform.called("serving", "plan")[-1]["values"][0]
    return values


def deployed(version: str, account: Account, terraform: FakeTerraform, usecase: Usecase) -> tuple[int, str, str]:
    account.serve(version, "config-1")
    terraform.plans("serving", aws_lambda_function=["create"])
    terraform.state("serving", endpoint_name="churn-dev", endpoint_config_name="config-1", model_name="config-1")
    return usecase("deploy", "--model", version, "--yes", "--root", "serving")


def test_a_deployment_sends_the_code_that_it_has_planned_with(
    version: str, account: Account, terraform: FakeTerraform, usecase: Usecase, aws: boto3.Session
) -> None:
    status, _, err = deployed(version, account, terraform, usecase)
    assert status == 0, err
    told = planned(terraform)
    assert told["baseline_uri"] == FOLDER
    place = told["monitor_package"]
    assert place["sha256"] == base64.b64encode(hashlib.sha256(CODE).digest()).decode()
    assert aws.client("s3").get_object(Bucket=place["bucket"], Key=place["key"])["Body"].read() == CODE
    assert place["key"].startswith("churn/monitor/")


def test_a_look_sends_nothing(version: str, terraform: FakeTerraform, usecase: Usecase, aws: boto3.Session) -> None:
    for words in (["deploy", "--dry-run"], ["plan"]):
        assert usecase(*words, "--model", version, "--root", "serving")[0] == 0
        assert planned(terraform)["monitor_package"]["key"].startswith("churn/monitor/")
    found = aws.client("s3").list_objects_v2(Bucket="churn-dev-artifacts").get("Contents", [])
    assert not [item for item in found if "/monitor/" in item["Key"]]


def test_a_plan_without_an_account_has_a_monitor(terraform: FakeTerraform, usecase: Usecase) -> None:
    arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/churn/1"
    status, _, err = usecase("plan", "--offline", "--root", "serving", "--model", arn)
    assert status == 0, err
    assert planned(terraform)["monitor_package"]["key"] == "churn/monitor/offline/monitor.zip"


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("monitoring: {enabled: false}", "no monitor: monitoring.enabled is false"),
        ("serving: {mode: serverless}", "no monitor: serving.mode is serverless, and only real-time endpoints"),
        ("capture: {percentage: 0}", "no monitor: capture.percentage is 0"),
    ],
)
def test_without_traffic_there_is_no_monitor_and_the_deployment_says_why(
    setting: str, says: str, version: str, terraform: FakeTerraform, usecase: Usecase
) -> None:
    Path("config/dev.yaml").write_text(f'aws_account: "{ACCOUNT}"\n{setting}\n')
    status, out, err = usecase("deploy", "--dry-run", "--model", version, "--root", "serving")
    assert (status, err) == (0, "")
    assert says in out
    assert "monitor_package" not in planned(terraform)


def test_a_version_without_a_baseline_is_deployed_without_a_monitor(
    account: Account, terraform: FakeTerraform, usecase: Usecase
) -> None:
    status, out, err = usecase("deploy", "--dry-run", "--model", account.version(), "--root", "serving")
    assert (status, err) == (0, "")
    assert "no monitor: version 1 keeps no drift_baseline.json: train a new one" in out
    assert "monitor_package" not in planned(terraform)


def test_model_monitor_alone_needs_no_code(version: str, terraform: FakeTerraform, usecase: Usecase) -> None:
    setting = "monitoring: {enabled: false, model_monitor: {data_quality: true}}"
    Path("config/dev.yaml").write_text(f'aws_account: "{ACCOUNT}"\n{setting}\n')
    assert usecase("deploy", "--dry-run", "--model", version, "--root", "serving")[0] == 0
    assert planned(terraform)["baseline_uri"] == FOLDER
    assert "monitor_package" not in planned(terraform)
