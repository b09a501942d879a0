"""A version from the registry of record into an environment, with its image; releases; the roles of a job."""

import configparser
import hashlib
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from aws.conftest import ACCOUNT, REGION, facts_of
from infrastructure.conftest import DIGEST, RECORD, Account, FakeTerraform, put_record, record_of
from moto.sagemaker.models import sagemaker_backends
from registry_suite import Run

from usecase.mlops.aws.images import DOCKER
from usecase.mlops.aws.registry import SageMakerRegistry
from usecase.mlops.delivery.images import OCI, Repository, copy_image
from usecase.mlops.errors import UserError

from .conftest import FakeGitLab, FakeImages, aws_config, session_in

Usecase = Callable[..., tuple[int, str, str]]
Images = tuple[FakeImages, str, FakeImages, str]
INDEX = "application/vnd.oci.image.index.v1+json"


def serves(terraform: FakeTerraform, account: Account, arn: str, config: str, environment: str = "dev") -> None:
    """Terraform brings a version into service when it applies."""
    account.serve(arn, config, name=f"churn-{environment}")
    terraform.state("serving", endpoint_name=f"churn-{environment}", endpoint_config_name=config, model_name=config)


def test_exactly_the_version_of_the_event_is_deployed_and_a_duplicate_changes_nothing(
    record: Account, aws: boto3.Session, terraform: FakeTerraform, repository: Path, usecase: Usecase
) -> None:
    old, arn, newest = (record.version() for _ in range(3))
    serves(terraform, record, arn, "config-1")
    terraform.plans("serving", aws_sagemaker_endpoint=["create"])
    status, _, err = usecase("ci", "deliver", "--env", "dev", "--model", arn)
    assert (status, err) == (0, ""), err
    (plan,) = terraform.called("serving", "plan")
    assert plan["values"][0]["model_package_arn"] == arn
    before = record_of(aws)
    assert before["package_arn"] == arn
    page = f"{REGION}.console.aws.amazon.com/sagemaker/home?region={REGION}#/endpoints/churn-dev"
    assert (repository / "deploy.env").read_text() == f"ENVIRONMENT_PAGE={page}\n"
    terraform.plans("serving")
    status, out, _ = usecase("ci", "deliver", "--env", "dev", "--model", arn)
    assert status == 0
    assert "in service since" in out
    assert record_of(aws) == before
    assert len(terraform.called("serving", "apply")) == 1
    assert not {old, newest} & {plan["values"][0]["model_package_arn"] for plan in terraform.called("serving", "plan")}


def test_an_event_that_comes_late_brings_nothing_back(
    record: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
) -> None:
    old, live = record.version(), record.version()
    put_record(aws, live, "config-2", previous=(old,))
    status, out, _ = usecase("ci", "deliver", "--env", "dev", "--model", old)
    assert status == 0
    assert f"{old} was replaced by {live}" in out
    assert not terraform.called("serving", "plan")
    serves(terraform, record, old, "config-3")
    assert usecase("ci", "deliver", "--env", "dev", "--model", old, "--again")[0] == 0  # a person asks for it
    assert record_of(aws)["package_arn"] == old


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_what_is_not_approved_now_is_not_deployed_whatever_the_event_said(
    status: str, record: Account, terraform: FakeTerraform, usecase: Usecase
) -> None:
    code, _, err = usecase("ci", "deliver", "--env", "dev", "--model", record.version(status))
    assert code == 1
    assert "only an approved one is deployed" in err
    assert not terraform.called("serving", "plan")


def test_a_version_is_copied_with_its_image_and_the_copy_is_deployed(
    qa: Account,
    aws: boto3.Session,
    terraform: FakeTerraform,
    repository: Path,
    tmp_path: Path,
    images: Images,
    usecase: Usecase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Roles, registries and buckets of two accounts, as tools/aws_config.sh tells AWS's libraries of them."""
    source, source_address, target, target_address = images
    digest = source.add("abc", DOCKER, [b"config", b"layer"])
    there = session_in(RECORD, REGION)
    facts = facts_of("churn", "dev", RECORD) | {
        "image_repository_url": f"{RECORD}.dkr.ecr.{REGION}.amazonaws.com/churn"
    }
    there.client("ssm").put_parameter(Name="/churn/dev/platform", Type="String", Value=json.dumps(facts))
    for connection, bucket in ((there, "churn-dev-artifacts"), (aws, "churn-qa-artifacts")):
        connection.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    sagemaker_backends[RECORD][REGION].create_model_package_group("churn", "", [])
    run = Run(tmp_path / "run")
    image = f"{RECORD}.dkr.ecr.{REGION}.amazonaws.com/churn@{digest}"
    run.arguments["InferenceSpecification"]["Containers"][0]["Image"] = image
    made_in = SageMakerRegistry(there, "churn", "dev", "churn-dev-artifacts", facts["artifact_kms_key_arn"])
    package = made_in.register(run.arguments, run.resolve)
    made_in.approve("1", "fine")
    role = f"arn:aws:iam::{RECORD}:role/churn/churn-dev-promote"
    written = aws_config(tmp_path, AWS_ROLE_ARN=role, AWS_PROMOTE_ROLE_ARN=role, AWS_ID_TOKEN="token")
    monkeypatch.setenv("AWS_CONFIG_FILE", written.stdout.splitlines()[0])
    places = {RECORD: source_address, ACCOUNT: target_address}
    monkeypatch.setattr(
        Repository, "of_ecr", lambda _, address: Repository(places[address[:12]], "AWS", "password", scheme="http")
    )
    with (repository / "config/qa.yaml").open("a") as file:
        file.write("\nmonitoring: {enabled: false}\n")  # its code would be built from uv.lock
    terraform.plans("platform", aws_route_table=["create"])
    _, out, err = usecase("ci", "deliver", "--env", "qa", "--model", package.arn)
    assert "has no model in its state" in err, err  # this Terraform applies nothing
    copy = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/churn/1"
    assert f"version 1 of dev is version 1: {copy}" in out
    (plan,) = terraform.called("serving", "plan")
    assert plan["values"][0]["model_package_arn"] == copy
    assert terraform.called("platform", "apply")  # before there can be a copy
    assert target.manifests[digest.replace(":", "-")] == source.manifests[digest]
    own = SageMakerRegistry(aws, "churn", "qa", "churn-qa-artifacts", "").describe("1")
    assert own.status == "Approved"
    assert own.image == f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/churn@{digest}"


def test_an_image_keeps_its_digest_and_is_sent_once(images: Images) -> None:
    source, source_address, target, target_address = images
    digest = source.add("abc", DOCKER, [b"config", b"layer one", b"layer two"])
    target.blobs[f"sha256:{hashlib.sha256(b'layer one').hexdigest()}"] = b"layer one"  # of an image before
    ends = [Repository(address, "user", "password", scheme="http") for address in (source_address, target_address)]
    assert copy_image(ends[0], "abc", ends[1], "abc") == digest
    assert target.manifests["abc"] == source.manifests["abc"]
    assert target.sent.count("PUT blobs") == 2
    sent = list(target.sent)
    assert copy_image(ends[0], digest, ends[1], "abc") == digest
    assert target.sent == sent


def test_images_that_cannot_be_trusted_or_found_are_not_copied(images: Images) -> None:
    source, source_address, target, target_address = images
    ends = [Repository(address, "user", "password", scheme="http") for address in (source_address, target_address)]
    source.add("list", INDEX, [b"config"])
    digest = source.add("bad", OCI, [b"config", b"layer"])
    source.blobs[f"sha256:{hashlib.sha256(b'layer').hexdigest()}"] = b"other"
    source.manifests[DIGEST] = source.manifests[digest]
    for reference, complaint in {
        "none": "has no image none",
        "list": "build it for one platform",
        "bad": "is not what it says",
        DIGEST: "is not what it says",
    }.items():
        with pytest.raises(UserError, match=complaint):
            copy_image(ends[0], reference, ends[1], "tag")
    assert target.manifests == {}


def test_the_published_image_reaches_the_registry_that_sagemaker_reads(
    record: Account, gitlab: FakeGitLab, images: Images, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, _, target, target_address = images
    source.add("abc", DOCKER, [b"config"])
    named: list[str] = []

    def repository(address: str, user: str, password: str) -> Repository:
        named.append(address)
        return Repository(images[1], user, password, scheme="http")

    for name, value in {"IMAGE": "g.test/data/churn", "USER": "user", "PASSWORD": "password"}.items():
        monkeypatch.setenv(f"CI_REGISTRY_{name}", value)
    monkeypatch.setattr("usecase.mlops.delivery.deliver.Repository", repository)
    monkeypatch.setattr(
        repository, "of_ecr", lambda *_: Repository(target_address, "AWS", "password", scheme="http"), raising=False
    )
    for folder, image in (
        ("", "g.test/data/churn/usecase"),
        ("Teams/churn_2/", "g.test/data/churn/usecase-teams-churn-2"),
    ):
        monkeypatch.setenv("PROJECT_DIR", folder)
        target.manifests.clear()
        assert usecase("ci", "image", "--commit", "abc")[0] == 0
        assert named[-1] == image
        assert target.manifests["abc"] == source.manifests["abc"]
    assert usecase("ci", "image", "--commit", "abc")[1].endswith("is there already\n")
    assert len(named) == 2


def test_each_request_must_be_answered_in_time(
    record: Account, repository: Path, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = "- {name: age, type: integer, role: feature}\n  - {name: left, type: boolean, role: target}"
    (repository / "data_contract.yaml").write_text(f"name: people\npath: rows.csv\nschema:\n  fields:\n  {fields}\n")
    (repository / "rows.csv").write_text("age,left\n" + "1,true\n" * 30)
    asked: list[tuple[object, object]] = []
    answers = {"text": b'{"predictions": [{"score": 1}]}'}

    class Runtime:
        def invoke_endpoint(self, **request: object) -> dict[str, io.BytesIO]:
            asked.append((request["EndpointName"], request["Body"]))
            return {"Body": io.BytesIO(answers["text"])}

    client = boto3.Session.client
    monkeypatch.setattr(
        boto3.Session,
        "client",
        lambda self, name, **more: Runtime() if name == "sagemaker-runtime" else client(self, name, **more),
    )
    status, out, err = usecase("ci", "ask", "--env", "dev", "--requests", "30", "--workers", "4")
    assert (status, err) == (0, ""), err
    assert "churn-dev: 30 requests" in out
    assert set(asked) == {("churn-dev", b"age\n1\n")}
    answers["text"] = b'{"predictions": []}'
    assert "one row was sent, the answer is" in usecase("ci", "ask", "--env", "dev")[2]
    answers["text"] = b'{"predictions": [1]}'
    file = repository / "config/dev.yaml"
    file.write_text(file.read_text() + "alarms: { latency_p99_ms: 0.0000001 }\n")
    assert "but alarms.latency_p99_ms is" in usecase("ci", "ask", "--env", "dev")[2]


def test_a_tag_becomes_one_release(
    gitlab: FakeGitLab, repository: Path, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "docs").mkdir()
    (repository / "docs/model_card.md").write_text("# Words\n")
    (repository / "gl-sbom.cdx.json").write_text("{}")
    git = ("git", "-c", "user.name=t", "-c", "user.email=t@example.com")
    for words in (
        "init -q",
        "commit -q --allow-empty -m first",
        "tag v1.0.0",
        "commit -q --allow-empty -m second",
        "tag v1.1.0",
    ):
        subprocess.run([*git, *words.split()], check=True)
    for tag in ("v1.0.0", "v1.1.0", "v1.1.0"):
        monkeypatch.setenv("CI_COMMIT_TAG", tag)
        status, out, err = usecase("ci", "release", "--output", "release")
        assert (status, err) == (0, ""), err
    assert out == "release v1.1.0 is there already: nothing to do\n"
    first, second = gitlab.releases["v1.0.0"], gitlab.releases["v1.1.0"]
    assert first["description"].startswith("First release:\n\n- first (")
    assert second["description"].startswith("Changes since v1.0.0:\n\n- second (")
    assert [link["name"] for link in second["assets"]["links"]] == ["model_card.md", "gl-sbom.cdx.json"]
    base = "https://gitlab.test/data/churn/-/jobs/3/artifacts/file/release"
    assert second["assets"]["links"][1]["url"] == f"{base}/gl-sbom.cdx.json"
    assert (repository / "release/gl-sbom.cdx.json").exists()


def test_a_job_takes_its_role_by_a_token_that_only_it_can_read(tmp_path: Path) -> None:
    role, other = f"arn:aws:iam::{ACCOUNT}:role/deploy", f"arn:aws:iam::{RECORD}:role/promote"
    done = aws_config(tmp_path, AWS_ROLE_ARN=role, AWS_PROMOTE_ROLE_ARN=other, AWS_ID_TOKEN="secret")
    path, left = done.stdout.splitlines()
    assert left == "gonegone"
    config = configparser.ConfigParser()
    config.read(path)
    token = Path(config["default"]["web_identity_token_file"])
    assert {name: config[name]["role_arn"] for name in config.sections()} == {"default": role, "profile record": other}
    assert config["default"]["role_session_name"] == "gl-7-9-3"
    assert (token.read_text(), token.stat().st_mode & 0o777) == ("secret", 0o600)
    assert "secret" not in Path(path).read_text() + done.stderr


def test_or_stands_on_the_runners_own_role(tmp_path: Path) -> None:
    done = aws_config(tmp_path, AWS_ROLE_ARN="arn:aws:iam::1:role/deploy", AWS_AUTH="runner_role")
    config = configparser.ConfigParser()
    config.read(done.stdout.splitlines()[0])
    assert config["default"]["credential_source"] == "EcsContainer"
    assert "web_identity_token_file" not in config["default"]


@pytest.mark.parametrize("role", ["", "$AWS_TRAIN_ROLE_ARN"])  # GitLab leaves the name of a variable that is not set
def test_a_job_without_a_role_says_what_to_do(role: str, tmp_path: Path) -> None:
    done = aws_config(tmp_path, AWS_ROLE_ARN=role, AWS_ID_TOKEN="token")
    assert done.returncode == 1
    assert done.stderr.startswith("error: AWS_ROLE_ARN is not set for job deploy:qa")
    assert done.stdout == ""
