"""A batch transform in its sandbox: the serving program answers the lines of files, as SageMaker would ask it.

Sources of the contract: "Custom Inference Code with Batch Transform" (its environment variables SAGEMAKER_BATCH...) and
"Custom Inference Code with Hosting Services" of the SageMaker Developer Guide; CreateTransformJob of its API reference.
The image's own program cannot run here: `serve_command` of the engine stands for it. Two variables tell it what a
container would find in place: SM_MODEL_DIR, the folder of the unpacked model, and SAGEMAKER_BIND_TO_PORT.
"""

import contextlib
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from usecase.mlops.engine.jobs import (
    MODEL,
    Batch,
    Job,
    JobError,
    JobInput,
    JobOutput,
    Processes,
    Sandbox,
    hosts,
    location,
    signal_group,
)
from usecase.mlops.engine.storage import files
from usecase.mlops.errors import UserError

ARCHIVE, ROWS, ANSWERS = "/opt/ml/input/model", "/opt/ml/input/rows", "/opt/ml/output/answers"
READY_SECONDS = 240  # what SageMaker gives a container to answer /ping
STOP_SECONDS = 30  # from SIGTERM to SIGKILL
MEGABYTE = 2**20
MAX_REASON = 500  # characters of an answer that is shown as the reason

_STRATEGIES = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}


def check_transform(arguments: Mapping[str, Any]) -> None:
    """Raises UserError for CreateTransformJob arguments that cannot run here; references in them are passed over."""
    source, target = arguments["TransformInput"], arguments["TransformOutput"]
    for name, value, allowed in (
        ("SplitType", source.get("SplitType"), ("None", "Line")),
        ("CompressionType", source.get("CompressionType"), ("None",)),
        ("AssembleWith", target.get("AssembleWith"), ("None", "Line")),
        ("BatchStrategy", arguments.get("BatchStrategy"), tuple(_STRATEGIES)),
    ):
        if isinstance(value, str) and value not in allowed:
            raise UserError(f"{name} {value!r} has no local counterpart; use {' or '.join(allowed)}")
    if arguments.get("DataProcessing"):
        raise UserError("DataProcessing has no local counterpart; filter and join the rows in a step of their own")
    location(source["DataSource"]["S3DataSource"])


def _batch(arguments: Mapping[str, Any]) -> Batch:
    """How evaluated CreateTransformJob arguments cut the input into requests. Raises UserError."""
    check_transform(arguments)
    source, target = arguments["TransformInput"], arguments["TransformOutput"]
    return Batch(
        content_type=str(source.get("ContentType", "")),
        accept=str(target.get("Accept", "")),
        by_line=source.get("SplitType") == "Line",
        many=arguments.get("BatchStrategy", "MultiRecord") == "MultiRecord",
        assemble_lines=target.get("AssembleWith") == "Line",
        maximum_bytes=int(arguments.get("MaxPayloadInMB", 6)) * MEGABYTE,
        timeout_seconds=float((arguments.get("ModelClientConfig") or {}).get("InvocationsTimeoutInSeconds", 600)),
    )


def transform_job(arguments: Mapping[str, Any], model: Mapping[str, Any], serve_command: Sequence[str]) -> Job:
    """The job of evaluated CreateTransformJob arguments; `model` are the CreateModel arguments of its model."""
    container = model["PrimaryContainer"]
    requests = _batch(arguments)
    environment = {
        "SM_MODEL_DIR": MODEL,
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_BATCH_STRATEGY": _STRATEGIES["MultiRecord" if requests.many else "SingleRecord"],
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(requests.maximum_bytes // MEGABYTE),
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "1",
        **{key: str(value) for key, value in (container.get("Environment") or {}).items()},
        **{key: str(value) for key, value in (arguments.get("Environment") or {}).items()},
    }
    if code := environment.get("SAGEMAKER_SUBMIT_DIRECTORY"):  # AWS's serving programs import from there
        environment["PYTHONPATH"] = code
    return Job(
        command=serve_command,
        environment=environment,
        image=str(container.get("Image", "")),
        inputs=[
            JobInput("model", container["ModelDataUrl"], ARCHIVE),
            JobInput("rows", location(arguments["TransformInput"]["DataSource"]["S3DataSource"]), ROWS),
        ],
        outputs=[JobOutput("answers", ANSWERS, arguments["TransformOutput"]["S3OutputPath"])],
        hosts=hosts(arguments.get("TransformResources", {})),
        batch=requests,
    )


def transform_properties(arguments: Mapping[str, Any], job_name: str) -> dict[str, Any]:
    """What DescribeTransformJob would say."""
    return {**arguments, "TransformJobName": job_name, "TransformJobStatus": "Completed"}


@dataclass(frozen=True)
class _Request:
    """Lines `first` to `last` of a file, counted from 1, as one payload."""

    first: int
    last: int
    payload: bytes


class _NoAnswerError(JobError):
    """The serving program broke off or took too long; when it has ended, it may have said why."""


class TransformSandbox(Sandbox):
    """The folder of one transform job; the serving program runs for as long as it is asked."""

    def run(self, processes: Processes, python: str, job_name: str) -> None:
        """Asks about every input file and writes <file>.out. Raises JobError and StoppedError."""
        if (requests := self._job.batch) is None:
            raise TypeError("not a transform job")
        self._fill()
        self._unpack()
        port = _free_port()
        environment = {**self._environment(), "SAGEMAKER_BIND_TO_PORT": str(port)}
        with processes.running(self._command(python), environment, self.ml, self.log) as process:
            self._wait_until_ready(process, port)
            for name, file in files(self._path(ROWS)):
                answers = self._path(ANSWERS) / f"{name}.out"
                answers.parent.mkdir(parents=True, exist_ok=True)
                try:
                    self._ask(port, requests, name, file, answers)
                except _NoAnswerError:
                    if (status := _ended(process, 1)) is not None:
                        raise self._failure(status) from None
                    raise
            signal_group(process, kill=False)
            _ended(process, STOP_SECONDS)
        self._check_linked()

    def _unpack(self) -> None:
        for _, archive in files(self._path(ARCHIVE)):
            try:
                with tarfile.open(archive, "r:gz") as tar:
                    tar.extractall(self._path(MODEL), filter="data")
            except (OSError, EOFError, tarfile.TarError) as error:
                raise UserError(f"{archive.name} cannot be unpacked ({error})") from None

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            if (status := process.poll()) is not None:
                raise self._failure(status)
            with contextlib.suppress(OSError):
                if _call(port, "GET", "/ping", timeout=2)[0] == HTTPStatus.OK:
                    return
            time.sleep(0.05)
            if time.monotonic() > deadline:
                raise JobError(f"the serving program was not ready after {READY_SECONDS} s", (), self.log)

    def _ask(self, port: int, requests: Batch, name: str, file: Path, answers: Path) -> None:
        headers = {"Content-Type": requests.content_type, "Accept": requests.accept}
        headers = {key: value for key, value in headers.items() if value}
        with file.open("rb") as lines, answers.open("wb") as output:
            for request in self._cut(lines, name, requests):
                where = f"{name}, lines {request.first} to {request.last}" if requests.by_line else name
                try:
                    timeout = requests.timeout_seconds
                    status, body = _call(port, "POST", "/invocations", request.payload, headers, timeout)
                except OSError as error:
                    raise _NoAnswerError(
                        f"{where}: no answer ({error or type(error).__name__})", (), self.log
                    ) from None
                if status != HTTPStatus.OK:
                    reason = " ".join(body.decode("utf-8", "replace").split())[:MAX_REASON]
                    raise JobError(f"{where}: the model answered {status}: {reason}", (), self.log)
                output.write(body)
                if requests.assemble_lines and not body.endswith(b"\n"):
                    output.write(b"\n")

    def _cut(self, lines: Iterator[bytes], name: str, requests: Batch) -> Iterator[_Request]:
        """The requests that a file is sent as: as many lines as fit, one line, or all of it."""
        first, gathered, size = 1, list[bytes](), 0
        for number, line in enumerate(lines if requests.by_line else [b"".join(lines)], start=1):
            if len(line) > requests.maximum_bytes:
                where = f"{name}, line {number}" if requests.by_line else name
                limit = requests.maximum_bytes // MEGABYTE
                raise JobError(f"{where}: over the {limit} MB of MaxPayloadInMB", (), self.log)
            if gathered and (not requests.many or size + len(line) > requests.maximum_bytes):
                yield _Request(first, number - 1, b"".join(gathered))
                first, gathered, size = number, [], 0
            gathered.append(line)
            size += len(line)
        if size:
            yield _Request(first, first + len(gathered) - 1, b"".join(gathered))


def _call(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 2,
) -> tuple[int, bytes]:
    """Status and body of the answer. Raises OSError."""
    import http.client  # takes longer to import than the engine; a run without a transform does not wait for it

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ended(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """The exit status of a process that ends within `seconds`."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
