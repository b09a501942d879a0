"""A mocked AWS account with the platform of the dev environment: facts, buckets, keys and the model package group."""

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from usecase.mlops.aws.platform import PlatformFacts, parameter_name
from usecase.mlops.settings import Settings

from . import moto_gaps

ACCOUNT, REGION = "123456789012", "eu-central-1"  # the account of every caller in moto


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """The mocked account, reached with credentials that are worth nothing elsewhere; none of this machine's is seen."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with mock_aws(), moto_gaps.closed():
        yield boto3.Session(region_name=REGION)


@pytest.fixture
def settings() -> Settings:
    """Settings of the dev environment, as config/ would give them."""
    return Settings.model_validate(
        {
            "environment": "dev",
            "project": "churn",
            "owner_email": "team@example.com",
            "container": "own",
            "aws_region": REGION,
            "aws_account": ACCOUNT,
            "model_package_group": "churn",
            "pipeline": {"parameters": {"NumRounds": 20, "MaxDepth": 3}},
            "quality": {"binary_classification": {"auc": {"minimum": 0.7}}},
            "tags": {"cost-center": "42"},
        }
    )


@pytest.fixture
def facts(aws: boto3.Session, settings: Settings) -> PlatformFacts:
    """What Terraform would have made, and does exist in the mocked account."""
    kms, s3, ecr = aws.client("kms"), aws.client("s3"), aws.client("ecr")
    keys = [kms.create_key(Description=name)["KeyMetadata"]["Arn"] for name in ("artifacts", "data", "volumes")]
    for bucket in ("churn-dev-artifacts", "churn-dev-data"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    repository = ecr.create_repository(repositoryName="churn")["repository"]
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="churn-dev")
    facts = PlatformFacts(
        artifact_bucket="churn-dev-artifacts",
        data_bucket="churn-dev-data",
        artifact_kms_key_arn=keys[0],
        data_kms_key_arn=keys[1],
        volume_kms_key_arn=keys[2],
        subnet_ids=["subnet-0a", "subnet-0b"],
        security_group_ids=["sg-0a"],
        pipeline_role_arn=f"arn:aws:iam::{ACCOUNT}:role/churn-dev-pipeline",
        processing_role_arn=f"arn:aws:iam::{ACCOUNT}:role/churn-dev-processing",
        training_role_arn=f"arn:aws:iam::{ACCOUNT}:role/churn-dev-training",
        inference_role_arn=f"arn:aws:iam::{ACCOUNT}:role/churn-dev-inference",
        image_repository_url=repository["repositoryUri"],
        model_package_group="churn-dev",
    )
    write_facts(aws, settings, facts.model_dump())
    return facts


def write_facts(aws: boto3.Session, settings: Settings, content: object) -> None:
    """Put the SSM parameter as Terraform would."""
    aws.client("ssm").put_parameter(
        Name=parameter_name(settings), Type="String", Overwrite=True, Value=json.dumps(content)
    )
