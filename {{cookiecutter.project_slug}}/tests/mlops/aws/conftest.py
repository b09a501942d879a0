"""A mocked AWS account with the platform of the dev environment: facts, buckets, keys and the model package group."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.loaders import create_loader
from moto import mock_aws

from usecase.mlops.aws.images import DOCKER
from usecase.mlops.aws.platform import PlatformFacts, parameter_name
from usecase.mlops.cli import main
from usecase.mlops.settings import Settings

from . import moto_gaps

LOADER = create_loader()  # of the models of the services, for all sessions: to read them is half the time of a test
ACCOUNT, REGION = "123456789012", "eu-central-1"  # the account of every caller in moto


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[boto3.Session]:
    """The mocked account, reached with credentials that are worth nothing elsewhere; none of this machine's is seen."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("botocore.session.create_loader", lambda *_: LOADER)
    with mock_aws(), moto_gaps.closed():
        yield boto3.Session(region_name=REGION)


@pytest.fixture
def settings() -> Settings:
    """Settings of the dev environment, as config/ would give them."""
    return Settings.model_validate(
        {
            "environment": "dev",
            "project": "churn",
            "owner_email": "team@example.com",
            "container": "own",
            "aws_region": REGION,
            "aws_account": ACCOUNT,
            "model_package_group": "churn",
            "pipeline": {"parameters": {"NumRounds": 20, "MaxDepth": 3}},
            "quality": {"binary_classification": {"auc": {"minimum": 0.7}}},
            "tags": {"cost-center": "42"},
        }
    )


@pytest.fixture
def facts(aws: boto3.Session, settings: Settings) -> PlatformFacts:
    """What Terraform would have made, and does exist in the mocked account."""
    kms, s3, ecr = aws.client("kms"), aws.client("s3"), aws.client("ecr")
    keys = [kms.create_key(Description=name)["KeyMetadata"]["Arn"] for name in ("artifacts", "data", "volumes")]
    for bucket in ("churn-dev-artifacts", "churn-dev-data"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    repository = ecr.create_repository(repositoryName="churn")["repository"]
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="churn-dev")
    content = facts_of("churn", "dev", ACCOUNT) | {
        "artifact_kms_key_arn": keys[0],
        "data_kms_key_arn": keys[1],
        "volume_kms_key_arn": keys[2],
        "image_repository_url": repository["repositoryUri"],
        "model_package_group": "churn-dev",
    }
    facts = PlatformFacts.model_validate(content)
    write_facts(aws, settings, facts.model_dump())
    return facts


def facts_of(project: str, environment: str, account: str) -> dict[str, Any]:
    """Facts of a platform of which nothing need exist."""
    name = f"{project}-{environment}"
    roles = ("pipeline", "processing", "training", "inference", "batch", "scheduler")
    key = f"arn:aws:kms:{REGION}:{account}:key/{environment}"
    return {
        **{f"{kind}_bucket": f"{name}-{kind}" for kind in ("data", "capture")},
        "artifact_bucket": f"{name}-artifacts",
        **{f"{kind}_kms_key_arn": key for kind in ("artifact", "data", "volume", "capture", "log")},
        **{f"{role}_role_arn": f"arn:aws:iam::{account}:role/{name}-{role}" for role in roles},
        **{f"{kind}_topic_arn": f"arn:aws:sns:{REGION}:{account}:{name}-{kind}" for kind in ("alarm", "async")},
        "subnet_ids": ["subnet-0a", "subnet-0b"],
        "security_group_ids": ["sg-0a"],
        "image_repository_url": f"{account}.dkr.ecr.{REGION}.amazonaws.com/{project}",
        "model_package_group": project,
    }


def write_facts(aws: boto3.Session, settings: Settings, content: object) -> None:
    """Put the SSM parameter as Terraform would."""
    aws.client("ssm").put_parameter(
        Name=parameter_name(settings), Type="String", Overwrite=True, Value=json.dumps(content)
    )


TREE = Path(__file__).parents[3]
CONTRACT = """\
name: people
schema:
  fields:
  - {name: age, type: integer, role: feature}
  - {name: churned, type: boolean, role: target}
"""


@pytest.fixture
def repository(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working tree, committed, with the pipeline of this repository and little code; commands run in it."""
    root = tmp_path / "repository"
    stated = settings.model_dump(exclude={"environment"}, exclude_none=True)
    stated["quality"] = {"binary_classification": {"auc": {"minimum": 0.7}}}
    for name, text in {
        "pyproject.toml": "",
        "uv.lock": "version = 1\n",
        "pipeline.json": (TREE / "pipeline.json").read_text(encoding="utf-8"),
        "data_contract.yaml": CONTRACT,
        "docs/model_card.md": "# Purpose\n",
        "src/usecase/__init__.py": "",
        "src/usecase/train.py": "print('training')\n",
        "config/defaults.yaml": json.dumps(stated),
        "config/dev.yaml": "",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.chdir(root)
    for name in ("CI_SERVER_URL", "CI_PROJECT_ID", "CI_PIPELINE_ID"):
        monkeypatch.delenv(name, raising=False)
    for words in ("init -q", "add .", "-c user.name=t -c user.email=t@example.com commit -q -m first"):
        subprocess.run(["git", *words.split()], check=True)
    return root


def put_image(aws: boto3.Session, tag: str, media_type: str = DOCKER) -> str:
    """Put an image into the project's repository, and return its digest."""
    layer = {"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": 1, "digest": f"sha256:{tag}"}
    manifest = {"schemaVersion": 2, "mediaType": media_type, "config": layer, "layers": [layer]}
    put = aws.client("ecr").put_image(
        repositoryName="churn", imageManifest=json.dumps(manifest), imageManifestMediaType=media_type, imageTag=tag
    )
    return str(put["image"]["imageId"]["imageDigest"])


@pytest.fixture
def usecase(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """The command line in the working directory: exit status, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["usecase", *words])
        status = 0
        try:
            main()
        except SystemExit as ended:
            if isinstance(ended.code, str):  # as the interpreter does it
                print(ended.code, file=sys.stderr)
                status = 1
            else:
                status = ended.code or 0
        said = capsys.readouterr()
        return status, said.out, said.err

    return run
