"""Commands in the documentation: which are there, which a test runs, and a reader who types what a page says."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from pathlib import Path

import baking
from baking import ROOT

# Pages whose blocks test_cookbook.py runs from the first to the last.
RUN = [
    *("docs/tutorials/first-model.md", "docs/tutorials/your-data.md", "docs/tutorials/grow.md"),
    *("docs/cookbook/churn.md", "docs/cookbook/price.md", "docs/cookbook/leads.md"),
]
BLOCK = re.compile(
    r"(?:^ *<!-- (?P<why>needs|run by|fails)(?:: (?P<what>[^\n]+?))? -->\n)?"
    r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
SHELL = {"sh", "bash", "shell", "console"}
# What a command may need that the machine of a test has not.
NEEDS = {"AWS", "GitLab", "Docker"}


@dataclass(frozen=True)
class Block:
    """A block of a page: its kind and text; why no test runs it where it stands: a need, or files that run it.

    `fails`: the page says that it ends with an error.
    """

    kind: str
    text: str
    needs: str = ""
    run_by: str = ""
    fails: bool = False


def blocks(text: str) -> list[Block]:
    """Return the blocks of a page in their order."""
    found = []
    for match in BLOCK.finditer(text):
        said = {match["why"]: match["what"] or ""}
        body = textwrap.dedent(match["text"])
        found.append(Block(match["kind"], body, said.get("needs", ""), said.get("run by", ""), "fails" in said))
    return found


def commands(block: Block) -> Iterator[str]:
    """Yield the commands of a block without comments. Lines that end in a backslash or an open quote go on."""
    whole = ""
    for line in block.text.splitlines():
        whole = f"{whole}{line}\n"
        bare = whole.replace("\\\n", " ")
        if line.endswith("\\") or bare.count("'") % 2:
            continue
        command = re.sub(r"(^|\s+)#.*$", "", bare.strip())
        whole = ""
        if command and not command.startswith("cd "):
            yield command


def form(command: str) -> str:
    """Return a command as it is compared: other numbers and words between quotes make no other command."""
    return " ".join(re.sub(r"\d+", "0", re.sub(r'"[^"$]*"', '""', command)).split())


def executed() -> set[str]:
    """Return the forms of all commands that the pages of RUN hold."""
    return {
        form(command)
        for name in RUN
        for block in blocks((ROOT / name).read_text(encoding="utf-8"))
        if block.kind in SHELL and not block.needs and not block.run_by
        for command in commands(block)
    }


def word(command: str) -> str:
    """Return the word by which a test that runs the command knows it: a target of make, a subcommand or a program."""
    first, *rest = command.split()
    if first == "make":
        return rest[0] if rest else first
    if first in ("uv", "uvx"):
        return next(part for part in rest if part not in ("run", "usecase"))
    return first.rpartition("/")[2]


def command_faults(text: str, known: Set[str], elsewhere: Mapping[str, str], all_by: str) -> Iterator[str]:
    """Yield each command that no test runs and that says no reason.

    The program `aws` says it by its name. `elsewhere` has files that run a command, by its form; `all_by` those that
    run all commands of the page, or a need.
    """
    for block in blocks(text):
        if block.kind not in SHELL:
            continue
        if block.needs:
            if not set(re.split(r",? and |, ", block.needs)) <= NEEDS:
                yield f"needs: {block.needs}: is none of {', '.join(sorted(NEEDS))}"
            continue
        for command in commands(block):
            by = block.run_by or elsewhere.get(form(command), all_by)
            if by in NEEDS or form(command) in known or command.startswith("aws "):
                continue
            files = [ROOT / name for name in by.split(", ") if name]
            missing = [file.name for file in files if not file.is_file()]
            called = re.compile(rf"\b{re.escape(word(command))}\b")
            if not by:
                yield f"{command}: no test runs it: mark the block, `<!-- run by: FILE -->` or `<!-- needs: AWS -->`"
            elif missing:
                yield f"run by: {', '.join(missing)}: no such file"
            elif not any(called.search(file.read_text(encoding="utf-8")) for file in files):
                yield f"{command}: {by} does not run {word(command)!r}"


@dataclass
class Reader:
    """Somebody who types what a page says, block by block, in one folder after the other."""

    folder: Path  # where the next block begins
    template: Path
    tools: Path  # an empty folder for programs of ours
    port: int = 0
    services: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Bring uvx, which would fetch the tools, and a free port."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        shim = self.tools / "uvx"
        shim.write_text(f'#!/bin/sh\ntool=$1; shift\nexec "{Path(sys.executable).parent}/$tool" "$@"\n')
        shim.chmod(0o755)

    def read(self, name: str) -> None:
        """Run the blocks of a page; compare what they print with what the page shows."""
        printed = ""
        try:
            for block in blocks((ROOT / name).read_text(encoding="utf-8")):
                if block.kind == "diff":
                    (self.folder / "change.diff").write_text(block.text, encoding="utf-8")
                elif block.kind in SHELL and not block.needs and not block.run_by:
                    printed = self.run(block.text, block.fails)
                elif block.kind == "text":
                    assert list(unlike(block.text, printed)) == [], f"{name}: it printed\n{printed}"
        finally:
            self.end_services()

    def run(self, text: str, fails: bool = False) -> str:
        """Run a block in bash, a service in the background, and return what it printed."""
        script = text.replace("REPO", str(self.template)).replace("vX.Y.Z", "v1.0.0")
        script = script.replace("localhost:8080", f"localhost:{self.port}")
        asks = f"curl --silent --fail --output {os.devnull} localhost:{self.port}/ping"
        waits = f"for i in $(seq 300); do {asks} && break; sleep 0.2; done; {asks}"
        script = re.sub(r"(?m)^(make serve)\b.*$", rf"{{ \1 >service.log 2>\&1 & }}; {waits}", script)
        own = {"port": str(self.port), "TEMPLATE": str(ROOT), "PYTHON": sys._base_executable}  # type: ignore[attr-defined]
        path = os.pathsep.join([str(self.tools), str(Path(sys.executable).parent), os.environ["PATH"]])
        inherited = {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "UV")}
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", f"{script}\npwd >'{self.tools / 'folder'}'"],
            cwd=self.folder,
            env={**inherited, **own, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.services.append(shell.pid)
        printed, _ = shell.communicate(timeout=300)
        assert bool(shell.returncode) == fails, f"{script}\nended with {shell.returncode} and printed\n{printed}"
        if not fails:
            self.folder = Path((self.tools / "folder").read_text().strip())
        return printed

    def end_services(self) -> None:
        """End what runs in the background, and wait until the port is free."""
        for group in self.services:
            try:
                os.killpg(group, signal.SIGTERM)
            except ProcessLookupError:
                continue
        self.services.clear()
        deadline = time.monotonic() + 30
        while not socket.socket().connect_ex(("127.0.0.1", self.port)) and time.monotonic() < deadline:
            time.sleep(0.1)

    def begin_again(self) -> None:
        """Go back to the last commit, without what runs have left; the environment stays."""
        baking.git(self.folder, "checkout", "--quiet", ".")
        baking.git(self.folder, "clean", "--quiet", "--force", "-d")
        subprocess.run(["rm", "-rf", ".local"], cwd=self.folder, check=True)


def unlike(shown: str, printed: str) -> Iterator[str]:
    """Yield each line that a page shows and that was not printed, in this order. Numbers and blanks may differ."""
    lines = iter([_alike(line) for line in printed.splitlines()])
    for line in shown.splitlines():
        if line.strip() != "..." and _alike(line) not in lines:
            yield line


def _alike(line: str) -> str:
    return " ".join(re.sub(r"\d[\d.,e-]*", "0", line).split())
