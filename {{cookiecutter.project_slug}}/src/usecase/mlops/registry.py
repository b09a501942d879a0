"""The model registry: versions of a model with their evidence, and who may decide what about them.

`Registry` holds the rules; a back end stores the versions: a folder each under `.local/registry/<group>/` here, the
SageMaker Model Registry in `usecase.mlops.aws.registry`. Words and fields are those of SageMaker's model packages.
"""

import getpass
import hashlib
import importlib
import importlib.util
import json
import os
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, write_json
from usecase.mlops.locks import exclusive
from usecase.mlops.settings import load_settings

STATUSES = PENDING, APPROVED, REJECTED = "PendingManualApproval", "Approved", "Rejected"
REGISTRY = Path(".local/registry")
LOCAL, LATEST = "local", "latest"
MODEL_DATA, EVALUATION, QUALITY, PACKAGE = "model.tar.gz", "evaluation.json", "quality.json", "package.json"
MAXIMUM_REASON = 900  # characters; SageMaker keeps 1024 of who and why together

# Keys of CustomerMetadataProperties. Every one that ends in Uri is evidence, but for what the model was made from.
MODEL_SHA256, EVIDENCE_SHA256, SOURCE_ARN = "ModelDataSha256", "EvidenceSha256", "SourceModelPackageArn"
INPUT_URIS = ("InputDataUri", "ContractUri", "CodeUri")

# The usual metric of a kind of problem, by section of evaluation.json.
MAIN_METRIC = {
    "binary_classification_metrics": "auc",
    "multiclass_classification_metrics": "accuracy",
    "regression_metrics": "r2",
}

Resolve = Callable[[str], Path]


class ModelPackage(ABC):
    """One version. `description` holds the fields of SageMaker's DescribeModelPackage."""

    def __init__(self, summary: Mapping[str, Any]) -> None:
        """`summary`: at least ModelPackageVersion, ModelPackageArn, ModelApprovalStatus and CreationTime."""
        self.summary = summary

    @property
    def description(self) -> dict[str, Any]:
        """All fields."""
        return dict(self.summary)

    @abstractmethod
    def file(self, name: str) -> Path:
        """A file or folder that the version keeps, on this machine, by its name in `sources`. Raises UserError."""

    @abstractmethod
    def place(self, name: str) -> str:
        """Where that file or folder is kept: a path or a URI."""

    @property
    def version(self) -> int:
        """Number of the version in its group, from 1."""
        return int(self.summary["ModelPackageVersion"])

    @property
    def arn(self) -> str:
        """The name of the version that no other one has."""
        return str(self.summary["ModelPackageArn"])

    @property
    def status(self) -> str:
        """PendingManualApproval, Approved or Rejected."""
        return str(self.summary["ModelApprovalStatus"])

    @property
    def reason(self) -> str:
        """Why it was approved or rejected; may be blank."""
        return str(self.description.get("ApprovalDescription", ""))

    @property
    def metadata(self) -> dict[str, str]:
        """CustomerMetadataProperties: hashes, commit, execution, and where inputs and evidence lie."""
        return dict(self.description.get("CustomerMetadataProperties") or {})

    @property
    def sources(self) -> dict[str, str]:
        """Where each file or folder of the version lay when it was registered, by name."""
        return sources(self.description)

    @property
    def image(self) -> str:
        """The container image that serves it."""
        return str(_container(self.description).get("Image", ""))

    def created_by(self, execution: str) -> bool:
        """Whether this pipeline execution made the version, rather than finding it there already."""
        return execution in self.metadata.get("PipelineExecution", "")

    @property
    def model_data(self) -> Path:
        """The model.tar.gz of the version."""
        return self.file(MODEL_DATA)

    @property
    def evaluation(self) -> dict[str, Any]:
        """evaluation.json of the version."""
        return self._json(EVALUATION)

    @property
    def quality(self) -> dict[str, Any]:
        """quality.json of the version: what each gate measured. Raises UserError."""
        return self._json(QUALITY)

    @property
    def metrics(self) -> dict[str, float]:
        """Value of each metric of evaluation.json."""
        values: dict[str, Any] = next(iter(self.evaluation.values()), {})
        return {name: float(metric["value"]) for name, metric in values.items() if "value" in metric}

    @property
    def main_metric(self) -> tuple[str, float]:
        """Name and value of the metric that stands for the version: the usual one of its kind, else the first.

        Raises UserError when there is none.
        """
        measured = self.metrics
        if not measured:
            raise UserError(f"{self.place(EVALUATION)}: holds no metric of version {self.version}")
        section = next(iter(self.evaluation))
        main = MAIN_METRIC.get(section, "")
        name = main if main in measured else next(iter(measured))
        return name, measured[name]

    def verify(self) -> None:
        """Raise UserError unless model.tar.gz is the file that was registered."""
        path = self.model_data
        if file_sha256(path) != self.metadata.get(MODEL_SHA256):
            raise UserError(f"{path}: is not what was registered: version {self.version} cannot be trusted")

    def verify_evidence(self) -> None:
        """Raise UserError unless model and evidence are what was registered, and no gate has failed.

        A version that a pipeline in AWS has registered has a checksum of the model alone; its copies have both.
        """
        self.verify()
        expected = self.metadata.get(EVIDENCE_SHA256)
        if expected and evidence_sha256(collect(self.description, self.resolve)) != expected:
            raise UserError(f"the evidence of version {self.version} is not what was registered: it cannot be trusted")
        if QUALITY not in self.sources:
            raise UserError(f"version {self.version} has no {QUALITY}: no gate was checked: train again")
        if self.quality.get("failed") != 0:
            raise UserError(f"version {self.version} has failed gates: {self.quality.get('reason', '')}")

    def resolve(self, uri: str) -> Path:
        """The file or folder of the version that lay at `uri` when it was registered."""
        return self.file(next(name for name, source in self.sources.items() if source == uri))

    def _json(self, name: str) -> dict[str, Any]:
        path = self.file(name)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            content = None
        if not isinstance(content, dict):
            raise UserError(f"{path}: holds no JSON object: version {self.version} cannot be trusted")
        return content


class Registry(ABC):
    """Versions of one model package group. `place` names it in messages; `first` says how a first version comes."""

    def __init__(self, group: str, place: str, first: str) -> None:
        self.group, self.place, self.first = group, place, first

    @abstractmethod
    def list(self) -> Sequence[ModelPackage]:
        """All versions, oldest first; none when the group does not exist. Raises UserError."""

    @abstractmethod
    def _add(self, arguments: dict[str, Any], files: Mapping[str, Path]) -> ModelPackage:
        """Store a new version: its files by name, then its description. Complete or not at all."""

    @abstractmethod
    def _decide(self, package: ModelPackage, status: str, reason: str) -> ModelPackage:
        """Store a decision. Raises UserError when another one came first."""

    @abstractmethod
    def annotate(self, package: ModelPackage, metadata: Mapping[str, str]) -> ModelPackage:
        """Add to the metadata of a version, or replace what has these keys. Raises UserError."""

    def _alone(self) -> AbstractContextManager[None]:
        """Keeps others out while versions are read and then changed, where the back end can."""
        return nullcontext()

    def own_image(self, image: str) -> str:
        """The same container image where this registry's environment takes it from."""
        return image

    def describe(self, version: str) -> ModelPackage:
        """The version with this number, or the newest for `latest`. Raises UserError when there is none."""
        packages = self.list()
        if not packages:
            raise UserError(f"no version is registered in {self.place}: {self.first}")
        if version == LATEST:
            return packages[-1]
        if not version:
            raise UserError(f"which version? version=N or version={LATEST}; `make registry` lists them")
        for package in packages:
            if str(package.version) == version:
                return package
        known = ", ".join(str(package.version) for package in packages)
        raise UserError(f"version {version!r} is not registered: use one of {known}, or {LATEST}")

    def champion(self) -> ModelPackage | None:
        """The newest approved version; None when there is none."""
        return next((package for package in reversed(self.list()) if package.status == APPROVED), None)

    def latest_approved(self) -> ModelPackage:
        """The newest approved version. Raises UserError when there is none."""
        champion = self.champion()
        if champion is None:
            raise UserError("no version is approved: look at `make registry`, then `make approve version=N`")
        return champion

    def copy_of(self, source_arn: str) -> ModelPackage | None:
        """The version that was copied from this one of another registry; None when there is none."""
        copies = (package for package in reversed(self.list()) if package.metadata.get(SOURCE_ARN) == source_arn)
        return next(copies, None)

    def register(self, arguments: Mapping[str, Any], resolve: Resolve) -> ModelPackage:
        """Add a version, complete or not at all, with a copy of every file that the arguments name. Raises UserError.

        The very same model as the newest version, or another copy of one source, is not added again. `arguments` are
        those of CreateModelPackage; `resolve` says where a URI in them lies on this machine.
        """
        files = collect(arguments, resolve)
        metadata = dict(arguments.get("CustomerMetadataProperties") or {})
        for key, found in ((MODEL_SHA256, file_sha256(files[MODEL_DATA])), (EVIDENCE_SHA256, evidence_sha256(files))):
            if metadata.setdefault(key, found) != found:
                raise UserError(f"{files[MODEL_DATA].parent}: holds other files than those that were evaluated: {key}")
        with self._alone():
            known = self._known(metadata)
            return known or self._add(dict(arguments) | {"CustomerMetadataProperties": metadata}, files)

    def approve(self, version: str, reason: str = "") -> ModelPackage:
        """PendingManualApproval -> Approved, when model and evidence are intact. Raises UserError."""
        reason = _one_line(reason)
        with self._alone():
            package = self.describe(version)
            if package.status != PENDING:
                advice = "nothing to do" if package.status == APPROVED else "train and register a new version instead"
                raise UserError(f"version {package.version} is {package.status} already: {advice}")
            package.verify_evidence()
            return self._decide(package, APPROVED, reason)

    def reject(self, version: str, reason: str) -> ModelPackage:
        """Pending or Approved -> Rejected, with the reason. Raises UserError when rejected already, or blank."""
        reason = _one_line(reason)
        if not reason:
            raise UserError('a rejection needs a reason: reason="recall too low for group b"')
        with self._alone():
            package = self.describe(version)
            if package.status == REJECTED:
                raise UserError(f"version {package.version} is {REJECTED} already: {package.reason}")
            return self._decide(package, REJECTED, reason)

    def _known(self, metadata: Mapping[str, str]) -> ModelPackage | None:
        if source := metadata.get(SOURCE_ARN):
            return self.copy_of(source)
        newest = next(reversed(self.list()), None)
        same = (MODEL_SHA256, "ContractHash", "DataHash")
        return newest if newest and all(newest.metadata.get(key) == metadata.get(key) for key in same) else None


class LocalPackage(ModelPackage):
    """A version in a folder, which holds its files and package.json."""

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        super().__init__(description)
        self.folder = folder

    def file(self, name: str) -> Path:
        """See ModelPackage."""
        path = self.folder / name
        if not path.exists():
            raise UserError(f"{path}: is missing: version {self.version} is not complete")
        return path

    def place(self, name: str) -> str:
        """See ModelPackage."""
        return str(self.folder / name)


class LocalRegistry(Registry):
    """A folder per version in `root`/`group`/."""

    def __init__(self, root: Path, group: str) -> None:
        self.folder = root / group
        super().__init__(group, str(self.folder), "run `make run` first")

    def list(self) -> Sequence[LocalPackage]:
        """See Registry."""
        folders = [folder for folder in self._numbered() if (folder / PACKAGE).exists()]
        return [self._read(folder) for folder in sorted(folders, key=lambda folder: int(folder.name))]

    def _alone(self) -> AbstractContextManager[None]:
        return exclusive(self.folder.with_name(f".{self.group}.lock"))

    def _add(self, arguments: dict[str, Any], files: Mapping[str, Path]) -> LocalPackage:
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(".draft-*"):  # of a run that was killed: nobody else is writing
            shutil.rmtree(left, ignore_errors=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=self.folder))
        try:
            copies = {name: draft / name for name in files}
            for name, copy in copies.items():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(files[name], copy)
            if evidence_sha256(copies) != arguments["CustomerMetadataProperties"][EVIDENCE_SHA256]:
                raise UserError(f"{self.folder}: a file changed while it was copied: run again")
            version = 1 + max((int(folder.name) for folder in self._numbered()), default=0)
            content = arguments | {
                "ModelPackageVersion": version,
                "ModelPackageArn": f"local:model-package/{self.group}/{version}",
                "CreationTime": now(),
                "CreatedBy": {"UserProfileName": user()},
            }
            content.setdefault("ModelApprovalStatus", PENDING)
            write_json(draft / PACKAGE, content)
            draft.rename(self.folder / str(version))  # atomic: the version is there as a whole
            return self._read(self.folder / str(version))
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _decide(self, package: ModelPackage, status: str, reason: str) -> LocalPackage:
        folder = self.folder / str(package.version)
        change = {
            "ModelApprovalStatus": status,
            "ApprovalDescription": reason,
            "LastModifiedTime": now(),
            "LastModifiedBy": {"UserProfileName": user()},
        }
        write_json(folder / PACKAGE, package.description | change)
        return self._read(folder)

    def annotate(self, package: ModelPackage, metadata: Mapping[str, str]) -> LocalPackage:
        """See Registry."""
        folder = self.folder / str(package.version)
        with self._alone():
            current = self._read(folder)
            change = {"CustomerMetadataProperties": current.metadata | dict(metadata)}
            write_json(folder / PACKAGE, current.description | change)
            return self._read(folder)

    def _numbered(self) -> Iterator[Path]:
        return (folder for folder in self.folder.glob("*") if folder.name.isdecimal())

    def _read(self, folder: Path) -> LocalPackage:
        try:
            content = json.loads((folder / PACKAGE).read_text(encoding="utf-8"))
            if content["ModelPackageVersion"] != int(folder.name) or content["ModelApprovalStatus"] not in STATUSES:
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{folder / PACKAGE}: is damaged: remove the folder {folder} and run again") from None
        return LocalPackage(folder, content)


def open_registry(environment: str = LOCAL) -> Registry:
    """The registry of an environment: the folder here, or the SageMaker Model Registry. Raises UserError."""
    settings = load_settings(environment)
    if environment == LOCAL:
        return LocalRegistry(REGISTRY, settings.model_package_group)
    if not importlib.util.find_spec("usecase.mlops.aws"):
        raise UserError(
            f"{environment} has a registry from stage automated on: to grow,"
            " uvx copier update --vcs-ref=:current: -d mlops_stage=automated"
        )
    module = importlib.import_module("usecase.mlops.aws.registry")
    registry: Registry = module.SageMakerRegistry.open(settings)
    return registry


def sources(description: Mapping[str, Any]) -> dict[str, str]:
    """URI of each file or folder that belongs to a version, by its name there. Raises UserError.

    Those are the model data, every S3Uri of ModelMetrics and DriftCheckBaselines, and the evidence of the metadata.
    """
    model_data = _container(description).get("ModelDataUrl")
    if not model_data:
        raise UserError("the model package names no ModelDataUrl: register it by the pipeline of this repository")
    found = {MODEL_DATA: str(model_data)}
    metadata = description.get("CustomerMetadataProperties") or {}
    evidence = [uri for key in ("ModelMetrics", "DriftCheckBaselines") for uri in _s3_uris(description.get(key))]
    evidence += [uri for key, uri in metadata.items() if key.endswith("Uri") and key not in INPUT_URIS]
    for uri in evidence:
        name = uri.rstrip("/").rpartition("/")[2]
        if found.setdefault(name, uri) != uri:
            raise UserError(f"two files of a version are called {name}: {found[name]} and {uri}: give one another name")
    return found


def collect(description: Mapping[str, Any], resolve: Resolve) -> dict[str, Path]:
    """Every file that belongs to a version, by its path there; folders are opened. Raises UserError."""
    files: dict[str, Path] = {}
    for name, uri in sources(description).items():
        path = resolve(uri)
        inside = {f"{name}/{file.relative_to(path).as_posix()}": file for file in path.rglob("*") if file.is_file()}
        if path.is_file():
            inside = {name: path}
        if not inside or (name == MODEL_DATA and not path.is_file()):
            raise UserError(f"{uri}: no such file ({path}): the version would not be complete")
        files |= inside
    return files


def evidence_sha256(files: Mapping[str, Path]) -> str:
    """One hash over names and contents of all files of a version, as 64 hex digits."""
    lines = [f"{name}\0{file_sha256(path)}\n" for name, path in sorted(files.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def user() -> str:
    """Who acts: what GitLab says in a CI job, else the login name. A container may run as a number without a name."""
    try:
        return os.environ.get("GITLAB_USER_LOGIN") or getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def now() -> str:
    """This moment in UTC, ISO 8601 with seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _container(description: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = (description.get("InferenceSpecification") or {}).get("Containers") or [{}]
    container: Mapping[str, Any] = containers[0]
    return container


def _s3_uris(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "S3Uri":
                yield inner
            else:
                yield from _s3_uris(inner)


def _one_line(reason: str) -> str:
    reason = " ".join(reason.split())
    if len(reason) > MAXIMUM_REASON:
        raise UserError(f"the reason has {len(reason)} characters, at most {MAXIMUM_REASON} are kept: shorten it")
    return reason
