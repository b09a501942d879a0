"""docs/costs.md names everything in a plan that is paid for, and counts what is paid for while idle."""

import re
from collections.abc import Callable
from typing import Any

import pytest

import baking
from plans import Plans

PAGE = (baking.ROOT / baking.PROJECT_FOLDER / "docs/costs.md").read_text(encoding="utf-8")
# What AWS does not charge for, families by their beginning. What stands neither here nor on the page is a question.
FREE = (
    *(
        "aws_iam_",
        "aws_s3_bucket_",
        "aws_sns_topic_",
        "aws_sqs_queue_",
        "aws_ecr_lifecycle_",
        "aws_ecr_repository_policy",
    ),
    *(
        "aws_vpc",
        "aws_subnet",
        "aws_route",
        "aws_internet_gateway",
        "aws_security_group",
        "aws_default_",
        "aws_flow_log",
    ),
    *(
        "aws_network_acl",
        "aws_kms_alias",
        "aws_ssm_parameter",
        "aws_cloudwatch_event_",
        "aws_cloudwatch_log_resource_policy",
    ),
    *(
        "aws_sagemaker_model",
        "aws_sagemaker_endpoint_configuration",
        "aws_sagemaker_user_profile",
        "aws_appautoscaling_",
    ),
    *("aws_backup_plan", "aws_backup_selection", "aws_budgets_budget", "aws_wafv2_web_acl_", "aws_api_gateway_"),
    *("aws_lambda_function_event_", "aws_scheduler_", "aws_cloudformation_stack", "aws_cloudwatch_log_s"),
    *("aws_config_configuration_", "aws_config_delivery_channel", "aws_signer_", "terraform_data"),
)
COUNTED = ["aws_kms_key", "aws_cloudwatch_metric_alarm", "aws_cloudwatch_composite_alarm", "aws_cloudwatch_dashboard"]


def made(plans: Plans, *roots: str) -> list[tuple[str, dict[str, Any]]]:
    """Type and values of what the plans of these roots would create."""
    changes = (item for root in roots for item in plans[root]["resource_changes"])
    return [(item["type"], item["change"]["after"]) for item in changes if item["change"]["actions"] == ["create"]]


def units(values: dict[str, Any]) -> int:
    """What one resource counts for: an alarm is charged by its metrics; a usual course has bounds too."""
    metrics = sum("metric" in query and bool(query["metric"]) for query in values.get("metric_query") or []) or 1
    return metrics * (3 if values.get("threshold_metric_id") else 1)


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["dev", "qa", "prod"])
def test_whatever_is_paid_for_stands_on_the_page(environment: str, plans: Callable[[str], Plans]) -> None:
    """Prod has everything switched on."""
    named = set(re.findall(r"`(aws_\w+)`", PAGE))
    kinds = {kind for kind, _ in made(plans(environment), *plans(environment))}
    assert "aws_kms_key" in kinds
    assert {kind for kind in kinds if kind not in named and not kind.startswith(FREE)} <= {"aws_dynamodb_table"}


@pytest.mark.slow
@pytest.mark.parametrize(("column", "environment"), [(0, "dev"), (1, "qa")])
def test_what_costs_while_idle_is_counted(column: int, environment: str, plans: Callable[[str], Plans]) -> None:
    found = made(plans(environment), "platform", "serving")
    for kind in COUNTED:
        (row,) = re.findall(rf"^\| `{kind}`[^|]*\|(.+)$", PAGE, re.MULTILINE)
        assert int(row.split("|")[column]) == sum(units(values) for name, values in found if name == kind), kind


def test_the_sums_are_those_of_the_lines() -> None:
    table = PAGE.partition("## By default")[2].partition("\n\n## By setting")[0]
    rows = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line][2:]
    *lines, in_service, _ = rows
    for column in (-3, -2, -1):
        assert sum(float(line[column]) for line in lines) == pytest.approx(float(in_service[column]))
