"""The zip of the function: what is in it, the same bytes each time, no more than Lambda takes, sent once."""

import zipfile
from pathlib import Path

import boto3
import pytest
from aws.test_bundle import locked, needs_uv, repository

from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.errors import UserError
from usecase.mlops.monitoring import package
from usecase.mlops.settings import Settings

__all__ = ["locked", "repository"]


@pytest.fixture
def root(locked: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose lock has one small library for the monitor."""
    monkeypatch.setattr(package, "GROUP", "mlops")
    for name in (
        "capture.py",
        "drift/judge.py",
        "drift/judge.pyc",
        "baseline/page.html",
        "aws/errors.py",
        "aws/start.py",
    ):
        file = locked / "src/usecase/mlops" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return locked


@needs_uv
def test_the_zip_has_managed_modules_and_locked_libraries(root: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    first, second = package.build(tmp_path / "first", root), package.build(tmp_path / "second", root)
    with zipfile.ZipFile(first) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert "manylinux" in archive.read("alpha/__init__.py").decode()
        assert archive.read("usecase/__init__.py") == b""
        assert {entry.external_attr >> 16 & 0o444 for entry in archive.infolist()} == {0o444}  # for Lambda's user
    modules = {
        f"usecase/mlops/{name}" for name in ("capture.py", "drift/judge.py", "baseline/page.html", "aws/errors.py")
    }
    assert names == {"alpha/__init__.py", "usecase/__init__.py", *modules}  # no train.py, no start.py
    assert first.read_bytes() == second.read_bytes()
    assert package.unpacked_bytes(first) == sum(
        file.stat().st_size for file in (tmp_path / "first/content").rglob("*") if file.is_file()
    )


@needs_uv
def test_what_lambda_would_not_take_is_refused(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "MAX_BYTES", 100)
    with pytest.raises(UserError, match=r"bytes, a Lambda function may have 100: .* largest, alpha.* bytes\)"):
        package.build(tmp_path, root)
    assert not (tmp_path / package.FILE).exists()


def test_the_zip_is_sent_once(aws: boto3.Session, settings: Settings, facts: PlatformFacts, tmp_path: Path) -> None:
    said: list[str] = []
    archive = tmp_path / package.FILE
    archive.write_bytes(b"zip")
    first = package.upload(aws, settings, facts, archive, said.append)
    assert package.upload(aws, settings, facts, archive, said.append) == first
    assert [line.split(": ")[2] for line in said] == ["sent", "there already"]
    assert first.bucket == facts.artifact_bucket
    assert first.key.startswith("churn/monitor/")
    assert aws.client("s3").get_object(Bucket=first.bucket, Key=first.key)["Body"].read() == b"zip"
    archive.write_bytes(b"other")
    assert package.upload(aws, settings, facts, archive) != first
