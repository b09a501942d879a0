"""Deployments: only an approved version, only with consent, exactly what was planned, and verified afterwards."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from aws.conftest import ACCOUNT, REGION

from usecase.mlops.aws.registry import REJECTED_AT
from usecase.mlops.registry import SOURCE_ARN

from .conftest import DIGEST, RECORD, Account, FakeTerraform, put_record, record_of

Usecase = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("repository", "terraform")
CHANGE = {"aws_sagemaker_endpoint": ["update"], "aws_sagemaker_endpoint_configuration": ["create", "delete"]}


def has_made(terraform: FakeTerraform, config: str, environment: str = "dev") -> None:
    """Terraform plans a change of serving; its outputs are those of after it."""
    terraform.plans("serving", **CHANGE)
    terraform.state("serving", endpoint_name=f"churn-{environment}", endpoint_config_name=config, model_name=config)


def planned_model(terraform: FakeTerraform) -> object:
    (call,) = terraform.called("serving", "plan")
    return call["values"][0]["model_package_arn"]


def test_a_cold_start_plans_and_applies_without_a_model(
    account: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
) -> None:
    terraform.plans("platform", aws_route_table=["create"])
    status, out, err = usecase("deploy", "--yes")
    assert (status, err) == (0, "")
    assert "a cold start" in out
    assert planned_model(terraform) is None
    assert terraform.called("platform", "apply")
    assert not terraform.called("serving", "apply")  # nothing to do
    assert record_of(aws) == {}


def test_the_first_version_is_deployed_verified_and_recorded(
    account: Account,
    aws: boto3.Session,
    terraform: FakeTerraform,
    usecase: Usecase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arn = account.version()
    account.serve(arn, "config-1")
    has_made(terraform, "config-1")
    monkeypatch.setenv("CI_COMMIT_SHA", "c0ffee")
    monkeypatch.setenv("CI_PIPELINE_URL", "https://gitlab.example.com/p/1")
    status, out, err = usecase("deploy", "--version", "1", "--yes")
    assert (status, err) == (0, ""), err
    assert "1 to add, 1 to change, 1 to destroy\n  replace  aws_sagemaker_endpoint_configuration.this" in out
    assert f"verified: config-1 serves {arn}" in out
    record = record_of(aws)
    assert record.pop("deployed_at")
    assert record == {
        "package_arn": arn,
        "image_digest": DIGEST,
        "git_sha": "c0ffee",
        "endpoint_config": "config-1",
        "pipeline_url": "https://gitlab.example.com/p/1",
        "previous": [],
    }


def test_what_is_applied_is_the_plan_and_the_state_is_the_environments(
    account: Account, terraform: FakeTerraform, usecase: Usecase, aws: boto3.Session
) -> None:
    arn = account.version()
    account.serve(arn, "config-1")
    has_made(terraform, "config-1")
    assert usecase("deploy", "--model", arn, "--yes", "--root", "serving")[0] == 0
    assert {call["root"] for call in terraform.calls} == {"serving"}
    (init,), (plan,), (apply,) = (terraform.called("serving", verb) for verb in ("init", "plan", "apply"))
    settings = dict(word.removeprefix("-backend-config=").split("=") for word in init["words"] if "=" in word)
    assert settings == {
        "bucket": f"terraform-state-{ACCOUNT}-{REGION}",
        "key": "churn/dev/serving.tfstate",
        "region": REGION,
        "use_lockfile": "true",
    }
    assert f"-out={apply['words'][1]}" in plan["words"]
    assert plan["values"][0]["platform"]["model_package_group"] == "churn-dev"
    assert (plan["values"][0]["environment"], plan["values"][0]["model_package_arn"]) == ("dev", arn)
    for call in terraform.calls:
        assert call["env"]["TF_IN_AUTOMATION"] == "1"
        assert call["env"]["TF_INPUT"] == "0"
        assert not any(os.environ["AWS_SECRET_ACCESS_KEY"] in word for word in call["words"])
    assert not Path(apply["words"][1]).exists()
    assert not list(Path(apply["words"][1]).parent.parent.glob("usecase-plan-*/*"))


@pytest.mark.parametrize(("lock", "given"), [("dynamodb", {"table"}), ("both", {"table", "file"}), ("s3", {"file"})])
def test_a_second_writer_is_kept_out_by_what_the_settings_say(
    lock: str, given: set[str], account: Account, terraform: FakeTerraform, usecase: Usecase
) -> None:
    Path("config/dev.yaml").write_text(f'aws_account: "{ACCOUNT}"\nstate:\n  lock: {lock}\n  table: locks')
    assert usecase("deploy", "--dry-run", "--root", "platform")[0] == 0
    words = terraform.called("platform", "init")[0]["words"]
    assert ("-backend-config=dynamodb_table=locks" in words) == ("table" in given)
    assert ("-backend-config=use_lockfile=true" in words) == ("file" in given)


def test_a_forgotten_model_is_the_one_in_service(
    account: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
) -> None:
    first, _ = account.version(), account.version()
    account.serve(first, "config-1")
    put_record(aws, first)
    terraform.state("serving", endpoint_name="churn-dev", endpoint_config_name="config-1", model_name="config-1")
    before = record_of(aws)
    status, out, _ = usecase("deploy", "--yes")
    assert status == 0
    assert planned_model(terraform) == first
    assert "in service since 2026-01-01T00:00:00+00:00, as recorded" in out
    assert not terraform.called("serving", "apply")  # the same version again is no work
    assert record_of(aws) == before


def test_what_is_live_without_a_record_is_not_taken_for_a_cold_start(
    account: Account, terraform: FakeTerraform, usecase: Usecase
) -> None:
    terraform.state("serving")
    advice = "but no version is recorded: say which one, with --model ARN or --version N"
    assert f"the state of terraform/serving is not empty, {advice}" in usecase("deploy", "--yes")[2]
    account.serve(account.version(), "config-1")
    assert f"endpoint churn-dev is live, {advice}" in usecase("deploy", "--yes")[2]
    assert not terraform.called("serving", "plan")


@pytest.mark.parametrize("actions", [["delete"], ["delete", "create"]])
def test_a_live_endpoint_is_never_destroyed(
    actions: list[str], account: Account, terraform: FakeTerraform, usecase: Usecase
) -> None:
    terraform.plans("serving", aws_sagemaker_endpoint=actions)
    status, _, err = usecase("deploy", "--model", account.version(), "--yes")
    assert status == 1
    assert "the plan would destroy aws_sagemaker_endpoint.this, which is live" in err
    assert not terraform.called("serving", "apply")


@pytest.mark.parametrize(
    ("status", "metadata", "says"),
    [
        ("PendingManualApproval", {}, "is PendingManualApproval: only an approved one is deployed"),
        ("Rejected", {}, "is Rejected: only an approved one"),
        ("Approved", {REJECTED_AT: "2026-01-01T00:00:00+00:00"}, "is Rejected: only an approved one"),
    ],
)
def test_only_an_approved_version_is_deployed(
    status: str,
    metadata: dict[str, str],
    says: str,
    account: Account,
    aws: boto3.Session,
    terraform: FakeTerraform,
    usecase: Usecase,
) -> None:
    arn = account.version(status, **metadata)
    put_record(aws, arn)
    for words in (("--model", arn), ("--version", "1"), ()):
        code, _, err = usecase("deploy", "--yes", *words)
        assert code == 1
        assert f"version 1 in model package group churn-dev of dev {says}" in err
    assert not terraform.called("serving", "plan")


def test_a_version_that_is_revoked_while_the_question_waits_is_not_deployed(
    account: Account, terraform: FakeTerraform, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = account.version()
    has_made(terraform, "config-1")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: account.update(arn, ModelApprovalStatus="Rejected"))
    assert "is Rejected: only an approved one" in usecase("deploy", "--model", arn, "--root", "serving")[2]
    assert not terraform.called("serving", "apply")


@pytest.mark.parametrize(
    ("arn", "says"),
    [
        ("churn/3", "churn/3: is no ARN of a version: arn:aws:sagemaker:REGION:ACCOUNT:model-package/GROUP/NUMBER"),
        (f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/churn-dev", "is no ARN of a version"),
        (
            f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/other/1",
            "is of group other, but dev deploys from its own",
        ),
        (f"arn:aws:sagemaker:{REGION}:{RECORD}:model-package/churn-dev/1", f"is of account {RECORD}"),
        (f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:model-package/churn-dev/1", "is of region eu-west-1"),
        (f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/churn-dev/9", "ValidationException"),
    ],
)
@pytest.mark.parametrize("verb", ["deploy", "plan"])
def test_a_version_of_elsewhere_is_refused(
    verb: str, arn: str, says: str, account: Account, terraform: FakeTerraform, usecase: Usecase
) -> None:
    if verb == "plan" and says == "ValidationException":
        return  # a plan reads no registry
    status, _, err = usecase(verb, "--model", arn, "--root", "serving", *(["--yes"] if verb == "deploy" else []))
    assert status == 1
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert not terraform.called("serving", "plan")


class TestCopies:
    def test_a_copy_is_deployed_as_long_as_its_source_is_approved(
        self, qa: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        source = Account("churn-dev", RECORD).version()
        copy = qa.version(**{SOURCE_ARN: source})
        qa.serve(copy, "config-1", name="churn-qa")
        has_made(terraform, "config-1", "qa")
        assert usecase("deploy", "--env", "qa", "--model", copy, "--yes")[:1] == (0,)
        assert record_of(aws, "qa")["package_arn"] == copy

    @pytest.mark.parametrize(
        ("status", "metadata"), [("Rejected", {}), ("Approved", {REJECTED_AT: "2026-01-01T00:00:00+00:00"})]
    )
    def test_a_revocation_in_the_registry_of_record_blocks_its_copies(
        self, status: str, metadata: dict[str, str], qa: Account, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        source = Account("churn-dev", RECORD).version(status, **metadata)
        copy = qa.version(**{SOURCE_ARN: source})
        _, _, err = usecase("deploy", "--env", "qa", "--model", copy, "--yes", "--root", "serving")
        assert "version 1 in model package group churn-dev of dev is Rejected" in err
        assert not terraform.called("serving", "plan")

    @pytest.mark.parametrize("source", ["", f"arn:aws:sagemaker:{REGION}:999999999999:model-package/churn-dev/1"])
    def test_what_is_no_copy_of_the_record_is_refused(self, source: str, qa: Account, usecase: Usecase) -> None:
        copy = qa.version(**({SOURCE_ARN: source} if source else {}))
        _, _, err = usecase("deploy", "--env", "qa", "--model", copy, "--yes", "--root", "serving")
        assert "is no copy of a version of dev, whose registry decides: promote one with `usecase registry" in err


def test_a_silent_rollback_is_caught_and_not_recorded(
    account: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
) -> None:
    first, second = account.version(), account.version()
    account.serve(first, "config-1")
    put_record(aws, first)
    has_made(terraform, "config-2")  # Terraform succeeds, the endpoint is InService, and nothing is new
    account.set_endpoint("churn-dev", failure_reason="alarm churn-dev-errors\nwent off")
    before = record_of(aws)
    status, _, err = usecase("deploy", "--model", second, "--yes")
    assert status == 1
    assert (
        "endpoint config: config-1 is live, config-2 is wanted: SageMaker has taken the roll-out back: alarm"
        " churn-dev-errors went off\n" in err
    )
    assert f"package: {first} is live, {second} is wanted" in err
    assert terraform.called("serving", "apply")
    assert record_of(aws) == before


def test_a_plan_that_misses_a_control_is_not_applied(
    account: Account, terraform: FakeTerraform, usecase: Usecase
) -> None:
    change = {"actions": ["create"], "after": {"enable_key_rotation": False, "policy": None}}
    key = {"address": "aws_kms_key.this", "type": "aws_kms_key", "mode": "managed", "change": change}
    terraform.answer("platform", "show", json.dumps({"applyable": True, "resource_changes": [key]}))
    for words in (("plan", "--root", "platform"), ("deploy", "--yes")):
        status, _, err = usecase(*words)
        assert (status, "platform: the plan misses security controls: aws_kms_key.this must " in err) == (1, True)
    assert not terraform.called("platform", "apply")


def test_nobody_to_ask_is_a_refusal(account: Account, terraform: FakeTerraform, usecase: Usecase) -> None:
    for words in (("deploy",), ("deploy", "rollback"), ("bootstrap",)):
        status, _, err = usecase(*words)
        assert (status, "add yes=1 (--yes), or look with dry_run=1" in err) == (1, True)
    assert terraform.calls == []


def test_a_no_ends_it(
    account: Account, terraform: FakeTerraform, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform.plans("platform", aws_route_table=["create"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("sys.stdin.readline", lambda *_: "n\n", raising=False)
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    status, _, _ = usecase("deploy")
    assert status == 1
    assert not terraform.called("platform", "apply")


def test_a_dry_run_plans_both_roots_and_changes_nothing(
    account: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
) -> None:
    terraform.plans("platform", aws_route_table=["create"])
    has_made(terraform, "config-1")
    status, out, _ = usecase("deploy", "--model", account.version(), "--dry-run")
    assert (status, out.count("Nothing was changed: --dry-run")) == (0, 2)
    assert {call["words"][0] for call in terraform.calls} == {"init", "plan", "show"}
    assert record_of(aws) == {}


def test_before_there_is_a_platform(aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase) -> None:
    terraform.plans("platform", aws_route_table=["create"])
    for words in (("plan",), ("deploy", "--dry-run")):
        status, out, _ = usecase(*words)
        assert status == 0
        assert "serving: is planned once the platform is there" in out
    assert not terraform.called("serving", "plan")


def test_what_holds_data_is_not_destroyed_unasked(
    account: Account, terraform: FakeTerraform, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    terraform.plans("platform", aws_s3_bucket=["delete"], aws_route_table=["delete"])
    _, _, err = usecase("deploy", "--root", "platform", "--yes")
    assert "the plan would destroy aws_s3_bucket.this: look at it, and deploy without --yes" in err
    assert not terraform.called("platform", "apply")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: True)
    assert usecase("deploy", "--root", "platform")[0] == 0
    assert terraform.called("platform", "apply")


def test_a_plan_is_kept_for_this_user_alone(account: Account, terraform: FakeTerraform, usecase: Usecase) -> None:
    terraform.plans("serving", **CHANGE)
    terraform.answer("serving", "plan", out="Terraform will perform\n")
    assert usecase("plan", "--root", "serving")[0] == 0
    kept = Path(".local/plans/serving-dev.json")
    assert json.loads(kept.read_text())["applyable"]
    assert kept.with_suffix(".txt").read_text() == "Terraform will perform\n"
    assert {file.stat().st_mode & 0o777 for file in kept.parent.iterdir()} == {0o600}


def test_options_before_a_subcommand_are_refused(usecase: Usecase) -> None:
    assert "put the options last: usecase deploy verify --env ..." in usecase("deploy", "--env", "qa", "verify")[2]
    assert "--model and --version both name a version" in usecase("deploy", "--model", "a", "--version", "1")[2]


class TestRollback:
    def test_the_version_before_that_is_still_approved_comes_back(
        self, account: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        first, second, third = (account.version() for _ in range(3))
        account.update(second, ModelApprovalStatus="Rejected")
        put_record(aws, third, "config-3", previous=(third, second, first))
        account.serve(first, "config-4")
        has_made(terraform, "config-4")
        status, out, err = usecase("deploy", "rollback", "--yes")
        assert (status, err) == (0, "")
        assert f"not {second}: version 2 in model package group churn-dev of dev is Rejected" in out
        record = record_of(aws)
        assert record["package_arn"] == first
        assert [entry["package_arn"] for entry in record["previous"]] == [third, third, second, first]
        assert "previous" not in record["previous"][0]

    def test_without_one_it_is_refused(self, account: Account, aws: boto3.Session, usecase: Usecase) -> None:
        assert "records no version, so there is none to go back to" in usecase("deploy", "rollback", "--yes")[2]
        put_record(aws, account.version(), previous=(account.version("Rejected"),))
        assert "no version of the record but the present one is approved" in usecase("deploy", "rollback", "--yes")[2]


@pytest.mark.parametrize(("url", "least", "most"), [("", 10, 10), ("https://gitlab.example.com/" + "p" * 200, 5, 9)])
def test_the_record_stays_within_what_a_parameter_holds(
    url: str,
    least: int,
    most: int,
    account: Account,
    aws: boto3.Session,
    terraform: FakeTerraform,
    usecase: Usecase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CI_PIPELINE_URL", url)
    for number in range(1, 13):
        arn = account.version()
        account.serve(arn, f"config-{number}")
        has_made(terraform, f"config-{number}")
        assert usecase("deploy", "--model", arn, "--yes", "--root", "serving")[0] == 0
    record = record_of(aws)
    kept = [int(entry["endpoint_config"].removeprefix("config-")) for entry in record["previous"]]
    assert kept == list(range(11, 11 - len(kept), -1))
    assert least <= len(kept) <= most
    assert len(json.dumps(record, separators=(",", ":"))) <= 4096


def test_a_record_that_is_damaged_is_named(account: Account, aws: boto3.Session, usecase: Usecase) -> None:
    aws.client("ssm").put_parameter(Name="/churn/dev/deployment", Type="String", Value="[1]")
    assert "SSM parameter /churn/dev/deployment: holds no JSON object" in usecase("deploy", "--yes")[2]
    aws.client("ssm").put_parameter(Name="/churn/dev/deployment", Type="String", Overwrite=True, Value='{"a": 1}')
    assert "SSM parameter /churn/dev/deployment: package_arn: Field required" in usecase("deploy", "--yes")[2]
