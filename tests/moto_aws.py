"""A server of moto with what Terraform asks of AWS and moto lacks. A stand-in for tests, and for nothing else.

A run against it proves the form of requests and the order of resources. It does not prove what AWS answers: there are
no quotas, no permissions, no endpoints that fail. docs/proof.md lists the differences.

Usage: python moto_aws.py --port PORT
"""

import argparse
import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.awslambda.models import LambdaFunction
from moto.budgets.responses import BudgetsResponse
from moto.cloudtrail.responses import CloudTrailResponse
from moto.cloudwatch.responses import CloudWatchResponse
from moto.config.models import Scope
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule
from moto.s3.models import FakeBucket, FakeDeleteMarker
from moto.s3.responses import S3Response
from moto.sagemaker.responses import SageMakerResponse
from moto.server import main as serve
from moto.stepfunctions.responses import StepFunctionResponse

Call = Callable[[Any], Any]
MOMENT = 1_700_000_000

# What requests said and moto does not keep, by account, region, kind and name.
KEPT: dict[tuple[str, ...], dict[str, Any]] = {}
TAGS: dict[str, Any] = {}
DESCRIPTIONS: dict[str, str | None] = {}


def key(call: Any, kind: str, *names: str) -> tuple[str, ...]:
    return (call.current_account, call.region, kind, *(str(call._get_param(name)) for name in names))


def content(result: Any) -> dict[str, Any]:
    found: dict[str, Any] = result._result if hasattr(result, "_result") else result.result
    return found


def replace(kind: type, name: str, wrap: Callable[[Call], Call]) -> None:
    """Put a call around one of moto's."""
    setattr(kind, name, wrap(getattr(kind, name)))


def echo(kind: str, name: str, *fields: str) -> None:
    """Let a description hold what the creation said, and no empty block that it did not."""

    def create(original: Call) -> Call:
        def call(self: Any) -> Any:
            said = {field: self._get_param(field) for field in fields}
            KEPT[key(self, kind, name)] = {field: value for field, value in said.items() if value is not None}
            return original(self)

        return call

    def describe(original: Call) -> Call:
        def call(self: Any) -> Any:
            result = original(self)
            found = content(result)
            found.update(KEPT.get(key(self, kind, name), {}))
            for field in [field for field, value in found.items() if value in ({}, None)]:
                del found[field]
            if not (found.get("VpcConfig") or {"Subnets": True}).get("Subnets"):
                del found["VpcConfig"]
            return result

        return call

    replace(SageMakerResponse, f"create_{kind}", create)
    replace(SageMakerResponse, f"describe_{kind}", describe)


echo("model", "ModelName", "EnableNetworkIsolation", "InferenceExecutionConfig")
echo("endpoint", "EndpointName", "DeploymentConfig")
echo("endpoint_config", "EndpointConfigName", "VpcConfig", "ShadowProductionVariants")


def update_endpoint(self: Any) -> ActionResult:
    """As CreateEndpoint, over the endpoint that is there; like AWS it refuses one that is not."""
    backend, name = self.sagemaker_backend, self._get_param("EndpointName")
    if name not in backend.endpoints:
        raise JsonRESTError("ValidationException", f"Could not find endpoint {name}")
    endpoint = backend.create_endpoint(name, self._get_param("EndpointConfigName"), backend.endpoints[name].tags)
    KEPT[key(self, "endpoint", "EndpointName")] = {"DeploymentConfig": self._get_param("DeploymentConfig")}
    return ActionResult({"EndpointArn": endpoint.arn})


def delete_model_package_group(self: Any) -> EmptyResult:
    self.sagemaker_backend.model_package_groups.pop(self._get_param("ModelPackageGroupName"), None)
    return EmptyResult()


def put_group_policy(self: Any) -> ActionResult:
    KEPT[key(self, "group_policy", "ModelPackageGroupName")] = {"ResourcePolicy": self._get_param("ResourcePolicy")}
    name = self._get_param("ModelPackageGroupName")
    return ActionResult(
        {"ModelPackageGroupArn": f"arn:aws:sagemaker:{self.region}:{self.current_account}:model-package-group/{name}"}
    )


def get_group_policy(self: Any) -> ActionResult:
    found = KEPT.get(key(self, "group_policy", "ModelPackageGroupName"))
    if found is None:
        raise JsonRESTError("ValidationException", "Cannot find resource policy")
    return ActionResult(found)


def delete_group_policy(self: Any) -> EmptyResult:
    KEPT.pop(key(self, "group_policy", "ModelPackageGroupName"), None)
    return EmptyResult()


def create_domain(original: Call) -> Call:
    def call(self: Any) -> Any:
        result = original(self)
        name = content(result)["DomainArn"].rpartition("/")[2]
        content(result).setdefault("DomainId", name)
        KEPT[("domain", name)] = {"TagPropagation": self._get_param("TagPropagation") or "DISABLED"}
        return result

    return call


def describe_domain(original: Call) -> Call:
    def call(self: Any) -> Any:
        if self._get_param("DomainId") not in self.sagemaker_backend.domains:
            raise JsonRESTError("ResourceNotFound", "the domain does not exist")
        result = original(self)
        content(result).update(KEPT.get(("domain", self._get_param("DomainId")), {}))
        return result

    return call


def create_user_profile(self: Any) -> ActionResult:
    domain, name = self._get_param("DomainId"), self._get_param("UserProfileName")
    arn = f"arn:aws:sagemaker:{self.region}:{self.current_account}:user-profile/{domain}/{name}".lower()
    KEPT[key(self, "user_profile", "DomainId", "UserProfileName")] = {
        "DomainId": domain,
        "UserProfileArn": arn,
        "UserProfileName": name,
        "Status": "InService",
        "HomeEfsFileSystemUid": "200005",
        "UserSettings": self._get_param("UserSettings"),
        "CreationTime": MOMENT,
        "LastModifiedTime": MOMENT,
    }
    TAGS[arn] = self._get_param("Tags") or []
    return ActionResult({"UserProfileArn": arn})


def describe_user_profile(self: Any) -> ActionResult:
    found = KEPT.get(key(self, "user_profile", "DomainId", "UserProfileName"))
    if found is None:
        raise JsonRESTError("ResourceNotFound", "the user profile does not exist")
    return ActionResult(found)


def delete_user_profile(self: Any) -> EmptyResult:
    KEPT.pop(key(self, "user_profile", "DomainId", "UserProfileName"), None)
    return EmptyResult()


def list_tags(original: Call) -> Call:
    def call(self: Any) -> Any:
        arn = self._get_param("ResourceArn")
        return ActionResult({"Tags": TAGS[arn]}) if arn in TAGS else original(self)

    return call


for name, answer in {
    "update_endpoint": update_endpoint,
    "delete_model_package_group": delete_model_package_group,
    "put_model_package_group_policy": put_group_policy,
    "get_model_package_group_policy": get_group_policy,
    "delete_model_package_group_policy": delete_group_policy,
    "create_user_profile": create_user_profile,
    "describe_user_profile": describe_user_profile,
    "delete_user_profile": delete_user_profile,
}.items():
    setattr(SageMakerResponse, name, answer)
replace(SageMakerResponse, "create_domain", create_domain)
replace(SageMakerResponse, "describe_domain", describe_domain)
replace(SageMakerResponse, "list_tags", list_tags)


def register_scalable_target(original: Call) -> Call:
    def call(self: Any) -> Any:
        result = original(self)
        if tags := self._get_param("Tags"):
            TAGS[json.loads(result)["ScalableTargetARN"]] = tags
        return result

    return call


replace(ApplicationAutoScalingResponse, "register_scalable_target", register_scalable_target)
ApplicationAutoScalingResponse.list_tags_for_resource = lambda self: json.dumps(  # type: ignore[attr-defined]
    {"Tags": TAGS.get(self._get_param("ResourceARN"), {})}
)
ApplicationAutoScalingResponse.tag_resource = lambda _: json.dumps({})  # type: ignore[attr-defined]


def create_budget(original: Call) -> Call:
    def call(self: Any) -> Any:
        name = self._get_param("Budget")["BudgetName"]
        TAGS[f"arn:aws:budgets::{self.current_account}:budget/{name}"] = self._get_param("ResourceTags") or []
        for item in self._get_param("NotificationsWithSubscribers") or []:
            KEPT[(name, item["Notification"]["NotificationType"])] = {"Subscribers": item["Subscribers"]}
        return original(self)

    return call


def describe_subscribers(self: Any) -> str:
    notification = self._get_param("Notification")["NotificationType"]
    return json.dumps(KEPT.get((self._get_param("BudgetName"), notification), {"Subscribers": []}))


def create_notification(original: Call) -> Call:
    def call(self: Any) -> Any:
        notification = self._get_param("Notification")["NotificationType"]
        KEPT[(self._get_param("BudgetName"), notification)] = {"Subscribers": self._get_param("Subscribers")}
        return original(self)

    return call


replace(BudgetsResponse, "create_budget", create_budget)
replace(BudgetsResponse, "create_notification", create_notification)
BudgetsResponse.describe_subscribers_for_notification = describe_subscribers  # type: ignore[attr-defined]
BudgetsResponse.list_tags_for_resource = lambda self: json.dumps(  # type: ignore[attr-defined]
    {"ResourceTags": TAGS.get(self._get_param("ResourceARN"), [])}
)

StepFunctionResponse.validate_state_machine_definition = lambda _: json.dumps(  # type: ignore[attr-defined]
    {"result": "OK", "diagnostics": []}
)
StepFunctionResponse.list_state_machine_versions = lambda _: json.dumps(  # type: ignore[attr-defined]
    {"stateMachineVersions": []}
)


def put_composite_alarm(self: Any) -> EmptyResult:
    nothing = dict.fromkeys(
        ("namespace", "metric_name", "comparison_operator", "evaluation_periods", "period", "threshold", "statistic")
    )
    self.cloudwatch_backend.put_metric_alarm(
        **nothing,
        name=self._get_param("AlarmName"),
        description=self._get_param("AlarmDescription"),
        dimensions=[],
        alarm_actions=self._get_param("AlarmActions", []),
        ok_actions=self._get_param("OKActions", []),
        insufficient_data_actions=self._get_param("InsufficientDataActions", []),
        actions_enabled=self._get_bool_param("ActionsEnabled", True),
        rule=self._get_param("AlarmRule"),
        tags=self._get_param("Tags", []),
    )
    return EmptyResult()


CloudWatchResponse.put_composite_alarm = put_composite_alarm  # type: ignore[attr-defined]


def describe_trails(original: Call) -> Call:
    """Only the trails that are asked for; moto's own answers with every trail of the account."""

    def call(self: Any) -> str:
        asked = self._get_param("trailNameList") or []
        found = json.loads(original(self))["trailList"]
        return json.dumps(
            {"trailList": [trail for trail in found if not asked or {trail["Name"], trail["TrailARN"]} & set(asked)]}
        )

    return call


def delete_trail(self: Any) -> str:
    """By name or by address; moto's own finds it by name alone and says nothing."""
    trail = self.cloudtrail_backend.get_trail(self._get_param("Name"))
    self.cloudtrail_backend.delete_trail(trail.trail_name)
    return json.dumps({})


replace(CloudTrailResponse, "describe_trails", describe_trails)
setattr(CloudTrailResponse, "delete_trail", delete_trail)  # noqa: B010


def may_deliver_logs(target_bucket: Any, target_prefix: str | None) -> bool:
    """Whether a bucket's policy lets S3 deliver; moto's own reads no principal that is a text."""
    wanted = f"arn:aws:s3:::{target_bucket.name}/{target_prefix or ''}"
    for statement in json.loads((target_bucket.policy or b"{}").decode()).get("Statement", []):
        principal, resource = statement.get("Principal"), statement["Resource"]
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        resources = [resource] if isinstance(resource, str) else resource
        if statement["Effect"] == "Allow" and "logging.s3.amazonaws.com" in services:
            return any(fnmatchcase(wanted, pattern) for pattern in resources)
    return False


def keep_description(original: Call) -> Callable[..., Any]:
    """Let a rule know its description, also when it names a group or a prefix list; Terraform sends one at a time."""

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        parts = [part for kind in ("ip_ranges", "source_groups", "prefix_list_ids") for part in named.get(kind) or []]
        said = next((part["Description"] for part in parts if part.get("Description")), None)
        rules, group = original(self, *arguments, **named)
        DESCRIPTIONS.update({rule.id: said for rule in rules})
        return rules, group

    return call


def keep_tags(original: Call) -> Callable[..., None]:
    def call(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        for found in (self.tags or {}).items():
            self.tag_key, self.tag_value = found
        self.tags = None

    return call


def keep_said(original: Call) -> Callable[..., Any]:
    """Let a function know where its failures and its log go, which moto drops, now and when it is changed."""

    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        given = [part for part in (*arguments, *named.values()) if isinstance(part, dict)]
        said = {name: spec[name] for spec in given for name in ("DeadLetterConfig", "LoggingConfig") if name in spec}
        self.said = getattr(self, "said", {}) | said
        found = original(self, *arguments, **named)
        return found | self.said if isinstance(found, dict) else found

    return call


def metrics_of_buckets(original: Call) -> Callable[..., Any]:
    """Keep the request metrics of a bucket, which moto has not."""

    def call(self: Any, request: Any, full_url: str) -> Any:
        asked = self._get_querystring(request, full_url)
        if "metrics" not in asked:
            return original(self, request, full_url)  # type: ignore[call-arg]
        place = ("metrics", self.parse_bucket_name_from_url(request, full_url), *asked["id"])
        if request.method == "PUT":
            KEPT[place] = {"body": request.get_data(as_text=True)}
            return 200, {}, ""
        if request.method == "DELETE":
            KEPT.pop(place, None)
            return 204, {}, ""
        if place in KEPT:
            return 200, {}, KEPT[place]["body"]
        return 404, {}, "<Error><Code>NoSuchConfiguration</Code><Message>no such metrics</Message></Error>"

    return call


replace(S3Response, "_bucket_response", metrics_of_buckets)
for method in ("__init__", "get_configuration", "update_configuration"):
    replace(LambdaFunction, method, keep_said)
for direction in ("ingress", "egress"):
    replace(SecurityGroupBackend, f"authorize_security_group_{direction}", keep_description)
setattr(SecurityGroupRule, "description", property(lambda rule: DESCRIPTIONS.get(rule.id)))  # noqa: B010
replace(Scope, "__init__", keep_tags)
setattr(FakeBucket, "_log_permissions_enabled_policy", staticmethod(may_deliver_logs))  # noqa: B010
FakeDeleteMarker.dispose = lambda *_: None  # type: ignore[attr-defined]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", required=True)
    serve(["-H", "127.0.0.1", "-p", parser.parse_args().port])
