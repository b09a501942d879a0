"""`usecase doctor`: is this machine ready, and what to do about each thing that is not."""

import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from usecase.mlops.contract import FILE_NAME, Contract
from usecase.mlops.engine.definition import Definition
from usecase.mlops.errors import UserError
from usecase.mlops.programs import uv_command
from usecase.mlops.run import LOCK, read_definition
from usecase.mlops.settings import ENVIRONMENTS, load_settings

MIN_PYTHON, MAX_PYTHON = (3, 11, 4), (3, 13)
MIN_UV, MIN_GIT, MIN_TERRAFORM = (0, 9), (2, 30), (1, 11)
MIN_FREE_GIB = 2
# By aws_access: whom the roles of terraform/bootstrap/usecase trust.
ACCESS = {
    "tier": "roles trust jobs of protected environments: GitLab Premium, 18.7 or newer; on Free set sub_claims: ref",
    "ref": "roles trust jobs on main, that of prod jobs on tags v*: who may push there may deploy, so protect both",
    "runner_role": "roles trust the runner's role: which jobs it runs is up to GitLab",
}


@dataclass(frozen=True)
class Finding:
    """One checked thing: `ok`, `warn` (works without) or `fail`, and how to mend it."""

    state: Literal["ok", "warn", "fail"]
    name: str
    detail: str
    fix: str = ""


def examine(port: int | None) -> list[Finding]:
    """All findings for the repository in the current folder; `port` is that of the service, else of the settings."""
    checks: list[Callable[[], Finding]] = [
        _python,
        lambda: _tool("uv", MIN_UV, "make setup brings one, or see docs.astral.sh/uv", uv_command()),
        lambda: _tool("git", MIN_GIT, "install git"),
        _git_identity,
        lambda: _tool("make", (3, 81), "not needed: use `uv run usecase` instead of make", needed=False),
        _lock,
        lambda: _says("settings", lambda: f"{len([load_settings(e) for e in ENVIRONMENTS])} environments are valid"),
        lambda: _says("contract", _contract),
        lambda: _says("pipeline", lambda: f"pipeline.json has {len(Definition.parse(read_definition()).steps)} steps"),
        lambda: _says("parameters", _parameters),
        lambda: _says("port", lambda: _port(port), otherwise="warn"),
        _disk,
        _credentials,
    ]
    if Path("terraform").is_dir():
        checks.append(
            lambda: _tool(
                "terraform",
                MIN_TERRAFORM,
                "needed for plan and deploy: developer.hashicorp.com/terraform/install",
                needed=False,
            )
        )
        checks.append(lambda: _says("aws_access", _access))
    return [check() for check in checks]


def _python() -> Finding:
    text = platform.python_version()
    if sys.version_info[:3] >= MIN_PYTHON and sys.version_info[:2] <= MAX_PYTHON:
        return Finding("ok", "python", text)
    return Finding(
        "fail", "python", text, f"use Python {'.'.join(map(str, MIN_PYTHON))} to {'.'.join(map(str, MAX_PYTHON))}"
    )


def _tool(name: str, minimum: tuple[int, ...], fix: str, command: str | None = None, needed: bool = True) -> Finding:
    missing: Literal["fail", "warn"] = "fail" if needed else "warn"
    try:
        output = subprocess.run(
            [command or name, "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return Finding(missing, name, "not found", fix)
    found = re.search(r"\d+(\.\d+)+", output)
    version = found.group() if found else "?"
    if found and tuple(int(part) for part in version.split(".")) < minimum:
        return Finding(missing, name, f"{version} is older than {'.'.join(map(str, minimum))}", fix)
    return Finding("ok", name, version)


def _git_identity() -> Finding:
    known = (
        all(
            subprocess.run(["git", "config", key], capture_output=True, check=False).returncode == 0
            for key in ("user.name", "user.email")
        )
        if shutil.which("git")
        else False
    )
    if known:
        return Finding("ok", "git identity", "name and e-mail are set")
    return Finding(
        "warn", "git identity", "not set", "git config --global user.name NAME; git config --global user.email ADDRESS"
    )


def _lock() -> Finding:
    if LOCK.exists():
        return Finding("ok", "uv.lock", "present")
    return Finding("fail", "uv.lock", "missing", "make setup writes it; commit it")


def _contract() -> str:
    contract = Contract.load(Path(FILE_NAME))
    if contract.path and not Path(contract.path).exists():
        raise UserError(f"{contract.path}: no such file ({FILE_NAME} names it as path)")
    return f"{len(contract.features)} features, {contract.task.replace('_', ' ')} of {contract.target.name!r}"


def _parameters() -> str:
    known = Definition.parse(read_definition()).parameters
    for environment in ENVIRONMENTS:
        for name, value in load_settings(environment).pipeline.parameters.items():
            if name not in known:
                raise UserError(
                    f"config/{environment}.yaml over defaults.yaml: pipeline.parameters.{name}: pipeline.json has no"
                    f" such parameter; it has: {', '.join(known)}"
                )
            known[name].convert(value)
    return "those of config/ are known to pipeline.json"


def _access() -> str:
    """Which jobs of GitLab may take roles in AWS; the environments must agree. Raises UserError."""
    found = {load_settings(environment).aws_access for environment in ENVIRONMENTS if environment != "local"}
    kinds = sorted({access.sub_claims if access.auth == "oidc" else access.auth for access in found})
    if len(kinds) > 1:
        raise UserError(f"auth and sub_claims differ between environments: {', '.join(kinds)}: choose one in config/")
    return ACCESS[kinds[0]]


def _says(name: str, read: Callable[[], str], otherwise: Literal["fail", "warn"] = "fail") -> Finding:
    try:
        return Finding("ok", name, read())
    except UserError as error:
        return Finding(otherwise, name, str(error))


def _port(port: int | None) -> str:
    number = port or load_settings().serving.port
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", number)):
            return f"{number} is free"
    raise UserError(f"{number} is in use: stop what uses it, or make serve port=N")


def _disk() -> Finding:
    free = shutil.disk_usage(".").free / 2**30
    detail = f"{free:.0f} GiB free"
    return (
        Finding("ok", "disk", detail)
        if free > MIN_FREE_GIB
        else Finding("warn", "disk", detail, "rm -r .local removes all local runs")
    )


def _credentials() -> Finding:
    """Names where AWS credentials would come from; asks nobody, and a laptop needs none."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return Finding(
            "warn",
            "aws",
            "static keys are in the environment",
            "prefer `aws sso login` and AWS_PROFILE: short-lived credentials",
        )
    if profile := os.environ.get("AWS_PROFILE"):
        return Finding("ok", "aws", f"profile {profile} (AWS_PROFILE)")
    if os.environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") or os.environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
        return Finding("ok", "aws", "role of this job or container")
    return Finding("ok", "aws", "no credentials: not needed for local runs")
