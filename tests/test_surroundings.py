"""Birth, update and first commit without a network, without trust, with git set up unusually, on paths with blanks."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import baking
import updating
from baking import PROJECT_FOLDER, ROOT, TOOLS, commit, git
from git_server import GitServer, serving
from updating import CODE, MANAGED, SETTINGS, append

# Python reads this at its start, in every program that a tool runs.
NO_SOCKETS = """
import socket, sys

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") and arguments[0:1] != (None,):
        family = getattr(arguments[0], "family", None)
        if event == "socket.getaddrinfo" or family in (socket.AF_INET, socket.AF_INET6):
            raise OSError(f"there is no network here: {event}")

sys.addaudithook(refuse)
"""
# A person's git, set up for other work: line ends of Windows, signatures whose key is elsewhere, house rules.
UNUSUAL = """
[user]
    name = Test
    email = test@example.com
    signingkey = elsewhere
[core]
    autocrlf = true
    hooksPath = {hooks}
[commit]
    gpgsign = true
[tag]
    gpgsign = true
[gpg]
    program = /no/such/gpg
[init]
    defaultBranch = trunk
[pull]
    rebase = true
[diff]
    noprefix = true
    mnemonicPrefix = true
[status]
    short = true
"""


@pytest.fixture(scope="module")
def versions(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small template with v1.1.0 and v1.2.0, on a path with blanks. Not to be changed."""
    folder = tmp_path_factory.mktemp("folder with blanks")
    return updating.moved_on(updating.cut_down(template, folder / "less"), folder / "the template")


@pytest.fixture
def no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no Python program reach an address, and git nothing but folders."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(NO_SOCKETS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "guard"))
    monkeypatch.setenv("GIT_ALLOW_PROTOCOL", "file")


def make(tool: str, template: Path, into: Path) -> "subprocess.CompletedProcess[str]":
    """Make a project of v1.1.0 by the tool's command."""
    into.mkdir()
    # Cookiecutter renders a folder as it is checked out; Copier takes the newest version unless it is told one.
    checkout = into.with_name(f"{into.name} - template")
    git(template, "clone", "--quiet", "--branch", "v1.1.0", str(template), str(checkout))
    version = ["--vcs-ref", "v1.1.0"] if tool == "copier" else []
    return baking.run_tool(tool, checkout, into, {}, *version)


def updated(project: Path) -> "subprocess.CompletedProcess[str]":
    return baking.run_script("copier", "update", "--defaults", cwd=project)


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("tool", TOOLS)
def test_copy_and_update_need_no_network_and_no_trust(tool: str, versions: Path, tmp_path: Path) -> None:
    done = make(tool, versions, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    (project,) = (tmp_path / "out").iterdir()
    git(project, "init", "--quiet")
    commit(project, "Birth")
    done = updated(project)
    assert done.returncode == 0, done.stderr
    assert (project / MANAGED).read_text().startswith("# from the template\n")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    (tmp_path / "server").mkdir()
    with serving(tmp_path / "server") as server:
        yield server


def calls_home(template: Path, server: GitServer) -> None:
    """The hook asks a server for something."""
    hook = template / "hooks" / "birth.py"
    call = f'import urllib.request\n    urllib.request.urlopen("http://127.0.0.1:{server.port}/", timeout=9)\n'
    text = hook.read_text(encoding="utf-8")
    hook.write_text(text.replace("    for stream in (sys.stdout", f"    {call}    for stream in (sys.stdout"))


def lies_elsewhere(template: Path, server: GitServer) -> None:
    """A part of the template is a submodule, which Copier fetches."""
    address = f"http://127.0.0.1:{server.port}/part.git"
    (template / ".gitmodules").write_text(f'[submodule "part"]\n\tpath = part\n\turl = {address}\n')
    git(template, "update-index", "--add", "--cacheinfo", f"160000,{git(template, 'rev-parse', 'HEAD')},part")
    (template / "part").mkdir()


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(("tool", "plant"), [("cookiecutter", calls_home), ("copier", lies_elsewhere)])
def test_a_template_that_needs_the_network_is_seen(
    tool: str, plant: Callable[[Path, GitServer], None], versions: Path, server: GitServer, tmp_path: Path
) -> None:
    template = tmp_path / "planted"
    git(versions, "clone", "--quiet", "--branch", "v1.1.0", str(versions), str(template))
    plant(template, server)
    git(template, "add", "--all", "--", ":!part")
    git(template, "commit", "--quiet", "--message", "Plant")
    git(template, "tag", "--force", "v1.1.0")
    done = make(tool, template, tmp_path / "out")
    assert done.returncode != 0
    assert "no network here" in done.stderr or "transport 'http' not allowed" in done.stderr


@pytest.fixture
def unusual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set git up as `UNUSUAL` says; return the folder of its hooks, where one refuses every commit."""
    hooks = tmp_path / "house rules"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\necho 'house rule: no commits on Saturdays' >&2\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    (tmp_path / "gitconfig").write_text(UNUSUAL.format(hooks=hooks))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    return hooks


@pytest.mark.slow
@pytest.mark.usefixtures("unusual")
@pytest.mark.parametrize("tool", TOOLS)
def test_git_may_be_set_up_unusually(tool: str, versions: Path, tmp_path: Path) -> None:
    done = make(tool, versions, tmp_path / "my projects")
    assert done.returncode == 0, done.stderr
    (project,) = (tmp_path / "my projects").iterdir()
    assert b"\r" not in (project / MANAGED).read_bytes()
    git(project, "init", "--quiet")
    append(project / SETTINGS, "# ours")
    append(project / "docs/changed.md", "ours, at the same place")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "Birth")
    done = updated(project)
    assert done.returncode == 0, done.stderr
    assert updating.conflicts(project) == {"docs/changed.md"}
    assert git(project, "diff", "--numstat", "--", MANAGED, CODE, SETTINGS).split() == [
        *("1", "0", MANAGED),
        *("1", "0", CODE),
    ]
    assert not list(project.rglob("*.rej"))


@pytest.mark.parametrize(
    ("mended", "reason"),
    [
        ("[core]\nhooksPath = /no/such/hooks\n", "gpg failed to sign the data"),
        ("[commit]\ngpgsign = false\n", "house rule: no commits on Saturdays"),
        ("[commit]\ngpgsign = false\n[core]\nhooksPath = /no/such/hooks\n", ""),
    ],
)
def test_a_first_commit_that_git_refuses_is_one_clear_line(
    mended: str, reason: str, unusual: Path, tmp_path: Path
) -> None:
    with unusual.with_name("gitconfig").open("a") as settings:
        settings.write(mended)
    project = tmp_path / "my project"
    project.mkdir()
    (project / "file").touch()
    done = subprocess.run(
        [sys.executable, "-c", "from usecase.mlops.start import make_repository; make_repository(print)"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT / PROJECT_FOLDER / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    if reason:
        assert line.startswith("git: repository without a commit: git commit: ")
        assert reason in line
    else:
        assert line == "git: repository with a first commit"
    assert git(project, "symbolic-ref", "--short", "HEAD") == "main"
