"""Names of AWS at their limits: the longest project name in the longest environment is legal wherever it stands."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest

import baking
from delivery import replace
from plans import ROOTS, Plan, Plans, planned, repository

SLUG = "a23456789-123456789-1234"
LONGEST_REGION = "ap-southeast-1"
ANY = r"[\x20-\x7e]+"
WORDS = r"[A-Za-z0-9_-]+"
GUIDE = "https://docs.aws.amazon.com"
TREE = baking.ROOT / baking.PROJECT_FOLDER
SUFFIX = 26  # what the provider appends to a `name_prefix`: a time stamp and a counter


@dataclass(frozen=True)
class Rule:
    """How long a name may be, what of, and where AWS says so."""

    longest: int
    pattern: str
    source: str


@cache
def shape(service: str, name: str) -> Rule:
    """The rule that AWS's own description of its API has, as botocore carries it."""
    found = botocore.session.get_session().get_service_model(service).shape_for(name).metadata
    return Rule(int(found["max"]), found.get("pattern", ANY).replace(r"\p{Print}+", ANY), f"{service} API, {name}")


BUCKET = Rule(
    63,
    r"(?!xn--|sthree-)[a-z0-9][a-z0-9.-]*[a-z0-9](?<!-s3alias)",
    f"{GUIDE}/AmazonS3/latest/userguide/bucketnamingrules.html",
)
SCHEDULE = shape("sagemaker", "MonitoringScheduleName")
# By type and attribute. Types of the API where it tells a limit, else the page that does.
RULES: dict[tuple[str, str], Rule] = {
    ("aws_api_gateway_rest_api", "name"): Rule(1024, ANY, f"{GUIDE}/apigateway/latest/api/API_CreateRestApi.html"),
    ("aws_api_gateway_usage_plan", "name"): Rule(1024, ANY, f"{GUIDE}/apigateway/latest/api/API_CreateUsagePlan.html"),
    ("aws_appautoscaling_policy", "name"): shape("application-autoscaling", "PolicyName"),
    ("aws_backup_plan", "name"): Rule(
        50, r"[A-Za-z0-9._-]+", f"{GUIDE}/aws-backup/latest/devguide/API_BackupPlan.html"
    ),
    ("aws_backup_vault", "name"): Rule(50, WORDS, "backup API, BackupVaultName"),
    ("aws_budgets_budget", "name"): Rule(100, r"[^:\\]+", "budgets API, BudgetName"),
    ("aws_cloudtrail", "name"): Rule(
        128, r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]", f"{GUIDE}/awscloudtrail/latest/APIReference/API_CreateTrail.html"
    ),
    ("aws_cloudformation_stack", "name"): Rule(
        128, r"[A-Za-z][A-Za-z0-9-]*", f"{GUIDE}/AWSCloudFormation/latest/APIReference/API_CreateStack.html"
    ),
    ("aws_cloudwatch_composite_alarm", "alarm_name"): shape("cloudwatch", "AlarmName"),
    ("aws_cloudwatch_metric_alarm", "alarm_name"): shape("cloudwatch", "AlarmName"),
    ("aws_cloudwatch_dashboard", "dashboard_name"): Rule(
        255, WORDS, f"{GUIDE}/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html"
    ),
    ("aws_cloudwatch_event_api_destination", "name"): shape("events", "ApiDestinationName"),
    ("aws_cloudwatch_event_bus", "name"): shape("events", "EventBusName"),
    ("aws_cloudwatch_event_connection", "name"): shape("events", "ConnectionName"),
    ("aws_cloudwatch_event_rule", "name"): shape("events", "RuleName"),
    ("aws_cloudwatch_log_group", "name"): shape("logs", "LogGroupName"),
    ("aws_cloudwatch_log_resource_policy", "policy_name"): Rule(
        255, ANY, f"{GUIDE}/AmazonCloudWatchLogs/latest/APIReference/API_PutResourcePolicy.html"
    ),
    ("aws_config_config_rule", "name"): shape("config", "ConfigRuleName"),
    ("aws_ecr_repository", "name"): shape("ecr", "RepositoryName"),
    ("aws_iam_policy", "name"): shape("iam", "policyNameType"),
    ("aws_iam_policy", "path"): Rule(512, r"/[\x21-\x7e]+/", "iam API, policyPathType"),
    ("aws_iam_role", "name"): shape("iam", "roleNameType"),
    ("aws_iam_role", "path"): Rule(512, r"/[\x21-\x7e]+/", "iam API, pathType"),
    ("aws_kms_alias", "name"): shape("kms", "AliasNameType"),
    ("aws_lambda_function", "function_name"): Rule(64, WORDS, f"{GUIDE}/lambda/latest/api/API_CreateFunction.html"),
    ("aws_s3_bucket", "bucket"): BUCKET,
    ("aws_s3_bucket_metric", "name"): Rule(
        64, r"[A-Za-z0-9._-]+", f"{GUIDE}/AmazonS3/latest/API/API_MetricsConfiguration.html"
    ),
    ("aws_sagemaker_data_quality_job_definition", "name"): shape("sagemaker", "MonitoringJobDefinitionName"),
    ("aws_sagemaker_domain", "domain_name"): shape("sagemaker", "DomainName"),
    ("aws_sagemaker_endpoint", "name"): shape("sagemaker", "EndpointName"),
    ("aws_sagemaker_endpoint_configuration", "name"): shape("sagemaker", "EndpointConfigName"),
    ("aws_sagemaker_mlflow_tracking_server", "tracking_server_name"): shape("sagemaker", "TrackingServerName"),
    ("aws_sagemaker_model", "name"): shape("sagemaker", "ModelName"),
    ("aws_sagemaker_monitoring_schedule", "name"): SCHEDULE,
    ("aws_sagemaker_model_package_group", "model_package_group_name"): shape("sagemaker", "EntityName"),
    ("aws_scheduler_schedule", "name"): shape("scheduler", "Name"),
    ("aws_scheduler_schedule_group", "name"): shape("scheduler", "ScheduleGroupName"),
    ("aws_security_group", "name"): Rule(
        255,
        r"(?!sg-)[A-Za-z0-9 ._:/()#,@\[\]+=&;{}!$*-]+",
        f"{GUIDE}/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html",
    ),
    ("aws_sfn_state_machine", "name"): Rule(
        80, WORDS, f"{GUIDE}/step-functions/latest/apireference/API_CreateStateMachine.html"
    ),
    ("aws_sns_topic", "name"): Rule(256, WORDS, f"{GUIDE}/sns/latest/api/API_CreateTopic.html"),
    ("aws_sns_topic", "display_name"): Rule(100, ANY, f"{GUIDE}/sns/latest/api/API_SetTopicAttributes.html"),
    ("aws_sqs_queue", "name"): Rule(
        80, WORDS, f"{GUIDE}/AWSSimpleQueueService/latest/APIReference/API_CreateQueue.html"
    ),
    ("aws_ssm_parameter", "name"): Rule(
        1011, r"(/[A-Za-z0-9_.-]+)+", f"{GUIDE}/systems-manager/latest/userguide/sysman-paramstore-su-create.html"
    ),
    ("aws_wafv2_web_acl", "name"): shape("wafv2", "EntityName"),
}
NAMING = re.compile(r"(.*_)?(name|name_prefix|identifier)|bucket|path")
# Attributes that hold the name of another resource, or text for people.
OF_ANOTHER = {
    *("event_bus_name", "s3_bucket_name", "bucket_name", "endpoint_config_name", "model_name", "group_name"),
    *("queue_name", "stage_name", "endpoint_name"),
}
# Names that are known when they are made: the line of the module that says so, and the longest that it can be.
LATER = {
    "aws_sagemaker_model": (
        'modules/model/main.tf: "${var.name}-v${local.version}-${substr(terraform_data.release.id, 0, 8)}"',
        f"{SLUG}-prod-v{10**6}-{'0' * 8}",
    ),
    "aws_sagemaker_data_quality_job_definition": (
        'modules/model_monitor/main.tf: "${var.name}-data-quality-${local.version}"',
        f"{SLUG}-prod-data-quality-{'0' * 8}",
    ),
}
# What prod does not already have on, and what the monitor is made of.
MORE = """monitoring:
  model_monitor:
    { data_quality: true, model_quality: true, bias: true, explainability: true, ground_truth_uri: "s3://data/labels",
      analysis_config_uri: "s3://data/analysis.json" }
"""
MONITOR = {
    "monitor_package": {"bucket": "artifacts", "key": "monitor.zip", "sha256": "0" * 43 + "="},
    "baseline_uri": "s3://artifacts/baseline",
}
# Serving by batch instead of an endpoint has names of its own.
BATCH = 'serving: { mode: batch }\nbatch: { schedule: "cron(0 5 * * ? *)" }\n'


@pytest.fixture(scope="module")
def longest(tmp_path_factory: pytest.TempPathFactory, running_provider: dict[str, str]) -> Plans:
    """Plans of prod, with everything switched on, of a project with as long a name as can be."""
    project = repository(tmp_path_factory.mktemp("longest"), project_slug=SLUG)
    settings = project / "config/prod.yaml"
    replace(settings, "gateway: { enabled: true }", "gateway: { enabled: true, auth: key }")
    endpoint = settings.read_text() + MORE
    settings.write_text(endpoint)
    plans = {root: planned(project, root, "prod", running_provider) for root in ROOTS if root != "serving"}
    plans["serving"] = planned(project, "serving", "prod", running_provider, **MONITOR)
    settings.write_text(
        re.sub(r"(?m)^(serving|scaling|rollout|gateway|monitoring):.*\n(  .*\n)*", "", endpoint) + BATCH
    )
    plans["serving by batch"] = planned(project, "serving", "prod", running_provider)
    return plans


def names(plan: Plan) -> Iterator[tuple[str, str, str]]:
    """Type, attribute and text of each name that follows from the project's; of a prefix, what it will become."""
    for item in plan["resource_changes"]:
        kind, values = item["type"], item["change"]["after"] or {}
        if item["mode"] != "managed":
            continue
        for attribute, value in values.items():
            if not isinstance(value, str) or not NAMING.fullmatch(attribute) or attribute in OF_ANOTHER:
                continue
            text = value.replace("eu-west-1", LONGEST_REGION)
            if SLUG not in text or belongs_to_another(kind, attribute):
                continue
            if attribute == "name_prefix":
                yield kind, "name", text + "0" * SUFFIX
            else:
                yield kind, attribute, text
        if kind in LATER:
            yield kind, "name", LATER[kind][1]


def belongs_to_another(kind: str, attribute: str) -> bool:
    """Whether an attribute of a resource names the resource that it is attached to."""
    own = {"bucket": "aws_s3_bucket", "function_name": "aws_lambda_function"}
    own["model_package_group_name"] = "aws_sagemaker_model_package_group"
    return attribute in own and kind != own[attribute]


def faults(plan: Plan) -> list[str]:
    """One line for each name that AWS would refuse, or that no rule is known for."""
    found = []
    for kind, attribute, text in sorted(set(names(plan))):
        rule = RULES.get((kind, attribute))
        if rule is None:
            found.append(f"{kind}.{attribute}: no rule is known for {text}")
        elif len(text) > rule.longest:
            found.append(
                f"{kind}.{attribute}: {text} has {len(text)} characters, {rule.longest} are allowed: {rule.source}"
            )
        elif not re.fullmatch(rule.pattern, text):
            found.append(f"{kind}.{attribute}: {text} is not {rule.pattern}: {rule.source}")
    return found


def test_the_slug_is_as_long_as_can_be(tmp_path: Path) -> None:
    template = baking.copy_of_rendered_files(tmp_path / "template")
    assert baking.bake("copier", template, tmp_path / "fits", {"project_slug": SLUG})
    with pytest.raises(ValueError, match="3 to 24"):
        baking.bake("copier", template, tmp_path / "longer", {"project_slug": SLUG + "5"})


@pytest.mark.slow
def test_every_name_is_legal(longest: Plans) -> None:
    assert {root: faults(plan) for root, plan in longest.items() if faults(plan)} == {}
    seen = {(kind, attribute) for plan in longest.values() for kind, attribute, _ in names(plan)}
    assert len(seen) > 30
    assert RULES.keys() - seen == set(), "a rule for names that no plan has any more"
    stack = (TREE / "terraform/modules/model_monitor/stack.yaml").read_text()
    schedules = re.findall(r'MonitoringScheduleName: !Sub "\$\{Name\}(.+)"', stack)
    assert schedules
    assert all(len(f"{SLUG}-prod{end}") <= SCHEDULE.longest for end in schedules)
    for place, _ in LATER.values():
        file, _, line = place.partition(": ")
        assert line in (TREE / "terraform" / file).read_text()


@pytest.mark.parametrize(
    ("kind", "attribute"), [*sorted(RULES), ("aws_sagemaker_endpoint_configuration", "name_prefix")]
)
def test_a_name_that_is_too_long_is_found(kind: str, attribute: str) -> None:
    rule = RULES[kind, attribute.removesuffix("_prefix")]
    text = (f"/{SLUG}" if attribute == "path" or kind == "aws_ssm_parameter" else SLUG).ljust(rule.longest, "x")
    item: dict[str, Any] = {"type": kind, "mode": "managed", "change": {"after": {attribute: text + "x"}}}
    assert any("characters" in fault for fault in faults({"resource_changes": [item]}))


def test_a_name_without_a_rule_is_found() -> None:
    item = {"type": "aws_new_thing", "mode": "managed", "change": {"after": {"name": f"{SLUG}-prod"}}}
    assert faults({"resource_changes": [item]}) == [f"aws_new_thing.name: no rule is known for {SLUG}-prod"]


def test_names_in_the_pipeline_are_legal() -> None:
    """Those of steps and parameters do not depend on the project; SageMaker makes the names of jobs of them."""
    definition = json.loads((TREE / "pipeline.json").read_text())

    def steps(some: list[dict[str, Any]]) -> Iterator[str]:
        for step in some:
            yield step["Name"]
            for branch in ("IfSteps", "ElseSteps"):
                yield from steps(step["Arguments"].get(branch, []))

    step, parameter = shape("sagemaker", "StepName"), shape("sagemaker", "PipelineParameterName")
    for rule, found in (
        (step, list(steps(definition["Steps"]))),
        (parameter, [p["Name"] for p in definition["Parameters"]]),
    ):
        assert found
        assert [name for name in found if len(name) > rule.longest or not re.fullmatch(rule.pattern, name)] == []
    pipeline = shape("sagemaker", "PipelineName")
    assert re.fullmatch(pipeline.pattern, f"{SLUG}-prod")
