"""`make test-live-aws` without AWS: what it refuses, what it would do, and that nothing stays when a step fails.

The commands of the project are played by a program that only writes down how it was called; the account is moto's.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from moto import mock_aws
from moto.sagemaker.responses import SageMakerResponse

import live_aws

ACCOUNT, REGION = "123456789012", "eu-central-1"  # moto's account
PROGRAM = """#!PYTHON
import json, os, signal, sys, time
from pathlib import Path

name, words = Path(sys.argv[0]).name, sys.argv[1:]
call = " ".join([name, *words])
typed = sys.stdin.read()
with open("HOME/calls", "a") as calls:
    calls.write(json.dumps([call, typed]) + os.linesep)
if name == "cookiecutter":
    folder = Path(words[words.index("--output-dir") + 1])
    slug = next(word for word in words if word.startswith("project_slug=")).partition("=")[2]
    (folder / slug / "config").mkdir(parents=True)
    (folder / slug / "config/dev.yaml").write_text("aws_account: x\\n")
if "data push" in call:
    print("pushed", "s3://data/churn/data/abc/")
if "wait for ever" in Path("HOME/plan").read_text() and "pipeline status" in call:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as Terraform: the shell of a background job has it ignored
    time.sleep(60)
fails = [part for part in Path("HOME/plan").read_text().splitlines() if part and part in call]
sys.exit(1 if fails else 0)
"""
Run = Callable[..., int]


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says which calls fail, a part of each a line; beside it stands what was called."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("cookiecutter", "git", "make", "terraform", "uv"):
        program = programs / name
        program.write_text(PROGRAM.replace("PYTHON", sys.executable).replace("HOME", str(tmp_path)))
        program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(programs / "python"))
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "plan").write_text("")
    return tmp_path / "plan"


@pytest.fixture
def run(plan: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, in an account of moto's unless there are no credentials."""
    plan.with_name("calls").touch()

    def main(*words: str, credentials: bool = True) -> int:
        for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, "/dev/null")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
            if not credentials:
                monkeypatch.delenv(name)
        monkeypatch.setattr("sys.argv", ["live_aws.py", *words])
        return live_aws.main()

    return main


def called(plan: Path) -> list[str]:
    return [json.loads(line)[0] for line in plan.with_name("calls").read_text().splitlines()]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "which account? make test-live-aws account=123456789012"),
        (["--account", "12345"], "which account?"),
        (["--account", ACCOUNT, "--region", "here"], "region=here is no AWS region"),
        (["--account", ACCOUNT, "--hours", "12"], "hours=12 must be more than 0 and at most 6"),
        (["--account", ACCOUNT, "--budget", "1"], "4 hours can cost 4.30 US dollars, more than budget=1"),
        (["--account", ACCOUNT], f"look with dry_run=1, then say yes={ACCOUNT}"),
        (["--account", ACCOUNT, "--yes", "1"], f"then say yes={ACCOUNT}"),
        (["--account", "999999999999", "--yes", "999999999999"], f"the credentials are of account {ACCOUNT}"),
    ],
)
@mock_aws
def test_it_refuses_with_one_line_and_does_nothing(
    words: list[str], says: str, run: Run, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert says in said
    assert said.count("\n") == 1
    assert called(plan) == []


def test_without_credentials_or_programs_it_says_so(
    run: Run, plan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--account", ACCOUNT, "--yes", ACCOUNT, credentials=False) == 1
    assert "error: no AWS credentials that work (Unable to locate credentials)" in capsys.readouterr().err
    monkeypatch.setattr(live_aws, "PROGRAMS", ("git", "no-such-program"))
    assert run("--account", ACCOUNT, "--yes", ACCOUNT) == 1
    assert capsys.readouterr().err == "error: no-such-program: not installed\n"
    assert called(plan) == []


def test_a_dry_run_needs_no_account_and_shows_every_step(
    run: Run, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--account", ACCOUNT, "--dry-run", credentials=False) == 0
    said = capsys.readouterr().out
    assert "at most 4 instances of ml.m5.large or ml.m5.xlarge: 4.30 US dollars" in said
    for step in live_aws.STEPS:
        assert f". {step.title}: {' '.join(step.words)}\n" in said
    assert called(plan) == []


@mock_aws
def test_it_goes_through_all_steps_and_leaves_nothing(run: Run, plan: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--account", ACCOUNT, "--yes", ACCOUNT) == 0
    calls = called(plan)
    verbs = [call.removeprefix("uv run --quiet usecase ") for call in calls]
    order = [
        "bootstrap --account dev --yes",
        "deploy --env dev --root platform --yes",
        "pipeline start --env dev --data s3://data/churn/data/abc/",
        "approve --env dev --version 1 --reason live-test",
        "deploy --env dev --root serving --version 2 --yes",
        "deploy rollback --env dev --yes",
        "destroy --env dev --root serving",
        "destroy --env dev --root platform",
    ]
    assert [verb for verb in verbs if verb in order] == order
    assert calls[-1].startswith("terraform -chdir=terraform/bootstrap/usecase destroy")
    assert boto3.client("s3", region_name=REGION).list_buckets()["Buckets"] == []
    assert list(plan.parent.glob("live-*")) == []
    assert "everything was taken down" in capsys.readouterr().out


@pytest.mark.parametrize(
    "fault", ["bootstrap --account", "--root platform --yes", "pipeline status", "ci ask", "rollback"]
)
@mock_aws
def test_a_step_that_fails_ends_it_and_everything_is_taken_down(
    fault: str, run: Run, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.write_text(fault)
    assert run("--account", ACCOUNT, "--yes", ACCOUNT) == 1
    calls = called(plan)
    failed = next(number for number, call in enumerate(calls) if fault in call)
    assert [re.search(r"serving|platform|terraform ", call) is not None for call in calls[failed + 1 :]] == [True] * 3
    assert "exit status 1; everything was taken down" in capsys.readouterr().err
    assert boto3.client("s3", region_name=REGION).list_buckets()["Buckets"] == []


@mock_aws
def test_what_cannot_be_taken_down_is_named_and_the_states_stay(
    run: Run, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan.write_text("destroy --env dev --root platform")
    assert run("--account", ACCOUNT, "--yes", ACCOUNT) == 1
    said = capsys.readouterr().err
    assert "the steps worked; NOT taken down: platform (platform: exit status 1)" in said
    (bucket,) = boto3.client("s3", region_name=REGION).list_buckets()["Buckets"]
    assert f"states are in s3://{bucket['Name']}" in said
    assert "terraform " in called(plan)[-1]  # what can go, goes


@mock_aws
def test_a_step_that_hangs_is_ended(
    run: Run, plan: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan.write_text("wait for ever")
    hasty = [live_aws.Step(step.title, step.words, 0.02) if "status" in step.words else step for step in live_aws.STEPS]
    monkeypatch.setattr(live_aws, "STEPS", hasty)
    assert run("--account", ACCOUNT, "--yes", ACCOUNT) == 1
    assert "wait for it: took longer than 1 s; everything was taken down" in capsys.readouterr().err


def delete_model_package(self: SageMakerResponse) -> str:
    """DeleteModelPackage, which moto lacks."""
    self.sagemaker_backend.model_packages.pop(self._get_param("ModelPackageName"))
    return "{}"


@mock_aws
def test_versions_and_pipelines_go_before_their_group(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SageMakerResponse, "delete_model_package", delete_model_package, raising=False)
    assert run("--account", ACCOUNT, "--dry-run") == 0  # with the environment of an account
    sagemaker = boto3.client("sagemaker", region_name=REGION)
    for group in ("live-1-dev", "live-1-devs"):
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
        sagemaker.create_model_package(ModelPackageGroupName=group)
        sagemaker.create_pipeline(PipelineName=group, PipelineDefinition="{}", RoleArn="arn:aws:iam::1:role/churn-dev")
    live_aws.delete_versions(live_aws.Test(ACCOUNT, REGION, "live-1", 1), boto3.Session(region_name=REGION))
    for group, left in (("live-1-dev", 0), ("live-1-devs", 1)):
        packages = sagemaker.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
        assert len(packages) == left, group
    names = [item["PipelineName"] for item in sagemaker.list_pipelines()["PipelineSummaries"]]
    assert names == ["live-1-devs"]
