"""terraform/ applied: on moto with what it lacks (moto_aws.py), never on AWS.

Each environment is built, found unchanged by a second plan, given a first version, a second one and the first again,
and taken down.
"""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import boto3
import pytest

import delivery
from delivery import run, tool
from providers import started

ACCOUNT = "123456789012"  # moto's
REGION = "eu-central-1"
ACCOUNTS = dict.fromkeys(("aws_account_dev", "aws_account_qa", "aws_account_prod"), ACCOUNT)
# The keys of nobody; one attempt, so that a call that moto lacks fails at once.
OVERRIDE = """
terraform {
  backend "local" {}
}

provider "aws" {
  access_key                  = "nobody"
  secret_key                  = "nobody"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  s3_use_path_style           = true
  max_retries                 = 3
}
"""
# Everything that moto has; no feature group, which never gets ready there, and no MLflow server.
SWITCHES = """
training_environment: prod
aws_access: { project_id: "4711" }
network: { interface_endpoints: [ecr.api, ecr.dkr, kms, logs, monitoring, sagemaker.api, sagemaker.runtime, sts] }
people: { stewards: ["arn:aws:iam::123456789012:role/stewards"] }
studio: { enabled: true, user_profiles: [ada] }
gateway: { enabled: true }
"""
UNCHANGED = 0


@pytest.fixture(scope="session")
def moto_provider(
    aws: str, provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The provider, for which AWS is moto."""
    with started(provider, tmp_path_factory.mktemp("moto_provider"), AWS_ENDPOINT_URL=aws) as environment:
        yield environment


class Stack:
    """The roots of one environment of a fresh repository."""

    def __init__(self, project: Path, environment: str, provider: dict[str, str]) -> None:
        self.project, self.environment = project, environment
        self.outside = provider | {"TF_DATA_DIR": f".terraform-{environment}"}

    def terraform(self, root: str, *arguments: str) -> CompletedProcess[str]:
        folder = self.project / "terraform" / root
        return run(tool("terraform"), *arguments, "-no-color", cwd=folder, env=self.outside)

    def change(self, root: str, verb: str, *more: str, **variables: Any) -> CompletedProcess[str]:
        folder = self.project / "terraform" / root
        (folder / "override.tf").write_text(OVERRIDE)
        given = folder / f"{self.environment}.tfvars.json"
        given.write_text(json.dumps({"environment": self.environment, **variables}))
        state = f"-state={self.environment}.tfstate"
        done = self.terraform(root, "init")
        assert done.returncode == 0, done.stdout + done.stderr
        return self.terraform(root, verb, f"-var-file={given.name}", state, *more)

    def apply(self, root: str, **variables: Any) -> str:
        done = self.change(root, "apply", "-auto-approve", **variables)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout

    def assert_unchanged(self, root: str, **variables: Any) -> None:
        done = self.change(root, "plan", "-detailed-exitcode", **variables)
        assert done.returncode == UNCHANGED, (done.stdout + done.stderr)[-6000:]

    def destroy(self, root: str, **variables: Any) -> None:
        done = self.change(root, "destroy", "-auto-approve", **variables)
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]

    def outputs(self, root: str) -> dict[str, Any]:
        done = self.terraform(root, "output", "-json", f"-state={self.environment}.tfstate")
        assert done.returncode == 0, done.stderr
        return {name: item["value"] for name, item in json.loads(done.stdout).items()}


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apply")
    made = delivery.bake(folder, mlops_stage="full", aws_region=REGION, gitlab_group="data", **ACCOUNTS)
    with (made / "config/prod.yaml").open("a") as settings:
        settings.write(SWITCHES)
    return made


def package(environment: str, version: int) -> str:
    return f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/churn-{environment}/{version}"


def monitoring(facts: dict[str, Any], aws: str) -> dict[str, Any]:
    """Variables of the monitor, whose code lies in a bucket of its own: those of the platform refuse plain HTTP."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as writer:
        writer.writestr("usecase/mlops/monitoring/function.py", "def handler(event, context): ...\n")
    bucket, key = "code-of-the-monitor", "churn/monitor/0a1b2c3d/monitor.zip"
    nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nobody", "region_name": REGION}
    s3 = boto3.client("s3", endpoint_url=aws, **nobody)
    with suppress(s3.exceptions.BucketAlreadyOwnedByYou):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=bucket, Key=key, Body=code.getvalue())
    sha256 = base64.b64encode(hashlib.sha256(code.getvalue()).digest()).decode()
    return {
        "baseline_uri": f"s3://{facts['artifact_bucket']}/registry/churn/0a1b2c3d",
        "monitor_package": {"bucket": bucket, "key": key, "sha256": sha256},
    }


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_an_environment_is_built_released_to_and_taken_down(
    environment: str, project: Path, moto_provider: dict[str, str], aws: str
) -> None:
    stack = Stack(project, environment, moto_provider)
    stack.apply("platform")
    stack.assert_unchanged("platform")
    facts = stack.outputs("platform")["platform"]

    stack.apply("serving", platform=facts)  # no version yet: nothing to make, and no error
    assert stack.outputs("serving").get("endpoint_name") is None
    monitor = monitoring(facts, aws)
    stack.apply("serving", platform=facts, model_package_arn=package(environment, 1), **monitor)
    stack.assert_unchanged("serving", platform=facts, model_package_arn=package(environment, 1), **monitor)
    assert stack.outputs("serving")["monitor_function_name"] == f"churn-{environment}-monitor"
    first = stack.outputs("serving")
    said = stack.apply("serving", platform=facts, model_package_arn=package(environment, 2), **monitor)
    second = stack.outputs("serving")
    assert second["endpoint_name"] == first["endpoint_name"]  # changed in place: no moment without an endpoint
    assert second["endpoint_config_name"] != first["endpoint_config_name"]
    assert "aws_sagemaker_endpoint.this" not in [line for line in said.splitlines() if "Destroying" in line]
    stack.apply("serving", platform=facts, model_package_arn=package(environment, 1))
    assert stack.outputs("serving")["model_package_arn"] == package(environment, 1)

    stack.destroy("serving", platform=facts, model_package_arn=package(environment, 1))
    if environment == "prod":  # a bucket that holds something stays: its access logs, here
        done = stack.change("platform", "destroy", "-auto-approve")
        assert "BucketNotEmpty" in done.stderr
        assert done.stderr.count("Error: ") == 1
    else:
        stack.destroy("platform")
