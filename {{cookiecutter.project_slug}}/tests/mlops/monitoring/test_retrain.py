"""`usecase retrain --env`: what asks, and what the rules and the executions so far say to that."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws.conftest import ACCOUNT, REGION, repository, usecase
from aws.test_start import DATA, commit, parameters, ready
from moto.cloudwatch.models import cloudwatch_backends
from moto.sagemaker.models import sagemaker_backends

from usecase.mlops.delivery.images import Repository

__all__ = ["ready", "repository", "usecase"]
Usecase = Callable[..., tuple[int, str, str]]
DRIFT = "drift churn-prod-drift 2026-01-02T04:10:00Z"


@pytest.fixture
def team(ready: str, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a deployed pipeline, data and an image; qa has its own account, prod none yet."""
    (repository / "config/qa.yaml").write_text('aws_account: "999988887777"\n')
    (repository / "config/prod.yaml").write_text('aws_account: ""\n')
    monkeypatch.delenv("CI_COMMIT_SHA", raising=False)
    return repository


def rules(team: Path, **retraining: Any) -> None:
    """Settings of dev. They are not committed: what is built is the same."""
    (team / "config/dev.yaml").write_text(json.dumps({"retraining": retraining}))


def executions() -> list[Any]:
    return list(sagemaker_backends[ACCOUNT][REGION].pipelines["churn-dev"].pipeline_executions.values())


def age(hours: float) -> None:
    """Let time pass since all executions."""
    for execution in executions():
        execution.creation_time -= timedelta(hours=hours)
        execution.start_time = execution.creation_time


def retrain(usecase: Usecase, reason: str = DRIFT, *words: str) -> str:
    status, out, err = usecase("retrain", "--env", "dev", "--reason", reason, "--data", DATA, *words)
    assert status == 0, err
    return out


def test_the_new_version_will_say_why(team: Path, usecase: Usecase, aws: boto3.Session) -> None:
    out = retrain(usecase)
    assert out.startswith(f"training: {DRIFT}\narn:aws:sagemaker:")
    given = parameters(aws, out.splitlines()[1])
    assert given["RetrainingTrigger"] == "drift"
    assert given["RetrainingReason"] == DRIFT
    (execution,) = executions()
    assert json.loads(execution.pipeline_execution_description) == {"kind": "drift", "reason": DRIFT, "key": DRIFT}


def test_the_same_event_trains_once(team: Path, usecase: Usecase) -> None:
    retrain(usecase)
    age(24 * 10)  # no cooldown is left
    assert retrain(usecase) == f"not trained: this has started a training already: {DRIFT}\n"
    assert retrain(usecase, DRIFT.replace("T04", "T05")).startswith("training: ")
    assert len(executions()) == 2


def test_two_jobs_that_decide_at_the_same_time_start_one(
    team: Path, usecase: Usecase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither has seen the other's: the token of the request says that it is the same."""
    first = retrain(usecase)
    for execution in executions():
        execution.pipeline_execution_description = ""
    age(24 * 10)
    assert retrain(usecase).splitlines()[1] == first.splitlines()[1]
    assert len(executions()) == 1


@pytest.mark.parametrize("reason", [DRIFT, "data 2026-01-02T04:10:00Z", "schedule 2026-01-02T04:10:00Z"])
def test_a_training_of_any_kind_holds_off_the_next(team: Path, usecase: Usecase, reason: str) -> None:
    assert usecase("pipeline", "start", "--data", DATA)[0] == 0
    assert "not trained: the last training was lately: wait until " in retrain(usecase, reason)
    age(73)
    assert retrain(usecase, reason).startswith("training: ")


def test_a_person_need_not_wait(team: Path, usecase: Usecase) -> None:
    retrain(usecase)
    assert retrain(usecase, "new prices since March").startswith("training: new prices since March\n")
    assert json.loads(executions()[-1].pipeline_execution_description)["kind"] == "manual"


def test_a_month_has_its_budget_also_for_people(team: Path, usecase: Usecase) -> None:
    rules(team, monthly_runs=2, cooldown_hours=0)
    usecase("pipeline", "start", "--data", DATA)  # is no training again
    for hour in (4, 5):
        assert retrain(usecase, DRIFT.replace("T04", f"T0{hour}")).startswith("training: ")
    said = "not trained: 2 trainings in 30 days are as many as retraining.monthly_runs allows\n"
    assert retrain(usecase, DRIFT.replace("T04", "T06")) == said
    assert retrain(usecase, "please") == said
    age(24 * 30)
    assert retrain(usecase, "please").startswith("training: ")


def test_the_switch_stops_everybody(team: Path, usecase: Usecase) -> None:
    rules(team, enabled=False)
    for reason in (DRIFT, "please"):
        assert retrain(usecase, reason) == "not trained: retraining is switched off (retraining.enabled)\n"
    assert executions() == []


def test_a_dry_run_says_what_would_happen(
    team: Path, usecase: Usecase, monkeypatch: pytest.MonkeyPatch, aws: boto3.Session
) -> None:
    monkeypatch.setenv("CI_COMMIT_SHA", commit())  # a job, too, changes nothing then
    out = retrain(usecase, DRIFT, "--dry-run")
    assert out.startswith(f"training: {DRIFT}\nwould send ")
    assert f"RetrainingReason         {DRIFT}" in out
    assert executions() == []
    assert not aws.client("s3").list_objects_v2(Bucket="churn-dev-artifacts", Prefix="churn/code").get("Contents")


def test_a_job_brings_image_and_pipeline_of_its_commit(
    team: Path, usecase: Usecase, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    class There:
        """A registry of images that has it."""

        def manifest(self, reference: str) -> bytes:
            return reference.encode()

    rules(team)
    (team / "config/dev.yaml").write_text(json.dumps({"pipeline": {"parameters": {"NumRounds": 30}}}))
    status, _, err = usecase("retrain", "--env", "dev", "--reason", DRIFT, "--data", DATA)
    assert (status, executions()) == (1, [])
    assert "is not what pipeline.json and config/ say here" in err
    monkeypatch.setenv("CI_COMMIT_SHA", commit())
    monkeypatch.setattr(Repository, "of_ecr", lambda *_: There())
    out = retrain(usecase)
    assert f":{commit()} is there already\n" in out
    assert "updated\n" in out
    assert len(executions()) == 1


def alarm(aws: boto3.Session, environment: str, state: str) -> None:
    """moto has composite alarms, and no way to make one from outside."""
    name = f"churn-{environment}-drift"
    nothing: dict[str, Any] = dict.fromkeys(
        ("namespace", "metric_name", "comparison_operator", "evaluation_periods", "period", "threshold", "statistic")
    )
    cloudwatch_backends[ACCOUNT][REGION].put_metric_alarm(
        **nothing, name=name, description="", dimensions=[], alarm_actions=[], rule="FALSE"
    )
    aws.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")


def test_without_a_reason_the_alarms_are_asked(team: Path, usecase: Usecase, aws: boto3.Session) -> None:
    def look() -> str:
        status, out, err = usecase("retrain", "--env", "dev", "--data", DATA)
        assert status == 0, err
        return out

    elsewhere = "qa is in another account or region: its alarm is not looked at from here\n"
    assert look() == elsewhere + "not trained: no alarm tells of drift\n"
    alarm(aws, "dev", "OK")
    alarm(aws, "qa", "ALARM")  # of another use case that has its name
    assert look() == elsewhere + "not trained: no alarm tells of drift\n"
    alarm(aws, "dev", "ALARM")
    said = look()
    assert f"training: drift churn-dev-drift {datetime.now(UTC):%Y-%m-%dT}" in said
    age(24 * 10)
    assert "this has started a training already" in look()  # the alarm still says the same
    assert len(executions()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--env", "qa", "--reason", "x"), "models are trained in dev (training_environment), not in qa: --env dev"),
        (("--env", "dev", "--reason", "x"), "which data? --data s3://..., as `usecase data push FILE` prints it"),
        (("--env", "dev", "--reason", "x", "--data", "s3://churn-dev-data/none"), "there is nothing"),
    ],
)
def test_what_cannot_be_is_one_line(team: Path, usecase: Usecase, words: tuple[str, ...], says: str) -> None:
    status, _, err = usecase("retrain", *words)
    assert status == 1
    assert says in err
    assert err.count("\n") == 1
    assert executions() == []
