"""Terraform as a program: found, told what to do, shown while it works, and stopped in order."""

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from usecase.mlops.errors import UserError

NEEDED = (1, 11)  # required_version of the roots
INSTALL = "https://developer.hashicorp.com/terraform/install"
Say = Callable[[str], None]


def find_terraform() -> str:
    """Path of the program. Raises UserError when it is missing or too old."""
    needed = ".".join(map(str, NEEDED))
    program = shutil.which("terraform")
    if program is None:
        raise UserError(f"terraform is not on the PATH: install Terraform {needed} or newer: {INSTALL}")
    told = subprocess.run([program, "version", "-json"], capture_output=True, text=True, check=False).stdout
    found = re.search(r'"terraform_version": *"((\d+)\.(\d+)[^"]*)"', told)
    if found is None:
        raise UserError(f"{program}: is no Terraform: `terraform version -json` names no version: {INSTALL}")
    if (int(found[2]), int(found[3])) < NEEDED:
        raise UserError(f"{program}: is Terraform {found[1]}: install {needed} or newer: {INSTALL}")
    return program


class Terraform:
    """Terraform in one folder. `data` is where it keeps providers, modules and the address of the state.

    `environment` is added to that of this process; no argument of a command holds a value from it.
    """

    def __init__(self, folder: Path, data: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder, self._program = folder, find_terraform()
        self._environment = {
            **os.environ,
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "TF_DATA_DIR": str(data.absolute()),
            **(environment or {}),
        }

    def read_state(self) -> dict[str, Any]:
        """The state; {} when there is none yet. Raises UserError."""
        text = self.run("state", "pull").strip()
        state: dict[str, Any] = json.loads(text) if text else {}
        return state

    def run(self, *words: str, say: Say | None = None) -> str:
        """Standard output of a command; `say` gets each line at once. Raises UserError with Terraform's own words.

        Ctrl-C and SIGTERM go to Terraform, which ends in order and frees the lock of the state.
        """
        command = [self._program, *words, "-no-color"]
        lines = []
        with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
            with (
                subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    encoding="utf-8",
                    start_new_session=True,  # a terminal's Ctrl-C would arrive twice, and twice means: drop everything
                ) as process,
                _signals_to(process) as received,
            ):
                for line in process.stdout or ():
                    lines.append(line)
                    if say:
                        say(line.rstrip())
                process.wait()
            errors.seek(0)
            said = errors.read().strip()
        if received:
            raise UserError(
                f"terraform {words[0]} was stopped: what it has done is in the state; the command can be repeated"
            )
        if process.returncode:
            raise UserError(f"terraform {words[0]} in {self.folder.name}:\n{said or ''.join(lines).strip()}")
        return "".join(lines)


@contextmanager
def _signals_to(process: "subprocess.Popen[str]") -> Iterator[list[int]]:
    """What would end this process goes to the other one, and into the list."""
    received: list[int] = []

    def pass_on(number: int, _: object) -> None:
        received.append(number)
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
