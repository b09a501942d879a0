"""The way to AWS: the right account, the platform's facts, and errors that say what to do."""

from typing import Any

import boto3
import pytest
from botocore import exceptions
from botocore.exceptions import ClientError

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.platform import PlatformFacts, parameter_name, read_platform, session
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings

from .conftest import write_facts


def test_facts_are_read_from_the_account_of_the_settings(facts: PlatformFacts, settings: Settings) -> None:
    connection = session(settings)
    assert connection.region_name == settings.aws_region
    assert read_platform(connection, settings) == facts
    assert parameter_name(settings) == "/churn/dev/platform"


def test_every_client_gives_up_in_time(aws: boto3.Session, settings: Settings) -> None:
    for service in ("s3", "sagemaker", "ssm"):
        config = session(settings).client(service).meta.config
        assert config.retries == {"mode": "standard", "total_max_attempts": 5}
        assert (config.connect_timeout, config.read_timeout) == (5, 60)


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ("", "config/dev.yaml: aws_account is blank: nothing is done in AWS before it holds the 12 digits"),
        ("999999999999", "the credentials are of account 123456789012 (arn:aws:sts::123456789012:user/moto), aws_acc"),
    ],
)
def test_an_account_that_is_not_ours_is_refused(
    account: str, message: str, aws: boto3.Session, settings: Settings
) -> None:
    with pytest.raises(UserError) as error:
        session(settings.model_copy(update={"aws_account": account}))
    assert str(error.value).startswith(message)


def test_no_credentials_is_one_line(aws: boto3.Session, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(UserError, match=r"^environment dev: there are no AWS credentials: log in .`aws sso login`"):
        session(settings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subnet_ids": []}, "subnet_ids: List should have at least 1 item"),
        ({"artifact_kms_key_arn": "alias/churn"}, "artifact_kms_key_arn: String should match pattern"),
        ({"pipeline_role_arn": ""}, "pipeline_role_arn: String should match pattern"),
        ({"artifact_bucket": "My_Bucket"}, "artifact_bucket: String should match pattern"),
        ({"alarm_topic_arn": "churn-dev-alarm"}, "alarm_topic_arn: String should match pattern"),
        ({"other": 1}, "other: unknown key"),
        ({"model_package_group": None}, "model_package_group: Input should be a valid string"),
    ],
)
def test_facts_that_are_wrong_are_named(
    change: dict[str, Any], message: str, facts: PlatformFacts, settings: Settings, aws: boto3.Session
) -> None:
    write_facts(aws, settings, facts.model_dump() | change)
    with pytest.raises(UserError) as error:
        read_platform(aws, settings)
    assert str(error.value).startswith(f"SSM parameter /churn/dev/platform: {message}")


def test_facts_that_are_missing_or_no_object_are_named(aws: boto3.Session, settings: Settings) -> None:
    advice = "`usecase deploy --env dev --root platform` writes it"
    with pytest.raises(UserError, match=f"is not in account 123456789012, eu-central-1: {advice}"):
        read_platform(aws, settings)
    write_facts(aws, settings, ["a list"])
    with pytest.raises(UserError, match=f"holds no JSON object: {advice}"):
        read_platform(aws, settings)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("ExpiredTokenException", "the credentials have expired: log in"),
        ("UnrecognizedClientException", "AWS does not know the credentials: log in"),
        ("AccessDeniedException", "GetParameter is denied to the role you use: take another one, or ask"),
        ("403", "GetParameter is denied to the role you use"),
        ("ThrottlingException", "AWS asks to slow down, after several tries: try again"),
        ("NoSuchBucket", "it is not there: check the name, the account and aws_region"),
    ],
)
def test_what_aws_refuses_is_one_line_with_advice(code: str, says: str) -> None:
    with pytest.raises(UserError) as error, explained("the place"):
        raise ClientError({"Error": {"Code": code, "Message": "said\nin two lines"}}, "GetParameter")
    assert str(error.value).startswith(f"the place: said in two lines ({code}): {says}")


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (ClientError({"Error": {"Code": "Odd"}}, "GetParameter"), "Odd (Odd)"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), "AWS cannot be reached: check network, proxy"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), "AWS cannot be reached: check network, proxy"),
        (exceptions.ProfileNotFound(profile="mine"), "there are no AWS credentials: log in"),
        (exceptions.ParamValidationError(report="one\ntwo"), "Parameter validation failed: one two"),
    ],
)
def test_what_fails_before_aws_answers_is_one_line(raised: Exception, says: str) -> None:
    with pytest.raises(UserError) as error, explained("the place"):
        raise raised
    assert str(error.value).startswith(f"the place: {says}")
    assert "\n" not in str(error.value)
