"""Training again in AWS: the rules of `drift.retraining`, over what the pipeline has run so far.

There is no state of our own: an execution says in its description what asked for it, so that nobody has to be believed
about it, and nothing is lost with a machine.
"""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from pydantic import ValidationError

from usecase.mlops.aws import pipeline_commands
from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.pipeline import pipeline_name
from usecase.mlops.aws.platform import connect
from usecase.mlops.aws.start import Cause
from usecase.mlops.delivery.deliver import push_image
from usecase.mlops.delivery.version import record_settings
from usecase.mlops.drift.retraining import MONTH, REASON, Run, State, Trigger, decide, metadata
from usecase.mlops.errors import UserError
from usecase.mlops.sections import Environment
from usecase.mlops.settings import Settings, load_settings

ENVIRONMENTS: tuple[Environment, ...] = ("dev", "qa", "prod")
# As rules of terraform/platform/monitoring.tf ask: what, of drift the alarm, and when. All else is a person's reason.
ASKED = re.compile(r"(?P<kind>drift(?= \S+ )|data|schedule) (?:\S+ )?\d{4}-\d\d-\d\dT[\d:.]+Z")
Say = Callable[[str], None]


def retrain(environment: Environment, reason: str, data_uri: str, dry_run: bool, say: Say) -> None:
    """Start the pipeline of the training environment when the rules let it. Raises UserError.

    Without a `reason` it is the drift that an alarm tells of now. In a job of GitLab, image and pipeline of its commit
    are brought there before.
    """
    trains = record_settings().environment
    if environment != trains:
        raise UserError(f"models are trained in {trains} (training_environment), not in {environment}: --env {trains}")
    connection, settings, _ = connect(environment)
    now = datetime.now(UTC)
    trigger = asked(reason, now) if reason else alarmed(connection, settings, say)
    if trigger is None:
        say("not trained: no alarm tells of drift")
        return
    state, others = runs(connection, settings, now)
    decision = decide(trigger, state, settings.retraining, now, others)
    if not decision.start:
        say(f"not trained: {decision.reason}")
        return
    say(f"training: {decision.reason}")
    commit = os.environ.get("CI_COMMIT_SHA", "")
    if commit and not dry_run:
        push_image(commit, say)
        pipeline_commands.deploy(environment, apply=True)
    cause = Cause(kind=trigger.kind, reason=metadata(trigger)[REASON], key=trigger.id)
    pipeline_commands.begin(environment, data_uri, {}, image_tag=commit, dry_run=dry_run, cause=cause)


def asked(reason: str, now: datetime) -> Trigger:
    """What asks, by the words of a rule; any other reason is a person's, who asks once per pipeline of GitLab."""
    words = " ".join(reason.split())
    if rule := ASKED.fullmatch(words):
        return Trigger.model_validate({"kind": rule["kind"], "id": words, "reason": words})
    return Trigger(kind="manual", id=f"{words} {os.environ.get('CI_PIPELINE_ID') or now.isoformat()}", reason=words)


def alarmed(connection: boto3.Session, settings: Settings, say: Say) -> Trigger | None:
    """Drift that an alarm tells of now, in the environments of this account and region: the newest."""
    here = (settings.aws_account, settings.aws_region)
    names = []
    for environment in ENVIRONMENTS:
        other = load_settings(environment)
        if (other.aws_account, other.aws_region) == here:
            names.append(f"{settings.project}-{environment}-drift")
        elif other.aws_account:
            say(f"{environment} is in another account or region: its alarm is not looked at from here")
    with explained("alarms on drift"):
        told = connection.client("cloudwatch").describe_alarms(AlarmNames=names, AlarmTypes=["CompositeAlarm"])
    found = [alarm for alarm in told["CompositeAlarms"] if alarm["StateValue"] == "ALARM"]
    if not found:
        return None
    newest = max(found, key=_since)
    return asked(f"drift {newest['AlarmName']} {_since(newest):%Y-%m-%dT%H:%M:%SZ}", datetime.now(UTC))


def runs(connection: boto3.Session, settings: Settings, now: datetime) -> tuple[State, list[datetime]]:
    """What was trained again lately, from old to new, and when something was trained for another reason.

    Failed ones too: a training that fails is not to be tried over and over.
    """
    oldest = now - max(MONTH, timedelta(hours=settings.retraining.cooldown_hours))
    name = pipeline_name(settings)
    begun: list[Run] = []
    others: list[datetime] = []
    with explained(f"pipeline {name}"):
        pages = (
            connection.client("sagemaker")
            .get_paginator("list_pipeline_executions")
            .paginate(PipelineName=name, SortBy="CreationTime", SortOrder="Descending")
        )
        for summary in (summary for page in pages for summary in page["PipelineExecutionSummaries"]):
            if summary["StartTime"] < oldest:
                break
            if trigger := _trigger(summary.get("PipelineExecutionDescription", "")):
                begun.insert(0, Run(at=summary["StartTime"], trigger=trigger))
            else:
                others.append(summary["StartTime"])
    return State(runs=begun), others


def _trigger(description: str) -> Trigger | None:
    """What an execution was started for, as `aws.start` describes it; None for one that a person or a merge started."""
    try:
        cause = json.loads(description)
        return Trigger(kind=cause["kind"], id=cause["key"], reason=cause["reason"])
    except (ValueError, TypeError, LookupError, ValidationError):
        return None


def _since(alarm: dict[str, Any]) -> datetime:
    since: datetime = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
    return since.astimezone(UTC)
