"""When a model is trained again: M of N windows, cooldown, a limit by month, no event twice, a switch to stop all."""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from usecase.mlops.cli import app
from usecase.mlops.drift.history import Entry, History
from usecase.mlops.drift.judge import Verdict
from usecase.mlops.drift.retraining import (
    Decision,
    State,
    StateFile,
    Trigger,
    claim,
    decide,
    drifted,
    metadata,
    started,
)
from usecase.mlops.errors import UserError
from usecase.mlops.sections import Retraining

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULE = Retraining()
LETTERS: dict[str, Verdict] = {
    "o": "ok",
    "d": "drift",
    "i": "insufficient_data",
    "b": "broken",
    "s": "schema_change",
}


def windows(letters: str) -> list[Entry]:
    return [
        Entry(
            data=f"day {number}",
            baseline_sha256="b",
            rows=1000,
            verdict=LETTERS[letter],
            columns=["age", "income"] if letter == "d" else [],
        )
        for number, letter in enumerate(letters)
    ]


def trigger(name: str = "one", kind: str = "drift") -> Trigger:
    return Trigger.model_validate({"kind": kind, "id": name, "reason": "drift in 2 of 3 windows: age"})


@pytest.mark.parametrize(
    ("letters", "fires"),
    [
        ("", False),
        ("d", False),
        ("dd", True),
        ("odd", True),
        ("dod", True),
        ("ddo", False),  # it is over
        ("dood", False),  # the other one is too long ago
        ("didid", True),  # too little data says nothing
        ("dio", False),
        ("ddi", True),
        ("ddb", False),  # nobody learns from broken data
        ("dds", False),
        ("bbb", False),
        ("iii", False),
    ],
)
def test_two_of_the_newest_three_windows_with_the_newest(letters: str, fires: bool) -> None:
    found = drifted(windows(letters), RULE)
    assert (found is not None) is fires
    if found:
        assert found.reason.endswith("windows: age + income")


def test_the_rule_is_that_of_the_settings() -> None:
    assert drifted(windows("d"), Retraining(windows=1, violated=1))
    assert not drifted(windows("dddd"), Retraining(windows=5, violated=5))
    with pytest.raises(ValidationError, match="more than windows"):
        Retraining(windows=2, violated=3)


def test_the_same_windows_are_the_same_event() -> None:
    first, again = drifted(windows("odd"), RULE), drifted(windows("odd"), RULE)
    assert first
    assert first == again
    later = drifted(windows("oddd"), RULE)
    assert later
    assert later.id != first.id


def decided(state: State, asked: Trigger, hours: float, rule: Retraining = RULE) -> Decision:
    return decide(asked, state, rule, NOW + timedelta(hours=hours))


def test_cooldown_holds_off_drift_but_not_a_person() -> None:
    state = started(State(), trigger("one"), NOW)
    assert decided(State(), trigger(), 0).start
    held = decided(state, trigger("two"), 71.9)
    assert (held.start, held.reason) == (False, "the last training was lately: wait until 2026-03-04 12:00 UTC")
    assert decided(state, trigger("two"), 72).start
    assert decided(state, trigger("two", "manual"), 1).start
    assert not decided(state, trigger("two", "schedule"), 1).start


def test_an_event_trains_once() -> None:
    state = started(State(), trigger("one"), NOW)
    assert "already" in decided(state, trigger("one"), 1000).reason
    assert not decided(state, trigger("one", "manual"), 1000).start


def test_a_month_has_its_limit_for_everybody() -> None:
    state = State()
    for number in range(RULE.monthly_runs):
        state = started(state, trigger(f"{number}"), NOW + timedelta(days=number))
    assert "as many as retraining.monthly_runs allows" in decided(state, trigger("next", "manual"), 24 * 20).reason
    assert decided(state, trigger("next"), 24 * 30).start  # the first is a month ago


@pytest.mark.parametrize("kind", ["drift", "schedule", "data", "manual"])
def test_the_switch_stops_everything(kind: str) -> None:
    off = Retraining(enabled=False)
    assert decided(State(), trigger(kind=kind), 0, off).reason == "retraining is switched off (retraining.enabled)"


def test_of_many_who_are_told_to_train_one_does(tmp_path: Path) -> None:
    class Slow(StateFile):
        """Between its reading and its writing there is time for others."""

        def load(self) -> State:
            state = super().load()
            time.sleep(0.02)
            return state

    store, found = Slow(tmp_path / "retraining.json"), []

    def ask() -> None:
        found.append(claim(store, trigger(), RULE, NOW).start)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [False] * 7 + [True]
    assert [run.trigger for run in store.load().runs] == [trigger()]


def test_a_state_that_cannot_be_read_lets_nothing_pass(tmp_path: Path) -> None:
    store = StateFile(tmp_path / "retraining.json")
    store.file.write_text("{")
    with pytest.raises(UserError, match="mend it, or remove it"):
        claim(store, trigger(), RULE, NOW)
    store.file.write_text('{"runs": [{"at": "2026-03-01T12:00:00", "trigger": {}}]}')
    with pytest.raises(UserError):
        claim(store, trigger(), RULE, NOW)


def test_what_a_version_keeps_is_what_sagemaker_takes() -> None:
    asked = Trigger(kind="manual", id="1", reason='new "prices", (since March); ' + "x" * 300)
    kept = metadata(asked)
    assert kept["RetrainingTrigger"] == "manual"
    assert kept["RetrainingReason"].startswith("new prices since March xxx")
    assert len(kept["RetrainingReason"]) == 256


def test_a_window_that_is_looked_at_again_is_one_window() -> None:
    first, *others = windows("ood")
    again = first.model_copy(update={"verdict": "drift"})
    history = History(windows=[first, *others]).with_window(again)
    assert history.windows == [again, *others]


def test_history_keeps_the_newest_windows_of_each_baseline(tmp_path: Path) -> None:
    history = History()
    for entry in windows("o" * 120):
        history = history.with_window(entry)
    history.save(tmp_path / "history.json")
    loaded = History.load(tmp_path / "history.json")
    assert [entry.data for entry in loaded.windows] == [f"day {number}" for number in range(20, 120)]
    assert loaded.of("another") == []
    (tmp_path / "history.json").write_text("[]")
    with pytest.raises(UserError):
        History.load(tmp_path / "history.json")


def test_a_file_that_is_not_there_claims_no_training(repository: Path) -> None:
    refused = CliRunner().invoke(app, ["retrain", "--reason", "new rows", "--data", "nowhere.csv"])
    assert (type(refused.exception), str(refused.exception)) == (UserError, "nowhere.csv: no such file")
    assert not (repository / ".local").exists()
