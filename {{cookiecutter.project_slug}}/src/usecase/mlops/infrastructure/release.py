"""Which version may go into service: a package of the environment's own registry that is approved where it was made."""

import re

import boto3

from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.aws.registry import SageMakerPackage, SageMakerRegistry
from usecase.mlops.errors import UserError
from usecase.mlops.registry import APPROVED, SOURCE_ARN
from usecase.mlops.sections import PACKAGE_ARN
from usecase.mlops.settings import Settings, load_settings

_PARTS = re.compile(r"arn:[^:]+:sagemaker:(?P<region>[^:]+):(?P<account>\d{12}):model-package/(?P<group>[^/]+)/\d+")


def open_registry(connection: boto3.Session, settings: Settings, facts: PlatformFacts) -> SageMakerRegistry:
    """The registry of the environment."""
    return SageMakerRegistry(
        connection,
        facts.model_package_group,
        settings.environment,
        facts.artifact_bucket,
        facts.artifact_kms_key_arn,
        facts.image_repository_url,
    )


def refuse_foreign(arn: str, settings: Settings, group: str) -> None:
    """Raise UserError unless the ARN is of a version in the environment's own registry."""
    match = _PARTS.fullmatch(arn) if re.fullmatch(PACKAGE_ARN, arn) else None
    if match is None:
        raise UserError(f"{arn}: is no ARN of a version: arn:aws:sagemaker:REGION:ACCOUNT:model-package/GROUP/NUMBER")
    for key, own in {"region": settings.aws_region, "account": settings.aws_account, "group": group}.items():
        if match[key] != own:
            raise UserError(
                f"{arn}: is of {key} {match[key]}, but {settings.environment} deploys from its own registry,"
                f" {key} {own}: take the ARN of the copy there, which `usecase registry promote` makes and prints"
            )


def find_package(registry: SageMakerRegistry, arn: str, settings: Settings) -> SageMakerPackage:
    """The package with this ARN, which must be one of the environment's own registry. Raises UserError."""
    refuse_foreign(arn, settings, registry.group)
    return _read(registry, arn)


def check_approved(registry: SageMakerRegistry, arn: str, settings: Settings) -> None:
    """Read the status again, here and in the registry of record. Raises UserError unless both say Approved.

    The registry of record is that of `training_environment`: a copy elsewhere names the version there, whose later
    rejection blocks the copies too. The policy of its group lets the other environments read it.
    """
    package = _read(registry, arn)
    _refuse_unless_approved(package, registry.place)
    if settings.environment == settings.training_environment:
        return
    record = load_settings(settings.training_environment)
    origin = package.metadata.get(SOURCE_ARN, "")
    match = _PARTS.fullmatch(origin)
    if match is None or (match["account"], match["region"]) != (record.aws_account, record.aws_region):
        raise UserError(
            f"{arn}: is no copy of a version of {record.environment}, whose registry decides: promote one with"
            f" `usecase registry promote VERSION --env {record.environment} --to {settings.environment}`"
        )
    made = SageMakerRegistry.open_for(record.model_copy(update={"model_package_group": match["group"]}), settings)
    _refuse_unless_approved(_read(made, origin), made.place)


def _read(registry: SageMakerRegistry, arn: str) -> SageMakerPackage:
    return SageMakerPackage(registry, registry.read(arn), complete=True)


def _refuse_unless_approved(package: SageMakerPackage, place: str) -> None:
    if package.status != APPROVED:
        reason = f" ({package.reason})" if package.reason else ""
        raise UserError(
            f"version {package.version} in {place} is {package.status}{reason}: only an approved one is deployed"
        )
