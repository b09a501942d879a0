"""What is in service is compared with what is wanted: endpoints that change, fail or were rolled back, and batch."""

import json
import re
from collections.abc import Callable

import boto3
import pytest
from aws.conftest import ACCOUNT, REGION

from .conftest import DIGEST, Account, FakeTerraform, put_record

Usecase = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("repository")
OTHER = "sha256:" + "2" * 64


@pytest.fixture
def arn(account: Account, aws: boto3.Session, terraform: FakeTerraform) -> str:
    """A version in service, as recorded and as Terraform made it."""
    arn = account.version()
    account.serve(arn, "config-1")
    put_record(aws, arn)
    terraform.state("serving", endpoint_name="churn-dev", endpoint_config_name="config-1", model_name="config-1")
    return arn


def verify(usecase: Usecase, *words: str) -> list[str]:
    """The differences that it tells."""
    status, _, err = usecase("deploy", "verify", *words)
    assert status == int(bool(err))
    assert not err or err.startswith("error: what is in service in dev is not what is wanted:\n")
    return [line.strip() for line in err.splitlines()[1:]]


def test_all_as_wanted(arn: str, usecase: Usecase) -> None:
    status, out, err = usecase("deploy", "verify")
    assert (status, err) == (0, "")
    assert f"verified: config-1 serves {arn}" in out


def test_nothing_deployed_yet_is_no_fault_but_what_nobody_recorded_is(
    account: Account, terraform: FakeTerraform, usecase: Usecase
) -> None:
    assert "no version was deployed yet" in usecase("deploy", "verify")[1]
    account.serve(account.version(), "config-1")
    assert "endpoint churn-dev is live, but /churn/dev/deployment records no version" in usecase("deploy", "verify")[2]


def test_a_record_without_a_state_is_refused(
    account: Account, aws: boto3.Session, terraform: FakeTerraform, usecase: Usecase
) -> None:
    put_record(aws, account.version())
    assert "terraform/serving has no model in its state" in usecase("deploy", "verify")[2]


def test_an_endpoint_that_is_gone(arn: str, account: Account, usecase: Usecase) -> None:
    account.backend.delete_endpoint("churn-dev")
    assert verify(usecase) == ["endpoint churn-dev: is not there"]


@pytest.mark.parametrize("status", ["Failed", "OutOfService", "UpdateRollbackFailed"])
def test_an_endpoint_that_failed_says_why(status: str, arn: str, account: Account, usecase: Usecase) -> None:
    account.set_endpoint("churn-dev", endpoint_status=status, failure_reason="no capacity\nin zone a")
    assert verify(usecase) == [f"endpoint churn-dev: is {status}, not InService: no capacity in zone a"]


def test_another_image_under_the_same_config(arn: str, account: Account, usecase: Usecase) -> None:
    (variant,) = account.backend.endpoints["churn-dev"].production_variants
    variant["DeployedImages"] = [{"ResolvedImage": f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/churn@{OTHER}"}]
    (line,) = verify(usecase)
    assert line.startswith("image of variant main: ")
    assert line.endswith(f"@{OTHER} is live, {DIGEST} is wanted")
    variant["DeployedImages"] = []
    assert verify(usecase) == [f"image of variant main: no image is live, {DIGEST} is wanted"]


def test_another_package_under_the_same_model(arn: str, account: Account, aws: boto3.Session, usecase: Usecase) -> None:
    account.backend._models["config-1"].primary_container["ModelPackageName"] = arn + "0"
    assert verify(usecase) == [f"package: {arn}0 is live, {arn} is wanted"]
    account.backend._models["config-1"].primary_container = {"Image": "by-hand"}
    assert verify(usecase) == [f"package: none is live, {arn} is wanted"]


def test_it_waits_while_the_endpoint_changes(
    arn: str, account: Account, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = iter(["RollingBack", "InService"])
    monkeypatch.setattr("time.sleep", lambda _: account.set_endpoint("churn-dev", endpoint_status=next(states)))
    account.set_endpoint("churn-dev", endpoint_status="Updating")
    status, out, _ = usecase("deploy", "verify")
    assert status == 0
    assert "endpoint churn-dev is Updating\nendpoint churn-dev is RollingBack\n" in out


def test_it_does_not_wait_for_ever(
    arn: str, account: Account, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter(range(3))
    monkeypatch.setattr("time.sleep", lambda _: next(looks))  # more of them are an error: no test waits for ever
    account.set_endpoint("churn-dev", endpoint_status="Updating")
    status, _, err = usecase("deploy", "verify", "--timeout", "0")
    assert status == 1
    assert re.search(r"endpoint churn-dev is Updating after \d s: look at its alarms and logs", err)


class TestBatch:
    @pytest.fixture
    def machine(self, arn: str, aws: boto3.Session, terraform: FakeTerraform) -> Callable[[str], None]:
        """Sets the model of the state machine that starts transform jobs."""
        step = {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTransformJob.sync", "End": True}
        client = aws.client("stepfunctions")

        def definition(model: str) -> str:
            states = {"Transform": step | {"Parameters": {"ModelName": model} if model else {}}}
            return json.dumps({"StartAt": "Transform", "States": states})

        role = f"arn:aws:iam::{ACCOUNT}:role/churn-dev-batch"
        made = client.create_state_machine(name="churn-dev", definition=definition("config-1"), roleArn=role)
        terraform.state("serving", model_name="config-1", state_machine_arn=made["stateMachineArn"])

        def change(model: str) -> None:
            client.update_state_machine(stateMachineArn=made["stateMachineArn"], definition=definition(model))

        return change

    def test_the_state_machine_names_the_model(self, machine: Callable[[str], None], usecase: Usecase) -> None:
        assert verify(usecase) == []

    def test_another_model_or_none(self, machine: Callable[[str], None], account: Account, usecase: Usecase) -> None:
        second = account.version()
        account.serve(second, "config-2")
        machine("config-2")
        model, package = verify(usecase)
        assert model == "model: config-2 is live, config-1 is wanted"
        assert package.startswith(f"package: {second} is live")
        machine("")
        assert verify(usecase) == ["model: none is live, config-1 is wanted"]
