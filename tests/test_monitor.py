"""The loop, closed on one machine: traffic drifts, windows say so, a model is trained again, and then it is quiet.

And the zip of the monitor in AWS, in a Python that has nothing else.
"""

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

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


# What Lambda does with the zip, which lies unpacked in the folder of the first argument.
INVOKE = """
import json, sys
sys.path.insert(0, sys.argv[1])
from usecase.mlops.monitoring.function import handler
class Context:
    def get_remaining_time_in_millis(self):
        return 300_000
for number in range(2):
    print(json.dumps(handler(json.loads(sys.argv[2]), Context())))
"""
HOUR = {"window_start": "2026-01-02T03:00:00Z", "window_end": "2026-01-02T04:00:00Z"}


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


@pytest.fixture(scope="module")
def team(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Team:
    """A team with one approved version."""
    project = baking.bake("cookiecutter", template, tmp_path_factory.mktemp("loop"), {"mlops_stage": "full"})
    test_bake_run.make(project, "setup")
    team = Team(project)
    team.usecase("run")
    team.usecase("approve", "--version", "latest")
    return team


def captured(rows: list[str]) -> str:
    """Lines of data capture about rows of a CSV, whose last cell is the answer."""
    lines = []
    for number, row in enumerate(rows):
        asked, _, answer = row.rpartition(",")
        halves = {"endpointInput": asked, "endpointOutput": f"{answer},{0.6 + number % 40 / 100:.2f}"}
        data = {
            half: {"observedContentType": "text/csv", "data": text, "encoding": "CSV"} for half, text in halves.items()
        }
        about = {"eventId": "e", "inferenceTime": "2026-01-02T03:04:05Z"}
        lines.append(json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"}))
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_the_monitor_of_aws_needs_its_zip_alone(team: Team, tmp_path: Path) -> None:
    """In a Python without its own packages, S3 being moto's: libraries of the lock, and a window that has drifted."""
    python = ".".join(map(str, sys.version_info[:2]))
    build = "import sys; from pathlib import Path; from usecase.mlops.monitoring.package import build"
    team.run("python", "-c", f"{build}; build(Path(sys.argv[1]), python=sys.argv[2])", str(tmp_path), python)
    shutil.unpack_archive(tmp_path / "monitor.zip", tmp_path / "code")
    size = sum(file.stat().st_size for file in (tmp_path / "code").rglob("*") if file.is_file())
    assert 200e6 < size < 262_144_000  # what Lambda takes
    assert not (tmp_path / "code/usecase/train.py").exists()
    assert [path.name for path in (tmp_path / "code/botocore/data").iterdir() if path.is_dir()] == ["s3"]

    team.run("python", "-c", ROWS, "600", "0.8", "7", "lambda.csv")
    (baseline,) = team.project.glob(".local/registry/*/1/drift_baseline.json")
    server = ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        aws = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_DEFAULT_REGION": "eu-west-1"}
        aws |= dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
        s3 = boto3.client(
            "s3",
            endpoint_url=aws["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        s3.create_bucket(Bucket="bucket")
        traffic = captured((team.project / "lambda.csv").read_text().splitlines()[1:])
        s3.put_object(Bucket="bucket", Key="capture/AllTraffic/2026/01/02/03/calls.jsonl", Body=traffic)
        s3.put_object(Bucket="bucket", Key="baseline/drift_baseline.json", Body=baseline.read_bytes())
        variables = {
            "USECASE_PROJECT": "tumour",
            "USECASE_ENVIRONMENT": "dev",
            "ENDPOINT_NAME": "tumour-dev",
            **{f"{name.upper()}_URI": f"s3://bucket/{name}" for name in ("capture", "baseline", "report")},
            "MODEL_PACKAGE_ARN": "arn:aws:sagemaker:eu-west-1:111111111111:model-package/tumour-dev/1",
            "WINDOW_MINUTES": "60",
            "CAPTURE_GRACE_MINUTES": "10",
            "MINIMUM_ROWS": "500",
            "MINIMUM_EFFECT": "0.05",
            "FALSE_ALARMS": "0.05",
        }
        bare = [sys._base_executable, "-I", "-S", "-W", "error"]  # type: ignore[attr-defined]
        command = [*bare, "-c", INVOKE, str(tmp_path / "code"), json.dumps(HOUR)]
        done = subprocess.run(command, env=aws | variables, capture_output=True, text=True, check=False)
    finally:
        server.stop()
    assert done.returncode == 0, done.stderr
    first, again = (json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"window_start"'))
    assert (first["verdict"], first["reported_before"], again["reported_before"]) == ("drift", False, True)
    assert "\nmean texture: " in done.stdout


@pytest.mark.slow
def test_the_loop_closes(team: Team) -> None:
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
