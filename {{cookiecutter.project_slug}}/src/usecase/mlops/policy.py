"""What every step of a rendered definition must carry before it is deployed: network, keys, isolation, tags, limits.

Anchors: AWS Config's conformance pack for SageMaker and prowler's checks of jobs and models; they look at what runs
already, this looks at what would run. A field that is filled by a parameter counts with the parameter's default.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

REQUIRED_TAGS = {"project", "environment", "owner"}
MAX_RUNTIME_SECONDS = 5 * 86400  # the longest that a processing job may run
MAX_VOLUME_GB = 16384


@dataclass(frozen=True)
class Rule:
    """What holds for the value at a path; a missing value is None."""

    holds: Callable[[Any], bool]
    words: str


def _matches(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _all_match(pattern: str) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and bool(value) and all(map(_matches(pattern), value))


def _tags(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(tag, dict) and tag.get("Value") for tag in value):
        return False
    return {tag.get("Key") for tag in value} >= REQUIRED_TAGS


def _retries(*kinds: str) -> Callable[[Any], bool]:
    def holds(value: Any) -> bool:
        policies = [policy for policy in value or [] if policy.get("MaxAttempts", 0) > 0]
        return {kind for policy in policies for kind in policy.get("ExceptionType", [])} >= set(kinds)

    return holds


def _whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


ON = Rule(lambda value: value is True, "must be true")
KEY = Rule(_matches(r"arn:aws[a-z-]*:kms:[^:]+:\d{12}:key/.+"), "must be the ARN of a KMS key")
ROLE = Rule(_matches(r"arn:aws[a-z-]*:iam::\d{12}:role/.+"), "must be the ARN of a role")
SUBNETS = Rule(_all_match(r"subnet-[0-9a-f]+"), "must be subnets of the platform's network")
GROUPS = Rule(_all_match(r"sg-[0-9a-f]+"), "must be security groups of the platform's network")
TAGS = Rule(_tags, f"must hold {', '.join(sorted(REQUIRED_TAGS))}, none of them blank")
RUNTIME = Rule(lambda value: _whole(value, MAX_RUNTIME_SECONDS), f"must be 1 to {MAX_RUNTIME_SECONDS} seconds")
VOLUME = Rule(lambda value: _whole(value, MAX_VOLUME_GB), f"must be 1 to {MAX_VOLUME_GB} GB")
EXPIRY = Rule(_matches(r"P\d+[WD]"), "must be a time in weeks or days, as P30D")
SERVICE_RETRIES = Rule(_retries("Step.SERVICE_FAULT", "Step.THROTTLING"), "must cover faults of the service")
JOB_RETRIES = Rule(
    _retries("Step.SERVICE_FAULT", "Step.THROTTLING", "SageMaker.CAPACITY_ERROR"),
    "must cover faults of the service and a lack of capacity",
)
OFF = Rule(lambda value: value in (None, False), "must not be on: it opens a way into the job, or out of it")
PENDING = Rule(lambda value: value == "PendingManualApproval", "must be PendingManualApproval: a person approves")

_NETWORK = {"VpcConfig.Subnets": SUBNETS, "VpcConfig.SecurityGroupIds": GROUPS, "EnableNetworkIsolation": ON}
_ENCRYPTED_NETWORK = {**_NETWORK, "EnableInterContainerTrafficEncryption": ON}
_JOB = {
    "Arguments.Tags": TAGS,
    "RetryPolicies": JOB_RETRIES,
    "CacheConfig.Enabled": ON,
    "CacheConfig.ExpireAfter": EXPIRY,
}

# By type of step; paths from the step. A batch transform takes its network from its model.
RULES: Mapping[str, Mapping[str, Rule]] = {
    "Processing": {
        **_JOB,
        **{f"Arguments.NetworkConfig.{path}": rule for path, rule in _ENCRYPTED_NETWORK.items()},
        "Arguments.RoleArn": ROLE,
        "Arguments.ProcessingResources.ClusterConfig.VolumeKmsKeyId": KEY,
        "Arguments.ProcessingResources.ClusterConfig.VolumeSizeInGB": VOLUME,
        "Arguments.ProcessingOutputConfig.KmsKeyId": KEY,
        "Arguments.StoppingCondition.MaxRuntimeInSeconds": RUNTIME,
    },
    "Training": {
        **_JOB,
        **{f"Arguments.{path}": rule for path, rule in _ENCRYPTED_NETWORK.items()},
        "Arguments.RoleArn": ROLE,
        "Arguments.ResourceConfig.VolumeKmsKeyId": KEY,
        "Arguments.ResourceConfig.VolumeSizeInGB": VOLUME,
        "Arguments.OutputDataConfig.KmsKeyId": KEY,
        "Arguments.StoppingCondition.MaxRuntimeInSeconds": RUNTIME,
        "Arguments.RemoteDebugConfig.EnableRemoteDebug": OFF,
    },
    "Transform": {
        **_JOB,
        "Arguments.TransformResources.VolumeKmsKeyId": KEY,
        "Arguments.TransformOutput.KmsKeyId": KEY,
    },
    "Model": {
        **{f"Arguments.{path}": rule for path, rule in _NETWORK.items()},
        "Arguments.ExecutionRoleArn": ROLE,
        "Arguments.Tags": TAGS,
        "RetryPolicies": SERVICE_RETRIES,
    },
    "RegisterModel": {"Arguments.ModelApprovalStatus": PENDING, "RetryPolicies": SERVICE_RETRIES},
    "Condition": {},
    "Fail": {},
}
JOBS = ("Processing", "Training", "Transform")


def check_security(definition: Mapping[str, Any]) -> list[str]:
    """One line for each thing that a rendered definition lacks, at any depth; none when all is well.

    A type of step that no rule is known for is such a thing, and so is a definition without a job.
    """
    defaults = {parameter["Name"]: parameter.get("DefaultValue") for parameter in definition.get("Parameters", [])}
    steps = list(_steps(definition.get("Steps", []), gated=False))
    problems = (
        [] if any(step["Type"] in JOBS for step, _ in steps) else ["the definition holds no job: nothing to check"]
    )
    for step, gated in steps:
        rules = RULES.get(step["Type"])
        if rules is None:
            problems.append(f"step {step['Name']}: no rule is known for the type {step['Type']}")
            continue
        if step["Type"] == "RegisterModel" and not gated:
            problems.append(f"step {step['Name']}: must stand behind a condition, else nothing holds a bad model back")
        for path, rule in rules.items():
            value = _value(step, path, defaults)
            if not rule.holds(value):
                shown = "is missing" if value is None else f"is {value!r}"
                problems.append(f"step {step['Name']}: {path.removeprefix('Arguments.')} {shown}; it {rule.words}")
    return problems


def _steps(steps: Any, gated: bool) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """All steps, and whether each stands behind a condition."""
    for step in steps:
        yield step, gated
        if step["Type"] == "Condition":
            for branch in ("IfSteps", "ElseSteps"):
                yield from _steps(step["Arguments"].get(branch, []), gated=True)


def _value(step: Mapping[str, Any], path: str, defaults: Mapping[str, Any]) -> Any:
    value: Any = step
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping) and set(value) == {"Get"}:
        return defaults.get(str(value["Get"]).removeprefix("Parameters."))
    return value
