"""Files of an execution in S3, each set below the hash of its content: sent once, encrypted, never replaced."""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from usecase.mlops.aws.errors import explained
from usecase.mlops.files import file_sha256

WORKERS = 8  # files at a time
TRANSFER = TransferConfig(multipart_threshold=64 * 2**20, multipart_chunksize=64 * 2**20, max_concurrency=4)
SILENT_SECONDS = 2.0  # what takes longer says how far it is
MIB = 2**20


@dataclass(frozen=True)
class Artifact:
    """A file or a folder of files to send: `files` by their path below the folder, "/" between the parts.

    The files must be copies that nobody else writes to: they are hashed first and sent later.
    """

    kind: str
    files: Mapping[str, Path]

    @classmethod
    def folder(cls, kind: str, root: Path) -> "Artifact":
        """All files below `root`."""
        return cls(kind, {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()})

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file by its path, in order of the paths."""
        return {name: file_sha256(self.files[name]) for name in sorted(self.files)}

    @cached_property
    def sha256(self) -> str:
        """One hash of all: of the lines that `sha256sum` prints for the sorted paths."""
        listing = "".join(f"{sha256}  {name}\n" for name, sha256 in self.hashes.items())
        return hashlib.sha256(listing.encode()).hexdigest()

    @cached_property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(path.stat().st_size for path in self.files.values())

    def __str__(self) -> str:
        count = f"{len(self.files)} file{'s' if len(self.files) != 1 else ''}"
        return f"{self.kind}: {count}, {_words(self.size)}"


class ArtifactStore:
    """The project's folder in the artifact bucket of an environment.

    `s3` is a boto3 client, `account` owns the bucket: another owner is refused by S3.
    """

    def __init__(self, s3: Any, bucket: str, kms_key_arn: str, account: str, project: str) -> None:
        self._s3, self.bucket, self._kms_key_arn = s3, bucket, kms_key_arn
        self._owner, self._project = {"ExpectedBucketOwner": account}, project

    def key(self, artifact: Artifact, name: str = "") -> str:
        """The object of one file; without a name their folder, which holds nothing else."""
        return f"{self._project}/{artifact.kind}/{artifact.sha256}/{name}"

    def uri(self, artifact: Artifact, name: str = "") -> str:
        """The S3 location of one file, or of their folder, whether it is there already or not."""
        return f"s3://{self.bucket}/{self.key(artifact, name)}"

    def put(self, artifact: Artifact, say: Callable[[str], None] = lambda _: None) -> int:
        """Send what is not there yet; returns the number of files sent. `say` gets a line now and then if that is slow.

        S3 keeps a SHA-256 checksum of each object, or of each part of one that is sent in parts, and refuses bytes that
        do not have it. Raises UserError; a second try goes on where the first one ended.
        """
        progress = _Progress(artifact, say)

        def send(name: str) -> bool:
            with explained(self.uri(artifact, name)):
                return self._send(artifact, name, progress)

        with ThreadPoolExecutor(WORKERS) as workers:
            sent = [workers.submit(send, name) for name in artifact.files]
            try:
                return sum(future.result() for future in sent)
            except BaseException:
                workers.shutdown(cancel_futures=True)
                raise

    def _send(self, artifact: Artifact, name: str, progress: "_Progress") -> bool:
        path, sha256, key = artifact.files[name], artifact.hashes[name], self.key(artifact, name)
        if there := self._has(key, sha256):
            progress.add(path.stat().st_size)
        else:
            self._s3.upload_file(
                str(path),
                self.bucket,
                key,
                ExtraArgs={
                    "ServerSideEncryption": "aws:kms",
                    "SSEKMSKeyId": self._kms_key_arn,
                    "ChecksumAlgorithm": "SHA256",
                    "Metadata": {"sha256": sha256},
                    **self._owner,
                },
                Callback=progress.add,
                Config=TRANSFER,
            )
        return not there

    def _has(self, key: str, sha256: str) -> bool:
        """Whether the object is there with this content, under the key of today."""
        try:
            found = self._s3.head_object(Bucket=self.bucket, Key=key, **self._owner)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
                return False
            raise
        return bool(found["Metadata"].get("sha256") == sha256 and found.get("SSEKMSKeyId") == self._kms_key_arn)


class _Progress:
    """Says every two seconds how much of an artifact is done. Called by several threads."""

    def __init__(self, artifact: Artifact, say: Callable[[str], None]) -> None:
        self._kind, self._size, self._say = artifact.kind, artifact.size, say
        self._done, self._told, self._lock = 0, time.monotonic(), threading.Lock()

    def add(self, size: int) -> None:
        with self._lock:
            self._done += size
            now = time.monotonic()
            if now - self._told > SILENT_SECONDS and self._done < self._size:
                self._told = now
                self._say(f"{self._kind}: {_words(self._done)} of {_words(self._size)}")


def _words(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / MIB:.1f} MiB" if size >= MIB else f"{size / 1024:.1f} KiB"
