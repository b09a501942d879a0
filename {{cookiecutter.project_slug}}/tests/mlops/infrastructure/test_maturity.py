"""What the maturity check sees in an account: nothing at first, then each thing as soon as it is there."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import boto3
import pytest
from aws.conftest import ACCOUNT, REGION
from moto.backup.models import backup_backends
from moto.cloudwatch.models import cloudwatch_backends

from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.infrastructure.maturity import look
from usecase.mlops.maturity.checks import Finding
from usecase.mlops.maturity.evidence import Account as Seen
from usecase.mlops.maturity.evidence import Evidence, Unseen
from usecase.mlops.maturity.score import CHECKS
from usecase.mlops.settings import Settings

from .conftest import Account, put_record

OUTSIDE = ("executed", "approved_in_aws", "deployed", "in_service", "notified", "recorded", "versioned", "restorable")


@pytest.fixture
def found(repository: Path, settings: Settings, facts: PlatformFacts) -> Callable[[], dict[str, Finding]]:
    """What the checks say of the account of dev, now."""
    (repository / "config/dev.yaml").write_text(f'aws_account: "{ACCOUNT}"\ngovernance:\n  backup: true\n')
    (repository / "config/local.yaml").write_text("")
    own = settings.model_copy(update={"model_package_group": facts.model_package_group})

    def find() -> dict[str, Finding]:
        seen = Evidence(repository, date(2026, 11, 21), look(own), Unseen("not asked"))
        return {name: CHECKS[name].look(seen) for name in OUTSIDE}

    return find


def executed(aws: boto3.Session, _: Account) -> None:
    sagemaker = aws.client("sagemaker")
    role = f"arn:aws:iam::{ACCOUNT}:role/churn-dev-pipeline"
    sagemaker.create_pipeline(
        PipelineName="churn-dev", PipelineDefinition='{"Parameters": []}', ClientRequestToken="t" * 32, RoleArn=role
    )
    sagemaker.start_pipeline_execution(PipelineName="churn-dev")


def approved_in_aws(_: boto3.Session, account: Account) -> None:
    account.version()


def deployed(aws: boto3.Session, account: Account) -> None:
    put_record(aws, account.version())


def in_service(_: boto3.Session, account: Account) -> None:
    account.serve(account.version(), "config-1")


def notified(aws: boto3.Session, _: Account) -> None:
    cpu = {"Namespace": "/aws/sagemaker/Endpoints", "MetricName": "CPUUtilization", "Threshold": 90.0, "Period": 60}
    cpu |= {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 3, "Statistic": "Average"}
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:churn-dev-alarm"
    aws.client("cloudwatch").put_metric_alarm(AlarmName="churn-dev-unwell", AlarmActions=[topic], **cpu)
    backend = cloudwatch_backends[ACCOUNT][REGION]  # moto makes no composite alarm, but lists one
    backend.alarms["churn-dev-unwell"].rule = 'ALARM("churn-dev-cpu")'


def recorded(aws: boto3.Session, _: Account) -> None:
    cloudtrail = aws.client("cloudtrail")
    cloudtrail.create_trail(Name="account-trail", S3BucketName="churn-dev-artifacts")
    cloudtrail.start_logging(Name="account-trail")


def versioned(aws: boto3.Session, _: Account) -> None:
    for bucket in ("churn-dev-artifacts", "churn-dev-data"):
        aws.client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})


def restorable(aws: boto3.Session, _: Account) -> None:
    aws.client("backup").create_backup_vault(BackupVaultName="churn-dev-data")
    backup_backends[ACCOUNT][REGION].vaults["churn-dev-data"].num_of_recovery_points = 1  # moto makes none


WORKS = {work.__name__: work for work in (executed, deployed, in_service, notified, recorded, versioned, restorable)}


def test_each_thing_is_missed_with_its_advice_and_seen_when_it_is_there(
    aws: boto3.Session, account: Account, found: Callable[[], dict[str, Finding]]
) -> None:
    before = found()
    assert {name: finding.state for name, finding in before.items()} == dict.fromkeys(OUTSIDE, "no")
    assert all(finding.advice for finding in before.values())
    account.version("PendingManualApproval")
    assert "1 versions in dev, none approved" in found()["approved_in_aws"].evidence
    approved_in_aws(aws, account)
    expected = {"approved_in_aws"}
    for name, work in WORKS.items():
        work(aws, account)
        expected.add(name)
        assert {name for name, finding in found().items() if finding.state == "yes"} == expected


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"aws_account": ""}, "config/dev.yaml: aws_account is blank"),
        ({"aws_account": "999999999999"}, f"the credentials are of account {ACCOUNT}"),
    ],
)
def test_an_account_that_cannot_be_reached_is_not_seen(
    change: dict[str, str], reason: str, aws: boto3.Session, settings: Settings
) -> None:
    seen = look(settings.model_copy(update=change))
    assert isinstance(seen, Unseen)
    assert reason in seen.reason


def test_without_a_platform_its_buckets_alone_are_not_seen(aws: boto3.Session, settings: Settings) -> None:
    seen = look(settings)
    assert isinstance(seen, Seen)
    assert isinstance(seen.versioned, Unseen)
    assert "--root platform" in seen.versioned.reason
    assert (seen.execution, seen.versions, seen.in_service, seen.serving) == ("", {}, "", "")


def test_a_trail_that_does_not_log_records_nothing(aws: boto3.Session, found: Callable[[], dict[str, Finding]]) -> None:
    aws.client("cloudtrail").create_trail(Name="account-trail", S3BucketName="churn-dev-artifacts")
    assert found()["recorded"].state == "no"
