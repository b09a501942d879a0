"""The prediction service against five servers that users would otherwise pick: requests/s, latency, memory, start-up.

The same booster and rows for all, one worker each, asked by wrk in turns: JSON, but CSV for AWS's sample, which takes
nothing else. Needs wrk, and Java for AWS's toolkit over multi-model-server. The peers check nothing; the service here
checks every row against the contract. A sixth, Flask tuned by hand, is shown and not compared with.

`--quick` takes four minutes once `--environments` names a folder that an earlier run has filled.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import baking

SCRIPTS = Path(__file__).resolve().parent / "serving"
START_SECONDS = 120
TRAIN = """
import sys, tempfile
from pathlib import Path
from usecase.preprocessing import preprocess
from usecase.train import train
root, model = map(Path, sys.argv[1:])
with tempfile.TemporaryDirectory() as folder:
    data = Path(folder, "data")
    data.mkdir()
    (data / "sample.csv").write_bytes((root / "data/sample.csv").read_bytes())
    preprocess(data, root, Path(folder, "out"))
    hyperparameters = {"num_rounds": 100, "max_depth": 4, "learning_rate": 0.1, "seed": 1}
    train(Path(folder, "out"), root / "src", model, Path(folder, "report"), hyperparameters)
"""
WRK = 'wrk.method = "POST"\nwrk.headers["Content-Type"] = "{type}"\nwrk.body = [==[{body}]==]\n'


Form = Literal["json", "csv", "v2"]  # of a request; v2: the Open Inference Protocol


@dataclass(frozen=True)
class Peer:
    """A server: what it is installed from, and its command; PORT, PYTHON and BIN stand for what is known later."""

    name: str
    packages: list[str]
    command: list[str]
    path: str = "/invocations"
    ready: str = "/ping"
    environment: dict[str, str] = field(default_factory=dict)
    form: Form = "json"
    compared: bool = True


XGBOOST = "xgboost-cpu==3.2.0"
PEERS = [
    Peer(
        "AWS's sample: Flask + gunicorn",
        ["flask==3.1.3", "gunicorn==27.0.1", "pandas==2.3.3", XGBOOST],
        ["BIN/gunicorn", "--workers", "1", "--bind", "127.0.0.1:PORT", "sample_app:app"],
        form="csv",
    ),
    Peer(
        "Flask + gunicorn, tuned",
        ["flask==3.1.3", "gunicorn==27.0.1", "pandas==2.3.3", XGBOOST],
        ["BIN/gunicorn", "--workers", "1", "--bind", "127.0.0.1:PORT", "flask_app:app"],
        compared=False,
    ),
    Peer("LitServe", ["litserve==0.2.19", XGBOOST], ["PYTHON", "litserve_app.py", "PORT"], ready="/health"),
    Peer(
        "BentoML",
        ["bentoml==1.4.39", XGBOOST],
        ["BIN/bentoml", "serve", "bentoml_app:Model", "--host", "127.0.0.1", "--port", "PORT"],
        ready="/readyz",
        environment={"BENTOML_DO_NOT_TRACK": "1"},
    ),
    Peer(
        "MLServer",
        ["mlserver==1.7.1", "mlserver-xgboost==1.7.1", "xgboost==3.2.0"],
        ["BIN/mlserver", "start", "MLSERVER"],
        "/v2/models/model/infer",
        "/v2/models/model/ready",
        {"MLSERVER_HTTP_PORT": "PORT", "MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_METRICS_ENDPOINT": ""},
        form="v2",
    ),
    Peer(
        "sagemaker-inference + MMS",
        ["sagemaker-inference==1.10.1", "multi-model-server==1.1.11", "setuptools<80", XGBOOST],
        ["PYTHON", "toolkit_app.py"],
        environment={
            "SAGEMAKER_BIND_TO_PORT": "PORT",
            "SAGEMAKER_MODEL_SERVER_WORKERS": "1",
            "PATH": "BIN:/usr/bin:/bin",
        },
    ),
]


@dataclass
class Server:
    """A server that can be started, and what was measured of it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    path: str
    ready: str
    form: Form = "json"
    compared: bool = True
    start_seconds: list[float] = field(default_factory=list)
    memory_mib: int = 0
    rates: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    p50: dict[tuple[int, int], list[float]] = field(default_factory=dict)
    p99: dict[tuple[int, int], list[float]] = field(default_factory=dict)


def uv() -> str:
    """Return the uv to make environments with."""
    return shutil.which("uv") or sys.exit("error: uv is needed: pip install uv")


def environment_of(packages: list[str], folder: Path, python: str) -> Path:
    """Make a virtual environment, unless it is there, and return its bin folder."""
    if not folder.exists():
        subprocess.run([uv(), "venv", "--quiet", "--python", python, folder], check=True)
        command: list[str | Path] = [
            uv(),
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            folder / "bin/python",
            *packages,
        ]
        subprocess.run(command, check=True)
    return folder / "bin"


def group(project: Path, *names: str) -> list[str]:
    """Return what the dependency groups of a generated repository ask for."""
    import tomllib

    groups = tomllib.loads((project / "pyproject.toml").read_text())["dependency-groups"]
    return [package for name in names for package in groups[name]]


def servers(scratch: Path, environments: Path, python: str, only: list[str]) -> list[Server]:
    """Bake, train and install; return ours and the peers, ready to start."""
    template = baking.release(baking.copy_of_working_tree(scratch / "template"), "1.0.0")
    project = baking.bake("copier", template, scratch)
    training = environment_of(group(project, "mlops", "serving", "onnx"), environments / "training", python)
    serving = environment_of(group(project, "serving"), environments / "serving", python)
    model = scratch / "model"
    source = {"PYTHONPATH": str(project / "src")}
    command = [str(training / "python"), "-c", TRAIN, str(project), str(model)]
    subprocess.run(command, env=os.environ | source, check=True, stdout=subprocess.DEVNULL)
    settings = {
        "name": "model",
        "implementation": "mlserver_xgboost.XGBoostModel",
        "parameters": {"uri": str(model / "model.ubj")},
    }
    shutil.copytree(SCRIPTS, scratch / "peers")  # multi-model-server writes where it is started
    (scratch / "mlserver").mkdir()
    (scratch / "mlserver/model-settings.json").write_text(json.dumps(settings))
    program = [str(serving / "python"), "-m", "usecase.mlops.serving", "serve", "--host", "127.0.0.1", "--workers", "1"]
    program += ["--model-dir", str(model), "--port", "PORT"]
    found = [Server("this template", program, source, "/invocations", "/ping")]
    for peer in PEERS:
        if only and not any(word.lower() in peer.name.lower() for word in only):
            continue
        name = re.sub(r"[^a-z0-9]+", "-", " ".join(peer.packages).lower())[:40]
        place = environment_of(peer.packages, environments / name, python)
        words = {"BIN": str(place), "PYTHON": str(place / "python"), "MLSERVER": str(scratch / "mlserver")}
        # One thread for XGBoost, too: where cores are busy, those of OpenMP wait for each other.
        more = {"MODEL_FILE": str(model / "model.ubj"), "OMP_NUM_THREADS": "1", **peer.environment}
        filled = [_fill(word, words) for word in peer.command]
        environment = {name: _fill(value, words) for name, value in more.items()}
        found.append(Server(peer.name, filled, environment, peer.path, peer.ready, peer.form, peer.compared))
    return found


def _fill(text: str, words: dict[str, str]) -> str:
    for word, value in words.items():
        text = re.sub(rf"\b{word}\b", value, text)
    return text


@contextlib.contextmanager
def running(server: Server, scratch: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Start a server in a process group of its own, give port and process once it is ready; stop it afterwards."""
    port = _free_port()
    words = {"PORT": str(port)}
    environment = os.environ | {name: _fill(value, words) for name, value in server.environment.items()}
    log = scratch / f"{re.sub(r'[^A-Za-z]+', '-', server.name)}.log"
    started = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(
            [_fill(word, words) for word in server.command],
            env=environment,
            cwd=scratch / "peers",
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while not answers(f"http://127.0.0.1:{port}{server.ready}"):
            if process.poll() is not None or time.perf_counter() - started > START_SECONDS:
                sys.exit(f"error: {server.name} did not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)
        server.start_seconds.append(time.perf_counter() - started)
        yield port, process
        server.memory_mib = max(server.memory_mib, _memory(process.pid))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _free_port() -> int:
    """Return a port below 32768: multi-model-server takes none of those that are given to clients."""
    for port in range(20_000, 32_000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise SystemExit("error: no free port")


def answers(url: str) -> bool:
    """Return whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _memory(group_id: int) -> int:
    """Return the MiB that the processes of a group hold, shared pages counted once for each (RSS)."""
    listed = subprocess.run(["ps", "-e", "-o", "pgid=,rss="], capture_output=True, text=True, check=True).stdout
    pairs = (line.split() for line in listed.splitlines())
    return sum(int(rss) for pgid, rss in pairs if int(pgid) == group_id) // 1024


def body(rows: list[list[float]], form: Form) -> str:
    """Return the body of a request."""
    if form == "csv":
        return "\n".join(",".join(map(str, row)) for row in rows)
    if form == "json":
        return json.dumps({"instances": rows})
    data = [cell for row in rows for cell in row]
    return json.dumps({"inputs": [{"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": data}]})


def load(port: int, path: str, asked: Path, connections: int, seconds: int) -> tuple[float, float, float]:
    """Return requests/s, and the 50th and 99th percentile of the latency in ms."""
    command: list[str | Path] = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--timeout",
        "30s",  # of some peers a request waits for more than wrk's two seconds
        "--latency",
        "-s",
        asked,
        f"http://127.0.0.1:{port}{path}",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0])
    # Under more clients than it has places for, a server may send some away: only what was answered counts.
    sent_away = sum(map(int, re.findall(r"Non-2xx or 3xx responses: (\d+)", said)))
    all_answers = int(re.findall(r"(\d+) requests in", said)[0])
    if "Socket errors" in said or sent_away * 2 > all_answers:
        sys.exit(f"error: {path} did not answer its requests:\n{said}")
    rate *= 1 - sent_away / all_answers
    percentiles = {name: _milliseconds(value) for name, value in re.findall(r"(50|99)%\s+([\d.]+[a-z]+)", said)}
    return rate, percentiles["50"], percentiles["99"]


def measure(
    server: Server, port: int, keys: list[tuple[int, int]], scripts: dict[tuple[int, Form], Path], seconds: int
) -> None:
    """Load a running server with each number of rows and connections."""
    for key in keys:
        asked = scripts[key[0], server.form]
        load(port, server.path, asked, key[1], 1)  # until caches are warm
        measured = load(port, server.path, asked, key[1], seconds)
        for values, value in zip((server.rates, server.p50, server.p99), measured, strict=True):
            values.setdefault(key, []).append(value)


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[unit]


def sample_rows(project: Path) -> list[list[float]]:
    """Return a hundred rows of the sample, without the target."""
    with (project / "data/sample.csv").open() as stream:
        rows = list(csv.reader(stream))[1:101]
    return [[float(cell) for cell in row[:-1]] for row in rows]


def table(found: list[Server], counts: list[int], connections: list[int]) -> None:
    """Print what was measured as Markdown."""
    print("| server | start, s | memory, MiB |\n| --- | --- | --- |")
    for server in found:
        print(f"| {server.name} | {statistics.median(server.start_seconds):.2f} | {server.memory_mib} |")
    print("\n| rows | connections | server | requests/s: median (least to most) | p50, ms | p99, ms |")
    print("| --- | --- | --- | --- | --- | --- |")
    for key in [(count, number) for count in counts for number in connections]:
        for server in found:
            rates = server.rates[key]
            middle, p50, p99 = (statistics.median(values[key]) for values in (server.rates, server.p50, server.p99))
            spread = f"{middle:,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
            print(f"| {key[0]} | {key[1]} | {server.name} | {spread} | {p50:.2f} | {p99:.2f} |")
    ours, peers = found[0], [server for server in found[1:] if server.compared]
    print("\n| rows | connections | requests/s: times the best peer's | p99: times the best peer's |")
    print("| --- | --- | --- | --- |")
    for key in ours.rates if peers else ():
        best = max(statistics.median(peer.rates[key]) for peer in peers)
        quickest = min(statistics.median(peer.p99[key]) for peer in peers)
        ratio = statistics.median(ours.rates[key]) / best
        share = statistics.median(ours.p99[key]) / quickest
        print(f"| {key[0]} | {key[1]} | {ratio:.1f} | {share:.2f} |")


def plot(found: list[Server], file: Path) -> None:
    """Draw requests/s and p99 over connections, a column of pictures for each number of rows."""
    import matplotlib.pyplot as plt  # type: ignore[import-not-found,unused-ignore]
    from matplotlib.ticker import LogLocator  # type: ignore[import-not-found,unused-ignore]

    counts = sorted({count for server in found for count, _ in server.rates})
    figure, axes = plt.subplots(2, len(counts), figsize=(5 * len(counts), 7), sharex=True, sharey="row", squeeze=False)
    for column, count in enumerate(counts):
        for server in found:
            for axis, measured in zip(axes[:, column], (server.rates, server.p99), strict=True):
                points = {str(number): values for (rows, number), values in measured.items() if rows == count}
                axis.plot(list(points), list(map(statistics.median, points.values())), "o-", label=server.name)
                axis.set_yscale("log")
                axis.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
                axis.yaxis.set_major_formatter("{x:,.0f}")
                axis.yaxis.set_minor_formatter("{x:,.0f}")
        axes[0][column].set_title(f"{count} row{'s' if count > 1 else ''}")
        axes[1][column].set_xlabel("connections")
    axes[0][0].set_ylabel("requests/s: more is better")
    axes[1][0].set_ylabel("p99, ms: less is better")
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower center", ncols=4, fontsize=8)
    figure.savefig(file)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="8 connections, twice 3 seconds")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--only", nargs="+", default=[], help="words of the names of peers")
    parser.add_argument("--plot", type=Path, help="SVG file to draw; needs matplotlib")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--environments", type=Path, help="folder to keep the environments in, for another run")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.repeats, arguments.seconds, arguments.connections = 2, 3, [8]
    for tool in ("wrk", "java"):
        if not shutil.which(tool):
            sys.exit(f"error: {tool} is needed: apt-get install wrk default-jre-headless")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        environments = (arguments.environments or scratch / "environments").resolve()  # scripts name their interpreter
        found = servers(scratch, environments, arguments.python, arguments.only)
        rows = sample_rows(next(path.parent for path in scratch.glob("*/pipeline.json")))
        scripts: dict[tuple[int, Form], Path] = {}
        for count in arguments.rows:
            for form in get_args(Form):
                scripts[count, form] = scratch / f"{count}-{form}.lua"
                media_type = "text/csv" if form == "csv" else "application/json"
                scripts[count, form].write_text(WRK.format(type=media_type, body=body(rows[:count], form)))
        keys = [(count, number) for count in arguments.rows for number in arguments.connections]
        for repeat in range(1, arguments.repeats + 1):
            for server in found:
                print(f"{repeat} of {arguments.repeats}: {server.name}", file=sys.stderr, flush=True)
                with running(server, scratch) as (port, _):
                    measure(server, port, keys, scripts, arguments.seconds)
        table(found, arguments.rows, arguments.connections)
        if arguments.plot:
            plot(found, arguments.plot)


if __name__ == "__main__":
    main()
