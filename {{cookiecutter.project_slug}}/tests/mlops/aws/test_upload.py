"""Files in S3 below the hash of their content: encrypted, checked by S3, sent once."""

from pathlib import Path
from typing import Any

import boto3
import pytest

from usecase.mlops.aws import upload
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.aws.upload import MIB, Artifact, ArtifactStore
from usecase.mlops.errors import UserError

from .conftest import ACCOUNT


@pytest.fixture
def store(aws: boto3.Session, facts: PlatformFacts) -> ArtifactStore:
    return ArtifactStore(aws.client("s3"), facts.artifact_bucket, facts.artifact_kms_key_arn, ACCOUNT, "churn")


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    for name, content in (("a.py", "a"), ("package/b.py", "b"), ("package/c d.txt", "")):
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Artifact.folder("code", tmp_path / "code")


def objects(aws: boto3.Session, bucket: str) -> dict[str, Any]:
    listed = aws.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])
    return {item["Key"]: item["LastModified"] for item in listed}


def test_a_folder_lies_below_its_hash_encrypted_and_with_checksums(
    store: ArtifactStore, artifact: Artifact, facts: PlatformFacts, aws: boto3.Session
) -> None:
    assert store.put(artifact) == 3
    assert store.uri(artifact) == f"s3://churn-dev-artifacts/churn/code/{artifact.sha256}/"
    assert set(objects(aws, facts.artifact_bucket)) == {
        f"churn/code/{artifact.sha256}/{name}" for name in ("a.py", "package/b.py", "package/c d.txt")
    }
    head = aws.client("s3").head_object(
        Bucket=facts.artifact_bucket, Key=store.key(artifact, "package/b.py"), ChecksumMode="ENABLED"
    )
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", facts.artifact_kms_key_arn)
    assert head["ChecksumSHA256"]
    assert head["Metadata"] == {"sha256": artifact.hashes["package/b.py"]}


def test_what_is_there_is_not_sent_again(
    store: ArtifactStore, artifact: Artifact, facts: PlatformFacts, aws: boto3.Session
) -> None:
    store.put(artifact)
    before = objects(aws, facts.artifact_bucket)
    assert store.put(Artifact("code", dict(reversed(list(artifact.files.items()))))) == 0
    assert objects(aws, facts.artifact_bucket) == before
    aws.client("s3").delete_object(Bucket=facts.artifact_bucket, Key=store.key(artifact, "a.py"))
    assert store.put(artifact) == 1


@pytest.mark.parametrize("planted", ["other bytes", "other key"])
def test_what_is_there_but_is_not_ours_is_replaced(
    planted: str, store: ArtifactStore, artifact: Artifact, facts: PlatformFacts, aws: boto3.Session
) -> None:
    s3, key = aws.client("s3"), store.key(artifact, "a.py")
    own: dict[str, Any] = {"Metadata": {"sha256": artifact.hashes["a.py"]}}
    if planted == "other bytes":
        own = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": facts.artifact_kms_key_arn}
    s3.put_object(Bucket=facts.artifact_bucket, Key=key, Body=b"planted", **own)
    assert store.put(artifact) == 3
    assert s3.get_object(Bucket=facts.artifact_bucket, Key=key)["Body"].read() == b"a"


def test_the_hash_is_of_names_and_contents(artifact: Artifact, tmp_path: Path) -> None:
    first = artifact.sha256
    renamed = {name.replace("a.py", "z.py"): path for name, path in artifact.files.items()}
    assert Artifact("code", renamed).sha256 != first
    (tmp_path / "code" / "a.py").write_text("changed")
    assert Artifact("code", artifact.files).sha256 != first


def test_a_large_file_goes_in_parts_and_says_how_far_it_is(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: PlatformFacts, aws: boto3.Session
) -> None:
    monkeypatch.setattr(upload, "SILENT_SECONDS", -1.0)
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (65 * MIB // 256))
    artifact = Artifact("model", {"large": large})
    said: list[str] = []
    assert store.put(artifact, said.append) == 1
    head = aws.client("s3").head_object(
        Bucket=facts.artifact_bucket, Key=store.key(artifact, "large"), ChecksumMode="ENABLED"
    )
    assert head["ETag"].strip('"').endswith("-2")
    assert head["ContentLength"] == 65 * MIB
    assert said
    assert all(line.startswith("model: ") and line.endswith(" of 65.0 MiB") for line in said)


def test_what_is_quick_says_nothing(store: ArtifactStore, artifact: Artifact) -> None:
    said: list[str] = []
    store.put(artifact, said.append)
    assert said == []


def test_a_bucket_that_is_not_there_is_one_line(aws: boto3.Session, facts: PlatformFacts, artifact: Artifact) -> None:
    store = ArtifactStore(aws.client("s3"), "nowhere", facts.artifact_kms_key_arn, ACCOUNT, "churn")
    with pytest.raises(UserError) as error:
        store.put(artifact)
    assert str(error.value).startswith(f"s3://nowhere/churn/code/{artifact.sha256}/")
    assert "\n" not in str(error.value)
