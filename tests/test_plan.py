"""`make plan` of a fresh repository: platform and serving of every environment, without an account."""

import json
import os
import sys
from pathlib import Path

import pytest

import delivery
from delivery import run, tool

ACCOUNTS = {"aws_account_dev": "111111111111", "aws_account_qa": "222222222222", "aws_account_prod": "333333333333"}
REGION = "eu-central-1"


@pytest.fixture(
    scope="module",
    params=[pytest.param(stage, marks=pytest.mark.xdist_group(stage)) for stage in ("automated", "full")],
)
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with its environment."""
    tool("terraform")
    project = delivery.bake(
        tmp_path_factory.mktemp("plan"), mlops_stage=request.param, aws_region=REGION, gitlab_group="data", **ACCOUNTS
    )
    done = run("make", f"PYTHON={sys.executable}", "setup", cwd=project)
    assert done.returncode == 0, done.stderr
    return project


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["dev", "qa", "prod"])
def test_every_environment_plans_without_an_account(
    environment: str, project: Path, provider: dict[str, str], running_provider: dict[str, str]
) -> None:
    """In dev as on a person's machine, where Terraform starts the provider."""
    account = ACCOUNTS[f"aws_account_{environment}"]
    model = f"arn:aws:sagemaker:{REGION}:{account}:model-package/churn-{environment}/7"
    nothing = {name: "" for name in os.environ if name.startswith("AWS_")}
    words = ["make", "plan", f"env={environment}", "offline=1", f"model={model}"]
    done = run(*words, cwd=project, env=(provider if environment == "dev" else running_provider) | nothing)
    assert done.returncode == 0, done.stderr
    for root, kind in (("platform", "aws_kms_key"), ("serving", "aws_sagemaker_endpoint")):
        kept = project / f".local/plans/{root}-{environment}.json"
        plan = json.loads(kept.read_text())
        made = {item["type"] for item in plan["resource_changes"] if item["change"]["actions"] == ["create"]}
        assert kind in made
        assert account in kept.read_text()
        assert kept.stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_a_cold_start_plans_nothing_that_serves(project: Path, running_provider: dict[str, str]) -> None:
    done = run("make", "plan", "env=dev", "offline=1", "root=serving", cwd=project, env=running_provider)
    assert done.returncode == 0, done.stderr
    assert "0 to add, 0 to change, 0 to destroy" in done.stdout


@pytest.mark.slow
def test_a_version_of_another_account_is_refused(project: Path, running_provider: dict[str, str]) -> None:
    model = f"arn:aws:sagemaker:{REGION}:999999999999:model-package/churn-dev/7"
    done = run("make", "plan", "env=dev", "offline=1", f"model={model}", cwd=project, env=running_provider)
    assert done.returncode != 0
    assert "is of account 999999999999, but dev deploys from its own registry" in done.stderr
