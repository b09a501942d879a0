"""The engine itself: runs each step when what it needs has ended, and independent steps in parallel."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Literal

from usecase.mlops.engine.definition import Definition, ParameterValue, Step
from usecase.mlops.engine.expressions import Scope, evaluate, holds
from usecase.mlops.engine.jobs import (
    Job,
    JobError,
    Processes,
    Sandbox,
    StoppedError,
    processing_job,
    processing_properties,
    training_job,
    training_properties,
)
from usecase.mlops.engine.storage import CacheEntry, StepCache, Store, read_json
from usecase.mlops.engine.transform import TransformSandbox, transform_job, transform_properties
from usecase.mlops.errors import UserError

CACHE_VERSION = 2  # part of every cache key: raise it when the engine runs jobs in another way
KEPT_EXECUTIONS = 20
GRACE_SECONDS = 5

StepState = Literal["Executing", "Succeeded", "Cached", "Failed", "Stopped"]
Register = Callable[[Mapping[str, Any], Callable[[str], Path]], Mapping[str, Any]]


@dataclass(frozen=True)
class StepEvent:
    """Something that happened to a step; `seconds` since it began."""

    step: str
    type: str
    state: StepState
    seconds: float = 0.0
    message: str = ""


@dataclass(frozen=True)
class Failure:
    """Why an execution failed: the step, its reason in one line, the job's last lines before it, and its whole log."""

    step: str
    reason: str
    tail: tuple[str, ...] = ()
    log: Path | None = None


@dataclass
class Execution:
    """What happened. `steps` holds the last event of each step that was started; steps not chosen are missing.

    `property_files` maps step and name to the JSON file, `properties` maps a step to what its job would describe.
    """

    id: str
    status: Literal["Succeeded", "Failed", "Stopped"]
    steps: dict[str, StepEvent] = field(default_factory=dict)
    failure: Failure | None = None
    properties: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    property_files: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Result:
    """What a step leaves to the ones after it."""

    state: StepState
    properties: Mapping[str, Any]
    property_files: Mapping[str, Path] = field(default_factory=dict)
    message: str = ""


class Engine:
    """Runs one definition (the content of pipeline.json), keeping all it makes in the folder `root`.

    `mounts` maps the URIs given as parameters to the user's own files and folders. `register` is called for each
    RegisterModel step with its evaluated CreateModelPackage arguments and a function from URI to local path; it returns
    the properties of the model package. `on_event` is called in the thread that called `run`. `serve_command` starts
    the program that serves a model, for Transform steps (see the module `transform`).

    Raises UserError for a definition that cannot run here.
    """

    def __init__(
        self,
        definition: Mapping[str, Any],
        root: Path,
        mounts: Mapping[str, Path],
        register: Register,
        on_event: Callable[[StepEvent], None] = lambda _: None,
        python: str = sys.executable,
        workers: int | None = None,
        serve_command: Sequence[str] | None = None,
    ) -> None:
        self.definition = Definition.parse(definition)
        for step in self.definition.steps.values():
            if step.type == "Transform" and not serve_command:
                raise UserError(f"step {step.name}: a Transform step needs a program that serves the model")
        self.root, self.mounts, self.register = root.absolute(), mounts, register
        self.on_event, self.python, self.workers = on_event, python, workers or os.cpu_count() or 1
        self.serve_command = serve_command or ()

    def run(self, parameters: Mapping[str, ParameterValue]) -> Execution:
        """Runs all steps; a step that fails or a signal (SIGINT, SIGTERM) stops the others.

        Raises UserError, before anything runs, when `parameters` do not fit the definition.
        """
        values = self.definition.bind(parameters)
        now = time.time_ns()
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now // 10**9))
        # sorts by time, and no two are equal
        identifier = f"{started.translate(_COMPACT)}{now // 10**6 % 1000:03}-{os.urandom(3).hex()}"
        return _Run(
            self,
            values,
            {
                "PipelineName": "local",
                "PipelineArn": "local",
                "PipelineExecutionId": identifier,
                "PipelineExecutionArn": f"local/{identifier}",
                "StartDateTime": started,
                "CurrentDateTime": started,
            },
        ).execute()


_COMPACT = str.maketrans("", "", "-:Z")


class _Run:
    """One execution in progress. The calling thread schedules and reports; workers wait for the jobs."""

    def __init__(self, engine: Engine, parameters: Mapping[str, ParameterValue], execution: Mapping[str, str]) -> None:
        self._engine, self._definition = engine, engine.definition
        self._store = Store(engine.root, engine.mounts)
        self._cache = StepCache(engine.root, self._store)
        self._scope = Scope(parameters, execution, self._resolve)
        self._execution = Execution(
            id=execution["PipelineExecutionId"],
            status="Succeeded",
            properties=self._scope.properties,
            property_files=self._scope.property_files,
        )
        self._executions = engine.root / "executions"
        self._graph = self._definition.graph()
        self._processes = Processes()
        self._ended: SimpleQueue[str | None] = SimpleQueue()  # names of ended steps; None wakes the scheduler
        self._running: dict[str, tuple[Future[_Result], float]] = {}
        self._skipped: set[str] = set()
        self._interrupts = self._interrupts_seen = 0
        self._said_hosts = False

    def execute(self) -> Execution:
        """Runs all steps. Raises nothing that a step is to blame for."""
        self._graph.prepare()
        with _signals_to(self._interrupt), ThreadPoolExecutor(self._engine.workers) as pool:
            try:
                self._schedule(pool)
            except BaseException:
                self._processes.stop()  # else the pool would wait for the jobs
                raise
        if self._interrupts and self._graph.is_active() and not self._execution.failure:
            self._execution.status = "Stopped"
        self._store.save_memo()
        self._prune()
        return self._execution

    def _schedule(self, pool: ThreadPoolExecutor) -> None:
        ready: list[str] = []
        while self._graph.is_active() and not self._processes.stopping:
            ready.extend(self._graph.get_ready())
            while ready and len(self._running) < self._engine.workers:
                self._start(pool, self._definition.steps[ready.pop(0)])
                ready.extend(self._graph.get_ready())
            self._wait(1.0)
        # After a failure or a signal, what still runs is asked to end, and killed when it does not.
        deadline = time.monotonic() + GRACE_SECONDS
        while self._running:
            if time.monotonic() > deadline:
                self._processes.stop(kill=True)
            self._wait(0.2)

    def _start(self, pool: ThreadPoolExecutor, step: Step) -> None:
        if self._is_skipped(step):
            self._skipped.add(step.name)
            self._graph.done(step.name)
            return
        self._report(StepEvent(step.name, step.type, "Executing"))
        future = pool.submit(self._run_step, step)
        self._running[step.name] = (future, time.monotonic())
        future.add_done_callback(lambda _: self._ended.put(step.name))

    def _is_skipped(self, step: Step) -> bool:
        """Whether the step lies behind a condition that went the other way, or needs a step that does."""
        if not step.needs.isdisjoint(self._skipped):
            return True
        if step.branch is None:
            return False
        return bool(self._scope.properties[step.branch.condition]["Outcome"] != str(step.branch.outcome))

    def _wait(self, timeout: float) -> None:
        """Waits for a step to end or for a signal, `timeout` seconds at most: Windows sees no Ctrl-C meanwhile."""
        name = None
        if self._running:
            with contextlib.suppress(Empty):
                name = self._ended.get(timeout=timeout)
        if self._interrupts > self._interrupts_seen:
            self._interrupts_seen = self._interrupts
            self._processes.stop(kill=self._interrupts > 1)
        if name is not None:
            self._finish(name)

    def _finish(self, name: str) -> None:
        future, begun = self._running.pop(name)
        type_, seconds = self._definition.steps[name].type, time.monotonic() - begun
        try:
            result = future.result()
        except StoppedError:
            self._report(StepEvent(name, type_, "Stopped", seconds))
        except (UserError, OSError) as error:
            failure = _failure(name, error)
            self._report(StepEvent(name, type_, "Failed", seconds, failure.reason))
            if not self._execution.failure:
                self._execution.status, self._execution.failure = "Failed", failure
            self._processes.stop()
        else:
            self._scope.properties[name] = result.properties
            self._scope.property_files[name] = result.property_files
            self._graph.done(name)
            self._report(StepEvent(name, type_, result.state, seconds, result.message))

    def _interrupt(self) -> None:
        """Called by a signal handler, between any two instructions of the scheduler: takes no lock."""
        self._interrupts += 1
        self._ended.put(None)

    def _report(self, event: StepEvent) -> None:
        self._execution.steps[event.step] = event
        self._engine.on_event(event)

    def _run_step(self, step: Step) -> _Result:
        """In a worker. Raises UserError, OSError and StoppedError."""
        if self._processes.stopping:
            raise StoppedError
        if step.type == "Condition":
            outcome = all(holds(condition, self._scope) for condition in step.arguments["Conditions"])
            return _Result("Succeeded", {"Outcome": str(outcome)}, message=str(outcome))
        arguments = evaluate(step.arguments, self._scope)
        match step.type:
            case "Fail":
                raise UserError(arguments["ErrorMessage"])
            case "RegisterModel":
                return _Result("Succeeded", self._engine.register(arguments, self._resolve))
            case "Model":
                return _Result("Succeeded", {**arguments, "ModelName": self._job_name(step)})
            case _:
                return self._run_job(step, arguments)

    def _run_job(self, step: Step, arguments: Mapping[str, Any]) -> _Result:
        name = self._job_name(step)
        sandbox_type = Sandbox
        match step.type:
            case "Processing":
                job, properties = processing_job(arguments), processing_properties(arguments, name)
            case "Training":
                job = training_job(arguments, name)
                properties = training_properties(arguments, name, job)
            case _:
                job = transform_job(arguments, self._model(arguments["ModelName"]), self._engine.serve_command)
                properties = transform_properties(arguments, name)
                sandbox_type = TransformSandbox
        digests = self._digests(job)
        key = self._key(step, job, digests)
        max_age = step.cache_seconds
        entry = self._cache.find(key, max_age) if max_age is not None else None
        messages = self._hosts_message(job)
        if entry:
            files = self._property_files(step, entry.properties)
            return _Result("Cached", entry.properties, files, "; ".join(messages))
        sandbox = sandbox_type(self._executions / self._execution.id / step.name, job, self._store, digests)
        try:
            sandbox.run(self._processes, self._engine.python, name)
            outputs = sandbox.publish()
        except StoppedError:
            sandbox.clear()
            raise
        property_files = self._property_files(step, properties)
        if max_age is not None:
            if self._digests(job) == digests:
                self._cache.add(key, CacheEntry(properties, outputs), max_age)
            else:
                messages.append("not cached: an input changed while the step ran")
        sandbox.clear()
        return _Result("Succeeded", properties, property_files, "; ".join(messages))

    def _model(self, name: str) -> Mapping[str, Any]:
        for properties in self._scope.properties.values():
            if properties.get("ModelName") == name and "PrimaryContainer" in properties:
                return properties
        raise UserError(f"the model {name} is not made by a step of this pipeline")

    def _hosts_message(self, job: Job) -> list[str]:
        """What is said once of an execution that would run on several instances."""
        if job.hosts == 1 or self._said_hosts:
            return []
        self._said_hosts = True
        return [f"one host here, {job.hosts} in AWS"]

    def _prune(self) -> None:
        """Deletes the executions before the last ones, and the outputs that nothing points at any more.

        An output stays for as long as its execution is one of the last, or a cache entry holds it.
        """
        folders = sorted(self._executions.iterdir()) if self._executions.is_dir() else []
        old, last = folders[:-KEPT_EXECUTIONS], folders[-KEPT_EXECUTIONS:]
        if not old and not self._cache.released:
            return
        held = self._cache.prune() | _outputs(last)
        for uri in (self._cache.released | _outputs(old)) - held:
            self._store.remove(uri)
        for folder in old:
            shutil.rmtree(folder, ignore_errors=True)

    def _resolve(self, uri: str) -> Path:
        """The local path of `uri`. Raises UserError when nothing lies there."""
        path = self._store.path(uri)
        if not path.exists():
            raise UserError(f"{uri}: no such file or folder ({path})")
        return path

    def _job_name(self, step: Step) -> str:
        return f"pipelines-{self._execution.id}-{step.name}"

    def _digests(self, job: Job) -> dict[str, str]:
        digests = {}
        for item in job.inputs:
            try:
                digests[item.name] = self._store.digest(item.uri)
            except UserError as error:
                raise UserError(f"input {item.name}: {error}") from None
        return digests

    def _key(self, step: Step, job: Job, digests: Mapping[str, str]) -> str:
        """A hash of all that the job can see; URIs of this execution, roles, keys, networks and sizes are no part.

        Hyperparameters are in the environment, as SM_HPS. The execution's own name is no part either: evidence that was
        made before names the execution that made it.
        """
        seen = {
            "version": CACHE_VERSION,
            "step": [step.type, step.name],
            "interpreter": os.path.realpath(self._engine.python),
            "image": job.image,
            "command": list(job.command),
            "environment": dict(job.environment),
            "inputs": [[item.name, item.container_path, digests[item.name]] for item in job.inputs],
            "outputs": [[output.name, output.container_path] for output in job.outputs],
            "batch": asdict(job.batch) if job.batch else None,
        }
        text = json.dumps(seen, sort_keys=True).replace(self._execution.id, "")
        return hashlib.sha256(text.encode()).hexdigest()

    def _property_files(self, step: Step, properties: Mapping[str, Any]) -> dict[str, Path]:
        found = {}
        for name, file in step.property_files.items():
            uri = properties["ProcessingOutputConfig"]["Outputs"][file.output]["S3Output"]["S3Uri"]
            found[name] = self._store.path(f"{uri}/{file.path}")
            if not found[name].is_file():
                raise UserError(f"the job wrote no {file.path} into its output {file.output} (property file {name})")
        return found


def _outputs(folders: Sequence[Path]) -> set[str]:
    """The URIs that the steps of these executions wrote."""
    return {uri for folder in folders for record in folder.glob("*/outputs.json") for uri in read_json(record) or []}


def _failure(step: str, error: UserError | OSError) -> Failure:
    if isinstance(error, JobError):
        return Failure(step, str(error), error.tail, error.log)
    if isinstance(error, OSError) and error.filename:
        return Failure(step, f"{error.filename}: {error.strerror}")
    return Failure(step, " ".join(str(error).split()))


@contextlib.contextmanager
def _signals_to(interrupt: Callable[[], None]) -> Iterator[None]:
    """Sends SIGINT and SIGTERM to `interrupt`; only the main thread of a program can, others go without."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: interrupt()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)
