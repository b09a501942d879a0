"""From a decision in the registry to the jobs: rule, transformer and destination of a plan, then the graph of jobs."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from moto.events.models import EventPattern

import gitlab_ci
import plans
from delivery import run
from gitlab_ci import event

PREFIX = "arn:aws:sagemaker:eu-west-1:111111111111:model-package/"
VERSION = f"{PREFIX}churn-dev/3"
ROLES = {f"AWS_{name}_ROLE_ARN": "arn:aws:iam::111111111111:role/r" for name in ("TRAIN", "PROMOTE", "APPROVE")}
TO_PROD = {"deploy:dev", "smoke:dev", "stop:dev", "deploy:qa", "integration:qa", "deploy:prod", "verify:prod"}


def sample(status: str, arn: str = VERSION) -> Any:
    """An event as SageMaker sends it (Developer Guide, "Model package state change")."""
    group, _, number = arn.removeprefix(PREFIX).partition("/")
    return {
        "version": "0",
        "id": "844e2571-85d4-695f-b930-0153b71dcb42",
        "detail-type": "SageMaker Model Package State Change",
        "source": "aws.sagemaker",
        "account": "111111111111",
        "time": "2026-11-21T17:00:14Z",
        "region": "eu-west-1",
        "resources": [arn],
        "detail": {
            "ModelPackageName": f"{group}/{number}",
            "ModelPackageGroupName": group,
            "ModelPackageVersion": int(number),
            "ModelPackageArn": arn,
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": status,
            "CreationTime": 1795280414000,
        },
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plans.repository(tmp_path_factory.mktemp("flow"))


@pytest.fixture(scope="module")
def planned(project: Path, running_provider: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What terraform/platform would make in dev, by address."""
    plan = plans.planned(project, "platform", "dev", running_provider)
    gitlab_ci.repository(project)
    return {item["address"]: item["change"]["after"] for item in plan["resource_changes"]}


def requests(planned: dict[str, dict[str, Any]], told: Any) -> list[dict[str, Any]]:
    """Bodies that the rules send to GitLab's trigger for an event."""
    found = []
    for address, rule in planned.items():
        if not address.startswith("aws_cloudwatch_event_rule.status["):
            continue
        target = planned[address.replace("event_rule.status", "event_target.gitlab")]
        if EventPattern.load(rule["event_pattern"]).matches_event(told):
            assert target["rule"] == rule["name"]
            (transformer,) = target["input_transformer"]
            text = transformer["input_template"]
            for name, path in transformer["input_paths"].items():
                value: Any = told
                for key in path.removeprefix("$.").split("."):
                    value = value[key]
                text = text.replace(f"<{name}>", str(value))
            found.append(json.loads(text))
    return found


def begun(project: Path, request: dict[str, Any]) -> set[str]:
    """The jobs that GitLab starts for a request to its trigger; terraform-program brings a tool alone."""
    what = event("trigger", ref=request["ref"], inputs=request["inputs"], variables=ROLES)
    return set(gitlab_ci.jobs(project, what)) - {"terraform-program"}


def called(project: Path, job: str, inputs: dict[str, str], folder: Path) -> list[str]:
    """How `usecase` is called by the script of a job, really run."""
    config = gitlab_ci.load(project, inputs)
    folder.mkdir()
    uv = folder / "uv"
    uv.write_text(f'#!/bin/sh\nshift\nfor word in "$@"; do echo "$word"; done >> "{folder}/calls"\n')
    uv.chmod(0o755)
    known = {**config["variables"], **config[job].get("variables", {})}
    given = {name: gitlab_ci.expand(str(value), known) for name, value in known.items()}
    given |= {"CI_ENVIRONMENT_NAME": config[job].get("environment", {}).get("name", "")}
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = run("sh", "-euc", "\n".join(config[job]["script"]), cwd=folder, env=given | {"PATH": path, "AGAIN": ""})
    assert done.returncode == 0, done.stderr
    return (folder / "calls").read_text().splitlines()


def test_the_request_is_one_that_gitlab_takes(planned: dict[str, dict[str, Any]]) -> None:
    destination = planned["aws_cloudwatch_event_api_destination.gitlab[0]"]
    assert destination["http_method"] == "POST"
    assert urlsplit(destination["invocation_endpoint"]).path == "/api/v4/projects/4711/trigger/pipeline"
    (parameters,) = planned["aws_cloudwatch_event_connection.gitlab[0]"]["auth_parameters"]
    (http,) = parameters["invocation_http_parameters"]
    assert [(item["key"], item["is_value_secret"]) for item in http["body"]] == [("token", True)]


def test_an_approval_deploys_exactly_that_version(
    planned: dict[str, dict[str, Any]], project: Path, tmp_path: Path
) -> None:
    (request,) = requests(planned, sample("Approved"))
    assert request["ref"] == "main"
    assert begun(project, request) == TO_PROD
    for job, environment in (("deploy:dev", "dev"), ("deploy:qa", "qa"), ("deploy:prod", "prod")):
        words = called(project, job, request["inputs"], tmp_path / environment)
        assert words == ["usecase", "ci", "deliver", "--env", environment, "--model", VERSION]
    # The same event again is the same request: what the jobs find done they leave alone (tests/mlops/delivery/).
    assert requests(planned, sample("Approved")) == [request]


def test_a_rejection_opens_an_issue_and_deploys_nothing(
    planned: dict[str, dict[str, Any]], project: Path, tmp_path: Path
) -> None:
    (request,) = requests(planned, sample("Rejected"))
    assert begun(project, request) == {"live:dev", "live:qa", "live:prod", "model-rejected"}
    words = called(project, "model-rejected", request["inputs"], tmp_path / "job")
    assert words == ["usecase", "ci", "rejected", "--model", VERSION]


def test_a_version_that_waits_is_shown_to_the_steward(
    planned: dict[str, dict[str, Any]], project: Path, tmp_path: Path
) -> None:
    (request,) = requests(planned, sample("PendingManualApproval"))
    assert begun(project, request) == {"model-report", "approve-model", "reject-model"}
    words = called(project, "model-report", request["inputs"], tmp_path / "job")
    assert words == ["usecase", "ci", "report", "--model", VERSION, "--output", "model-report"]


@pytest.mark.parametrize(
    "told",
    [
        sample("Approved", f"{PREFIX}fraud-dev/3"),
        sample("Approved", f"{PREFIX}churn-dev-old/3"),
        sample("Approved") | {"source": "aws.ecr"},
        sample("Approved") | {"detail-type": "SageMaker Endpoint State Change"},
        sample("Unknown"),
    ],
    ids=["other group", "group of a like name", "other service", "other event", "other status"],
)
def test_what_is_not_about_this_model_starts_nothing(told: Any, planned: dict[str, dict[str, Any]]) -> None:
    assert requests(planned, told) == []


@pytest.mark.parametrize("arn", [f"{VERSION}; true", "churn/3", f"{VERSION}\n", "$(id)"])
def test_a_request_that_names_no_version_starts_no_pipeline(arn: str, project: Path) -> None:
    gitlab_ci.repository(project)
    with pytest.raises(ValueError, match="model_package_arn"):
        gitlab_ci.load(project, {"registry_event": "approved", "model_package_arn": arn})
