"""What an environment's platform consists of, and the one way to reach AWS: the right account, bounded retries."""

import json
from typing import Annotated

import boto3
import botocore.session
from botocore.config import Config
from pydantic import BaseModel, ConfigDict, Field

from usecase.mlops.aws.errors import explained
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings, load_settings
from usecase.mlops.yamlfile import parse

# For every client: a request that fails is tried again with growing pauses; one that hangs is given up.
CLIENT_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 5}, connect_timeout=5, read_timeout=60, max_pool_connections=32
)

_Text = Annotated[str, Field(min_length=1)]
_Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
_Key = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/.+$")]
_Role = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$")]
_Topic = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:.+$")]
_Ids = Annotated[list[_Text], Field(min_length=1)]


class PlatformFacts(BaseModel):
    """What Terraform has made for an environment, written by it to one SSM parameter.

    `image_repository_url` is of the ECR repository, without a tag; blank for the managed container. Keys are by what
    they encrypt, `volume` being the disks of jobs and endpoints. `batch_role_arn` is of the state machine, which
    `scheduler_role_arn` may start; `async_topic_arn` hears of each answer of an async endpoint.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    artifact_bucket: _Bucket
    data_bucket: _Bucket
    capture_bucket: _Bucket
    artifact_kms_key_arn: _Key
    data_kms_key_arn: _Key
    volume_kms_key_arn: _Key
    capture_kms_key_arn: _Key
    log_kms_key_arn: _Key
    subnet_ids: _Ids
    security_group_ids: _Ids
    pipeline_role_arn: _Role
    processing_role_arn: _Role
    training_role_arn: _Role
    inference_role_arn: _Role
    batch_role_arn: _Role
    scheduler_role_arn: _Role
    image_repository_url: str = ""
    model_package_group: _Text
    alarm_topic_arn: _Topic
    async_topic_arn: _Topic


def parameter_name(settings: Settings) -> str:
    """The SSM parameter that holds the facts."""
    return f"/{settings.project}/{settings.environment}/platform"


def require_account(settings: Settings) -> None:
    """Raise UserError unless the settings name an account."""
    if not settings.aws_account:
        file = f"config/{settings.environment}.yaml"
        raise UserError(f"{file}: aws_account is blank: nothing is done in AWS before it holds the 12 digits")


def session(settings: Settings, profile: str = "") -> boto3.Session:
    """A session for the account and region of an environment; every client of it has CLIENT_CONFIG.

    `profile` is one of AWS's configuration file; blank: AWS_PROFILE, or where else boto3 looks for credentials.
    Raises UserError unless the credentials are of exactly that account.
    """
    require_account(settings)
    with explained(f"environment {settings.environment}"):
        core = botocore.session.Session(profile=profile or None)
        core.set_default_client_config(CLIENT_CONFIG)
        connection = boto3.Session(botocore_session=core, region_name=settings.aws_region)
        caller = connection.client("sts").get_caller_identity()
    if caller["Account"] != settings.aws_account:
        raise UserError(
            f"the credentials are of account {caller['Account']} ({caller['Arn']}), aws_account in"
            f" config/{settings.environment}.yaml is {settings.aws_account}: choose the right ones, as with"
            " AWS_PROFILE; nothing was done"
        )
    return connection


def read_platform(connection: boto3.Session, settings: Settings) -> PlatformFacts:
    """The facts of the environment. Raises UserError."""
    name = parameter_name(settings)
    source = f"SSM parameter {name}"
    advice = f"`usecase deploy --env {settings.environment} --root platform` writes it"
    ssm = connection.client("ssm")
    with explained(source):
        try:
            text = ssm.get_parameter(Name=name)["Parameter"]["Value"]
        except ssm.exceptions.ParameterNotFound:
            raise UserError(
                f"{source}: is not in account {settings.aws_account}, {settings.aws_region}: {advice}"
            ) from None
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{source}: holds no JSON object: {advice}")
    return parse(PlatformFacts, content, source)


def connect(environment: str) -> tuple[boto3.Session, Settings, PlatformFacts]:
    """Session, settings and facts of an environment. Raises UserError."""
    settings = load_settings(environment)
    connection = session(settings)
    return connection, settings, read_platform(connection, settings)
