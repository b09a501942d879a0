"""A version in the registry of record, by its ARN: what an event, a person or a job says is checked first."""

from pathlib import Path

import boto3

from usecase.mlops.aws.platform import connect
from usecase.mlops.aws.registry import SageMakerPackage, SageMakerRegistry
from usecase.mlops.files import write_json
from usecase.mlops.infrastructure.release import find_package, open_registry, refuse_foreign
from usecase.mlops.settings import Settings, load_settings


def record_settings() -> Settings:
    """Settings of the environment that has the registry of record."""
    return load_settings(load_settings("dev").training_environment)


def refuse_unknown(arn: str) -> None:
    """Raise UserError unless the ARN is of this use case's registry of record: account, region and group."""
    record = record_settings()
    refuse_foreign(arn, record, record.model_package_group)


def open_version(arn: str) -> tuple[boto3.Session, SageMakerRegistry, SageMakerPackage]:
    """The version with this ARN, with the way to it. Raises UserError."""
    refuse_unknown(arn)
    connection, settings, facts = connect(record_settings().environment)
    registry = open_registry(connection, settings, facts)
    return connection, registry, find_package(registry, arn, settings)


def write_links(file: Path, name: str, links: dict[str, str]) -> None:
    """GitLab's report of annotations: links on the page of the job, address by label."""
    shown = [{"external_link": {"label": label, "url": url}} for label, url in links.items() if url]
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, {name: shown})
