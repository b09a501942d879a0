"""Promotion: an approved version is copied, with its evidence, into the registry of another environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usecase.mlops.errors import UserError
from usecase.mlops.registry import (
    APPROVED,
    EVIDENCE_SHA256,
    PENDING,
    SOURCE_ARN,
    ModelPackage,
    Registry,
    collect,
    evidence_sha256,
)

# What of DescribeModelPackage goes into CreateModelPackage of the copy; the rest is the registry's own.
COPIED = (
    "ModelPackageDescription",
    "InferenceSpecification",
    "ModelMetrics",
    "DriftCheckBaselines",
    "CustomerMetadataProperties",
    "SkipModelValidation",
    "Domain",
    "Task",
)
# Facts of the source's own objects, which the target's registry finds out by itself.
DERIVED = ("ModelDataETag", "ModelDataSource")


@dataclass(frozen=True)
class Promotion:
    """What a promotion copies: the files of `package` by name, and what the new version says of itself.

    `existing` is the copy that an earlier promotion has made.
    """

    source: Registry
    package: ModelPackage
    target: Registry
    files: Mapping[str, Path]
    arguments: Mapping[str, Any]
    existing: ModelPackage | None

    def apply(self, approve: bool = False, reason: str = "") -> ModelPackage:
        """Copy; the new version is pending, or approved with a reason that names its source. Raises UserError.

        A second time it finds the copy that is there, and finishes what an interrupted promotion has left.
        """
        _approved(self.source, str(self.package.version))  # again: it may have been revoked since
        copy = self.target.register(self.arguments, self.package.resolve)
        if approve and copy.status == PENDING:
            why = f"copy of {self.arguments['CustomerMetadataProperties'][SOURCE_ARN]}"
            copy = self.target.approve(str(copy.version), f"{why}: {reason}" if reason else why)
        if approve and copy.status != APPROVED:
            raise UserError(
                f"version {copy.version} in {self.target.place} is {copy.status}: {copy.reason}: promote another one"
            )
        return copy


def prepare(source: Registry, version: str, target: Registry) -> Promotion:
    """Fetch and check what the promotion of an approved version would copy; changes nothing. Raises UserError."""
    if (type(source), source.place) == (type(target), target.place):
        raise UserError(f"{source.place} is both source and target: promote to another environment")
    package = _approved(source, version)
    package.verify_evidence()
    files = collect(package.description, package.resolve)
    arguments = {key: package.description[key] for key in COPIED if key in package.description}
    arguments["ModelApprovalStatus"] = PENDING
    # A copy of a copy names the version in the registry of record, where a revocation would stand.
    origin = package.metadata.get(SOURCE_ARN, package.arn)
    arguments["CustomerMetadataProperties"] = package.metadata | {
        SOURCE_ARN: origin,
        EVIDENCE_SHA256: evidence_sha256(files),
    }
    arguments["InferenceSpecification"] = _inference(package, target)
    return Promotion(source, package, target, files, arguments, target.copy_of(origin))


def _approved(source: Registry, version: str) -> ModelPackage:
    package = source.describe(version)
    if package.status != APPROVED:
        reason = f" ({package.reason})" if package.reason else ""
        raise UserError(
            f"version {package.version} in {source.place} is {package.status}{reason}: only an approved one is promoted"
        )
    return package


def _inference(package: ModelPackage, target: Registry) -> dict[str, Any]:
    specification = package.description["InferenceSpecification"]
    first, *others = specification["Containers"]
    if others:
        raise UserError(f"version {package.version} has {1 + len(others)} containers: only one can be promoted")
    container = {key: value for key, value in first.items() if key not in DERIVED}
    return dict(specification) | {"Containers": [container | {"Image": target.own_image(package.image)}]}
