"""A trained model and a running service for the tests of the service."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import polars as pl
from usecase.mlops.contract import Contract
from usecase.mlops.features import Preprocessor
from usecase.mlops.split import split
from usecase.preprocessing import add_features
from usecase.train import train

FIELDS = [
    {"name": "age", "type": "integer", "role": "feature", "constraints": {"required": True, "minimum": 0}},
    {"name": "plan", "type": "string", "role": "feature", "constraints": {"enum": ["basic", "pro"]}},
    {"name": "note", "type": "string", "role": "ignored"},
    {"name": "churned", "type": "string", "role": "target", "constraints": {"enum": ["no", "yes"]}},
]
CONTRACT = Contract.model_validate({"name": "people", "schema": {"fields": FIELDS}})


@dataclass
class Service:
    """A running service: who asks it, its supervising process, and the lines that it has printed so far."""

    client: httpx.Client
    process: "subprocess.Popen[str]"
    lines: list[str]

    @property
    def port(self) -> int:
        return int(self.client.base_url.port or 0)

    def model_dir(self) -> Path:
        """The folder that it serves, as its log says; the line may come a moment after the first answer."""
        deadline = time.monotonic() + 10
        while not self.logged("ready") and time.monotonic() < deadline:
            time.sleep(0.02)
        return Path(self.logged("ready")[0]["model_dir"])

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines about one kind of event."""
        records = [json.loads(line) for line in list(self.lines) if line.startswith("{")]
        return [record for record in records if record.get("event") == event]

    def workers(self) -> list[int]:
        """Process ids."""
        number = self.process.pid
        return [int(pid) for pid in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


def make_model(folder: Path) -> Path:
    """A model folder below `folder`, trained with the code of the repository."""
    rows = pl.DataFrame({"age": range(300), "plan": ["basic", "pro"] * 150}).with_columns(
        churned=pl.when(pl.col("age") % 50 < 25).then(pl.lit("yes")).otherwise(pl.lit("no"))
    )
    for name, part in split(rows, CONTRACT).items():
        (folder / name).mkdir()
        part.write_parquet(folder / name / "part.parquet")
    (folder / "preprocessor").mkdir()
    Preprocessor.fit(add_features(rows), CONTRACT).save(folder / "preprocessor")
    written = CONTRACT.model_dump_json(by_alias=True, exclude_none=True)
    (folder / "preprocessor" / "data_contract.yaml").write_text(written)
    hyperparameters = {"num_rounds": 10, "max_depth": 3, "learning_rate": 0.3, "seed": 1}
    train(folder, Path.cwd() / "src", folder / "model", folder / "out", hyperparameters)
    return folder / "model"


def free_port() -> int:
    """A port below those that Linux gives to connections (from 32768 on): none of them can take it meanwhile."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def start(model_dir: Path, port: int, *options: str, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "usecase.mlops.serving", "serve", "--host", "127.0.0.1", "--max-payload-mb", "1"]
    return subprocess.Popen(
        [*command, "--model-dir", str(model_dir), "--workers", "1", *options],
        env={**os.environ, "SAGEMAKER_BIND_TO_PORT": str(port), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def until_ready(client: httpx.Client, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if client.get("/ping").status_code == httpx.codes.OK:
                return
        time.sleep(0.02)
    raise AssertionError("the service did not become ready")


@contextlib.contextmanager
def running(model_dir: Path, *options: str, **environment: str) -> Iterator["Service"]:
    """A running service, which has to end in order."""
    port = free_port()
    process = start(model_dir, port, *options, **environment)
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reader.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30) as client:
            until_ready(client)
            yield Service(client, process, lines)
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(30)
        reader.join(10)
        if process.stdout:
            process.stdout.close()
    assert status == 0, lines
