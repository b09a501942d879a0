"""The SageMaker Model Registry: what all registries do, between two accounts; and races, which the service allows."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import botocore.loaders
import pytest
from botocore.exceptions import ClientError
from registry_suite import DIGEST, Made, RegistrySuite, Run
from typer.testing import CliRunner

from usecase.mlops.aws.registry import SageMakerRegistry
from usecase.mlops.cli import app
from usecase.mlops.errors import UserError
from usecase.mlops.promotion import prepare
from usecase.mlops.registry import ModelPackage, Registry

from . import moto_gaps
from .conftest import REGION, facts_of

ACCOUNTS = {"dev": "111122223333", "qa": "444455556666"}
LOADER = botocore.loaders.create_loader()
Rival = Callable[[], object]


def session(environment: str) -> boto3.Session:
    """A session in the account of an environment."""
    role = f"arn:aws:iam::{ACCOUNTS[environment]}:role/ci"
    answer = boto3.client("sts", region_name=REGION).assume_role(RoleArn=role, RoleSessionName="test")
    credentials = answer["Credentials"]
    return boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=REGION,
    )


def key_of(environment: str) -> str:
    return f"arn:aws:kms:{REGION}:{ACCOUNTS[environment]}:key/{environment}"


def open_in(connection: boto3.Session, environment: str) -> SageMakerRegistry:
    repository = f"{ACCOUNTS[environment]}.dkr.ecr.{REGION}.amazonaws.com/tumours"
    bucket = f"tumours-{environment}-artifacts"
    return SageMakerRegistry(connection, "tumours", environment, bucket, key_of(environment), repository)


def platform(environment: str) -> SageMakerRegistry:
    """The registry of an environment, with all that Terraform makes."""
    connection = session(environment)
    place = {"LocationConstraint": REGION}
    connection.client("s3").create_bucket(Bucket=f"tumours-{environment}-artifacts", CreateBucketConfiguration=place)
    connection.client("sagemaker").create_model_package_group(ModelPackageGroupName="tumours")
    return open_in(connection, environment)


pytestmark = pytest.mark.usefixtures("aws", "one_loader")


@pytest.fixture
def one_loader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions share what botocore reads of the services: many are opened here."""
    monkeypatch.setattr("botocore.session.create_loader", lambda _: LOADER)


@pytest.fixture
def registry(aws: boto3.Session) -> SageMakerRegistry:
    return platform("dev")


@pytest.fixture
def other(aws: boto3.Session) -> SageMakerRegistry:
    return platform("qa")


class TestSageMakerRegistry(RegistrySuite):
    def tamper(self, package: ModelPackage, name: str, content: str) -> None:
        head, slash, rest = name.partition("/")
        bucket, _, key = package.sources[head].removeprefix("s3://").partition("/")
        session("dev").client("s3").put_object(Bucket=bucket, Key=key + slash + rest, Body=content.encode())

    def interrupt(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(**_: Any) -> None:
            raise KeyboardInterrupt

        assert isinstance(registry, SageMakerRegistry)
        monkeypatch.setattr(registry._sagemaker, "create_model_package", stop)

    def test_a_group_that_is_not_there_yet_is_a_cold_start(self) -> None:
        empty = open_in(session("qa"), "qa")
        assert list(empty.list()) == []
        assert empty.champion() is None
        with pytest.raises(UserError, match="train one with `usecase pipeline start --env qa`, or promote one"):
            empty.describe("latest")

    def test_a_copy_lies_in_the_account_of_the_target(
        self, registry: SageMakerRegistry, other: SageMakerRegistry, made: Made
    ) -> None:
        made()
        registry.approve("1")
        copy = prepare(registry, "1", other).apply()
        assert copy.arn.split(":")[4] == ACCOUNTS["qa"]
        assert copy.image == f"{ACCOUNTS['qa']}.dkr.ecr.{REGION}.amazonaws.com/tumours@{DIGEST}"
        s3 = session("qa").client("s3")
        listed = s3.list_objects_v2(Bucket="tumours-qa-artifacts")["Contents"]
        assert len(listed) == len(Run.FILES)
        for item in listed:
            head = s3.head_object(Bucket="tumours-qa-artifacts", Key=item["Key"], ChecksumMode="ENABLED")
            assert head["SSEKMSKeyId"] == key_of("qa")
            assert head["ChecksumSHA256"]
        for uri in copy.sources.values():
            assert uri.startswith("s3://tumours-qa-artifacts/registry/tumours/")
        assert copy.metadata["InputDataUri"] == registry.describe("1").metadata["InputDataUri"]

    def test_an_image_of_aws_stays_where_it_is(self, registry: SageMakerRegistry) -> None:
        image = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:3.2-0"
        assert registry.own_image(image) == image

    def test_a_version_that_a_pipeline_has_registered(
        self, registry: SageMakerRegistry, other: SageMakerRegistry, made: Made
    ) -> None:
        """The step writes no checksum of the evidence, and the service adds facts of the source's objects."""
        made()
        request = registry.describe("1").description
        properties = request["CustomerMetadataProperties"]
        del properties["EvidenceSha256"]
        properties["DataHash"] = "0" * 64
        request["InferenceSpecification"]["Containers"][0]["ModelDataETag"] = "etag"
        kept = ("InferenceSpecification", "ModelMetrics", "CustomerMetadataProperties", "ModelApprovalStatus")
        session("dev").client("sagemaker").create_model_package(
            ModelPackageGroupName="tumours", **{key: request[key] for key in kept}
        )
        assert registry.approve("2").status == "Approved"
        copy = prepare(registry, "2", other).apply()
        copy.verify_evidence()
        assert len(copy.metadata["EvidenceSha256"]) == 64
        assert "ModelDataETag" not in copy.description["InferenceSpecification"]["Containers"][0]

    def test_bytes_that_change_on_the_way_are_refused(
        self, registry: SageMakerRegistry, other: SageMakerRegistry, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made()
        registry.approve("1")
        put = other._s3.put_object

        def change(**arguments: Any) -> Any:
            return put(**arguments | {"Body": io.BytesIO(arguments["Body"].read() + b" ")})

        monkeypatch.setattr(other._s3, "put_object", change)
        with pytest.raises(UserError, match=r"s3://tumours-qa-artifacts/.*did not match.*BadDigest"):
            prepare(registry, "1", other).apply()
        assert list(other.list()) == []

    def test_bytes_that_are_kept_without_their_checksum_are_refused(
        self, registry: SageMakerRegistry, other: SageMakerRegistry, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made()
        registry.approve("1")
        put = other._s3.put_object

        def forget(**arguments: Any) -> Any:
            return put(**{key: value for key, value in arguments.items() if not key.startswith("Checksum")})

        monkeypatch.setattr(other._s3, "put_object", forget)
        with pytest.raises(UserError, match="is not what was sent: nothing is registered"):
            prepare(registry, "1", other).apply()

    def test_metadata_that_the_service_refuses(self, registry: SageMakerRegistry, made: Made, tmp_path: Any) -> None:
        for key, value in (("Note", "x" * 257), ("Note", "50 %"), ("k" * 129, "v")):
            run = Run(tmp_path)
            run.metadata[key] = value
            with pytest.raises(UserError, match=r"model package group tumours of dev: .*ValidationException"):
                registry.register(run.arguments, run.resolve)
        run = Run(tmp_path)
        run.metadata.update({f"K{number}": "v" for number in range(50)})
        with pytest.raises(UserError, match="at most 50"):
            registry.register(run.arguments, run.resolve)
        run = Run(tmp_path)
        run.arguments["ModelApprovalStatus"] = "Aproved"
        with pytest.raises(UserError, match="ValidationException"):
            registry.register(run.arguments, run.resolve)
        assert list(registry.list()) == []

    def test_a_file_that_is_gone(self, registry: SageMakerRegistry, made: Made) -> None:
        package = made()
        bucket, _, key = package.sources["model.tar.gz"].removeprefix("s3://").partition("/")
        session("dev").client("s3").delete_object(Bucket=bucket, Key=key)
        with pytest.raises(
            UserError, match=r"s3://.*/model.tar.gz: there is no model.tar.gz: version 1 is not complete"
        ):
            registry.approve("1")

    def test_a_refusal_of_aws_is_one_line(self, registry: SageMakerRegistry) -> None:
        with pytest.raises(UserError, match=r"^arn:aws:nothing: .* \(ValidationException\)$"):
            registry.read("arn:aws:nothing")

    # Decisions at the same time: the service has no compare-and-set, so a rival acts at the worst moment.

    def test_a_rival_who_rejects_before_the_last_look(self, registry: SageMakerRegistry, made: Made) -> None:
        made()
        mine = rivalled("ListObjectsV2", "before-call", lambda: registry.reject("1", "unfair"))
        with pytest.raises(
            UserError, match=r"version 1 was decided by someone else at the same time: it is Rejected \(.*unfair\)"
        ):
            mine.approve("1")
        assert "unfair" in registry.describe("1").reason

    @pytest.mark.parametrize("moment", ["before-call", "after-call"])
    def test_a_rejection_wins_over_an_approval_at_the_same_time(
        self, registry: SageMakerRegistry, made: Made, moment: str
    ) -> None:
        made()
        mine = rivalled("UpdateModelPackage", moment, lambda: registry.reject("1", "unfair"))
        with pytest.raises(UserError, match="version 1 was decided by someone else at the same time: it is Rejected"):
            mine.approve("1")
        package = registry.describe("1")
        assert package.description["ModelApprovalStatus"] == "Rejected"
        assert package.metadata["GitSha"] == "0123abc-dirty"

    def test_a_rejection_stands_when_a_rival_approves_after_it(self, registry: SageMakerRegistry, made: Made) -> None:
        made()
        arn = registry.describe("1").arn
        mine = rivalled("UpdateModelPackage", "after-call", lambda: force(arn, "Approved"))
        assert mine.reject("1", "unfair").status == "Rejected"
        package = registry.describe("1")
        assert package.description["ModelApprovalStatus"] == "Rejected"
        assert "unfair" in package.reason

    def test_of_two_approvals_one_is_told_that_it_came_too_late(
        self, registry: SageMakerRegistry, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made()
        arn = registry.describe("1").arn
        mine = rivalled("UpdateModelPackage", "after-call", lambda: force(arn, "Approved"))
        with pytest.raises(UserError, match=r"it is Approved \(by somebody else\): look at it again"):
            mine.approve("1", "mine")
        assert registry.describe("1").status == "Approved"

    def test_what_was_rejected_counts_as_rejected_whatever_its_status_says(
        self, registry: SageMakerRegistry, made: Made
    ) -> None:
        made()
        registry.reject("1", "unfair")
        force(registry.describe("1").arn, "Approved")
        assert registry.describe("1").status == "Rejected"
        assert registry.champion() is None
        with pytest.raises(UserError, match="version 1 is Rejected already"):
            registry.approve("1")

    def test_a_rejection_names_all_metadata_again(
        self, registry: SageMakerRegistry, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whether UpdateModelPackage adds keys or replaces them is not documented: lineage outlives both."""
        before, requests = made().metadata, []
        update = registry._sagemaker.update_model_package

        def record(**request: Any) -> Any:
            requests.append(request)
            return update(**request)

        monkeypatch.setattr(registry._sagemaker, "update_model_package", record)
        registry.reject("1", "unfair")
        (request,) = requests
        assert request["CustomerMetadataProperties"].items() > before.items()
        assert request["CustomerMetadataProperties"].keys() - before.keys() == {"RejectedAt"}

    def test_who_decides_stands_in_the_description(
        self, registry: SageMakerRegistry, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made()
        monkeypatch.setenv("GITLAB_USER_LOGIN", "steward")
        assert registry.approve("1", "recall is fine").reason == "by steward: recall is fine"
        assert registry.reject("1", "no longer").reason == "by steward: no longer"


def rivalled(operation: str, moment: str, rival: Rival) -> SageMakerRegistry:
    """The registry of dev, in which a rival acts once, just before or after a call of this one."""
    connection, waiting = session("dev"), [rival]

    def act(**_: Any) -> None:
        if waiting:
            waiting.pop()()

    connection.events.register(f"{moment}.*.{operation}", act)
    return open_in(connection, "dev")


def force(arn: str, status: str) -> None:
    """What a person may do in the console, past all rules."""
    session("dev").client("sagemaker").update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription="by somebody else"
    )


def test_moto_refuses_what_the_service_refuses() -> None:
    """The gaps that the tests above rest on are closed: dropping one fails here or there."""
    sagemaker = session("dev").client("sagemaker")
    with pytest.raises(ClientError, match="does not exist"):
        sagemaker.list_model_packages(ModelPackageGroupName="nothing")
    sagemaker.create_model_package_group(ModelPackageGroupName="group")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName="group", CustomerMetadataProperties={"GitSha": "abc", "Other": "x"}
    )["ModelPackageArn"]
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"GitSha": "def"})
    sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataPropertiesToRemove=["Other"])
    described = sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["CustomerMetadataProperties"] == {"GitSha": "def"}
    with pytest.raises(ClientError, match="1024"):
        sagemaker.update_model_package(ModelPackageArn=arn, ApprovalDescription="x" * 1025)
    with pytest.raises(ClientError, match="ValidationException"):
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Aproved")


@pytest.fixture
def accounts(
    registry: SageMakerRegistry, other: SageMakerRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository with settings for dev and qa, a profile for each account, and what Terraform wrote there."""
    (tmp_path / "config").mkdir()
    defaults = {"project": "tumours", "owner_email": "a@example.com", "container": "own", "aws_region": REGION}
    (tmp_path / "config/defaults.yaml").write_text(json.dumps(defaults | {"model_package_group": "tumours"}))
    credentials = ""
    for environment, account in ACCOUNTS.items():
        (tmp_path / f"config/{environment}.yaml").write_text(json.dumps({"aws_account": account}))
        connection = session(environment)
        name, facts = f"/tumours/{environment}/platform", facts_of("tumours", environment, account)
        connection.client("ssm").put_parameter(Name=name, Type="String", Value=json.dumps(facts))
        keys = connection.get_credentials().get_frozen_credentials()
        credentials += f"[{environment}]\naws_access_key_id={keys.access_key}\n"
        credentials += f"aws_secret_access_key={keys.secret_key}\naws_session_token={keys.token}\n"
    (tmp_path / "credentials").write_text(credentials)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_PROFILE", "dev")
    monkeypatch.chdir(tmp_path)


def usecase(*words: str) -> str:
    """What a command prints. Raises UserError as the program's entry point would show it."""
    finished = CliRunner().invoke(app, words)
    if isinstance(finished.exception, UserError):
        raise finished.exception
    assert finished.exit_code == 0, finished.output
    return finished.output


@pytest.mark.usefixtures("accounts")
def test_commands_from_registration_to_the_next_environment(
    registry: SageMakerRegistry, other: SageMakerRegistry, tmp_path: Path
) -> None:
    assert "no version is registered yet in model package group tumours of dev" in usecase("registry", "--env", "dev")
    run = Run(tmp_path / "run")
    registry.register(run.arguments, run.resolve)
    with pytest.raises(UserError, match="is PendingManualApproval: only an approved one is promoted"):
        usecase("registry", "promote", "1", "--to", "qa", "--to-profile", "qa")
    usecase("approve", "--version", "1", "--reason", "looks right", "--env", "dev")
    assert usecase("registry", "--env", "dev").startswith("   1  Approved")
    assert json.loads(usecase("registry", "show", "latest", "--env", "dev", "--json"))["commit"] == "0123abc-dirty"
    assert "Commit        0123abc-dirty" in usecase("registry", "show", "1", "--env", "dev")

    promote = ("registry", "promote", "1", "--to", "qa", "--to-profile", "qa", "--approve")
    plan = usecase(*promote)
    assert "would copy version 1 of dev to model package group tumours of qa, Approved:" in plan
    assert f"{registry.describe('1').metadata['ModelDataSha256']}             1  model.tar.gz" in plan
    assert f"image {ACCOUNTS['qa']}.dkr.ecr" in plan
    assert list(other.list()) == []
    done = usecase(*promote, "--apply")
    assert f"version 1 of dev is version 1 of qa: Approved\narn:aws:sagemaker:{REGION}:{ACCOUNTS['qa']}:" in done
    assert usecase(*promote) == "version 1 of dev is version 1 of qa: Approved\n"

    usecase("reject", "--version", "1", "--reason", "a fault was found", "--env", "dev")
    assert "   1  Rejected" in usecase("registry", "--env", "dev")


@pytest.fixture
def approved(registry: SageMakerRegistry, other: SageMakerRegistry, accounts: None, tmp_path: Path) -> None:
    """An approved version of dev."""
    run = Run(tmp_path / "run")
    registry.register(run.arguments, run.resolve)
    registry.approve("1", "looks right")


@pytest.mark.usefixtures("approved")
def test_the_next_environment_fetches_a_version_from_another_account_with_its_own_role(
    other: SageMakerRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "qa")
    moto_gaps.groups_are_shared(monkeypatch)  # as their policies say
    assert "would copy version 1 of dev to model package group tumours of qa" in usecase(
        "registry", "promote", "1", "--to", "qa"
    )
    assert "version 1 of dev is version 1 of qa: Approved" in usecase(
        "registry", "promote", "1", "--to", "qa", "--approve", "--apply"
    )
    assert ACCOUNTS["qa"] in other.describe("1").arn


@pytest.mark.usefixtures("approved")
def test_one_account_holds_the_registries_of_two_environments(tmp_path: Path) -> None:
    account, connection = ACCOUNTS["dev"], boto3.Session(profile_name="dev", region_name=REGION)
    own = {"aws_account": account, "model_package_group": "tumours-qa"}
    (tmp_path / "config/qa.yaml").write_text(json.dumps(own))
    connection.client("sagemaker").create_model_package_group(ModelPackageGroupName="tumours-qa")
    facts = facts_of("tumours", "qa", account) | {"model_package_group": "tumours-qa"}
    connection.client("ssm").put_parameter(Name="/tumours/qa/platform", Type="String", Value=json.dumps(facts))
    done = usecase("registry", "promote", "1", "--to", "qa", "--approve", "--apply")
    copy = f"arn:aws:sagemaker:{REGION}:{account}:model-package/tumours-qa/1"
    assert done == f"version 1 of dev is version 1 of qa: Approved\n{copy}\n"


@pytest.mark.usefixtures("accounts")
def test_commands_refuse_the_wrong_account() -> None:
    with pytest.raises(UserError, match=f"credentials are of account {ACCOUNTS['dev']}"):
        usecase("registry", "promote", "1", "--to", "qa")
    with pytest.raises(UserError, match="environment qa: there are no AWS credentials"):
        usecase("registry", "promote", "1", "--to", "qa", "--to-profile", "nobody")
    with pytest.raises(UserError, match=r"put the environment last: usecase registry show \.\.\. --env dev"):
        usecase("registry", "--env", "dev", "show", "1")
