"""What the account of an environment shows of the use case, for `usecase maturity`. Reads only."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import boto3

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.pipeline import pipeline_name
from usecase.mlops.aws.platform import read_platform, session
from usecase.mlops.aws.registry import SageMakerRegistry
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.live import describe_endpoint, endpoint_name
from usecase.mlops.infrastructure.record import read_record
from usecase.mlops.maturity.evidence import Account, Unseen
from usecase.mlops.settings import Settings

Answer = TypeVar("Answer")


def look(settings: Settings) -> Account | Unseen:
    """Ask the environment's account. What one question lacks (a right, a platform) leaves the others as they are."""
    try:
        connection = session(settings)
    except UserError as error:
        return Unseen(str(error))

    def ask(question: Callable[[boto3.Session, Settings], Answer]) -> Answer | Unseen:
        try:
            return question(connection, settings)
        except UserError as error:
            return Unseen(str(error))

    return Account(
        settings.environment,
        execution=ask(_execution),
        versions=ask(_versions),
        in_service=ask(_in_service),
        serving=ask(_serving),
        alarms=ask(_alarms),
        trails=ask(_trails),
        versioned=ask(_versioned),
        backups=ask(_backups),
    )


def _execution(connection: boto3.Session, settings: Settings) -> str:
    sagemaker, name = connection.client("sagemaker"), pipeline_name(settings)
    with explained(f"pipeline {name}"):
        try:
            listed = sagemaker.list_pipeline_executions(
                PipelineName=name, SortBy="CreationTime", SortOrder="Descending", MaxResults=1
            )["PipelineExecutionSummaries"]
        except sagemaker.exceptions.ResourceNotFound:
            return ""
    return str(listed[0]["PipelineExecutionStatus"]) if listed else ""


def _versions(connection: boto3.Session, settings: Settings) -> Mapping[int, str]:
    registry = SageMakerRegistry(connection, settings.model_package_group, settings.environment, "", "")
    return {package.version: package.status for package in registry.list()}


def _in_service(connection: boto3.Session, settings: Settings) -> str:
    record = read_record(connection, settings)
    return record.package_arn if record else ""


def _serving(connection: boto3.Session, settings: Settings) -> str:
    endpoint = describe_endpoint(connection, endpoint_name(settings.project, settings.environment))
    return str(endpoint["EndpointStatus"]) if endpoint else ""


def _alarms(connection: boto3.Session, settings: Settings) -> list[str]:
    """The composite alarm is the only one that notifies: terraform/modules/alarms."""
    prefix = f"{settings.project}-{settings.environment}-"
    with explained(f"alarms {prefix}*"):
        found = connection.client("cloudwatch").describe_alarms(
            AlarmNamePrefix=prefix, AlarmTypes=["CompositeAlarm", "MetricAlarm"]
        )
    listed = [*found.get("CompositeAlarms", []), *found.get("MetricAlarms", [])]
    return [str(alarm["AlarmName"]) for alarm in listed if alarm.get("ActionsEnabled") and alarm.get("AlarmActions")]


def _trails(connection: boto3.Session, _: Settings) -> list[str]:
    cloudtrail = connection.client("cloudtrail")
    with explained("CloudTrail"):
        trails = cloudtrail.describe_trails()["trailList"]
        return [
            str(trail["Name"]) for trail in trails if cloudtrail.get_trail_status(Name=trail["TrailARN"])["IsLogging"]
        ]


def _versioned(connection: boto3.Session, settings: Settings) -> Mapping[str, bool]:
    facts = read_platform(connection, settings)
    found = {}
    for bucket in (facts.data_bucket, facts.artifact_bucket):
        with explained(f"bucket {bucket}"):
            found[bucket] = connection.client("s3").get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    return found


def _backups(connection: boto3.Session, settings: Settings) -> int:
    vault = f"{settings.project}-{settings.environment}-data"  # terraform/platform/governance_backup.tf
    with explained("AWS Backup"):
        pages = connection.client("backup").get_paginator("list_backup_vaults").paginate()
        vaults = [item for page in pages for item in page["BackupVaultList"] if item["BackupVaultName"] == vault]
    return sum(int(item["NumberOfRecoveryPoints"]) for item in vaults)
