"""uv and git as programs, and tokens for git that stay in the environment.

No address, list of arguments, file or line of a log ever holds a token.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from usecase.mlops.errors import UserError

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# git asks the helper, a line of shell that knows the name of the variable alone. No answer is stored: the empty helper
# in front of it takes away those of the machine.
HELPER = '!f() { test "$1" != get || { echo "username=USER"; echo "password=$VARIABLE"; }; }; f'


def uv_command() -> str:
    """Path of uv: the one that runs us, on PATH, or brought by `make setup`."""
    return os.environ.get("UV") or shutil.which("uv") or str(Path(".uv/bin/uv"))


def run_program(
    shown: str, command: Sequence[str], folder: Path, environment: Mapping[str, str | None] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a program that may ask nothing, with `environment` over that of this process (None: without the variable).

    Raises UserError with `shown`, the program's name for people, and its own last words.
    """
    merged = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **(environment or {})}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={name: value for name, value in merged.items() if value is not None},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise UserError(f"{shown}: {command[0]}: {error.strerror}: install it") from None
    if done.returncode:
        raise UserError(f"{shown}: {_last_words(done.stderr) or f'exit status {done.returncode}'}")
    return done


def git(folder: Path, *words: str) -> str:
    """What a git command prints, without the end of its last line. Raises UserError."""
    return run_program(f"git {words[0]}", ["git", *words], folder).stdout.rstrip("\n")


def may_carry_token(address: str) -> bool:
    """Whether a token would travel encrypted to this address, or not leave the machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def token_settings(address: str, variable: str, user: str) -> dict[str, str]:
    """Environment in which git answers the server of `address` with the token that `variable` of the environment holds.

    Raises UserError when it would travel in clear text.
    """
    if not may_carry_token(address):
        raise UserError(f"{address}: {variable} is for an address with https:// alone")
    parts = urlsplit(address)
    key = f"credential.{parts.scheme}://{parts.netloc.rpartition('@')[2]}.helper"
    taken = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    values = ("", HELPER.replace("USER", user).replace("VARIABLE", variable))
    settings = {"GIT_CONFIG_COUNT": str(taken + len(values)), "GIT_ASKPASS": ""}
    for number, value in enumerate(values, taken):
        settings |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return settings


def _last_words(errors: str) -> str:
    """What a program said last: the lines that git, uv or a server behind git mark as errors, else the last one."""
    lines = [" ".join(re.sub(r"[^ -~]+", " ", line).split()) for line in errors.splitlines()]
    marked = [
        found[0] for line in lines if (found := re.search(r"(?:\b(?:fatal|error|remote): |\[.*rejected).*", line))
    ]
    last = [line for line in lines if line][-1:]
    return "; ".join(dict.fromkeys(marked or last))
