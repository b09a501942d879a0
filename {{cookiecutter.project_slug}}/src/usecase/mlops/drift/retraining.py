"""Whether a model is trained again: pure functions of what was seen, what was done, and the rules of the settings.

Drift in one window may be chance; only M of the newest N windows with the newest among them start a training. Data that
is broken never does: a model must not learn from it.
"""

import json
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from usecase.mlops.drift.history import Entry
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json
from usecase.mlops.locks import exclusive
from usecase.mlops.run import CAUSE
from usecase.mlops.sections import Retraining
from usecase.mlops.yamlfile import parse

FILE_NAME = "retraining.json"
MONTH = timedelta(days=30)
MAX_RUNS = 100
MAX_REASON = 256  # characters of a value of CustomerMetadataProperties, and which they may be
ALLOWED = re.compile(r"[^\w .:/=+@-]")
REASON, TRIGGER = CAUSE
Kind = Literal["drift", "schedule", "data", "manual"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Trigger(_Part):
    """Why a training might start. Two triggers with one `id` are the same event, seen twice."""

    kind: Kind
    id: str
    reason: str


class Run(_Part):
    """A training that was started."""

    at: AwareDatetime
    trigger: Trigger


class State(_Part):
    """retraining.json: the trainings that were started, from old to new."""

    runs: list[Run] = []


class Decision(_Part):
    """Whether to train, and why or why not, in a line for people."""

    start: bool
    reason: str


def drifted(windows: Sequence[Entry], rule: Retraining) -> Trigger | None:
    """The trigger when `rule.violated` of the newest `rule.windows` windows drift, with the newest of them.

    Windows with too little data say nothing and are passed over. `windows` are those of one baseline, from old to new.
    """
    told = [window for window in windows if window.verdict != "insufficient_data"][-rule.windows :]
    found = [window for window in told if window.verdict == "drift"]
    if not told or told[-1].verdict != "drift" or len(found) < rule.violated:
        return None
    columns = sorted({column for window in found for column in window.columns})
    named = " + ".join(columns[:5]) + (f" and {len(columns) - 5} more" if len(columns) > 5 else "")
    reason = f"drift in {len(found)} of {len(told)} windows" + (f": {named}" if named else "")
    return Trigger(kind="drift", id="/".join(told[-1].key), reason=reason)


def decide(
    trigger: Trigger, state: State, rule: Retraining, now: datetime, others: Sequence[datetime] = ()
) -> Decision:
    """Whether `trigger` starts a training. A person may train within the cooldown; nothing passes the kill switch.

    `others` are the times of trainings that no trigger has started: the cooldown counts from them too.
    """
    if not rule.enabled:
        return Decision(start=False, reason="retraining is switched off (retraining.enabled)")
    if any(run.trigger.id == trigger.id for run in state.runs):
        return Decision(start=False, reason=f"this has started a training already: {trigger.reason}")
    month = [run for run in state.runs if now - run.at < MONTH]
    if len(month) >= rule.monthly_runs:
        return Decision(
            start=False, reason=f"{len(month)} trainings in 30 days are as many as retraining.monthly_runs allows"
        )
    ready = max((*others, *(run.at for run in state.runs)), default=None)
    if ready is not None and trigger.kind != "manual":
        ready += timedelta(hours=rule.cooldown_hours)
        if now < ready:
            return Decision(start=False, reason=f"the last training was lately: wait until {ready:%Y-%m-%d %H:%M} UTC")
    return Decision(start=True, reason=trigger.reason)


def metadata(trigger: Trigger) -> dict[str, str]:
    """What the new version keeps of why it was trained, by names of pipeline parameters too."""
    return {REASON: " ".join(ALLOWED.sub(" ", trigger.reason).split())[:MAX_REASON], TRIGGER: trigger.kind}


def started(state: State, trigger: Trigger, now: datetime) -> State:
    """With a training more."""
    return State(runs=[*state.runs, Run(at=now, trigger=trigger)][-MAX_RUNS:])


class StateFile:
    """The state on this machine."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def alone(self) -> AbstractContextManager[None]:
        """Keeps others out from reading to writing: of two who are told to train, one does."""
        return exclusive(self.file.with_name(f".{self.file.name}.lock"))

    def load(self) -> State:
        """What was written last. Raises UserError: a state that cannot be read must not let a training pass."""
        if not self.file.exists():
            return State()
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.file}: cannot be read as JSON ({error}): mend it, or remove it to begin anew"
            ) from None
        return parse(State, content, str(self.file))

    def save(self, state: State) -> None:
        """Write the file, complete or not at all. Raises OSError."""
        write_json(self.file, state.model_dump(mode="json"))


def claim(store: StateFile, trigger: Trigger, rule: Retraining, now: datetime) -> Decision:
    """Decide, and remember a training that may start, before it does: one that fails is not tried over and over."""
    with store.alone():
        state = store.load()
        decision = decide(trigger, state, rule, now)
        if decision.start:
            store.save(started(state, trigger, now))
    return decision
