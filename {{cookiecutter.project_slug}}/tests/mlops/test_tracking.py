"""Tracking: a run is in MLflow as it was, a server that fails costs a line and no run, and nothing secret is shown."""

import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from usecase.mlops import mlflow_log, tracking, ui
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Tracking
from usecase.mlops.tracking import (
    RunRecord,
    Tracker,
    evaluation_metrics,
    track,
    training_curves,
    training_trials,
    without_secrets,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # what MLflow and its libraries say of each other

PATIENCE = "logging the run to MLflow ..."
TRAINING = {
    "rounds": 2,
    "history": {"train": {"logloss": [0.6, 0.4]}, "validation": {"logloss": [0.7, 0.5]}},
    "trials": [{"parameters": {"max_depth": depth}, "value": 0.5 + depth / 10, "rounds": 9} for depth in (2, 3)],
}
EVALUATION = {"regression_metrics": {"r2": {"value": 0.9, "standard_deviation": 0.1}, "curve": {"x": [1]}}}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the logging process: some tests log in this one, which need not import MLflow each time."""
    for name, value in tracking.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name needs care in an address."""
    return tmp_path / "a repository, 100% #1"


def record(folder: Path, execution: str = "e-1", succeeded: bool = True) -> RunRecord:
    folder.mkdir(exist_ok=True)
    (folder / "card.html").write_text("<p>card</p>")
    return RunRecord(
        execution=execution,
        experiment="tumours",
        name="version 3",
        started=1_700_000_000.0,
        ended=1_700_000_060.0,
        succeeded=succeeded,
        parameters={"MaxDepth": "4", "blank": "", "long": "x" * 9000},
        tags={"git_sha": "abc", "contract_hash": "c", "data_hash": "d"},
        metrics=evaluation_metrics(EVALUATION) | {"gap of sex=0": 0.25},
        curves=training_curves(TRAINING) | {"many": [1 / (step + 1) for step in range(1500)]},
        trials=training_trials(TRAINING),
        artifacts={"evidence/model_card.html": folder / "card.html", "absent.json": folder / "absent.json"},
    )


def log(folder: Path, execution: str = "e-1", uri: str = "", succeeded: bool = True) -> None:
    """Log a run in this process."""
    run = json.loads(json.dumps(asdict(record(folder, execution, succeeded)), default=str))
    mlflow_log.log(run, uri, folder)


@contextmanager
def database(folder: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(folder / "mlflow.db")
    try:
        with connection:
            yield connection
    finally:
        connection.close()


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    with database(folder) as connection:
        return connection.execute(query).fetchall()


def test_a_run_is_logged_once_with_all_it_has(folder: Path) -> None:
    for _ in range(2):
        log(folder)
    assert rows(folder, "select name, status, end_time - start_time from runs order by name") == [
        ("trial 1", "FINISHED", 60_000),
        ("trial 2", "FINISHED", 60_000),
        ("version 3", "FINISHED", 60_000),
    ]
    parent = "run_uuid = (select run_uuid from runs where name = 'version 3')"
    assert dict(rows(folder, f"select key, value from params where {parent}")) == {
        "MaxDepth": "4",
        "blank": "",
        "long": "x" * 500,
    }
    assert dict(rows(folder, f"select key, value from latest_metrics where {parent}")) == {
        "r2": 0.9,
        "gap of sex_0": 0.25,
        "train-logloss": 0.4,
        "validation-logloss": 0.5,
        "many": 1 / 1500,
    }
    steps = rows(folder, f"select step, value from metrics where key = 'train-logloss' and {parent} order by step")
    assert steps == [(0, 0.6), (1, 0.4)]
    assert rows(folder, "select count(*) from metrics where key = 'many'") == [(1500,)]
    tags = dict(rows(folder, f"select key, value from tags where {parent}"))
    assert {"git_sha": "abc", "data_hash": "d", "execution_id": "e-1"}.items() <= tags.items()
    assert tags["mlflow.source.git.commit"] == "abc"
    assert "mlflow.user" not in tags
    trials = "select p.value, m.value from params p join metrics m on p.run_uuid = m.run_uuid where p.key = 'max_depth'"
    assert sorted(rows(folder, f"{trials} and m.key = 'value'")) == [("2", 0.7), ("3", 0.8)]
    assert [path.read_text() for path in folder.glob("mlruns/*/artifacts/**/*.html")] == ["<p>card</p>"]
    assert not list(folder.rglob("absent.json"))


def test_a_failed_execution_says_so(folder: Path) -> None:
    log(folder, succeeded=False)
    assert rows(folder, "select status from runs where name = 'version 3'") == [("FAILED",)]


def test_a_run_that_was_cut_off_is_logged_anew(folder: Path) -> None:
    log(folder)
    with database(folder) as connection:
        connection.execute("update runs set status = 'RUNNING' where name = 'version 3'")
    log(folder)
    live = rows(folder, "select name, status from runs where lifecycle_stage = 'active' order by name")
    assert live == [("trial 1", "FINISHED"), ("trial 2", "FINISHED"), ("version 3", "FINISHED")]


def test_a_moved_repository_writes_nothing_to_where_it_was(folder: Path, tmp_path: Path) -> None:
    log(folder)
    moved = folder.rename(tmp_path / "moved")
    log(moved, "e-2")
    assert not folder.exists()
    assert len(list(moved.glob("mlruns/*/artifacts"))) == 2
    assert rows(moved, "select count(*) from runs where name = 'version 3'") == [(2,)]


def test_a_deleted_experiment_comes_back(folder: Path) -> None:
    log(folder)
    with database(folder) as connection:
        connection.execute("update experiments set lifecycle_stage = 'deleted' where name = 'tumours'")
    log(folder, "e-2")
    assert rows(folder, "select lifecycle_stage from experiments where name = 'tumours'") == [("active",)]


def test_a_database_of_another_release_of_mlflow_is_kept_before_it_is_changed(folder: Path) -> None:
    log(folder)
    now = (folder / "mlflow.db.release").read_text()
    (folder / "mlflow.db.release").write_text("3.0.0")
    before = (folder / "mlflow.db").read_bytes()
    log(folder, "e-2")
    assert (folder / "mlflow.db.release").read_text() == now
    assert (folder / "mlflow.db.before").read_bytes() == before
    assert rows(folder, "select count(*) from runs where name = 'version 3'") == [(2,)]


def test_runs_at_the_same_time_share_a_new_database(folder: Path) -> None:
    said: list[str] = []
    run = {n: record(folder, f"e-{n}") for n in range(2)}
    with ThreadPoolExecutor() as pool:
        assert set(pool.map(lambda n: track(run[n], "", folder, said.append), run)) == {str(folder / "mlflow.db")}
    assert set(said) <= {PATIENCE}
    assert rows(folder, "select count(*) from runs where name = 'version 3'") == [(2,)]


class FakeServer(ThreadingHTTPServer):
    """As much of MLflow's REST interface as one run needs; `answer` may stand in for all of it."""

    def __init__(self, answer: Callable[[BaseHTTPRequestHandler], None] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.runs: dict[str, dict[str, Any]] = {}
        self.artifacts: dict[str, bytes] = {}

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer

    def log_message(self, *_: object) -> None:
        pass

    def do(self) -> None:
        if self.server.answer:
            self.server.answer(self)
            return
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        runs, verb = self.server.runs, url.path.removeprefix("/api/2.0/mlflow/")
        if url.path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
            self.server.artifacts[url.path.removeprefix("/api/2.0/mlflow-artifacts/artifacts/")] = body
            reply: dict[str, Any] = {}
        elif verb == "experiments/get-by-name":
            reply = {"experiment": {"experiment_id": "7", "name": "tumours", "lifecycle_stage": "active"}}
        elif verb == "runs/search":
            reply = {"runs": list(runs.values())}  # as servers do that ignore the filter
        elif verb == "runs/create":
            given = json.loads(body)
            name = f"run{len(runs)}"
            info = {
                "run_id": name,
                "run_uuid": name,
                "experiment_id": "7",
                "status": "RUNNING",
                "artifact_uri": f"mlflow-artifacts:/7/{name}/artifacts",
                "run_name": given["run_name"],
                "lifecycle_stage": "active",
            }
            runs[name] = {"info": info, "data": {"tags": given["tags"], "metrics": [], "params": []}}
            reply = {"run": runs[name]}
        elif verb == "runs/get":
            reply = {"run": runs[parse_qs(url.query)["run_id"][0]]}
        elif verb == "runs/log-batch":
            given = json.loads(body)
            for kind in ("metrics", "params"):
                runs[given["run_id"]]["data"][kind] += given.get(kind, [])
            reply = {}
        elif verb == "runs/update":
            given = json.loads(body)
            runs[given["run_id"]]["info"]["status"] = given["status"]
            reply = {"run_info": runs[given["run_id"]]["info"]}
        else:
            self.send_error(404)
            return
        respond(self, 200, json.dumps(reply))

    do_GET = do_POST = do_PUT = do  # noqa: N815 - names that http.server prescribes


def respond(handler: BaseHTTPRequestHandler, status: int, text: str) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", str(len(text)))
    handler.end_headers()
    handler.wfile.write(text.encode())


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None] | None = None) -> Iterator[FakeServer]:
    with FakeServer(answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_server_gets_the_run_once(folder: Path) -> None:
    with serving() as server:
        for execution in ("e-1", "e-1", "e-2"):
            log(folder, execution, f"http://{server.address}")
    assert [run["info"]["run_name"] for run in server.runs.values()] == ["version 3", "trial 1", "trial 2"] * 2
    assert {run["info"]["status"] for run in server.runs.values()} == {"FINISHED"}
    data = server.runs["run0"]["data"]
    assert {"key": "execution_id", "value": "e-1"} in data["tags"]
    assert len(data["metrics"]) == 2 + 4 + 1500
    assert server.artifacts["7/run0/artifacts/evidence/model_card.html"] == b"<p>card</p>"
    assert not (folder / "mlflow.db").exists()


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (401, "no", "error code 401"),
        (500, '{"error_code": "INTERNAL_ERROR", "message": "broken"}', "too many 500 error responses"),
        (200, "<html>a login page</html>", "a login page"),
        (302, "", "error code 302"),
    ],
)
def test_an_answer_that_is_none_is_an_error_in_time(status: int, body: str, says: str, folder: Path) -> None:
    before = time.monotonic()
    with serving(lambda handler: respond(handler, status, body)) as server, pytest.raises(Exception, match=says):
        log(folder, uri=f"http://{server.address}")
    assert time.monotonic() - before < 8


def test_a_server_that_hangs_costs_a_line_without_its_password(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    release = threading.Event()
    said: list[str] = []

    def hang(_: BaseHTTPRequestHandler) -> None:
        release.wait(30)

    with serving(hang) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://someone:secret@{server.address}")
        assert track(record(folder), "http://not.asked.example", folder, said.append) == str(folder / "mlflow.db")
        release.set()
    assert [line for line in said if line != PATIENCE] == [
        f"warning: tracking: http://{server.address}: cannot be reached, or does not answer:"
        f" the run is logged in {folder / 'mlflow.db'} instead"
    ]
    assert rows(folder, "select status from runs where name = 'version 3'") == [("FINISHED",)]


def test_a_server_that_answers_drop_by_drop_is_left_in_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "SERVER_SECONDS", 4)
    monkeypatch.setattr(tracking, "LOCAL_SECONDS", 0.1)
    stop = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.2):
            handler.wfile.write(b" ")

    said: list[str] = []
    with serving(drip) as server:
        before = time.monotonic()
        assert track(record(folder), f"http://{server.address}", folder, said.append) == ""
        assert time.monotonic() - before < 8
        stop.set()
    assert f"tracking: http://{server.address}: no end after 4 s; tracking: {folder}" in said[-1]
    assert "\n" not in said[-1]


def test_a_server_that_is_down_is_an_error_at_once(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    before = time.monotonic()
    with pytest.raises(Exception, match="refused"):
        log(folder, uri=f"http://127.0.0.1:{port}")
    assert time.monotonic() - before < 4


def test_what_cannot_be_logged_at_all_is_one_line(folder: Path) -> None:
    run = record(folder)
    (folder / "mlflow.db").write_text("no database" * 99)
    said: list[str] = []
    assert track(run, "", folder, said.append) == ""
    assert [line for line in said if line != PATIENCE] == [
        f"warning: tracking: {folder / 'mlflow.db'}: is of another MLflow than the one installed, which cannot read it:"
        " move the file away: the run is not logged"
    ]


def test_a_process_that_was_started_early_and_not_used_is_gone(folder: Path) -> None:
    with Tracker("", folder, print) as tracker:
        tracker.start()
        process = tracker._early
        tracker.start()
        assert process is tracker._early
        assert process is not None
    assert process.poll() is not None


def test_no_secret_is_shown_or_kept_in_settings() -> None:
    shown = without_secrets("no answer from postgresql://someone:pass@word@host/db?password=x of https://t@host/a")
    assert shown == "no answer from postgresql://host/db of https://host/a"
    with pytest.raises(ValueError, match="MLFLOW_TRACKING_PASSWORD"):
        Tracking(uri="https://someone:secret@host")
    assert Tracking(uri="https://host/path").uri


def test_whoever_logs_nothing_waits_for_no_mlflow() -> None:
    code = "import sys, usecase.mlops.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_ui_says_what_it_needs(folder: Path) -> None:
    folder.mkdir()
    with pytest.raises(UserError, match="no run is logged here yet: make run"):
        ui.open_ui(folder, 5000)
