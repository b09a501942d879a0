"""What is in service, as SageMaker says, compared with what is wanted.

Terraform's success proves nothing here: SageMaker takes a bad roll-out back by itself, and the endpoint is InService
again, as before.
"""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from usecase.mlops.aws.errors import explained
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.terraform import Say

POLL_SECONDS = 15.0
IN_SERVICE = "InService"
CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack")  # EndpointStatus of DescribeEndpoint


@dataclass(frozen=True)
class Wanted:
    """What should be in service. Names are outputs of terraform/serving; blank where the mode has no such thing.

    `image_digest` is blank when the package names its image by a tag.
    """

    package_arn: str
    image_digest: str
    model_name: str
    endpoint_name: str = ""
    endpoint_config: str = ""
    state_machine_arn: str = ""

    @classmethod
    def of(cls, outputs: Mapping[str, Any], package_arn: str, image_digest: str) -> "Wanted":
        """What the outputs of terraform/serving name, for this package. Raises UserError when they name no model."""
        names = {key: str(outputs.get(key) or "") for key in ("model_name", "endpoint_name", "state_machine_arn")}
        if not names["model_name"]:
            raise UserError("terraform/serving has no model in its state: deploy one with --model ARN or --version N")
        config = str(outputs.get("endpoint_config_name") or "")
        return cls(package_arn, image_digest, endpoint_config=config, **names)


def endpoint_name(project: str, environment: str) -> str:
    """The endpoint of an environment, whatever its mode."""
    return f"{project}-{environment}"


def describe_endpoint(connection: boto3.Session, name: str) -> dict[str, Any] | None:
    """DescribeEndpoint; None when there is none. Raises UserError."""
    with explained(f"endpoint {name}"):
        try:
            found: dict[str, Any] = connection.client("sagemaker").describe_endpoint(EndpointName=name)
        except ClientError as error:
            if "could not find endpoint" in error.response["Error"].get("Message", "").lower():
                return None
            raise
    return found


def differences(connection: boto3.Session, wanted: Wanted, say: Say, limit_seconds: float) -> list[str]:
    """What is not as wanted, a line each; none when all is. Waits while the endpoint changes. Raises UserError."""
    if wanted.endpoint_name:
        return list(_of_endpoint(connection, wanted, _settled(connection, wanted.endpoint_name, say, limit_seconds)))
    return list(_of_batch(connection, wanted))


def _settled(connection: boto3.Session, name: str, say: Say, limit_seconds: float) -> dict[str, Any] | None:
    """The endpoint as soon as it no longer changes."""
    begun, told = time.monotonic(), ""
    while True:
        endpoint = describe_endpoint(connection, name)
        status = endpoint["EndpointStatus"] if endpoint else ""
        if status not in CHANGING:
            return endpoint
        waited = time.monotonic() - begun
        if waited > limit_seconds:
            raise UserError(
                f"endpoint {name} is {status} after {waited:.0f} s: look at its alarms and logs;"
                " `usecase deploy verify` waits again"
            )
        if status != told:
            say(f"endpoint {name} is {status}")
            told = status
        time.sleep(POLL_SECONDS)


def _of_endpoint(connection: boto3.Session, wanted: Wanted, endpoint: Mapping[str, Any] | None) -> Iterator[str]:
    if endpoint is None:
        yield f"endpoint {wanted.endpoint_name}: is not there"
        return
    reason = " ".join(str(endpoint.get("FailureReason", "")).split())
    because = f": {reason}" if reason else ""
    if endpoint["EndpointStatus"] != IN_SERVICE:
        yield f"endpoint {wanted.endpoint_name}: is {endpoint['EndpointStatus']}, not {IN_SERVICE}{because}"
    config = endpoint["EndpointConfigName"]
    if config != wanted.endpoint_config:
        taken_back = "SageMaker has taken the roll-out back"
        yield f"endpoint config: {config} is live, {wanted.endpoint_config} is wanted: {taken_back}{because}"
    sagemaker = connection.client("sagemaker")
    with explained(f"endpoint config {config}"):
        described = sagemaker.describe_endpoint_config(EndpointConfigName=config)
    for variant in described["ProductionVariants"]:
        yield from _of_model(connection, wanted, variant["ModelName"])
    for variant in endpoint["ProductionVariants"]:
        images = [image.get("ResolvedImage", "") for image in variant.get("DeployedImages", [])]
        if wanted.image_digest and not any(image.endswith(f"@{wanted.image_digest}") for image in images):
            live = ", ".join(images) or "no image"
            yield f"image of variant {variant['VariantName']}: {live} is live, {wanted.image_digest} is wanted"


def _of_batch(connection: boto3.Session, wanted: Wanted) -> Iterator[str]:
    """The state machine that starts transform jobs names its model in its definition."""
    arn = wanted.state_machine_arn
    with explained(f"state machine {arn}"):
        described = connection.client("stepfunctions").describe_state_machine(stateMachineArn=arn)
    models = set(_values(json.loads(described["definition"]), "ModelName"))
    for name in sorted(models) or [""]:
        yield from _of_model(connection, wanted, name)


def _of_model(connection: boto3.Session, wanted: Wanted, name: str) -> Iterator[str]:
    if name != wanted.model_name:
        yield f"model: {name or 'none'} is live, {wanted.model_name} is wanted"
    if not name:
        return
    with explained(f"model {name}"):
        model = connection.client("sagemaker").describe_model(ModelName=name)
    containers = model.get("Containers") or [model.get("PrimaryContainer") or {}]
    package = containers[0].get("ModelPackageName", "")
    if package != wanted.package_arn:
        yield f"package: {package or 'none'} is live, {wanted.package_arn} is wanted"


def _values(value: Any, key: str) -> Iterator[str]:
    """Every value of `key`, however deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == key:
                yield str(inner)
            yield from _values(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, key)
