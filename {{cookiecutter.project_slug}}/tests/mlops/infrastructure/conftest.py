"""A repository with two roots, an account on moto, and a program that is called terraform."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws import moto_gaps
from aws.conftest import ACCOUNT, REGION, aws, facts, facts_of, settings, usecase, write_facts
from moto.sagemaker.models import sagemaker_backends

from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.settings import Settings

__all__ = ["aws", "facts", "settings", "usecase"]  # fixtures of the tests of aws/
RECORD = "333344445555"  # the account of dev, where a test deploys to qa
DIGEST = "sha256:" + "1" * 64
PROGRAM = """#!PYTHON
import json, os, sys
from pathlib import Path

home, words, folder = Path(sys.argv[0]).parent, sys.argv[1:], Path.cwd()
root = "/".join(folder.parts[folder.parts.index("terraform") + 1 :]) if "terraform" in folder.parts else ""
values = [json.loads(Path(word.partition("=")[2]).read_text()) for word in words if word.startswith("-var-file=")]
told = dict(root=root, words=words, values=values, env=dict(os.environ))
with (home / "calls").open("a") as calls:
    calls.write(json.dumps(told) + os.linesep)
verb = " ".join(words[:2]) if words[0] == "state" else words[0]
answers = json.loads((home / "answers.json").read_text())
answer = answers.get((root + " " + verb).strip()) or answers.get(verb) or dict()
sys.stdout.write(answer.get("out", ""))
sys.stderr.write(answer.get("err", ""))
sys.exit(answer.get("status", 0))
"""


class FakeTerraform:
    """What the program answers, by root and command, and how it was called."""

    def __init__(self, home: Path) -> None:
        self.home, self.answers = home, dict[str, dict[str, Any]]()
        self.answer("", "version", '{"terraform_version": "1.11.4"}')
        for root in ("platform", "serving", "bootstrap/account", "bootstrap/usecase"):
            self.plans(root)

    def answer(self, root: str, verb: str, out: str = "", err: str = "", status: int = 0) -> None:
        """What a command prints, and how it ends."""
        self.answers[f"{root} {verb}".strip()] = {"out": out, "err": err, "status": status}
        (self.home / "answers.json").write_text(json.dumps(self.answers))

    def plans(self, root: str, **changes: list[str]) -> None:
        """The plan of a root: actions by type of resource, whose values only apply would tell."""
        listed = [
            {
                "address": f"{kind}.this",
                "type": kind,
                "mode": "managed",
                "change": {"actions": actions, "after": None if actions == ["delete"] else {}, "after_unknown": True},
            }
            for kind, actions in changes.items()
        ]
        self.answer(root, "show", json.dumps({"applyable": bool(listed), "resource_changes": listed}))

    def state(self, root: str, **outputs: str) -> None:
        """The state of a root: one resource, and its outputs."""
        named = {name: {"value": value, "type": "string"} for name, value in outputs.items()}
        self.answer(root, "state pull", json.dumps({"outputs": named, "resources": [{"mode": "managed"}]}))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """All calls, but for the version."""
        file = self.home / "calls"
        told = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        return [call for call in told if call["words"][0] != "version"]

    def called(self, root: str, verb: str) -> list[dict[str, Any]]:
        """The calls of one command in one root."""
        return [call for call in self.calls if call["root"] == root and " ".join(call["words"]).startswith(verb)]


@pytest.fixture
def terraform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTerraform:
    """A program in Terraform's place that does nothing but tell."""
    home = tmp_path / "fake"
    home.mkdir()
    program = home / "terraform"
    program.write_text(PROGRAM.replace("PYTHON", sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}{os.pathsep}{os.environ['PATH']}")
    return FakeTerraform(home)


@pytest.fixture
def repository(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: settings of dev and qa in two accounts, and folders for the roots."""
    root = tmp_path / "repository"
    stated = settings.model_dump(mode="json", exclude={"environment", "aws_account"}, exclude_none=True)
    files = {
        "pyproject.toml": "",
        "config/defaults.yaml": json.dumps(stated),
        **{f"config/{name}.yaml": f'aws_account: "{ACCOUNT}"' for name in ("dev", "qa", "prod")},
        **{
            f"terraform/{name}/main.tf": ""
            for name in ("platform", "serving", "bootstrap/account", "bootstrap/usecase")
        },
        "terraform/tests/facts.json": json.dumps(facts_of("tumours", "qa", "999999999999")),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(root)
    for name in ("CI_COMMIT_SHA", "CI_PIPELINE_URL"):
        monkeypatch.delenv(name, raising=False)
    return root


class Account:
    """What an environment's account holds: versions, and what is in service."""

    def __init__(self, group: str, account: str = ACCOUNT) -> None:
        self.group, self.backend = group, sagemaker_backends[account][REGION]
        if group not in self.backend.model_package_groups:
            self.backend.create_model_package_group(group, "", [])

    def version(self, status: str = "Approved", **metadata: str) -> str:
        """Register a version; returns its ARN."""
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/churn@{DIGEST}"
        container = {"Image": image, "ModelDataUrl": "s3://churn-dev-artifacts/model.tar.gz"}
        specification = {"Containers": [container], "SupportedContentTypes": ["text/csv"]}
        arn: str = self.backend.create_model_package(
            model_package_name=None,
            model_package_group_name=self.group,
            model_package_description="",
            inference_specification=specification,
            validation_specification=None,
            source_algorithm_specification=None,
            certify_for_marketplace=False,
            tags=[],
            model_approval_status=status,
            metadata_properties=None,
            model_metrics=None,
            client_token="",
            customer_metadata_properties=metadata or {"GitSha": "abc"},
            drift_check_baselines=None,
            domain="",
            task="",
            sample_payload_url="",
            additional_inference_specifications=None,
        )
        return arn

    def update(self, arn: str, **change: Any) -> None:
        """Change a version as somebody else would."""
        client = boto3.client("sagemaker", region_name=REGION)
        client.update_model_package(ModelPackageArn=arn, **change)

    def serve(self, arn: str, config: str, digest: str = DIGEST, name: str = "churn-dev") -> None:
        """Bring a version into service, as `terraform apply` would: model and endpoint config have the same name."""
        client = boto3.client("sagemaker", region_name=REGION)
        client.create_model(
            ModelName=config,
            PrimaryContainer={"ModelPackageName": arn},
            ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/churn-dev-inference",
        )
        variant = {"VariantName": "main", "ModelName": config, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        client.create_endpoint_config(EndpointConfigName=config, ProductionVariants=[variant])
        if name not in self.backend.endpoints:
            client.create_endpoint(EndpointName=name, EndpointConfigName=config)
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/churn@{digest}"
        self.set_endpoint(name, endpoint_config_name=config)
        self.backend.endpoints[name].production_variants[0]["DeployedImages"] = [{"ResolvedImage": image}]

    def set_endpoint(self, name: str, **change: Any) -> None:
        """Make an endpoint say something else of itself."""
        for key, value in change.items():
            setattr(self.backend.endpoints[name], key, value)


@pytest.fixture
def account(facts: PlatformFacts) -> Account:
    """The account of dev, with a platform."""
    return Account("churn-dev")


@pytest.fixture
def qa(aws: boto3.Session, settings: Settings, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The account of qa, with a platform; dev is another one."""
    (repository / "config/dev.yaml").write_text(f'aws_account: "{RECORD}"')
    write_facts(aws, settings.model_copy(update={"environment": "qa"}), facts_of("churn", "qa", ACCOUNT))
    moto_gaps.groups_are_shared(monkeypatch)
    return Account("churn")


def record_of(aws: boto3.Session, environment: str = "dev") -> dict[str, Any]:
    """The deployment record; {} when there is none."""
    found = aws.client("ssm").get_parameters(Names=[f"/churn/{environment}/deployment"])["Parameters"]
    content: dict[str, Any] = json.loads(found[0]["Value"]) if found else {}
    return content


def put_record(aws: boto3.Session, arn: str, config: str = "config-1", previous: tuple[str, ...] = ()) -> None:
    """A record of dev: the version in service, and those before it."""

    def entry(arn: str, config: str) -> dict[str, str]:
        stamps = {"git_sha": "abc", "deployed_at": "2026-01-01T00:00:00+00:00"}
        return {"package_arn": arn, "image_digest": DIGEST, "endpoint_config": config, **stamps}

    content: Mapping[str, Any] = entry(arn, config) | {"previous": [entry(old, "config-0") for old in previous]}
    aws.client("ssm").put_parameter(Name="/churn/dev/deployment", Type="String", Value=json.dumps(content))


def real_terraform(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test marked `terraform` needs: without the program it fails where CI is set, and is skipped elsewhere."""
    if not shutil.which("terraform"):
        if os.environ.get("CI"):
            pytest.fail("terraform is not on the PATH, and CI leaves a check out by its mark only")
        pytest.skip("needs terraform on the PATH")
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)  # one that names no file is warned of at each call
