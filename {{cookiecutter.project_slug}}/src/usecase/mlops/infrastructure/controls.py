"""Security controls that a plan of Terraform can show, checked before anything is applied.

Ids are those of AWS Security Hub ("Foundational Security Best Practices": S3.1, SageMaker.5); `own` where it has none.
A value that is known after apply only comes from another resource of the plan and counts as set. A control without a
resource to look at is not passed but listed as having no subject.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from usecase.mlops.infrastructure.resources import UNKNOWN, Resource, Resources, item_of
from usecase.mlops.infrastructure.statements import Statement, bounded, knows_no_resource, statements

MINIMUM_LOG_DAYS = 365
# Services that do not say for whose resources they take a role, or not on all of their ways.
WITHOUT_SOURCE = {"apigateway.amazonaws.com", "backup.amazonaws.com", "cloudtrail.amazonaws.com"}
PYTHONS = ("python3.12", "python3.13")
REQUIRED_TAGS = {"Project", "Environment", "Owner"}


@dataclass(frozen=True)
class Control:
    """What must hold for every resource of a type; `words` end the sentence that begins with its address."""

    id: str
    type: str
    words: str
    holds: Callable[[Resource], bool]


@dataclass(frozen=True)
class Findings:
    """What a plan shows: problems (a line each), controls that hold, and those that had nothing to look at."""

    problems: list[str]
    held: list[str]
    without_subject: list[str]

    @property
    def summary(self) -> str:
        """Numbers for people."""
        return f"{len(self.held)} security controls hold, {len(self.without_subject)} have nothing to look at"


def examine(plan: Mapping[str, Any], environment: str) -> Findings:
    """Hold a plan (`terraform show -json`) of an environment against all controls."""
    resources = Resources(plan, environment)
    problems: list[str] = []
    held: list[str] = []
    without_subject: list[str] = []
    for control in CONTROLS:
        name = f"{control.id} {control.type}: {control.words}"
        subjects = resources.of(control.type)
        failed = [subject.address for subject in subjects if not control.holds(subject)]
        problems += [f"{address} {control.words} ({control.id})" for address in failed]
        if not subjects:
            without_subject.append(name)
        elif not failed:
            held.append(name)
    return Findings(problems, held, without_subject)


def _is_set(path: str) -> Callable[[Resource], bool]:
    return lambda subject: subject.get(path) not in (None, "", [], 0, False)


def _is(path: str, *wanted: Any) -> Callable[[Resource], bool]:
    return lambda subject: subject.get(path) is UNKNOWN or subject.get(path) in wanted


def _between(path: str, lowest: int, highest: int) -> Callable[[Resource], bool]:
    def holds(subject: Resource) -> bool:
        value = subject.get(path)
        return value is UNKNOWN or (isinstance(value, int | float) and lowest <= value <= highest)

    return holds


def _all(*checks: Callable[[Resource], bool]) -> Callable[[Resource], bool]:
    return lambda subject: all(check(subject) for check in checks)


def _beside(kind: str, check: Callable[[Resource], bool] = lambda _: True) -> Callable[[Resource], bool]:
    return lambda subject: bool(subject.beside(kind)) and all(check(other) for other in subject.beside(kind))


def _said(check: Callable[[list[Statement]], bool]) -> Callable[[Resource], bool]:
    return lambda subject: subject.policy is None or check(subject.policy)


def _refuses_plain_http(found: list[Statement]) -> bool:
    return any(
        item.effect == "Deny" and item.everyone and item.condition("Bool", "aws:SecureTransport") == {"false"}
        for item in found
    )


def _has_no_public_allow(found: list[Statement]) -> bool:
    return not any(item.effect == "Allow" and item.everyone and not item.conditions for item in found)


def _receives_logs(bucket: Resource) -> bool:
    texts = [json.dumps(policy.get("policy"), default=str) for policy in bucket.beside("aws_s3_bucket_policy")]
    return any("logging.s3.amazonaws.com" in text for text in texts)


def _encrypts(bucket: Resource) -> bool:
    """With a key of one's own; S3 delivers access logs only to a bucket without."""
    rule = "rule.0.apply_server_side_encryption_by_default.0"
    key = _all(
        _is(f"{rule}.sse_algorithm", "aws:kms"),
        _is_set(f"{rule}.kms_master_key_id"),
        _is("rule.0.bucket_key_enabled", True),
    )
    kind = "aws_s3_bucket_server_side_encryption_configuration"
    plain = _is(f"{rule}.sse_algorithm", "AES256", "aws:kms")
    return _beside(kind, plain if _receives_logs(bucket) else key)(bucket)


def _expires(lifecycle: Resource) -> bool:
    rules = range(len(lifecycle.after.get("rule") or []))
    enabled = all(lifecycle.get(f"rule.{number}.status") == "Enabled" for number in rules)
    old = any(_is_set(f"rule.{number}.noncurrent_version_expiration.0.noncurrent_days")(lifecycle) for number in rules)
    parts = any(
        _is_set(f"rule.{number}.abort_incomplete_multipart_upload.0.days_after_initiation")(lifecycle)
        for number in rules
    )
    return enabled and old and parts


def _two_zones(vpc: Resource) -> bool:
    subnets = vpc.beside("aws_subnet")
    return len({subnet.get("availability_zone") for subnet in subnets}) >= 2


def _asks_whose(trust: list[Statement]) -> bool:
    """A service is asked for whose resources it takes the role, a token for whom it was issued."""
    for item in trust:
        if item.effect != "Allow" or item.everyone:
            return False
        services = item.principals("Service") - WITHOUT_SOURCE
        if services and not item.condition("StringEquals", "aws:SourceAccount"):
            return False
        if item.principals("Federated") and not _pins_project(item):
            return False
    return bool(trust)


def _pins_project(item: Statement) -> bool:
    keys = item.keys
    audience = any(key.endswith(":aud") for test, key in keys if test == "StringEquals")
    subjects = {value for test, key in keys if key.endswith(":sub") for value in item.condition(test, key)}
    pinned = all(
        value.startswith("project_path:") and "*" not in value.partition(":ref_type:")[0] for value in subjects
    )
    return audience and bool(subjects) and pinned


def _trust(role: Resource) -> bool:
    text = role.get("assume_role_policy")
    return text is UNKNOWN or _asks_whose(statements(text))


def _passes_roles_narrowly(found: list[Statement]) -> bool:
    passing = [item for item in found if item.effect == "Allow" and item.allows("iam:PassRole")]
    return all(item.condition("StringEquals", "iam:PassedToService") and "*" not in item.resources for item in passing)


def _bounded_permissions(found: list[Statement]) -> bool:
    return all(bounded(item) for item in found)


def _names_resources(found: list[Statement]) -> bool:
    return all(
        knows_no_resource(item)
        for item in found
        if item.effect == "Allow" and "*" in item.resources and not item.conditions
    )


def _is_boundary(policy: Resource) -> bool:
    """A boundary grants nothing: it names services, and the policies within it name actions."""
    return str(policy.get("name")).endswith("-boundary")


def _unless(exempt: Callable[[Resource], bool], check: Callable[[Resource], bool]) -> Callable[[Resource], bool]:
    return lambda subject: exempt(subject) or check(subject)


def _keeps_logs(group: Resource) -> bool:
    days = group.get("retention_in_days")
    return days is UNKNOWN or (days or 0) >= (MINIMUM_LOG_DAYS if group.environment == "prod" else 30)


def _enough_instances(config: Resource) -> bool:
    variants = config.after.get("production_variants") or []
    async_ = bool(config.after.get("async_inference_config"))
    return (
        config.environment != "prod"
        or async_
        or all(
            variant.get("serverless_config") or (variant.get("initial_instance_count") or 0) >= 2
            for variant in variants
        )
    )


def _is_serverless(config: Resource) -> bool:
    return any(variant.get("serverless_config") for variant in config.after.get("production_variants") or [])


def _captures(config: Resource) -> bool:
    capture = "data_capture_config.0"
    modes = {option.get("capture_mode") for option in item_of(config.get(capture), "capture_options") or []}
    return not config.after.get("data_capture_config") or (
        (modes == {"Input", "Output"} or modes == {"InputAndOutput"}) and _is_set(f"{capture}.kms_key_id")(config)
    )


def _rolls_back(endpoint: Resource) -> bool:
    found = endpoint.get("deployment_config.0.auto_rollback_configuration.0.alarms")
    return found is UNKNOWN or bool(found)


def _no_shell(config: Resource) -> bool:
    both = [*(config.after.get("production_variants") or []), *(config.after.get("shadow_production_variants") or [])]
    return not any(variant.get("enable_ssm_access") for variant in both)


def _is_empty(group: Resource) -> bool:
    """Terraform takes all rules out of a default group; before it has seen them, they are unknown."""
    return all(group.get(direction) in (None, [], UNKNOWN) for direction in ("ingress", "egress"))


def _not_from_everywhere(rule: Resource) -> bool:
    return str(rule.get("cidr_ipv4")) != "0.0.0.0/0" and str(rule.get("cidr_ipv6")) != "::/0"


def _tagged(subject: Resource) -> bool:
    tags = subject.get("tags_all")
    return tags is UNKNOWN or {name for name, value in (tags or {}).items() if value} >= REQUIRED_TAGS


def _isolated_image(model: Resource) -> bool:
    containers = [*(model.after.get("primary_container") or []), *(model.after.get("container") or [])]
    return bool(containers) and all(container.get("model_package_name") for container in containers)


def _controls() -> Iterator[Control]:
    bucket = "aws_s3_bucket"
    for flag in ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"):
        yield Control(
            "S3.8", bucket, f"must have {flag}", _beside("aws_s3_bucket_public_access_block", _is(flag, True))
        )
    yield Control(
        "S3.12",
        bucket,
        "must be closed to ACLs",
        _beside("aws_s3_bucket_ownership_controls", _is("rule.0.object_ownership", "BucketOwnerEnforced")),
    )
    yield Control(
        "S3.14",
        bucket,
        "must keep versions",
        _beside("aws_s3_bucket_versioning", _is("versioning_configuration.0.status", "Enabled")),
    )
    yield Control("S3.17", bucket, "must be encrypted with a key of its own", _encrypts)
    yield Control("S3.5", bucket, "must refuse plain HTTP", _beside("aws_s3_bucket_policy", _said(_refuses_plain_http)))
    yield Control(
        "S3.2", bucket, "must not be open to everyone", _beside("aws_s3_bucket_policy", _said(_has_no_public_allow))
    )
    yield Control(
        "S3.9",
        bucket,
        "must log who asks",
        _unless(_receives_logs, _beside("aws_s3_bucket_logging", _is_set("target_bucket"))),
    )
    yield Control(
        "S3.13",
        bucket,
        "must let old versions and unfinished uploads go",
        _beside("aws_s3_bucket_lifecycle_configuration", _expires),
    )
    yield Control(
        "own",
        bucket,
        "must not be emptied by destroy in prod",
        lambda subject: subject.environment != "prod" or not subject.get("force_destroy"),
    )

    key = "aws_kms_key"
    yield Control("KMS.4", key, "must rotate", _is("enable_key_rotation", True))
    yield Control(
        "KMS.3",
        key,
        "must wait before it is deleted",
        _between("deletion_window_in_days", 7, 30),
    )
    yield Control("KMS.5", key, "must not be open to everyone", _said(_has_no_public_allow))

    yield Control(
        "EC2.2",
        "aws_vpc",
        "must empty its default security group",
        _beside("aws_default_security_group", _is_empty),
    )
    yield Control(
        "EC2.6", "aws_vpc", "must have a flow log of all traffic", _beside("aws_flow_log", _is("traffic_type", "ALL"))
    )
    yield Control("own", "aws_vpc", "must have subnets in two zones", _two_zones)
    yield Control(
        "own",
        "aws_vpc",
        "must have a gateway endpoint of S3 with a policy",
        _beside("aws_vpc_endpoint", _all(_is("vpc_endpoint_type", "Gateway", "Interface"), _is_set("policy"))),
    )
    yield Control(
        "EC2.15",
        "aws_subnet",
        "must give no public address",
        lambda subject: not subject.get("map_public_ip_on_launch"),
    )
    yield Control("EC2.18", "aws_vpc_security_group_ingress_rule", "must not let everyone in", _not_from_everywhere)
    yield Control("EC2.19", "aws_vpc_security_group_ingress_rule", "must say what it is for", _is_set("description"))

    role = "aws_iam_role"
    yield Control("own", role, "must be taken only for this account, or by pinned jobs", _trust)
    yield Control("own", role, "must end after an hour", _between("max_session_duration", 1, 3600))
    yield Control(
        "own", role, "must have a permissions boundary", _unless(_of_account, _is_set("permissions_boundary"))
    )
    for kind in ("aws_iam_role_policy", "aws_iam_policy"):
        yield Control(
            "IAM.1", kind, "must not allow all actions of a service", _unless(_is_boundary, _said(_bounded_permissions))
        )
        yield Control(
            "IAM.21", kind, "must name the resources of its actions", _unless(_is_boundary, _said(_names_resources))
        )
        yield Control(
            "own", kind, "must pass roles to named services only", _unless(_is_boundary, _said(_passes_roles_narrowly))
        )
    yield Control("own", "aws_iam_openid_connect_provider", "must name its audience", _is_set("client_id_list"))

    image = "aws_ecr_repository"
    yield Control("ECR.1", image, "must scan images", _is("image_scanning_configuration.0.scan_on_push", True))
    yield Control("ECR.2", image, "must keep tags where they are", _is("image_tag_mutability", "IMMUTABLE"))
    yield Control("ECR.3", image, "must let images go that lost their tag", _beside("aws_ecr_lifecycle_policy"))
    yield Control(
        "own",
        image,
        "must be encrypted with a key of its own",
        _all(_is("encryption_configuration.0.encryption_type", "KMS"), _is_set("encryption_configuration.0.kms_key")),
    )

    yield Control("SNS.1", "aws_sns_topic", "must be encrypted", _is_set("kms_master_key_id"))
    yield Control("SNS.4", "aws_sns_topic_policy", "must not be open to everyone", _said(_has_no_public_allow))
    yield Control("own", "aws_sns_topic_policy", "must refuse plain HTTP", _said(_refuses_plain_http))
    yield Control("SQS.1", "aws_sqs_queue", "must be encrypted with a key of its own", _is_set("kms_master_key_id"))
    yield Control("SQS.3", "aws_sqs_queue_policy", "must not be open to everyone", _said(_has_no_public_allow))
    yield Control(
        "own",
        "aws_cloudwatch_event_target",
        "must keep what is not delivered",
        _unless(_is_within_aws, _is_set("dead_letter_config.0.arn")),
    )
    yield Control("own", "aws_cloudwatch_log_group", "must be encrypted with a key of its own", _is_set("kms_key_id"))
    yield Control("own", "aws_cloudwatch_log_group", "must be kept long enough", _keeps_logs)

    model, config = "aws_sagemaker_model", "aws_sagemaker_endpoint_configuration"
    yield Control("SageMaker.5", model, "must be isolated from the network", _is("enable_network_isolation", True))
    yield Control(
        "own",
        model,
        "must run in the VPC",
        _all(_is_set("vpc_config.0.subnets"), _is_set("vpc_config.0.security_group_ids")),
    )
    yield Control("own", model, "must be a registered version", _isolated_image)
    yield Control("SageMaker.4", config, "must have two instances in prod", _enough_instances)
    yield Control("own", config, "must encrypt its volumes", _unless(_on_local_disks, _is_set("kms_key_arn")))
    yield Control("own", config, "must capture requests and answers, encrypted", _unless(_is_serverless, _captures))
    yield Control("own", config, "must not open a shell", _no_shell)
    yield Control("own", "aws_sagemaker_endpoint", "must roll back by alarms", _rolls_back)
    yield Control(
        "own", "aws_sagemaker_model_package_group_policy", "must not be open to everyone", _said(_has_no_public_allow)
    )
    yield Control("own", "aws_sagemaker_domain", "must stay in the VPC", _is("app_network_access_type", "VpcOnly"))
    yield Control("own", "aws_sagemaker_domain", "must be encrypted with a key of its own", _is_set("kms_key_id"))
    yield Control(
        "own",
        "aws_sagemaker_feature_group",
        "must be encrypted with a key of its own",
        _is_set("offline_store_config.0.s3_storage_config.0.kms_key_id"),
    )

    yield Control(
        "StepFunctions.1", "aws_sfn_state_machine", "must log everything", _is("logging_configuration.0.level", "ALL")
    )
    yield Control("own", "aws_sfn_state_machine", "must be traced", _is("tracing_configuration.0.enabled", True))
    stage = "aws_api_gateway_stage"
    yield Control("APIGateway.3", stage, "must be traced", _is("xray_tracing_enabled", True))
    yield Control("APIGateway.1", stage, "must log requests", _is_set("access_log_settings.0.destination_arn"))
    yield Control("APIGateway.4", stage, "must have a firewall", _beside("aws_wafv2_web_acl_association"))
    yield Control(
        "APIGateway.8",
        "aws_api_gateway_method",
        "must ask who calls",
        lambda subject: subject.get("authorization") not in (None, "NONE") or subject.get("api_key_required") is True,
    )
    yield Control(
        "own",
        "aws_api_gateway_method",
        "must check requests",
        _unless(lambda subject: subject.get("http_method") in ("GET", "OPTIONS"), _is_set("request_validator_id")),
    )
    yield Control("WAF.10", "aws_wafv2_web_acl", "must have rules", _is_set("rule"))
    yield Control("WAF.11", "aws_wafv2_web_acl", "must log", _beside("aws_wafv2_web_acl_logging_configuration"))
    yield Control(
        "WAF.12", "aws_wafv2_web_acl", "must count", _is("visibility_config.0.cloudwatch_metrics_enabled", True)
    )

    trail = "aws_cloudtrail"
    yield Control(
        "CloudTrail.1", trail, "must watch all regions", _unless(_is_of_objects, _is("is_multi_region_trail", True))
    )
    yield Control("CloudTrail.2", trail, "must be encrypted with a key of its own", _is_set("kms_key_id"))
    yield Control("CloudTrail.4", trail, "must let its files be validated", _is("enable_log_file_validation", True))
    yield Control(
        "CloudTrail.5",
        trail,
        "must write to CloudWatch Logs",
        _unless(_is_of_objects, _is_set("cloud_watch_logs_group_arn")),
    )
    yield Control(
        "Config.1",
        "aws_config_configuration_recorder",
        "must record all kinds",
        _is("recording_group.0.all_supported", True),
    )
    table = "aws_dynamodb_table"
    yield Control("DynamoDB.2", table, "must be recoverable", _is("point_in_time_recovery.0.enabled", True))
    yield Control("DynamoDB.6", table, "must be protected from deletion", _is("deletion_protection_enabled", True))
    yield Control(
        "own", table, "must be encrypted with a key of its own", _is("server_side_encryption.0.enabled", True)
    )
    function = "aws_lambda_function"
    yield Control("Lambda.2", function, "must run on a Python that AWS supports", _is("runtime", *PYTHONS))
    yield Control("own", function, "must keep what it cannot end", _is_set("dead_letter_config.0.target_arn"))
    yield Control("own", function, "must encrypt its environment with a key of its own", _is_set("kms_key_arn"))
    yield Control("own", function, "must have a bound of its own", _between("reserved_concurrent_executions", 1, 100))
    yield Control(
        "own", "aws_scheduler_schedule", "must keep what it cannot start", _is_set("target.0.dead_letter_config.0.arn")
    )
    yield Control("own", "aws_cloudwatch_event_bus_policy", "must not be open to everyone", _said(_has_no_public_allow))
    monitored = "aws_sagemaker_data_quality_job_definition"
    yield Control(
        "own",
        monitored,
        "must run isolated, in the VPC",
        _all(_is("network_config.0.enable_network_isolation", True), _is_set("network_config.0.vpc_config.0.subnets")),
    )
    yield Control(
        "own",
        monitored,
        "must encrypt what its containers say",
        _is("network_config.0.enable_inter_container_traffic_encryption", True),
    )
    yield Control(
        "own",
        monitored,
        "must encrypt its volumes and reports",
        _all(
            _is_set("job_resources.0.cluster_config.0.volume_kms_key_id"),
            _is_set("data_quality_job_output_config.0.kms_key_id"),
        ),
    )
    yield Control(
        "DataFirehose.1",
        "aws_kinesis_firehose_delivery_stream",
        "must be encrypted with a key of its own",
        _all(
            _is("server_side_encryption.0.key_type", "CUSTOMER_MANAGED_CMK"),
            _is_set("server_side_encryption.0.key_arn"),
        ),
    )
    yield Control("own", "aws_cloudwatch_composite_alarm", "must tell somebody", _is_set("alarm_actions"))
    for kind in (bucket, key, model, config, "aws_sagemaker_endpoint", role, function):
        yield Control("own", kind, "must say whose it is, by tags", _unless(_of_account, _tagged))


def _of_account(subject: Resource) -> bool:
    """Made once per account by terraform/bootstrap/account, for whoever works there."""
    tags = subject.get("tags_all")
    return tags is not UNKNOWN and (tags or {}).get("ManagedBy") == "terraform/bootstrap/account"


def _is_within_aws(target: Resource) -> bool:
    """A topic or queue, to which EventBridge delivers for a day; an API of others is called with a role."""
    return target.get("role_arn") in (None, "")


def _is_of_objects(trail: Resource) -> bool:
    """A trail of data events alone, beside the account's."""
    return bool(trail.after.get("advanced_event_selector"))


def _on_local_disks(config: Resource) -> bool:
    """Instances with disks of their own (NVMe), which AWS encrypts with a key that lives as long as the instance."""
    variants = config.after.get("production_variants") or []
    families = [str(variant.get("instance_type")).split(".")[1:2] for variant in variants]
    return bool(families) and all(family and ("d" in family[0][1:] or family[0][0] in "gp") for family in families)


CONTROLS: tuple[Control, ...] = tuple(_controls())
