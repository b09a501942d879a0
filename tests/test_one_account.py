"""One account can hold dev, qa and prod: whatever has a name in the account has one of its environment."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plans import ACCOUNTS, ENVIRONMENTS, Plans

# Attributes that name a resource in its account and region; an alias or a parameter has its path there.
NAMES = (
    "name",
    "bucket",
    "alarm_name",
    "dashboard_name",
    "domain_name",
    "model_package_group_name",
    "tracking_server_name",
)
# Their names are told apart by the resource that they belong to.
WITHIN = {
    *("aws_iam_role_policy", "aws_backup_selection", "aws_s3_bucket_metric", "aws_appautoscaling_policy"),
    *("aws_api_gateway_request_validator", "aws_api_gateway_model", "aws_api_gateway_resource"),
}
# Attributes that are the names of another resource, not of this one.
OF_ANOTHER = ("aws_s3_bucket_", "aws_ecr_", "aws_sagemaker_model_package_group_policy", "aws_budgets_")
ROOTS = ("bootstrap/usecase", "platform", "serving")
Name = tuple[str, str]


def named(plans: Plans, environment: str) -> Iterator[Name]:
    """Type and name of each resource that has one, as if all environments were in one account."""
    for root in ROOTS:
        for item in plans[root]["resource_changes"]:
            kind, values = item["type"], item["change"]["after"] or {}
            if item["mode"] != "managed" or kind in WITHIN:
                continue
            for attribute in NAMES:
                name = values.get(attribute)
                if isinstance(name, str) and (attribute == "name" or not kind.startswith(OF_ANOTHER)):
                    yield kind, name.replace(ACCOUNTS[f"aws_account_{environment}"], "ACCOUNT")


def shared(by_environment: dict[str, Plans]) -> dict[Name, list[str]]:
    """Names that more than one environment has."""
    found: dict[Name, list[str]] = {}
    for environment, plans in by_environment.items():
        for name in set(named(plans, environment)):
            found.setdefault(name, []).append(environment)
    return {name: environments for name, environments in found.items() if len(environments) > 1}


@pytest.fixture(scope="module")
def environments(plans: Callable[[str], Plans]) -> dict[str, Plans]:
    return {environment: plans(environment) for environment in ENVIRONMENTS}


@pytest.mark.slow
def test_no_name_is_that_of_two_environments(environments: dict[str, Plans]) -> None:
    assert len(set(named(environments["dev"], "dev"))) > 40
    assert shared(environments) == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "attribute"),
    [
        ("aws_sagemaker_model_package_group", "model_package_group_name"),
        ("aws_s3_bucket", "bucket"),
        ("aws_iam_role", "name"),
        ("aws_kms_alias", "name"),
        ("aws_ssm_parameter", "name"),
        ("aws_cloudwatch_metric_alarm", "alarm_name"),
        ("aws_ecr_repository", "name"),
    ],
)
def test_a_name_without_its_environment_is_found(kind: str, attribute: str, environments: dict[str, Plans]) -> None:
    planted: dict[str, Any] = copy.deepcopy({name: environments[name] for name in ("dev", "qa")})
    for plans in planted.values():
        items = plans["platform"]["resource_changes"] + plans["serving"]["resource_changes"]
        next(item for item in items if item["type"] == kind)["change"]["after"][attribute] = "churn"
    assert (kind, "churn") in shared(planted)
