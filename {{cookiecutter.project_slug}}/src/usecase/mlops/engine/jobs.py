"""One job in its sandbox, under the container contract of SageMaker.

Sources of the contract: "How Amazon SageMaker Processing Configures Your Processing Container", "How Amazon SageMaker
Runs Your Training Image" and the environment variables of the SageMaker Training Toolkit (ENVIRONMENT_VARIABLES.md).
The sandbox `ml` stands for /opt/ml: paths below /opt/ml in the entry point, arguments and environment are rewritten.
"""

import contextlib
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usecase.mlops.engine.storage import Store, files
from usecase.mlops.errors import UserError
from usecase.mlops.files import write_json

MODEL, OUTPUT_DATA = "/opt/ml/model", "/opt/ml/output/data"
TRAINING_CONFIG, PROCESSING_CONFIG = "/opt/ml/input/config", "/opt/ml/config"
HOST = "algo-1"
TAIL_LINES = 20
TAIL_BYTES = 65536

_OPT_ML = re.compile(r"(?<![\w./-])/opt/ml(?![\w.-])")


class JobError(UserError):
    """A job that ended with an error: `reason` in one line, the last lines of its output, and where all of it lies."""

    def __init__(self, reason: str, tail: Sequence[str], log: Path) -> None:
        super().__init__(reason)
        self.tail, self.log = tuple(tail), log


class StoppedError(Exception):
    """The execution is being stopped; the step that raises this has not finished."""


@dataclass(frozen=True)
class JobInput:
    """What a job finds in the folder `container_path` when it starts."""

    name: str
    uri: str
    container_path: str


@dataclass(frozen=True)
class JobOutput:
    """A folder that goes to `uri` when the job ends."""

    name: str
    container_path: str
    uri: str


@dataclass(frozen=True)
class Batch:
    """How a transform job cuts its input files into requests, and joins the answers.

    `by_line`: lines are requests, `many` of them at once when together they stay within `maximum_bytes`; else a file is
    one. `assemble_lines`: each answer ends a line.
    """

    content_type: str
    accept: str
    by_line: bool
    many: bool
    assemble_lines: bool
    maximum_bytes: int
    timeout_seconds: float


@dataclass(frozen=True)
class Job:
    """What a step starts: all that can change what it computes.

    `config` holds JSON files by container path. A training job has `artifacts`, the URI of the folder that gets
    model.tar.gz and output.tar.gz, in place of outputs. `hosts` is how many instances AWS would start; here it is one.
    `batch` is what a transform job asks the started program.
    """

    command: Sequence[str]
    environment: Mapping[str, str]
    image: str
    inputs: Sequence[JobInput]
    outputs: Sequence[JobOutput] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    artifacts: str | None = None
    hosts: int = 1
    batch: Batch | None = None

    def on_python_path(self, item: JobInput) -> bool:
        """Whether `item` holds the packages that the job imports."""
        return item.container_path in self.environment.get("PYTHONPATH", "").split(":")


def processing_job(arguments: Mapping[str, Any]) -> Job:
    """The job of evaluated CreateProcessingJob arguments."""
    return Job(
        **_what_starts(arguments["AppSpecification"], "ImageUri"),
        environment=_environment(arguments),
        inputs=[
            JobInput(item["InputName"], location(item["S3Input"]), item["S3Input"]["LocalPath"])
            for item in arguments.get("ProcessingInputs", [])
        ],
        outputs=[
            JobOutput(item["OutputName"], item["S3Output"]["LocalPath"], item["S3Output"]["S3Uri"])
            for item in arguments.get("ProcessingOutputConfig", {}).get("Outputs", [])
        ],
        config={f"{PROCESSING_CONFIG}/resourceconfig.json": {"current_host": HOST, "hosts": [HOST]}},
        hosts=hosts(arguments.get("ProcessingResources", {}).get("ClusterConfig", {})),
    )


def training_job(arguments: Mapping[str, Any], job_name: str) -> Job:
    """The job of evaluated CreateTrainingJob arguments."""
    channels = {
        channel["ChannelName"]: location(channel["DataSource"]["S3DataSource"])
        for channel in arguments.get("InputDataConfig", [])
    }
    hyperparameters = {name: str(value) for name, value in arguments.get("HyperParameters", {}).items()}
    return Job(
        **_what_starts(arguments["AlgorithmSpecification"], "TrainingImage"),
        environment={
            "SM_MODEL_DIR": "/opt/ml/model",
            "SM_INPUT_DIR": "/opt/ml/input",
            "SM_INPUT_CONFIG_DIR": "/opt/ml/input/config",
            "SM_OUTPUT_DIR": "/opt/ml/output",
            "SM_OUTPUT_DATA_DIR": "/opt/ml/output/data",
            "SM_CHANNELS": json.dumps(sorted(channels)),
            "SM_HPS": json.dumps(hyperparameters, sort_keys=True),
            "SM_CURRENT_HOST": HOST,
            "SM_HOSTS": json.dumps([HOST]),
            "SM_NUM_CPUS": str(os.cpu_count()),
            "SM_NUM_GPUS": "0",
            **{f"SM_CHANNEL_{name.upper()}": f"/opt/ml/input/data/{name}" for name in channels},
            **{f"SM_HP_{name.upper()}": value for name, value in hyperparameters.items()},
            **_environment(arguments),
        },
        inputs=[JobInput(name, uri, f"/opt/ml/input/data/{name}") for name, uri in channels.items()],
        config={
            f"{TRAINING_CONFIG}/hyperparameters.json": hyperparameters,
            f"{TRAINING_CONFIG}/inputdataconfig.json": {name: {"TrainingInputMode": "File"} for name in channels},
            f"{TRAINING_CONFIG}/resourceconfig.json": {
                "current_host": HOST,
                "hosts": [HOST],
                "network_interface_name": "lo",
            },
        },
        artifacts=f"{arguments['OutputDataConfig']['S3OutputPath']}/{job_name}/output",
        hosts=hosts(arguments.get("ResourceConfig", {})),
    )


def processing_properties(arguments: Mapping[str, Any], job_name: str) -> dict[str, Any]:
    """What DescribeProcessingJob would say; references find inputs and outputs by name."""
    outputs = arguments.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return {
        **arguments,
        "ProcessingInputs": {item["InputName"]: item for item in arguments.get("ProcessingInputs", [])},
        "ProcessingOutputConfig": {"Outputs": {item["OutputName"]: item for item in outputs}},
        "ProcessingJobName": job_name,
        "ProcessingJobStatus": "Completed",
    }


def training_properties(arguments: Mapping[str, Any], job_name: str, job: Job) -> dict[str, Any]:
    """What DescribeTrainingJob would say."""
    return {
        **arguments,
        "ModelArtifacts": {"S3ModelArtifacts": f"{job.artifacts}/model.tar.gz"},
        "TrainingJobName": job_name,
        "TrainingJobStatus": "Completed",
    }


def _what_starts(specification: Mapping[str, Any], image: str) -> dict[str, Any]:
    words = [*specification["ContainerEntrypoint"], *specification.get("ContainerArguments", [])]
    return {"command": [str(word) for word in words], "image": str(specification.get(image, ""))}


def hosts(resources: Mapping[str, Any]) -> int:
    """How many instances AWS would start."""
    count = resources.get("InstanceCount", 1)
    return count if isinstance(count, int) else 1  # before its parameters have values it is a reference


def location(source: Mapping[str, Any]) -> str:
    """The URI of an S3 input. Raises UserError for a manifest."""
    if source.get("S3DataType", "S3Prefix") != "S3Prefix":
        raise UserError(f"S3DataType {source['S3DataType']} has no local counterpart; use S3Prefix")
    return source["S3Uri"]  # type: ignore[no-any-return]


def _environment(arguments: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in (arguments.get("Environment") or {}).items()}


class Processes:
    """The running processes of an execution, each the leader of a process group, so that all can be stopped."""

    def __init__(self) -> None:
        self.stopping = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> int:
        """Runs `command` to its end and returns its exit status. Raises StoppedError."""
        with self.running(command, environment, folder, log) as process:
            return process.wait()

    @contextlib.contextmanager
    def running(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path
    ) -> "Iterator[subprocess.Popen[bytes]]":
        """`command` as a process, which is killed when the block ends. Raises StoppedError."""
        with self._lock, log.open("wb") as output:
            if self.stopping:
                raise StoppedError
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            yield process
        finally:
            with self._lock:
                self._running.discard(process)
            signal_group(process, kill=True)  # what the job left behind must not write on
            process.wait()
            if self.stopping:
                raise StoppedError

    def stop(self, *, kill: bool = False) -> None:
        """Ends all processes and starts no others; `kill` leaves them no time to clean up."""
        with self._lock:
            self.stopping = True
            for process in self._running:
                signal_group(process, kill=kill)


def signal_group(process: "subprocess.Popen[bytes]", *, kill: bool) -> None:
    """Asks a process and its children to end, or ends them."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
    elif process.poll() is None:
        process.terminate()


class Sandbox:
    """The folder of one job: `ml` stands for /opt/ml; `log` keeps what the job prints."""

    def __init__(self, folder: Path, job: Job, store: Store, digests: Mapping[str, str]) -> None:
        """`digests`: what each input holds, by its name."""
        self.ml, self.log = folder / "ml", folder / "log.txt"
        self._folder, self._job, self._store, self._digests = folder, job, store, digests
        self._linked: list[JobInput] = []

    def run(self, processes: Processes, python: str, job_name: str) -> None:
        """Runs the job to its end. Raises JobError and StoppedError."""
        self._fill()
        environment = self._environment()
        if self._job.artifacts:
            environment["TRAINING_JOB_NAME"] = job_name
        status = processes.run(self._command(python), environment, self.ml, self.log)
        self._check_linked()
        if status:
            raise self._failure(status)

    def publish(self) -> dict[str, str]:
        """Moves the outputs to their URIs; returns the digest of each. Raises UserError when one holds no files."""
        folders = [(self._path(output.container_path), output.uri) for output in self._job.outputs]
        if self._job.artifacts:
            folders.append((self._pack(), self._job.artifacts))
        # kept beside the log, so that a later run can delete what this one wrote
        write_json(self._folder / "outputs.json", [uri for _, uri in folders])
        return {uri: self._store.publish(folder, uri) for folder, uri in folders}

    def clear(self) -> None:
        """Deletes all but the log."""
        shutil.rmtree(self.ml, ignore_errors=True)

    def _command(self, python: str) -> list[str]:
        command = [self._rewrite(word) for word in self._job.command]
        return [python if command[0] in ("python", "python3") else command[0], *command[1:]]

    def _environment(self) -> dict[str, str]:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        for name in ("PYTHONPATH", "PYTHONHOME"):  # they would let the job import what no cache key knows of
            environment.pop(name, None)
        environment.update({name: self._rewrite(value) for name, value in self._job.environment.items()})
        if "PYTHONPATH" in environment:
            environment["PYTHONPATH"] = self._python_path()
        return environment

    def _fill(self) -> None:
        for item in self._job.inputs:
            # Packages are linked, not copied, so that Python finds and keeps their bytecode beside the sources.
            packages = self._job.on_python_path(item)
            if self._store.provide(item.uri, self._path(item.container_path), link=packages) and not packages:
                self._linked.append(item)
        for output in self._job.outputs:
            self._path(output.container_path).mkdir(parents=True, exist_ok=True)
        if self._job.artifacts:
            for folder in (MODEL, OUTPUT_DATA):
                self._path(folder).mkdir(parents=True, exist_ok=True)
        for container_path, content in self._job.config.items():
            write_json(self._path(container_path), content)
        self.ml.mkdir(parents=True, exist_ok=True)

    def _check_linked(self) -> None:
        """Raises JobError when an input that is no copy has changed. Packages may: the user edits them meanwhile."""
        for item in self._linked:
            path = self._store.path(item.uri)
            if self._store.digest_path(path, item.uri) != self._digests[item.name]:
                reason = (
                    f"the step changed its input {item.name}: {_shortest(path)} is no longer what it was when the step "
                    "began; restore it, and write to an output of the step instead"
                )
                raise JobError(reason, (), self.log)

    def _pack(self) -> Path:
        folder = self._folder / "ml" / "artifacts"
        folder.mkdir()
        model, data = self._path(MODEL), self._path(OUTPUT_DATA)
        if not any(True for _ in files(model)):
            raise UserError(f"the job wrote no model to {MODEL}")
        pack(model, folder / "model.tar.gz")
        if any(True for _ in files(data)):
            pack(data, folder / "output.tar.gz")
        return folder

    def _python_path(self) -> str:
        """PYTHONPATH with the real folders of linked packages, so that a traceback names the user's files."""
        real = {item.container_path: item.uri for item in self._job.inputs if self._job.on_python_path(item)}
        entries = self._job.environment["PYTHONPATH"].split(":")
        return os.pathsep.join(
            str(self._store.path(real[entry])) if entry in real else self._rewrite(entry) for entry in entries
        )

    def _failure(self, status: int) -> JobError:
        with self.log.open("rb") as stream:
            stream.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            text = self._name_sources(stream.read().decode("utf-8", "replace"))
        lines = [line.rstrip() for line in text.splitlines() if line.strip()]
        if status < 0:
            hint = "; most often the machine ran out of memory" if -status == signal.SIGKILL else ""
            reason = f"killed by signal {-status} ({signal.strsignal(-status)}){hint}"
            return JobError(reason, lines[-TAIL_LINES:], self.log)
        errors = [number for number, line in enumerate(lines) if line.startswith("error: ")]
        raised = _exception_line(lines)
        if raised is not None and (not errors or raised > errors[-1]):
            return JobError(lines[raised], lines[max(0, raised - TAIL_LINES) : raised], self.log)
        if errors:
            return JobError(lines[errors[-1]].removeprefix("error: "), (), self.log)
        reason = lines.pop() if lines else f"exit status {status} without a word"
        return JobError(reason, lines[-TAIL_LINES:], self.log)

    def _name_sources(self, text: str) -> str:
        """`text` with the job's copies of the user's files called by the user's own paths."""
        for item in self._job.inputs:
            source, copy = self._store.path(item.uri), self._path(item.container_path)
            if self._store.is_mount(item.uri):
                text = text.replace(str(copy / source.name if source.is_file() else copy), _shortest(source))
        return text

    def _path(self, container_path: str) -> Path:
        path = Path(self._rewrite(container_path))
        if not path.is_relative_to(self.ml) or ".." in path.parts:
            raise UserError(f"{container_path}: inputs and outputs of a job lie below /opt/ml")
        return path

    def _rewrite(self, text: str) -> str:
        return _OPT_ML.sub(lambda _: str(self.ml), text)


def _exception_line(lines: Sequence[str]) -> int | None:
    """The number of the line `SomeError: message` under the last traceback; a message may go on for more lines."""
    begins = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not begins:
        return None
    frames = range(begins[-1] + 1, len(lines))
    return next((number for number in frames if not lines[number].startswith((" ", "\t"))), None)


def pack(folder: Path, archive: Path) -> None:
    """Writes `folder` to a .tar.gz whose bytes depend on names and contents only, not on dates and owners."""
    with (
        archive.open("wb") as raw,
        gzip.GzipFile("", "wb", 6, raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as tar,
    ):
        for name, file in files(folder):
            member = tarfile.TarInfo(name)  # owner 0, date 0
            member.size, member.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                tar.addfile(member, content)


def _shortest(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
