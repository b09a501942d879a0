"""The begin and the end of an environment: bootstrap, whose state moves into its own bucket, and destroy."""

import json
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from aws.conftest import ACCOUNT, REGION

from .conftest import DIGEST, Account, FakeTerraform, put_record, record_of

Usecase = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("repository", "terraform")
BUCKET = f"terraform-state-{ACCOUNT}-{REGION}"
BOTH = ("bootstrap/account", "bootstrap/usecase")


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What a person types when asked."""
    return lambda answer: monkeypatch.setattr("typer.prompt", lambda *_, **__: answer)


class TestBootstrap:
    state = Path(f".local/terraform/account-{ACCOUNT}.tfstate")

    def make_bucket(self, aws: boto3.Session) -> None:
        aws.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})

    def keys(self, terraform: FakeTerraform, root: str) -> list[str]:
        """Where the state of a root lay, init by init."""
        words = (word for call in terraform.called(root, "init") for word in call["words"])
        return [
            word.rpartition("=")[2]
            for word in words
            if word.startswith(("-backend-config=key", "-backend-config=path"))
        ]

    def test_a_dry_run_in_a_new_account(self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase) -> None:
        terraform.plans("bootstrap/account", aws_route_table=["create"])
        status, out, _ = usecase("bootstrap", "--dry-run")
        assert status == 0
        assert "bootstrap/usecase: is planned once the bucket of the state is there" in out
        assert {call["words"][0] for call in terraform.calls} == {"init", "plan", "show"}
        assert not self.state.exists()

    def test_the_state_begins_in_a_file_and_ends_in_the_bucket(
        self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        terraform.plans("bootstrap/account", aws_route_table=["create"])
        terraform.answer("bootstrap/account", "apply", err="half of it\n", status=1)
        assert usecase("bootstrap", "--yes")[0] == 1
        assert not terraform.called("bootstrap/account", "state push")
        self.state.parent.mkdir(parents=True, exist_ok=True)
        self.state.write_text("{}")  # as the real one writes it, in the middle of an apply too
        self.make_bucket(aws)
        terraform.answer("bootstrap/account", "apply")
        terraform.plans("bootstrap/usecase", aws_route_table=["create"])
        status, out, _ = usecase("bootstrap", "--yes")
        assert status == 0
        assert f"bootstrap/account: its state is now s3://{BUCKET}/account.tfstate" in out
        local = str(self.state.absolute())
        assert self.keys(terraform, "bootstrap/account") == [local, local, "account.tfstate"]
        assert self.keys(terraform, "bootstrap/usecase") == ["churn/dev/bootstrap.tfstate"]
        assert not self.state.exists()
        assert self.state.with_suffix(".pushed").exists()

    def test_again_it_goes_on_in_the_bucket(
        self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        self.make_bucket(aws)
        assert usecase("bootstrap", "--yes")[0] == 0
        assert self.keys(terraform, "bootstrap/account") == ["account.tfstate"]
        assert [call for root in BOTH for call in terraform.called(root, "apply")] == []

    def test_what_another_repository_made_is_not_destroyed(
        self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        self.make_bucket(aws)
        terraform.plans("bootstrap/account", aws_cloudtrail=["delete"])
        _, _, err = usecase("bootstrap", "--yes")
        assert "bootstrap/account would destroy aws_cloudtrail.this: another repository may have made them" in err
        assert not terraform.called("bootstrap/account", "apply")

    def test_an_account_that_has_it_all_is_left_alone(
        self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        parts = ("lock_table", "oidc_provider", "log_bucket", "trail", "config_recorder", "api_gateway_role")
        account = dict.fromkeys(parts, "none") | {
            "state_bucket": "arn:aws:s3:::company-states",
            "permissions_boundary": f"arn:aws:iam::{ACCOUNT}:policy/boundary",
        }
        Path("config/dev.yaml").write_text(json.dumps({"aws_account": ACCOUNT, "account": account}))
        place = {"LocationConstraint": REGION}
        aws.client("s3").create_bucket(Bucket="company-states", CreateBucketConfiguration=place)
        assert usecase("bootstrap", "--yes")[0] == 0
        assert not terraform.called("bootstrap/account", "init")
        (init,) = terraform.called("bootstrap/usecase", "init")
        assert "-backend-config=bucket=company-states" in init["words"]

    def test_a_later_use_case_leaves_the_parts_of_the_account_alone(
        self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        parts = ("lock_table", "oidc_provider", "log_bucket", "trail", "config_recorder", "api_gateway_role")
        account = dict.fromkeys(parts, "none") | {"state_bucket": BUCKET}
        Path("config/dev.yaml").write_text(json.dumps({"aws_account": ACCOUNT, "account": account}))
        self.make_bucket(aws)
        assert usecase("bootstrap", "--yes")[0] == 0
        assert not terraform.called("bootstrap/account", "init")
        assert self.keys(terraform, "bootstrap/usecase") == ["churn/dev/bootstrap.tfstate"]

    def test_what_it_adds_to_the_account_has_a_state_of_its_own(
        self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        account = {"state_bucket": BUCKET}  # made by another use case, whose state is account.tfstate
        Path("config/dev.yaml").write_text(json.dumps({"aws_account": ACCOUNT, "account": account}))
        self.make_bucket(aws)
        assert usecase("bootstrap", "--yes")[0] == 0
        assert self.keys(terraform, "bootstrap/account") == ["churn/account.tfstate"]

    def test_environments_of_one_account_share_its_parts(
        self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        self.make_bucket(aws)
        for environment in ("dev", "qa", "prod"):
            assert usecase("bootstrap", "--account", environment, "--yes")[0] == 0
        assert self.keys(terraform, "bootstrap/account") == ["account.tfstate"] * 3
        own = [f"churn/{environment}/bootstrap.tfstate" for environment in ("dev", "qa", "prod")]
        assert self.keys(terraform, "bootstrap/usecase") == own


class TestDestroy:
    def test_serving_goes_before_the_platform_and_the_record_with_it(
        self,
        account: Account,
        aws: boto3.Session,
        terraform: FakeTerraform,
        usecase: Usecase,
        types: Callable[..., None],
    ) -> None:
        arn = account.version()
        put_record(aws, arn)
        for root in ("platform", "serving"):
            terraform.state(root)
        types("dev")
        assert usecase("destroy")[0] == 0
        done = [(call["root"], call["words"][0]) for call in terraform.calls if call["words"][0] in ("plan", "apply")]
        assert done == [("serving", "plan"), ("serving", "apply"), ("platform", "plan"), ("platform", "apply")]
        for root in ("platform", "serving"):
            assert "-destroy" in terraform.called(root, "plan")[0]["words"]
        assert terraform.called("serving", "plan")[0]["values"][0]["model_package_arn"] == arn
        assert record_of(aws) == {}

    @pytest.mark.parametrize("typed", ["", "qa", "yes"])
    def test_the_name_must_be_typed(
        self, typed: str, account: Account, terraform: FakeTerraform, usecase: Usecase, types: Callable[..., None]
    ) -> None:
        terraform.state("platform")
        types(typed)
        status, _, err = usecase("destroy", "--root", "platform")
        assert (status, "is not dev: nothing of platform was destroyed" in err) == (1, True)
        assert not terraform.called("platform", "apply")

    def test_prod_needs_more(self, account: Account, terraform: FakeTerraform, usecase: Usecase) -> None:
        status, _, err = usecase("destroy", "--env", "prod")
        assert (status, "prod is destroyed with --yes-destroy-prod only" in err) == (1, True)
        assert terraform.calls == []

    def test_a_dry_run_only_plans(
        self, account: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
    ) -> None:
        put_record(aws, account.version())
        for root in ("platform", "serving"):
            terraform.state(root)
        assert usecase("destroy", "--dry-run")[0] == 0
        assert not [call for call in terraform.calls if call["words"][0] == "apply"]
        assert record_of(aws)["image_digest"] == DIGEST

    def test_what_is_not_there_is_no_work(self, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase) -> None:
        status, out, _ = usecase("destroy")
        assert status == 0
        assert "serving: there is no platform" in out
        assert "platform: the state is empty" in out
