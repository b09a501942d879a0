"""The program itself: found, stopped in order, its words kept; plans and tests of terraform/ with the real one."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aws.conftest import ACCOUNT, REGION, facts_of

from usecase.mlops.aws.platform import PlatformFacts

from .conftest import FakeTerraform, real_terraform

Usecase = Callable[..., tuple[int, str, str]]
TREE = Path(__file__).parents[3]
MODEL = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/churn/3"
VARIABLES = """
variable "environment" {
  type = string
}

variable "offline" {
  type    = bool
  default = false
}
"""
PLATFORM = (
    VARIABLES
    + """
terraform {
  backend "s3" {}
}

resource "terraform_data" "zones" {
  input = yamldecode(file("${path.module}/../../config/${var.environment}.yaml")).aws_account

  lifecycle {
    precondition {
      condition     = var.environment != "qa"
      error_message = "config/qa.yaml: network.zones must name two zones or more."
    }
  }
}
"""
)
SERVING = (
    VARIABLES
    + """
terraform {
  backend "s3" {}
}

variable "model_package_arn" {
  type    = string
  default = null
}

variable "platform" {
  type = any
}

resource "terraform_data" "model" {
  count = var.model_package_arn == null ? 0 : 1
  input = [var.platform, var.model_package_arn, var.offline]
}
"""
)
OWN_TEST = """
run "it" {
  variables {
    environment = "dev"
  }

  assert {
    condition     = terraform_data.zones.input == "123456789012"
    error_message = "the account of the settings"
  }
}
"""


@pytest.fixture
def roots(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small roots of resources that Terraform itself has, and a test."""
    real_terraform(monkeypatch)
    for name, text in {
        "platform/main.tf": PLATFORM,
        "serving/main.tf": SERVING,
        "platform/tests/it.tftest.hcl": OWN_TEST,
    }.items():
        path = repository / "terraform" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip())
    shutil.rmtree(repository / "terraform/bootstrap")
    return repository


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ('{"terraform_version": "1.10.5"}', "is Terraform 1.10.5: install 1.11 or newer: https://"),
        ("OpenTofu", "is no Terraform: `terraform version -json` names no version"),
    ],
)
def test_another_version_is_refused(
    told: str, says: str, repository: Path, terraform: FakeTerraform, usecase: Usecase
) -> None:
    terraform.answer("", "version", told)
    assert says in usecase("plan", "--offline")[2]


def test_without_the_program_one_line_says_which(
    repository: Path, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(repository))
    for words in (("plan", "--offline"), ("test-terraform",)):
        status, _, err = usecase(*words)
        assert (status, err.count("\n")) == (1, 1)
        assert err.startswith("error: terraform is not on the PATH: install Terraform 1.11 or newer")


def test_settings_are_checked_before_the_program_is_asked(
    repository: Path, terraform: FakeTerraform, usecase: Usecase
) -> None:
    for text, says in (
        ("aws_account: ''", "config/dev.yaml: aws_account is blank"),
        ("network: {zones: [a]}", "network.zones: List should have at least 2 items"),
        ("netwrok: {}", "netwrok: unknown key"),
    ):
        Path("config/dev.yaml").write_text(text)
        status, _, err = usecase("plan", "--offline")
        assert (status, err.count("\n")) == (1, 1)
        assert says in err
    assert terraform.calls == []


def test_what_terraform_refuses_comes_last_in_its_own_words(
    repository: Path, terraform: FakeTerraform, usecase: Usecase
) -> None:
    terraform.answer(
        "platform", "plan", out="Planning ...\n", err="Error: too few zones\n\nconfig/dev.yaml: ...\n", status=1
    )
    status, _, err = usecase("plan", "--offline")
    assert (status, err) == (1, "error: terraform plan in platform:\nError: too few zones\n\nconfig/dev.yaml: ...\n")


def test_offline_no_credential_of_this_machine_is_seen(
    repository: Path, terraform: FakeTerraform, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "mine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert usecase("plan", "--offline", "--model", MODEL)[0] == 0
    for call in terraform.calls:
        seen = {name: call["env"][name] for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")}
        assert seen == {"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "offline", "AWS_SECRET_ACCESS_KEY": "offline"}
        assert not any("-backend-config" in word for word in call["words"])
    (values,) = terraform.called("serving", "plan")[0]["values"]
    assert values["offline"] is True
    assert values["model_package_arn"] == MODEL
    facts = PlatformFacts.model_validate(values["platform"])
    assert (facts.model_package_group, facts.image_repository_url.split(".")[0]) == ("churn", ACCOUNT)
    assert facts.artifact_kms_key_arn.startswith(f"arn:aws:kms:{REGION}:{ACCOUNT}:key/")
    assert facts.inference_role_arn.startswith(f"arn:aws:iam::{ACCOUNT}:role/")


@pytest.mark.terraform
def test_a_real_plan_without_an_account(roots: Path, usecase: Usecase) -> None:
    status, out, err = usecase("plan", "--offline", "--env", "prod", "--model", MODEL)
    assert (status, err) == (0, "")
    assert out.count("1 to add, 0 to change, 0 to destroy") == 2
    content = json.loads(Path(".local/plans/serving-prod.json").read_text())
    (model,) = content["planned_values"]["root_module"]["resources"]
    assert model["values"]["input"][1:] == [MODEL, True]
    assert sorted(path.name for path in Path("terraform/platform").iterdir()) == ["main.tf", "tests"]


@pytest.mark.terraform
def test_a_real_refusal_names_file_and_key(roots: Path, usecase: Usecase) -> None:
    status, _, err = usecase("plan", "--offline", "--env", "qa")
    assert (status, err.strip().splitlines()[-1]) == (1, "config/qa.yaml: network.zones must name two zones or more.")
    assert not Path(".local/plans/platform-qa.json").exists()


@pytest.mark.terraform
def test_the_tests_of_every_folder_run_and_can_fail(roots: Path, usecase: Usecase) -> None:
    status, out, err = usecase("test-terraform")
    assert (status, err) == (0, "")
    assert "platform: valid, Success! 1 passed, 0 failed." in out
    assert "serving: valid, no tests of its own" in out
    assert "serving" not in usecase("test-terraform", "--only", "terraform/platform")[1]
    assert (
        "terraform/nothing: holds no Terraform code: use one of platform, serving"
        in usecase("test-terraform", "--only", "nothing")[2]
    )
    Path("config/dev.yaml").write_text('aws_account: "999999999999"')
    Path("terraform/serving/main.tf").write_text('output "x" {\n  value = var.nothing\n}\n')
    status, out, err = usecase("test-terraform")
    assert (status, err) == (1, "error: 2 of 2 folders of terraform/ failed: platform, serving\n")
    assert "the account of the settings" in out
    assert "serving: FAILED\nterraform validate in serving:" in out
    Path("terraform/serving/main.tf").write_text("locals {\na=1\n}\n")
    status, out, err = usecase("test-terraform")
    assert (status, out) == (1, "")
    assert "terraform fmt in terraform:\nserving/main.tf" in err


class TestSignals:
    @pytest.mark.terraform
    def test_ctrl_c_reaches_terraform_once_and_it_ends_in_order(self, roots: Path, tmp_path: Path) -> None:
        """Twice would make it drop everything, the lock of the state included."""
        log = tmp_path / "log"
        slow = tmp_path / "bin/terraform"
        slow.parent.mkdir()
        slow.write_text(f"""#!{sys.executable}
import signal, sys, time
if "version" in sys.argv:
    print('{json.dumps({"terraform_version": "1.11.4"})}')
    sys.exit()
log = open({str(log)!r}, "a", buffering=1)
signal.signal(signal.SIGINT, lambda *_: log.write("interrupt\\n"))
log.write("begun\\n")
time.sleep(1.5)
log.write("released the lock\\n")
sys.exit(1)
""")
        slow.chmod(0o755)
        path = f"{slow.parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(TREE / "src")}
        code = "from usecase.mlops.cli import main; main()"
        command = [sys.executable, "-c", code, "plan", "--offline", "--root", "platform"]
        process = subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        for _ in range(200):
            if log.exists() and "begun" in log.read_text():
                break
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to all in the foreground
        _, err = process.communicate(timeout=30)
        assert log.read_text().splitlines() == ["begun", "interrupt", "released the lock"]
        assert process.returncode == 1
        assert err.strip().splitlines()[-1].startswith("error: terraform init was stopped")


def test_facts_of_a_test_are_those_of_the_code() -> None:
    PlatformFacts.model_validate(facts_of("churn", "dev", ACCOUNT))
