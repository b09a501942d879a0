"""Training data in S3, below the hash of its content: checked against the contract, encrypted, never replaced."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from usecase.mlops.aws.errors import explained
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256
from usecase.mlops.prepare import DataCheck
from usecase.mlops.tables import data_files


@dataclass(frozen=True)
class DataPlace:
    """Where the data of an environment lies: a bucket of the account, its KMS key, and the project's folder in it."""

    bucket: str
    kms_key_arn: str
    project: str
    account: str

    def key(self, sha256: str, name: str = "") -> str:
        """The object of one file of the data with this hash; without a name their folder, which holds nothing else."""
        return f"{self.project}/data/{sha256}/{name}"


@dataclass(frozen=True)
class CheckedData:
    """Files that keep the contract. `hashes` maps each to the SHA-256 of its bytes; `sha256` names them all."""

    hashes: Mapping[Path, str]
    sha256: str
    rows: int
    warnings: list[str]
    personal: list[str]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.stat().st_size for file in self.hashes)


def check_data(path: Path, contract: Contract) -> CheckedData:
    """Hold each row of a file, or of all data files of a folder, against the contract.

    The hash is SHA-256 of a file's bytes; for a folder, of the lines that `sha256sum *` prints there.
    Raises UserError with the first problems in one line.
    """
    hashes = {file: file_sha256(file) for file in data_files(path)}
    check = DataCheck(contract, name_files=True)
    rows = sum(batch.height for batch in check.batches(path))
    listing = "".join(f"{sha256}  {file.name}\n" for file, sha256 in hashes.items())
    return CheckedData(
        hashes=hashes,
        sha256=hashlib.sha256(listing.encode()).hexdigest() if path.is_dir() else hashes[path],
        rows=rows,
        warnings=[str(warning) for warning in check.warnings],
        personal=[f"{column.name} ({column.pii})" for column in contract.table.fields if column.pii != "no"],
    )


def push(
    data: CheckedData,
    place: DataPlace,
    s3: Any,
    metadata: Mapping[str, str] | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> str:
    """Put the files below the hash of their content and return the URI of that folder; what is there stays.

    `s3` is a boto3 client, `metadata` goes to each object; `progress` gets the number of bytes since its last call.
    Raises UserError.
    """
    for file, sha256 in data.hashes.items():
        key, size = place.key(data.sha256, file.name), file.stat().st_size
        with explained(f"s3://{place.bucket}/{key}"):
            if _is_there(s3, place, key, sha256):
                progress(size)
                continue
            s3.upload_file(
                str(file),
                place.bucket,
                key,
                ExtraArgs={
                    "ServerSideEncryption": "aws:kms",
                    "SSEKMSKeyId": place.kms_key_arn,
                    "ExpectedBucketOwner": place.account,
                    "Metadata": {**(metadata or {}), "sha256": sha256, "rows": str(data.rows)},
                },
                Callback=progress,
            )
            if file_sha256(file) != sha256:
                # overwritten, not deleted: who pushes data needs no right to delete anybody's
                s3.put_object(Bucket=place.bucket, Key=key, Body=b"", ExpectedBucketOwner=place.account)
                raise UserError(f"{file}: was changed after it was checked: what was sent is emptied, push it again")
    return f"s3://{place.bucket}/{place.key(data.sha256)}"


def _is_there(s3: Any, place: DataPlace, key: str, sha256: str) -> bool:
    try:
        found = s3.head_object(Bucket=place.bucket, Key=key, ExpectedBucketOwner=place.account)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return False
        raise
    return bool(found["Metadata"].get("sha256") == sha256)
