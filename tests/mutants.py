"""Plans with one control dropped each: what the checks of a plan must find."""

import json
from collections.abc import Callable
from typing import Any

from plans import Plan

Mutant = Callable[[Plan], None]


def first(plan: Plan, kind: str, address: str = "") -> Plan:
    """The first resource of a type, of those whose address holds a text."""
    return next(item for item in plan["resource_changes"] if item["type"] == kind and address in item["address"])


def put(kind: str, path: str, value: Any, address: str = "") -> Mutant:
    """Sets a value, known from now on; the path must lead somewhere, or nothing would be planted."""

    def mutate(plan: Plan) -> None:
        change = first(plan, kind, address)["change"]
        keys: list[Any] = [int(part) if part.isdigit() else part for part in path.split(".")]
        *way, last = keys
        inner: Any = change["after"]
        unknown: Any = change["after_unknown"]
        for key in way:
            inner = inner[key]
            unknown = (
                unknown.get(key, {})
                if isinstance(unknown, dict)
                else unknown[key]
                if isinstance(unknown, list) and unknown
                else {}
            )
        inner[last] = value
        if isinstance(unknown, dict):
            unknown.pop(last, None)

    return mutate


def without(kind: str, address: str = "") -> Mutant:
    """Takes a resource out of the plan."""
    return lambda plan: plan["resource_changes"].remove(first(plan, kind, address))


def policy(kind: str, attribute: str = "policy", address: str = "", **statement: Any) -> Mutant:
    """Puts a policy with one statement in the place of the resource's own."""
    whole = {"Sid": "Planted", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::x/*"} | statement
    return put(kind, attribute, json.dumps({"Version": "2012-10-17", "Statement": [whole]}), address)


def dropped(kind: str, sid: str, address: str = "") -> Mutant:
    """Takes a statement out of a policy."""

    def mutate(plan: Plan) -> None:
        change = first(plan, kind, address)["change"]
        document = json.loads(change["after"]["policy"])
        kept = [item for item in document["Statement"] if item["Sid"] != sid]
        assert len(kept) < len(document["Statement"])
        change["after"]["policy"] = json.dumps(document | {"Statement": kept})

    return mutate


def in_one_zone(plan: Plan) -> None:
    for item in plan["resource_changes"]:
        if item["type"] == "aws_subnet":
            item["change"]["after"]["availability_zone"] = "eu-west-1a"


DATA = 'module.bucket["data"]'
SSE = "aws_s3_bucket_server_side_encryption_configuration"
DEFAULT = "rule.0.apply_server_side_encryption_by_default.0"
CONFIG = "aws_sagemaker_endpoint_configuration"
FUNCTION = "aws_lambda_function"
QUALITY = "aws_sagemaker_data_quality_job_definition"
FEDERATED = {"Federated": "arn:aws:iam::333333333333:oidc-provider/gitlab.com"}
PROJECT = {"gitlab.com:aud": "https://gitlab.com", "gitlab.com:sub": "project_path:data/churn:ref_type:branch:ref:main"}

MUTANTS: dict[str, tuple[str, Mutant]] = {
    "public ACLs": ("platform", put("aws_s3_bucket_public_access_block", "block_public_acls", False, DATA)),
    "public policies": ("platform", put("aws_s3_bucket_public_access_block", "block_public_policy", False, DATA)),
    "public ACLs are read": ("platform", put("aws_s3_bucket_public_access_block", "ignore_public_acls", False, DATA)),
    "public buckets": ("platform", put("aws_s3_bucket_public_access_block", "restrict_public_buckets", False, DATA)),
    "no block at all": ("platform", without("aws_s3_bucket_public_access_block", DATA)),
    "owners by ACL": (
        "platform",
        put("aws_s3_bucket_ownership_controls", "rule.0.object_ownership", "ObjectWriter", DATA),
    ),
    "no versions": (
        "platform",
        put("aws_s3_bucket_versioning", "versioning_configuration.0.status", "Suspended", DATA),
    ),
    "no versioning": ("platform", without("aws_s3_bucket_versioning", DATA)),
    "AWS's key": ("platform", put(SSE, f"{DEFAULT}.sse_algorithm", "AES256", DATA)),
    "no key": ("platform", put(SSE, f"{DEFAULT}.kms_master_key_id", None, DATA)),
    "no encryption": ("platform", without(SSE, DATA)),
    "plain HTTP": ("platform", dropped("aws_s3_bucket_policy", "OnlyTls", DATA)),
    "no bucket policy": ("platform", without("aws_s3_bucket_policy", DATA)),
    "an open bucket": ("platform", policy("aws_s3_bucket_policy", address=DATA, Principal="*")),
    "nobody logs": ("platform", without("aws_s3_bucket_logging", DATA)),
    "old versions stay": ("platform", put("aws_s3_bucket_lifecycle_configuration", "rule", [], DATA)),
    "destroy empties prod": ("platform", put("aws_s3_bucket", "force_destroy", True, DATA)),
    "a key for ever": ("platform", put("aws_kms_key", "enable_key_rotation", False)),
    "a key gone at once": ("platform", put("aws_kms_key", "deletion_window_in_days", 1)),
    "an open key": ("platform", policy("aws_kms_key", Principal={"AWS": "*"}, Action="kms:*", Resource="*")),
    "a default group that lets in": ("platform", put("aws_default_security_group", "ingress", [{"protocol": "-1"}])),
    "no default group": ("platform", without("aws_default_security_group")),
    "no flow log": ("platform", without("aws_flow_log")),
    "a log of refusals": ("platform", put("aws_flow_log", "traffic_type", "REJECT")),
    "one zone": ("platform", in_one_zone),
    "an open endpoint": ("platform", put("aws_vpc_endpoint", "policy", None, "s3")),
    "public addresses": ("platform", put("aws_subnet", "map_public_ip_on_launch", True)),
    "everyone comes in": ("platform", put("aws_vpc_security_group_ingress_rule", "cidr_ipv4", "0.0.0.0/0")),
    "a rule without a reason": ("platform", put("aws_vpc_security_group_ingress_rule", "description", "")),
    "any account's service": (
        "platform",
        policy(
            "aws_iam_role",
            "assume_role_policy",
            Action="sts:AssumeRole",
            Principal={"Service": "sagemaker.amazonaws.com"},
        ),
    ),
    "everyone takes the role": (
        "platform",
        policy("aws_iam_role", "assume_role_policy", Action="sts:AssumeRole", Principal={"AWS": "*"}),
    ),
    "a day-long session": ("platform", put("aws_iam_role", "max_session_duration", 43200)),
    "an unbounded role": ("platform", put("aws_iam_role", "permissions_boundary", None)),
    "all of a service": ("platform", policy("aws_iam_role_policy", Action="s3:*")),
    "all of everything": ("platform", policy("aws_iam_role_policy", Action="*", Resource="*")),
    "all but": ("platform", policy("aws_iam_role_policy", NotAction="iam:*", Action=None)),
    "all resources": ("platform", policy("aws_iam_role_policy", Action="kms:Decrypt", Resource="*")),
    "any role is passed": (
        "platform",
        policy("aws_iam_role_policy", Action="iam:PassRole", Resource="arn:aws:iam::333333333333:role/x"),
    ),
    "a role is passed anywhere": (
        "bootstrap/usecase",
        policy(
            "aws_iam_policy",
            address="deploy-compute",
            Action="iam:PassRole",
            Resource="*",
            Condition={"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}},
        ),
    ),
    "jobs do anything": ("bootstrap/usecase", policy("aws_iam_policy", address="deploy-storage", Action="s3:*")),
    "jobs touch everything": (
        "bootstrap/usecase",
        policy("aws_iam_policy", address="deploy-storage", Action="s3:DeleteObject", Resource="*"),
    ),
    "any project": (
        "bootstrap/usecase",
        policy(
            "aws_iam_role",
            "assume_role_policy",
            Action="sts:AssumeRoleWithWebIdentity",
            Principal=FEDERATED,
            Condition={
                "StringEquals": {"gitlab.com:aud": "x"},
                "StringLike": {"gitlab.com:sub": "project_path:data/*"},
            },
        ),
    ),
    "any token": (
        "bootstrap/usecase",
        policy(
            "aws_iam_role",
            "assume_role_policy",
            Action="sts:AssumeRoleWithWebIdentity",
            Principal=FEDERATED,
            Condition={"StringEquals": {"gitlab.com:aud": "x"}},
        ),
    ),
    "any audience": (
        "bootstrap/usecase",
        policy(
            "aws_iam_role",
            "assume_role_policy",
            Action="sts:AssumeRoleWithWebIdentity",
            Principal=FEDERATED,
            Condition={"StringEquals": {"gitlab.com:sub": PROJECT["gitlab.com:sub"]}},
        ),
    ),
    "no audience": ("bootstrap/account", put("aws_iam_openid_connect_provider", "client_id_list", [])),
    "images are not scanned": (
        "platform",
        put("aws_ecr_repository", "image_scanning_configuration.0.scan_on_push", False),
    ),
    "tags move": ("platform", put("aws_ecr_repository", "image_tag_mutability", "MUTABLE")),
    "images stay": ("platform", without("aws_ecr_lifecycle_policy")),
    "images with AWS's key": (
        "platform",
        put("aws_ecr_repository", "encryption_configuration.0.encryption_type", "AES256"),
    ),
    "plain messages": ("platform", put("aws_sns_topic", "kms_master_key_id", None)),
    "an open topic": (
        "platform",
        policy("aws_sns_topic_policy", Principal="*", Action="sns:Publish", Resource="arn:aws:sns:eu-west-1:3:x"),
    ),
    "a plain queue": ("platform", put("aws_sqs_queue", "kms_master_key_id", None)),
    "an open queue": (
        "platform",
        policy(
            "aws_sqs_queue_policy",
            Principal={"AWS": "*"},
            Action="sqs:SendMessage",
            Resource="arn:aws:sqs:eu-west-1:3:x",
        ),
    ),
    "events get lost": ("platform", put("aws_cloudwatch_event_target", "dead_letter_config", [])),
    "plain logs": ("platform", put("aws_cloudwatch_log_group", "kms_key_id", None)),
    "logs for a week": ("platform", put("aws_cloudwatch_log_group", "retention_in_days", 7)),
    "an open registry": (
        "platform",
        policy(
            "aws_sagemaker_model_package_group_policy",
            "resource_policy",
            Principal="*",
            Action="sagemaker:DescribeModelPackage",
            Resource="arn:x",
        ),
    ),
    "Studio in the internet": (
        "platform",
        put("aws_sagemaker_domain", "app_network_access_type", "PublicInternetOnly"),
    ),
    "Studio with AWS's key": ("platform", put("aws_sagemaker_domain", "kms_key_id", None)),
    "nobody's bucket": ("platform", put("aws_s3_bucket", "tags_all", {"Project": "churn"}, DATA)),
    "a model with internet": ("serving", put("aws_sagemaker_model", "enable_network_isolation", False)),
    "a model outside": ("serving", put("aws_sagemaker_model", "vpc_config", [])),
    "an unregistered model": (
        "serving",
        put("aws_sagemaker_model", "primary_container", [{"image": "x", "model_data_url": "s3://x"}]),
    ),
    "one instance": ("serving", put(CONFIG, "production_variants.0.initial_instance_count", 1)),
    "plain volumes": ("serving", put(CONFIG, "kms_key_arn", None)),
    "requests alone": ("serving", put(CONFIG, "data_capture_config.0.capture_options", [{"capture_mode": "Input"}])),
    "plain captures": ("serving", put(CONFIG, "data_capture_config.0.kms_key_id", None)),
    "a shell": ("serving", put(CONFIG, "production_variants.0.enable_ssm_access", True)),
    "no way back": ("serving", put("aws_sagemaker_endpoint", "deployment_config.0.auto_rollback_configuration", [])),
    "an API for all": ("serving", put("aws_api_gateway_method", "authorization", "NONE")),
    "requests of any form": ("serving", put("aws_api_gateway_method", "request_validator_id", None)),
    "no firewall": ("serving", without("aws_wafv2_web_acl_association")),
    "a firewall without rules": ("serving", put("aws_wafv2_web_acl", "rule", [])),
    "a silent firewall": ("serving", without("aws_wafv2_web_acl_logging_configuration")),
    "no traces": ("serving", put("aws_api_gateway_stage", "xray_tracing_enabled", False)),
    "no access log": ("serving", put("aws_api_gateway_stage", "access_log_settings", [])),
    "one region": ("bootstrap/account", put("aws_cloudtrail", "is_multi_region_trail", False)),
    "a plain trail": ("bootstrap/account", put("aws_cloudtrail", "kms_key_id", None)),
    "a trail to be forged": ("bootstrap/account", put("aws_cloudtrail", "enable_log_file_validation", False)),
    "a trail nobody sees": ("bootstrap/account", put("aws_cloudtrail", "cloud_watch_logs_group_arn", None)),
    "a recorder of some": (
        "bootstrap/account",
        put("aws_config_configuration_recorder", "recording_group.0.all_supported", False),
    ),
    "locks that are lost": ("bootstrap/account", put("aws_dynamodb_table", "point_in_time_recovery.0.enabled", False)),
    "locks that are deleted": ("bootstrap/account", put("aws_dynamodb_table", "deletion_protection_enabled", False)),
    "plain locks": ("bootstrap/account", put("aws_dynamodb_table", "server_side_encryption", [])),
    "an old Python": ("serving", put(FUNCTION, "runtime", "python3.8")),
    "windows get lost": ("serving", put(FUNCTION, "dead_letter_config", [])),
    "a plain environment": ("serving", put(FUNCTION, "kms_key_arn", None)),
    "two at a time": ("serving", put(FUNCTION, "reserved_concurrent_executions", -1)),
    "nobody's function": ("serving", put(FUNCTION, "tags_all", {})),
    "a schedule that loses": ("serving", put("aws_scheduler_schedule", "target.0.dead_letter_config", [])),
    "the monitor reads all buckets": (
        "serving",
        policy("aws_iam_role_policy", address="monitor", Action="s3:GetObject", Resource="*"),
    ),
    "the monitor does anything": ("serving", policy("aws_iam_role_policy", address="monitor", Action="s3:*")),
    "any account's function": (
        "serving",
        policy(
            "aws_iam_role",
            "assume_role_policy",
            address="monitor",
            Action="sts:AssumeRole",
            Principal={"Service": "lambda.amazonaws.com"},
        ),
    ),
    "a plain queue of windows": ("serving", put("aws_sqs_queue", "kms_master_key_id", None, "monitor")),
    "a plain log of the monitor": ("serving", put("aws_cloudwatch_log_group", "kms_key_id", None, "monitor")),
    "drift that nobody hears of": ("serving", put("aws_cloudwatch_composite_alarm", "alarm_actions", [], "drift")),
    "a monitor with internet": (
        "serving",
        put(QUALITY, "network_config.0.enable_network_isolation", False),
    ),
    "a monitor outside": ("serving", put(QUALITY, "network_config.0.vpc_config", [])),
    "a monitor in the clear": (
        "serving",
        put(QUALITY, "network_config.0.enable_inter_container_traffic_encryption", False),
    ),
    "plain disks of a monitor": (
        "serving",
        put(QUALITY, "job_resources.0.cluster_config.0.volume_kms_key_id", None),
    ),
    "plain reports": ("serving", put(QUALITY, "data_quality_job_output_config.0.kms_key_id", None)),
    "plain lines": ("serving", put("aws_kinesis_firehose_delivery_stream", "server_side_encryption.0.key_arn", None)),
    "an open bus": (
        "platform",
        policy(
            "aws_cloudwatch_event_bus_policy",
            Principal="*",
            Action="events:PutEvents",
            Resource="arn:aws:events:eu-west-1:3:event-bus/x",
        ),
    ),
    "askings get lost": ("platform", put("aws_cloudwatch_event_target", "dead_letter_config", [], "retrain")),
}
