"""How long it takes to make a project, and how large it is: both tools and ends of the stages, beside others.

All in this process. Hooks and tasks of the others are left out, since they install and commit; ours runs its hook.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import copier
from cookiecutter.main import cookiecutter
from timing import Timing, measure, quiet, report

import baking

Bake = Callable[[Path], object]


def run(*command: str) -> None:
    """Run a command without its output. Raises CalledProcessError when it fails."""
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)


def install(package: str, into: Path) -> None:
    """Put a package from PyPI into a folder, without what it depends on. Raises CalledProcessError as `run` does."""
    uv = str(Path(sys.executable).with_name("uv"))
    run(uv, "pip", "install", "--quiet", "--no-deps", package, "--python", sys.executable, "--target", str(into))


@dataclass(frozen=True)
class Peer:
    """Another template: its tool, where it is, which version (blank: the newest) and its folder and answers.

    `extension` is the package of a Jinja extension that its copier.yml names.
    """

    name: str
    tool: str
    source: str
    version: str = ""
    folder: str = ""
    answers: tuple[tuple[str, str], ...] = ()
    extension: str = ""

    def fetch(self, into: Path) -> Path:
        """Return the template, from GitHub or out of a package. Raises CalledProcessError when it cannot be had."""
        if self.source.startswith("https://"):
            branch = ["--branch", self.version] if self.version else []
            run("git", "clone", "--quiet", "--depth", "1", *branch, self.source, str(into))
        else:
            install(f"{self.source}=={self.version}", into)
        return into / self.folder

    def bake(self, template: Path, into: Path) -> None:
        """Make a project with the template's defaults."""
        if self.tool == "cookiecutter":
            cookiecutter(
                str(template), no_input=True, output_dir=str(into), accept_hooks=False, extra_context=dict(self.answers)
            )
        else:
            place = into / "project"
            copier.run_copy(
                str(template),
                place,
                defaults=True,
                quiet=True,
                skip_tasks=True,
                unsafe=bool(self.extension),  # copier loads no extension without it; tasks stay skipped
                vcs_ref="HEAD",
            )


PEERS = (
    Peer(
        "cookiecutter-data-science 1",
        "cookiecutter",
        "https://github.com/drivendataorg/cookiecutter-data-science",
        "v1",
    ),
    Peer("cookiecutter-django", "cookiecutter", "https://github.com/cookiecutter/cookiecutter-django"),
    Peer(
        "zenml template-e2e-batch",
        "copier",
        "https://github.com/zenml-io/template-e2e-batch",
        extension="jinja2-time==0.2.0",
    ),
    Peer("kedro new", "cookiecutter", "kedro", "1.7.0", "kedro/templates/project", (("kedro_version", "1.7.0"),)),
)


def measured(name: str, repeats: int, folder: Path, bake: Bake) -> tuple[Timing, str]:
    """Time a template, and return a row on the size of its project too."""

    def once() -> None:
        with quiet(), tempfile.TemporaryDirectory(dir=folder) as into:
            bake(Path(into))

    with quiet(), tempfile.TemporaryDirectory(dir=folder) as into:  # imports and caches
        bake(Path(into))
        sizes = [path.stat().st_size for path in Path(into).rglob("*") if path.is_file()]
    return measure(name, repeats, once), f"| {name} | {len(sizes)} | {sum(sizes) / 1024:,.0f} |"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peers", type=Path, help="folder with clones of the other templates, by their names above")
    options = parser.parse_args()
    results, missing = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        template = baking.release(baking.copy_of_working_tree(folder / "template"), "1.0.0")
        for tool in baking.TOOLS:
            for stage in ("basic", "full"):

                def ours(into: Path, tool: str = tool, stage: str = stage) -> object:
                    return baking.bake(tool, template, into, {"mlops_stage": stage})

                results.append(measured(f"{tool}, {stage}", options.repeats, folder, ours))
        for peer in PEERS:
            name = f"{peer.name} ({peer.tool})"
            place = options.peers / peer.name if options.peers else None
            try:
                found = place / peer.folder if place and place.is_dir() else peer.fetch(folder / peer.name)
                if peer.extension:
                    install(peer.extension, folder / "extensions")
                    sys.path.append(str(folder / "extensions"))
            except subprocess.SubprocessError:
                wanted = " or ".join(filter(None, (peer.source, peer.extension)))
                missing.append(f"{name}: not measured, {wanted} could not be fetched")
                continue

            def theirs(into: Path, peer: Peer = peer, found: Path = found) -> None:
                peer.bake(found, into)

            results.append(measured(name, options.repeats, folder, theirs))
    report("Making a project", [timing for timing, _ in results])
    print("| what | files | KiB |\n| --- | --- | --- |", *(row for _, row in results), "", *missing, sep="\n")


if __name__ == "__main__":
    main()
