"""The SageMaker Model Registry as back end of `usecase.mlops.registry`, by boto3.

The service has no compare-and-set: whoever writes last wins. So a decision is read again before and after it is
written, and a rejection leaves a mark beside the status that no approval takes away: a marked version counts as
rejected, whatever its status says. In CI a resource group lets one decision run at a time.
"""

import base64
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import boto3
from botocore.exceptions import ClientError

from usecase.mlops.aws.errors import explained
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256
from usecase.mlops.registry import (
    APPROVED,
    EVIDENCE_SHA256,
    REJECTED,
    ModelPackage,
    Registry,
    now,
    sources,
    user,
)
from usecase.mlops.settings import Settings

REJECTED_AT = "RejectedAt"  # the mark: a key of CustomerMetadataProperties with the time of the rejection
MAXIMUM_OBJECT = 5 * 2**30  # bytes; what S3 takes, and hashes, in one request


class SageMakerPackage(ModelPackage):
    """A version of which a listing knows number and status; the rest is fetched when it is asked for."""

    def __init__(self, registry: "SageMakerRegistry", summary: Mapping[str, Any], complete: bool = False) -> None:
        super().__init__(summary)
        self._registry, self._complete = registry, complete

    @cached_property
    def _description(self) -> dict[str, Any]:
        return dict(self.summary) if self._complete else self._registry.read(self.arn)

    @property
    def description(self) -> dict[str, Any]:
        """See ModelPackage."""
        return self._description

    @property
    def status(self) -> str:
        """See ModelPackage. A version that was rejected once stays so."""
        listed = super().status
        return REJECTED if listed == APPROVED and REJECTED_AT in self.metadata else listed

    @cached_property
    def _folder(self) -> Path:
        return self._registry.new_folder()

    def file(self, name: str) -> Path:
        """See ModelPackage. The file, or all of its folder, is downloaded once in the life of this object."""
        head = name.partition("/")[0]
        uri = self.sources.get(head)
        if uri is None:
            raise UserError(f"version {self.version} keeps no {head}: it has {', '.join(self.sources)}")
        if not (self._folder / head).exists():
            self._registry.download(uri, self._folder / head)
        if not (self._folder / name).exists():
            raise UserError(f"{uri}: there is no {name}: version {self.version} is not complete")
        return self._folder / name

    def place(self, name: str) -> str:
        """See ModelPackage."""
        return self.sources[name]


class SageMakerRegistry(Registry):
    """The model package group of one environment.

    `bucket` and `kms_key_arn` are the environment's own: what is registered from here is written there. So is
    `image_repository`, which gets the images by digest; it is blank where AWS's own image is used. `listed_as` is the
    ARN of a group in another account; blank: the group is known by its name.
    """

    def __init__(
        self,
        session: boto3.Session,
        group: str,
        environment: str,
        bucket: str,
        kms_key_arn: str,
        image_repository: str = "",
        listed_as: str = "",
    ) -> None:
        first = f"train one with `usecase pipeline start --env {environment}`, or promote one"
        super().__init__(group, f"model package group {group} of {environment}", first)
        self._listed_as = listed_as or group
        self._bucket, self._kms_key_arn, self._image_repository = bucket, kms_key_arn, image_repository
        self._sagemaker, self._s3 = session.client("sagemaker"), session.client("s3")
        self._cache = Path(tempfile.mkdtemp(prefix="usecase-registry-"))
        weakref.finalize(self, shutil.rmtree, self._cache, ignore_errors=True)

    @classmethod
    def open(cls, settings: Settings, profile: str = "") -> "SageMakerRegistry":
        """The registry of an environment, as its platform says. `profile`: see platform.session. Raises UserError."""
        from usecase.mlops.aws.platform import read_platform, session

        connection = session(settings, profile)
        facts = read_platform(connection, settings)
        return cls(
            connection,
            facts.model_package_group,
            settings.environment,
            facts.artifact_bucket,
            facts.artifact_kms_key_arn,
            facts.image_repository_url,
        )

    @classmethod
    def open_for(cls, settings: Settings, reader: Settings, profile: str = "") -> "SageMakerRegistry":
        """The registry of an environment, to be read with credentials of another one, `reader`. Raises UserError.

        The two may be in two accounts: terraform/platform lets the deploy roles of the others read there.
        """
        from usecase.mlops.aws.platform import require_account, session

        require_account(settings)
        connection = session(reader.model_copy(update={"aws_region": settings.aws_region}), profile)
        partition = connection.get_partition_for_region(settings.aws_region)
        place, group = f"{settings.aws_region}:{settings.aws_account}", settings.model_package_group
        listed_as = f"arn:{partition}:sagemaker:{place}:model-package-group/{group}"
        return cls(connection, group, settings.environment, "", "", listed_as=listed_as)

    def own_image(self, image: str) -> str:
        """See Registry. An image by digest is in the environment's own repository."""
        _, at, digest = image.partition("@")
        return f"{self._image_repository}@{digest}" if at and self._image_repository else image

    def list(self) -> Sequence[SageMakerPackage]:
        """See Registry."""
        pages = self._sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=self._listed_as)
        with explained(self.place):
            try:
                listed = [summary for page in pages for summary in page["ModelPackageSummaryList"]]
            except ClientError as error:
                if "does not exist" in error.response["Error"].get("Message", ""):
                    return []  # Terraform makes the group; before, there is nothing
                raise
        packages = [SageMakerPackage(self, summary) for summary in listed]
        return sorted(packages, key=lambda package: package.version)

    def read(self, arn: str) -> dict[str, Any]:
        """DescribeModelPackage. Raises UserError."""
        with explained(arn):
            described: dict[str, Any] = self._sagemaker.describe_model_package(ModelPackageName=arn)
        described.pop("ResponseMetadata", None)
        return described

    def new_folder(self) -> Path:
        """An empty folder, which is there as long as this object is."""
        return Path(tempfile.mkdtemp(dir=self._cache))

    def download(self, uri: str, target: Path) -> None:
        """Fetch the object at `uri` to the file `target`, or all below it to the folder `target`. Raises UserError."""
        bucket, _, key = uri.removeprefix("s3://").rstrip("/").partition("/")
        with explained(uri):
            for name, found in self._objects(bucket, key):
                path = target / name if name else target
                path.parent.mkdir(parents=True, exist_ok=True)
                self._s3.download_file(bucket, found, str(path))

    def _objects(self, bucket: str, key: str) -> Iterator[tuple[str, str]]:
        """(path below `key`, key) of the object `key`, or of all in the folder `key`."""
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
            for item in page.get("Contents", []):
                found = str(item["Key"])
                if found == key:
                    yield "", found
                elif found.startswith(key + "/") and not found.endswith("/"):
                    path = found.removeprefix(key + "/")
                    if ".." in PurePosixPath(path).parts:
                        raise UserError(f"s3://{bucket}/{found}: no name for a file")
                    yield path, found

    def _add(self, arguments: dict[str, Any], files: Mapping[str, Path]) -> SageMakerPackage:
        # the place follows from the content: a second try after an interruption writes the same objects again
        folder = f"registry/{self.group}/{arguments['CustomerMetadataProperties'][EVIDENCE_SHA256]}"
        for name, path in files.items():
            self._upload(path, f"{folder}/{name}")
        moved = {uri: f"s3://{self._bucket}/{folder}/{name}" for name, uri in sources(arguments).items()}
        request = _moved(arguments, moved) | {"ModelPackageGroupName": self.group}
        with explained(self.place):
            arn = self._sagemaker.create_model_package(**request)["ModelPackageArn"]
        return self._fetch(arn)

    def _upload(self, path: Path, key: str) -> None:
        """Put a file; S3 refuses bytes that do not have its checksum, and says afterwards what it keeps."""
        uri = f"s3://{self._bucket}/{key}"
        if path.stat().st_size > MAXIMUM_OBJECT:
            raise UserError(f"{path}: is larger than 5 GiB: S3 takes that much in one request")
        checksum = base64.b64encode(bytes.fromhex(file_sha256(path))).decode()
        with explained(uri), path.open("rb") as stream:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=stream,
                ChecksumAlgorithm="SHA256",
                ChecksumSHA256=checksum,
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=self._kms_key_arn,
            )
            kept = self._s3.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        if kept.get("ChecksumSHA256") != checksum:
            raise UserError(f"{uri}: is not what was sent: nothing is registered, promote again")

    def _decide(self, package: ModelPackage, status: str, reason: str) -> SageMakerPackage:
        before = self._fetch(package.arn)
        if before.status != package.status:
            raise _lost(before)
        who = f"by {user()}"
        text = f"{who}: {reason}" if reason else who
        mark = {"CustomerMetadataProperties": before.metadata | {REJECTED_AT: now()}} if status == REJECTED else {}
        self._update(package.arn, status, text, mark)
        after = self._fetch(package.arn)
        if REJECTED_AT in after.metadata and after.description["ModelApprovalStatus"] != REJECTED:
            at = after.metadata[REJECTED_AT]
            kept = text if status == REJECTED else f"rejected at {at}; an approval at the same time was taken back"
            self._update(package.arn, REJECTED, kept, {})
            after = self._fetch(package.arn)
        if after.status != status or (status == APPROVED and after.reason != text):
            raise _lost(after)
        return after

    def annotate(self, package: ModelPackage, metadata: Mapping[str, str]) -> SageMakerPackage:
        """See Registry."""
        before = self._fetch(package.arn)
        # all of it: whether the service merges or replaces is not documented
        merged = before.metadata | dict(metadata)
        with explained(package.arn):
            self._sagemaker.update_model_package(ModelPackageArn=package.arn, CustomerMetadataProperties=merged)
        after = self._fetch(package.arn)
        if after.status != before.status or after.metadata != merged:
            raise _lost(after)
        return after

    def _update(self, arn: str, status: str, text: str, change: Mapping[str, Any]) -> None:
        with explained(arn):
            self._sagemaker.update_model_package(
                ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=text, **change
            )

    def _fetch(self, arn: str) -> SageMakerPackage:
        return SageMakerPackage(self, self.read(arn), complete=True)


def _lost(package: ModelPackage) -> UserError:
    return UserError(
        f"version {package.version} was decided by someone else at the same time: it is {package.status}"
        f" ({package.reason or 'no reason given'}): look at it again"
    )


def _moved(value: Any, places: Mapping[str, str]) -> Any:
    """`value` with every URI of `places` replaced."""
    if isinstance(value, Mapping):
        return {key: _moved(inner, places) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_moved(inner, places) for inner in value]
    return places.get(value, value) if isinstance(value, str) else value
