"""The local model registry: a folder per version under `.local/registry/<group>/`, with SageMaker's words and rules."""

import getpass
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, write_json

PENDING, APPROVED, REJECTED = "PendingManualApproval", "Approved", "Rejected"
REGISTRY = Path(".local/registry")
LATEST = "latest"
MODEL_DATA, EVALUATION, PACKAGE = "model.tar.gz", "evaluation.json", "package.json"

# The usual metric of a kind of problem, by section of evaluation.json.
MAIN_METRIC = {
    "binary_classification_metrics": "auc",
    "multiclass_classification_metrics": "accuracy",
    "regression_metrics": "r2",
}


@dataclass(frozen=True)
class ModelPackage:
    """One version: `description` holds the fields of SageMaker's DescribeModelPackage."""

    folder: Path
    description: dict[str, Any]

    @property
    def version(self) -> int:
        """Number of the version in its group, from 1."""
        return int(self.description["ModelPackageVersion"])

    @property
    def status(self) -> str:
        """PendingManualApproval, Approved or Rejected."""
        return str(self.description["ModelApprovalStatus"])

    def created_by(self, execution: str) -> bool:
        """Whether this pipeline execution made the version, rather than finding it there already."""
        return execution in str(self.description["CustomerMetadataProperties"].get("PipelineExecution", ""))

    @property
    def model_data(self) -> Path:
        """The model.tar.gz of the version."""
        return self.folder / MODEL_DATA

    @property
    def evaluation(self) -> dict[str, Any]:
        """evaluation.json of the version."""
        content: dict[str, Any] = json.loads((self.folder / EVALUATION).read_text())
        return content

    @property
    def main_metric(self) -> tuple[str, float]:
        """Name and value of the metric that stands for the version: the usual one of its kind, else the first."""
        section, values = next(iter(self.evaluation.items()))
        measured = [name for name, metric in values.items() if "value" in metric]
        main = MAIN_METRIC.get(section, "")
        name = main if main in measured else measured[0]
        return name, float(values[name]["value"])

    def verify(self) -> None:
        """Raise UserError unless model.tar.gz is the file that was registered."""
        expected = self.description["CustomerMetadataProperties"]["ModelDataSha256"]
        if not self.model_data.exists() or file_sha256(self.model_data) != expected:
            raise UserError(
                f"{self.model_data}: is missing or not what was registered: version {self.version} cannot be trusted"
            )


class LocalRegistry:
    """Versions of one model package group."""

    def __init__(self, root: Path, group: str) -> None:
        self.group = group
        self.folder = root / group

    def list(self) -> list[ModelPackage]:
        """All versions, oldest first."""
        folders = [f for f in self.folder.glob("*") if f.name.isdigit() and (f / PACKAGE).exists()]
        return [self._read(folder) for folder in sorted(folders, key=lambda f: int(f.name))]

    def describe(self, version: str) -> ModelPackage:
        """The version with this number, or the newest for `latest`. Raises UserError when there is none."""
        packages = self.list()
        if not packages:
            raise UserError(f"no version is registered in {self.folder}: run `make run` first")
        if version == LATEST:
            return packages[-1]
        if not version:
            raise UserError(f"which version? version=N or version={LATEST}; `make registry` lists them")
        for package in packages:
            if str(package.version) == version:
                return package
        known = ", ".join(str(package.version) for package in packages)
        raise UserError(f"version {version!r} is not registered: use one of {known}, or {LATEST}")

    def latest_approved(self) -> ModelPackage:
        """The newest approved version. Raises UserError when there is none."""
        approved = [package for package in self.list() if package.status == APPROVED]
        if not approved:
            raise UserError("no version is approved: look at `make registry`, then `make approve version=N`")
        return approved[-1]

    def register(self, description: Mapping[str, Any], model_data: Path, evaluation: Path) -> ModelPackage:
        """Add a version, complete or not at all. The very same model as the newest version is not added again.

        description: arguments of a RegisterModel step. model_data, evaluation: files, copied into the version.
        """
        checksum = file_sha256(model_data)
        properties = {**description.get("CustomerMetadataProperties", {}), "ModelDataSha256": checksum}
        packages = self.list()
        if packages and _same_model(packages[-1].description, properties):
            return packages[-1]
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.folder))
        try:
            shutil.copyfile(model_data, draft / MODEL_DATA)
            shutil.copyfile(evaluation, draft / EVALUATION)
            return self._publish(draft, dict(description), properties)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def approve(self, version: str) -> ModelPackage:
        """PendingManualApproval -> Approved. Raises UserError for every other status."""
        package = self.describe(version)
        if package.status != PENDING:
            advice = "nothing to do" if package.status == APPROVED else "train and register a new version instead"
            raise UserError(f"version {package.version} is {package.status} already: {advice}")
        package.verify()
        return self._set_status(package, APPROVED, "")

    def reject(self, version: str, reason: str) -> ModelPackage:
        """Pending or Approved -> Rejected, with the reason. Raises UserError when rejected already, or blank."""
        package = self.describe(version)
        if not reason.strip():
            raise UserError('a rejection needs a reason: reason="recall too low for group b"')
        if package.status == REJECTED:
            raise UserError(
                f"version {package.version} is {REJECTED} already: {package.description.get('ApprovalDescription', '')}"
            )
        return self._set_status(package, REJECTED, reason.strip())

    def _read(self, folder: Path) -> ModelPackage:
        try:
            return ModelPackage(folder, json.loads((folder / PACKAGE).read_text(encoding="utf-8")))
        except ValueError:
            raise UserError(f"{folder / PACKAGE}: is damaged: remove the folder {folder} and run again") from None

    def _publish(self, draft: Path, description: dict[str, Any], properties: dict[str, Any]) -> ModelPackage:
        """Give the draft the next free number. The rename is atomic, and fails when another run took the number."""
        taken = [int(f.name) for f in self.folder.glob("*") if f.name.isdigit()]
        version = max(taken, default=0)
        while True:
            version += 1
            content = description | {
                "ModelPackageVersion": version,
                "ModelPackageArn": f"local:model-package/{self.group}/{version}",
                "CreationTime": _now(),
                "CustomerMetadataProperties": properties,
            }
            write_json(draft / PACKAGE, content)
            try:
                draft.rename(self.folder / str(version))
            except OSError:
                if (self.folder / str(version)).exists():
                    continue
                raise
            return self._read(self.folder / str(version))

    def _set_status(self, package: ModelPackage, status: str, reason: str) -> ModelPackage:
        change = {
            "ModelApprovalStatus": status,
            "ApprovalDescription": reason,
            "LastModifiedTime": _now(),
            "LastModifiedBy": {"UserProfileName": _user()},
        }
        write_json(package.folder / PACKAGE, package.description | change)
        return self._read(package.folder)


def _same_model(registered: Mapping[str, Any], properties: Mapping[str, Any]) -> bool:
    known = registered["CustomerMetadataProperties"]
    return all(known.get(key) == properties.get(key) for key in ("ModelDataSha256", "ContractHash", "DataHash"))


def _user() -> str:
    """Who acts: the login name, or what GitLab says in a CI job. A container may run as a number without a name."""
    try:
        return os.environ.get("GITLAB_USER_LOGIN") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
