"""The deployment record: which version is in service in an environment, since when, and which were before it."""

import json
from contextlib import suppress

import boto3
from pydantic import BaseModel, ConfigDict

from usecase.mlops.aws.errors import explained
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings
from usecase.mlops.yamlfile import parse

KEPT = 10
MAXIMUM = 4096  # characters of a standard SSM parameter


class Deployment(BaseModel):
    """One version in service: package and image, the commit and the CI pipeline that deployed it, when, and as what.

    `image_digest` is blank for an image that its package names by a tag; the last two fields for batch and a laptop.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    package_arn: str
    image_digest: str
    git_sha: str
    deployed_at: str
    endpoint_config: str = ""
    pipeline_url: str = ""


class DeploymentRecord(Deployment):
    """The version in service, and those before it, newest first."""

    previous: list[Deployment] = []

    @property
    def current(self) -> Deployment:
        """The version in service alone."""
        return Deployment.model_validate(self.model_dump(exclude={"previous"}))


def record_name(settings: Settings) -> str:
    """The SSM parameter that holds the record."""
    return f"/{settings.project}/{settings.environment}/deployment"


def read_record(connection: boto3.Session, settings: Settings) -> DeploymentRecord | None:
    """The record of an environment; None when nothing was deployed yet. Raises UserError."""
    name = record_name(settings)
    ssm = connection.client("ssm")
    with explained(f"SSM parameter {name}"):
        try:
            text = ssm.get_parameter(Name=name)["Parameter"]["Value"]
        except ssm.exceptions.ParameterNotFound:
            return None
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UserError(f"SSM parameter {name}: holds no JSON object: take its version before from the history of SSM")
    return parse(DeploymentRecord, content, f"SSM parameter {name}")


def write_record(
    connection: boto3.Session, settings: Settings, deployment: Deployment, before: DeploymentRecord | None
) -> None:
    """Put `deployment` above what was recorded before; the oldest go, where there are many. Raises UserError."""
    previous = [before.current, *before.previous][:KEPT] if before else []
    text = _text(deployment, previous)
    while len(text) > MAXIMUM and previous:
        previous.pop()
        text = _text(deployment, previous)
    name = record_name(settings)
    with explained(f"SSM parameter {name}"):
        connection.client("ssm").put_parameter(Name=name, Type="String", Overwrite=True, Value=text)


def delete_record(connection: boto3.Session, settings: Settings) -> None:
    """Forget what was deployed. Raises UserError."""
    name = record_name(settings)
    ssm = connection.client("ssm")
    with explained(f"SSM parameter {name}"), suppress(ssm.exceptions.ParameterNotFound):
        ssm.delete_parameter(Name=name)


def _text(deployment: Deployment, previous: list[Deployment]) -> str:
    record = DeploymentRecord(**deployment.model_dump(), previous=previous)
    return record.model_dump_json()
