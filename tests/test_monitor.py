"""The loop, closed on one machine: traffic drifts, windows say so, a model is trained again, and then it is quiet."""

import contextlib
import http.client
import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

import baking
import test_bake_run

# Rows of the sample with noise, so that none is one of training; two columns moved by as many standard deviations.
ROWS = """
import sys
import numpy as np
import polars as pl
count, shift, seed, path = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
chance, sample = np.random.default_rng(seed), pl.read_csv("data/sample.csv")
rows = sample[chance.integers(0, sample.height, count)]
moved = {"mean texture": shift, "worst smoothness": shift}
rows.with_columns(
    pl.col(name) * (1 + 0.002 * pl.Series(chance.normal(size=count))) + moved.get(name, 0) * sample[name].std()
    for name in sample.columns
    if name != "diagnosis"
).write_csv(path)
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def ask(port: int, window: str, lines: list[str]) -> None:
    """Ask for each row by its features, once the service is ready; the row's number is the name of the call."""
    service = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    for _ in range(600):
        with contextlib.suppress(OSError):
            service.request("GET", "/ping")
            if (ready := service.getresponse()).read() == b"" and ready.status == 200:
                break
        service.close()
        time.sleep(0.1)
    for number, line in enumerate(lines):
        headers = {"Content-Type": "text/csv", "Accept": "text/csv"}
        headers["X-Amzn-SageMaker-Inference-Id"] = f"{window}-{number}"
        service.request("POST", "/invocations", line.rpartition(",")[0], headers)
        answer = service.getresponse()
        assert answer.read()
        assert answer.status == 200
    service.close()


class Team:
    """A repository of stage full with what a team does in it."""

    def __init__(self, project: Path) -> None:
        self.project = project

    def run(self, *words: str, code: int = 0) -> str:
        """Run a program of the repository's environment and return what it printed."""
        program, *rest = words
        return test_bake_run.run(self.project, f".venv/bin/{program}", *rest, code=code).stdout

    def usecase(self, *words: str, code: int = 0) -> str:
        """Run a verb."""
        return self.run("usecase", *words, code=code)

    def serve(self, window: str, shift: float, seed: int) -> str:
        """Let the service answer 600 requests and capture them; return the folder of the capture."""
        self.run("python", "-c", ROWS, "600", str(shift), str(seed), f"{window}.csv")
        folder, port = f".local/capture/{window}", free_port()
        command = [str(self.project / ".venv/bin/usecase"), "serve", "--port", str(port), "--capture", folder]
        service = subprocess.Popen(command, cwd=self.project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            ask(port, window, (self.project / f"{window}.csv").read_text().splitlines()[1:])
        finally:
            service.terminate()
            assert service.wait(60) == 0
        return folder

    def labels(self, *windows: str) -> str:
        """Write what became true of the requests of some windows; return the file."""
        lines = ["inference_id,label"]
        for window in windows:
            told = (self.project / f"{window}.csv").read_text().splitlines()[1:]
            lines += [f"{window}-{number},{line.rpartition(',')[2]}" for number, line in enumerate(told)]
        (self.project / "labels.csv").write_text("\n".join(lines) + "\n")
        return "labels.csv"

    def version(self, number: int) -> Any:
        """What the registry holds of a version."""
        (file,) = (self.project / ".local/registry").glob(f"*/{number}/package.json")
        return json.loads(file.read_text())


@pytest.mark.slow
def test_the_loop_closes(template: Path, tmp_path: Path) -> None:
    project = baking.bake("cookiecutter", template, tmp_path, {"mlops_stage": "full"})
    test_bake_run.make(project, "setup")
    team = Team(project)
    team.usecase("run")
    team.usecase("approve", "--version", "latest")

    assert team.usecase("monitor", "--data", team.serve("monday", 0, 1)).startswith("ok")
    first = team.usecase("monitor", "--data", team.serve("tuesday", 0.8, 2), code=3)
    assert "mean texture: " in first
    assert "worst smoothness: " in first
    assert "mean radius" not in first
    # one window may be chance
    assert team.usecase("retrain").startswith("not trained: no drift in 2 of 3 windows")
    team.usecase("monitor", "--data", team.serve("wednesday", 0.8, 3), code=3)

    found = team.usecase("feedback", "--data", ".local/capture", "--labels", team.labels("tuesday", "wednesday"))
    assert "600 waiting" in found  # nobody told of monday
    assert "training: drift in 2 of 3 windows" in team.usecase("retrain", "--data", ".local/feedback/training.csv")
    made = team.version(2)
    assert made["ModelApprovalStatus"] == "PendingManualApproval"
    assert made["CustomerMetadataProperties"]["RetrainingTrigger"] == "drift"
    reason = made["CustomerMetadataProperties"]["RetrainingReason"]
    assert reason.startswith("drift in 2 of 3 windows: ")
    assert "mean texture" in reason
    # the same event, and a new one within the cooldown
    assert "has started a training already" in team.usecase("retrain")
    team.usecase("monitor", "--data", team.serve("thursday", 0.8, 4), code=3)  # version 1 still answers
    assert "the last training was lately" in team.usecase("retrain")

    team.usecase("approve", "--version", "2")
    quiet = team.usecase("monitor", "--data", team.serve("friday", 0.8, 5))
    assert quiet.startswith("ok")
    assert team.usecase("retrain").startswith("not trained: no drift")
