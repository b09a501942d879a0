"""Evidence, decisions, rejections and polls: each thing is done once, for a version of the registry of record alone."""

import json
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from aws.conftest import ACCOUNT, REGION
from infrastructure.conftest import Account, put_record
from registry_suite import Run

from usecase.mlops.aws.registry import SageMakerRegistry
from usecase.mlops.registry import ModelPackage
from usecase.mlops.settings import load_settings

from .conftest import FakeGitLab

Usecase = Callable[..., tuple[int, str, str]]
VERSION = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/churn-dev/"


@pytest.fixture
def registered(record: Account, tmp_path: Path) -> ModelPackage:
    """A pending version with all of its evidence."""
    run = Run(tmp_path / "run")
    return SageMakerRegistry.open(load_settings("dev")).register(run.arguments, run.resolve)


def approve_in_poll_mode(repository: Path) -> None:
    file = repository / "config/dev.yaml"
    file.write_text(file.read_text() + "events: { approval_trigger: poll }\n")


def test_the_evidence_is_a_page_and_a_note_that_is_written_once(
    registered: ModelPackage, gitlab: FakeGitLab, repository: Path, usecase: Usecase
) -> None:
    gitlab.merged["0123abc"] = 5
    gitlab.notes[5] = [{"body": f"about {registered.arn}2"}, {"body": "nice"}]  # another version
    for folder in ("first", "second"):
        status, out, err = usecase("ci", "report", "--model", registered.arn, "--output", f"pages/{folder}")
        assert (status, err) == (0, ""), err
        assert "https://gitlab.test/mr/5" in out
    (note,) = [note["body"] for note in gitlab.notes[5] if f"`{registered.arn}`" in note["body"]]
    assert "auc 0.9" in note
    assert "usecase approve --env dev --version 1" in note
    assert gitlab.issues == []
    assert (repository / "pages/first/model_card/plots/roc.svg").exists()
    links = json.loads((repository / "pages/first/links.json").read_text())["Version 1"]
    assert {link["external_link"]["label"] for link in links} == {"Execution", "Pipeline"}


def test_without_a_merge_request_it_is_an_issue(registered: ModelPackage, gitlab: FakeGitLab, usecase: Usecase) -> None:
    for folder in ("first", "second"):
        assert usecase("ci", "report", "--model", registered.arn, "--output", folder)[0] == 0
    (issue,) = gitlab.issues
    assert issue["labels"] == ["model-approval"]
    assert issue["title"] == "Version 1 of churn-dev waits for a decision"


def test_evidence_that_was_changed_is_no_evidence(
    registered: ModelPackage, aws: boto3.Session, gitlab: FakeGitLab, usecase: Usecase
) -> None:
    bucket, _, key = registered.place("quality.json").removeprefix("s3://").partition("/")
    aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")
    status, _, err = usecase("ci", "report", "--model", registered.arn, "--output", "page")
    assert status == 1
    assert "is not what was registered" in err
    assert gitlab.issues == []


def test_a_decision_says_who_and_why(
    registered: ModelPackage, gitlab: FakeGitLab, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEWARDS", "ada, grace")
    monkeypatch.setenv("REASON", "better for group b")
    assert usecase("ci", "decide", "--model", registered.arn, "--approve")[0] == 0
    monkeypatch.delenv("REASON")
    status, out, _ = usecase("ci", "decide", "--model", registered.arn, "--reject")
    assert (status, out) == (0, "version 1 is Rejected: by grace: in https://gitlab.test/p/9\n")
    status, _, err = usecase("ci", "decide", "--model", registered.arn, "--approve")
    assert status == 1
    assert "is Rejected already" in err


def test_who_is_no_steward_decides_nothing(
    registered: ModelPackage, gitlab: FakeGitLab, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEWARDS", "ada alan")
    status, _, err = usecase("ci", "decide", "--model", registered.arn, "--approve")
    assert (status, err) == (1, "error: grace is not among STEWARDS (ada, alan): ask one of them\n")
    assert SageMakerRegistry.open(load_settings("dev")).describe("1").status == "PendingManualApproval"


def test_a_rejection_opens_one_issue_that_says_where_the_version_is_live(
    record: Account, aws: boto3.Session, gitlab: FakeGitLab, usecase: Usecase
) -> None:
    first, other = record.version(), record.version()
    put_record(aws, first)
    record.update(first, ModelApprovalStatus="Rejected", ApprovalDescription="by ada: leaks the target")
    for _ in range(2):  # an event may come twice
        status, out, err = usecase("ci", "live", "--env", "dev", "--model", first, "--output", "live-dev.json")
        assert (status, err) == (0, ""), err
        assert "dev: in service since 2026-01-01" in out
        assert usecase("ci", "rejected", "--model", first)[0] == 0
    (issue,) = gitlab.issues
    assert issue["labels"] == ["model-rejected"]
    assert "by ada: leaks the target" in issue["description"]
    assert "| dev | **in service** since 2026-01-01" in issue["description"]
    assert "| prod | not known" in issue["description"]
    assert "serves in dev:" in issue["description"]
    assert usecase("ci", "rejected", "--model", other)[1] == "version 2 is Approved now: nothing to do\n"
    assert len(gitlab.issues) == 1


def test_an_issue_about_version_12_is_none_about_version_1(
    record: Account, gitlab: FakeGitLab, usecase: Usecase
) -> None:
    arn = record.version("Rejected")
    gitlab.issues.append({"labels": ["model-rejected"], "description": f"`{arn}2`", "web_url": "u", "iid": 1})
    assert usecase("ci", "rejected", "--model", arn)[0] == 0
    assert len(gitlab.issues) == 2


REPORT, LIVE = ("report", "--output", "page"), ("live", "--env", "dev", "--output", "l.json")


@pytest.mark.parametrize(
    ("words", "arn", "complaint"),
    [
        (REPORT, "churn/3", "is no ARN of a version"),
        (LIVE, f"arn:aws:sagemaker:{REGION}:999999999999:model-package/churn-dev/3", "is of account 999999999999"),
        (("rejected",), f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:model-package/churn-dev/3", "is of region us-east-1"),
        (("decide", "--approve"), VERSION.replace("churn-dev", "fraud-dev") + "3", "is of group fraud-dev"),
        (("deliver", "--env", "dev"), VERSION.replace("churn-dev", "fraud-dev") + "3", "is of group fraud-dev"),
    ],
)
def test_a_version_of_somebody_else_is_refused(
    words: tuple[str, ...], arn: str, complaint: str, record: Account, gitlab: FakeGitLab, usecase: Usecase
) -> None:
    status, _, err = usecase("ci", *words, "--model", arn)
    assert status == 1
    assert complaint in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("GITLAB_API_TOKEN", "", "GITLAB_API_TOKEN is not set, so there is no issue about the rejection"),
        ("GITLAB_API_TOKEN", "glpat-expired", "GitLab answers 401"),
        ("CI_SERVER_URL", "http://127.0.0.1:9", "GitLab cannot be reached"),
        ("CI_SERVER_URL", "", "CI_SERVER_URL is not set: this command is for jobs of GitLab"),
    ],
)
def test_a_gitlab_that_cannot_be_used_is_one_line(
    variable: str,
    value: str,
    complaint: str,
    record: Account,
    gitlab: FakeGitLab,
    usecase: Usecase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr("time.sleep", lambda _: None)
    status, _, err = usecase("ci", "rejected", "--model", record.version("Rejected"))
    assert status == 1
    assert complaint in err
    assert err.count("\n") == 1
    assert "glpat" not in err


def test_a_poll_starts_one_pipeline_for_each_decision(
    record: Account, aws: boto3.Session, gitlab: FakeGitLab, repository: Path, usecase: Usecase
) -> None:
    approve_in_poll_mode(repository)
    live, *_ = [record.version() for _ in range(10)]
    rejected, approved, pending = (
        record.version(status) for status in ("Rejected", "Approved", "PendingManualApproval")
    )
    put_record(aws, live)
    record.update(live, ModelApprovalStatus="Rejected")  # revoked, and older than what is looked at
    for _ in range(2):
        assert usecase("ci", "poll")[0] == 0
    assert [pipeline["name"] for pipeline in reversed(gitlab.pipelines)] == [
        f"rejected {live}",
        f"rejected {rejected}",
        f"approved {approved}",
        f"pending {pending}",
    ]
    assert {pipeline["ref"] for pipeline in gitlab.pipelines} == {"main"}
    record.update(pending, ModelApprovalStatus="Approved")
    assert usecase("ci", "poll")[0] == 0
    assert gitlab.pipelines[0]["inputs"] == {"registry_event": "approved", "model_package_arn": pending}


def test_where_events_tell_nothing_is_polled(record: Account, gitlab: FakeGitLab, usecase: Usecase) -> None:
    record.version()
    status, _, err = usecase("ci", "poll")
    assert status == 1
    assert "switch the schedule off" in err
    assert gitlab.pipelines == []
