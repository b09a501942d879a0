"""What the Cookiecutter hook does after the files: the template's address, and the GitLab project when it is wanted."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import baking
import birth
import gitlab_fake
from baking import git
from gitlab_contract import FREE, PREMIUM
from gitlab_fake import FakeGitLab

SETUP = "uv run --script tools/gitlab_setup.py apply --first-commit"


@pytest.mark.parametrize(
    ("given", "public"),
    [
        ("https://github.com/company/template", "https://github.com/company/template"),
        ("https://gitlab.com/company/template.git", "https://gitlab.com/company/template.git"),
        ("https://git.example.com/company/template", "git+https://git.example.com/company/template"),
        ("https://oauth2:secret@git.example.com/t.git", "https://git.example.com/t.git"),
        ("https://secret@git.example.com:8443/t.git", "https://git.example.com:8443/t.git"),
        ("https://git.example.com/t.git?private_token=secret", "https://git.example.com/t.git"),
        ("git@git.example.com:company/template.git", "git@git.example.com:company/template.git"),
        ("deploy@git.example.com:template", "git+deploy@git.example.com:template"),
        ("ssh://git:secret@git.example.com:22/template", "git+ssh://git@git.example.com:22/template"),
        ("file:///srv/template", "git+file:///srv/template"),
    ],
)
def test_an_address_is_public_and_known_to_copier(given: str, public: str) -> None:
    assert birth.public_url(given) == public
    assert "secret" not in public


@pytest.mark.parametrize("tool", baking.TOOLS)
def test_no_token_gets_into_the_answers_file(tool: str, template: Path, tmp_path: Path) -> None:
    """git reads the template from a folder instead, by a rule in its own settings, as a proxy would."""
    address = "https://oauth2:secret@git.example.com/template.git"
    rule = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{template}.insteadOf", "GIT_CONFIG_VALUE_0": address}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in rule.items():
            patch.setenv(name, value)
        done = baking.run_tool(tool, address, tmp_path, {})
    assert done.returncode == 0, done.stderr
    project = next(tmp_path.iterdir())
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    assert answers["_src_path"] == "https://git.example.com/template.git"
    assert "secret" not in (project / ".copier-answers.yml").read_text(encoding="utf-8")


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a uv in place that notes how it was called, and ends as `status` beside it says."""
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$PWD: $*" >> "$0.calls"\nexit "$(cat "$0.status")"\n')
    program.chmod(0o755)
    program.with_name("uv.status").write_text("0")
    monkeypatch.setenv("UV", str(program))
    monkeypatch.setenv("GITLAB_TOKEN", "secret")
    return program


def bake(template: Path, into: Path, answer: str = "yes", **more: str) -> subprocess.CompletedProcess[str]:
    """Bake by the command, and check that the project stands whatever GitLab did."""
    into.mkdir(exist_ok=True)
    done = baking.run_tool("cookiecutter", template, into, {"create_gitlab_project": answer, **more})
    assert done.returncode == 0, done.stderr
    assert (into / "tumour-diagnosis" / "Makefile").is_file()
    assert "Traceback" not in done.stderr
    return done


def later(into: Path) -> str:
    return f"Later, in {into / 'tumour-diagnosis'}: {SETUP}\n"


def test_yes_sets_the_gitlab_project_up(template: Path, tmp_path: Path, uv: Path) -> None:
    done = bake(template, tmp_path / "out")
    project = tmp_path / "out" / "tumour-diagnosis"
    assert uv.with_name("uv.calls").read_text() == f"{project}: {SETUP.removeprefix('uv ')}\n"
    assert "gitlab_setup" not in done.stdout + done.stderr


def test_no_does_not(template: Path, tmp_path: Path, uv: Path) -> None:
    done = bake(template, tmp_path / "out", "no")
    assert not uv.with_name("uv.calls").exists()
    assert "gitlab_setup" not in done.stdout + done.stderr


def test_a_failing_setup_leaves_the_project_and_says_what_to_run(template: Path, tmp_path: Path, uv: Path) -> None:
    uv.with_name("uv.status").write_text("1")
    done = bake(template, tmp_path / "out")
    assert (
        f"GitLab: the project is not set up (the set-up ended with exit code 1). {later(tmp_path / 'out')}"
        in done.stderr
    )
    assert "uv run --script tools/gitlab_setup.py apply" in done.stdout


def test_without_a_token_nothing_is_called(
    template: Path, tmp_path: Path, uv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITLAB_TOKEN")
    done = bake(template, tmp_path / "out")
    assert f"(GITLAB_TOKEN is not set). {later(tmp_path / 'out')}" in done.stderr
    assert not uv.with_name("uv.calls").exists()


@pytest.mark.usefixtures("uv")
def test_without_uv_it_says_so(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV")
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    assert "(uv is not installed). Later" in bake(template, tmp_path / "out").stderr


def test_a_uv_that_cannot_start_is_no_reason_to_lose_the_project(template: Path, tmp_path: Path, uv: Path) -> None:
    uv.chmod(0o644)
    assert "GitLab: the project is not set up ([Errno 13]" in bake(template, tmp_path / "out").stderr


@pytest.fixture
def gitlab(uv: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitLab]:
    """A GitLab, and a uv that starts the set-up with the libraries of this Python; without one, it locks nothing."""
    uv.write_text(f'#!/bin/sh\ntest "$1" = run || exit 1\necho $$ > "$0.pid"\nshift 2\nexec "{sys.executable}" "$@"\n')
    monkeypatch.setenv("GITLAB_TOKEN", gitlab_fake.TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with gitlab_fake.running() as fake:
        fake.page_size = 100
        yield fake


def assert_is_complete(gitlab: FakeGitLab, project: Path) -> None:
    """The code is on GitLab, and the set-up finds nothing to do."""
    (number,) = gitlab.projects
    assert gitlab.git(number, "rev-parse", "main") == git(project, "rev-parse", "main")
    assert git(project, "remote", "get-url", "origin") == f"{gitlab.url}/{gitlab_fake.GROUP}/tumour-diagnosis.git"
    done = subprocess.run([sys.executable, "tools/gitlab_setup.py", "plan"], cwd=project, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(("tier", "stage"), [(FREE, "basic"), (PREMIUM, "full")])
def test_yes_creates_the_whole_project_and_pushes(
    tier: str, stage: str, template: Path, tmp_path: Path, gitlab: FakeGitLab
) -> None:
    gitlab.tier = tier
    done = bake(template, tmp_path, gitlab_url=gitlab.url, gitlab_group=gitlab_fake.GROUP, mlops_stage=stage)
    assert "not set up" not in done.stderr
    assert gitlab_fake.TOKEN not in done.stdout + done.stderr
    assert_is_complete(gitlab, tmp_path / "tumour-diagnosis")


@pytest.mark.parametrize("number", [1, 8, 13])  # the project, the push, the last one
def test_killed_at_a_write_the_project_stays_and_the_command_it_names_goes_on(
    number: int, template: Path, tmp_path: Path, gitlab: FakeGitLab, uv: Path
) -> None:
    """All writes are stopped at in tests/test_gitlab.py; here the process is really killed."""

    def kill(done: int) -> None:
        if done == number:
            os.kill(int(uv.with_name("uv.pid").read_text()), signal.SIGKILL)

    gitlab.at_write = kill
    done = bake(template, tmp_path, gitlab_url=gitlab.url, gitlab_group=gitlab_fake.GROUP)
    project = tmp_path / "tumour-diagnosis"
    assert f"(the set-up ended with exit code -9). Later, in {project}: {SETUP}\n" in done.stderr
    gitlab.at_write = None
    again = subprocess.run([str(uv), *SETUP.split()[1:]], cwd=project, check=False)
    assert again.returncode == 0
    assert_is_complete(gitlab, project)


@pytest.mark.parametrize(("typed", "written"), [("y\n", True), ("n\n", False), ("\x04", False)])
def test_a_person_sees_the_plan_and_is_asked(
    typed: str, written: bool, template: Path, tmp_path: Path, gitlab: FakeGitLab
) -> None:
    """At a terminal the answer may be an old default, so the set-up asks before it writes anything elsewhere."""
    person, terminal = pty.openpty()
    program = Path(sys.executable).with_name("cookiecutter")
    answers = [f"gitlab_url={gitlab.url}", f"gitlab_group={gitlab_fake.GROUP}", "create_gitlab_project=yes"]
    command = [str(program), "--no-input", "-o", str(tmp_path), str(template), *answers]
    process = subprocess.Popen(command, stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    os.write(person, typed.encode())
    printed, _ = process.communicate(timeout=60)
    os.close(terminal)
    os.close(person)
    assert process.returncode == 0, printed
    assert f"plan: create project {gitlab_fake.GROUP}/tumour-diagnosis\n" in printed
    assert f"Write this to {gitlab.url}? [y/N]" in printed
    assert bool(gitlab.writes) == written
    assert ("nothing was written" in printed) != written
    assert (tmp_path / "tumour-diagnosis" / "Makefile").is_file()


def test_an_error_before_that_leaves_nothing(template: Path, tmp_path: Path) -> None:
    """A list that cannot be read would make another project than Copier's."""
    broken = tmp_path / "broken"
    git(template, "clone", "--quiet", str(template), str(broken))
    spec = broken / "copier.yml"
    spec.write_text(spec.read_text(encoding="utf-8").replace("{% if mlops_stage == 'basic' %}", "{% if %}"))
    out = tmp_path / "out"
    out.mkdir()
    assert baking.run_tool("cookiecutter", broken, out, {}).returncode == 1
    assert list(out.iterdir()) == []


def test_a_terminal_that_cannot_show_a_name_is_no_reason_to_lose_the_project(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = baking.run_tool("cookiecutter", template, tmp_path, {"project_name": "予測", "project_slug": "yosoku"})
    assert done.returncode == 0, done.stderr
    assert "is ready" in done.stdout


def test_a_template_without_git_has_its_written_version(tmp_path: Path) -> None:
    """As from a zip file, also one that was unpacked inside another repository."""
    plain = baking.copy_of_working_tree(tmp_path / "outer" / "template")
    git(tmp_path / "outer", "init", "--quiet")
    baking.commit(tmp_path / "outer", "Another project")
    project = baking.bake("cookiecutter", plain, tmp_path / "out")
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    version = json.loads((plain / "cookiecutter.json").read_text(encoding="utf-8"))["_template_version"]
    assert answers["_commit"] == f"v{version}"


def test_pruning_takes_the_templates_files_alone(tmp_path: Path) -> None:
    tree, project = tmp_path / "tree", tmp_path / "project"
    for folder, names in (
        (tree, ["a/b/x.tf", "c/x.py", "d/x.py"]),
        (project, ["a/b/x.tf", "a/own.tf", "c/x.py", "d/x.py"]),
    ):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    (project / "empty").mkdir()
    birth.prune(project, tree, ["/a", "**/c"])
    found = sorted(path.relative_to(project).as_posix() for path in project.rglob("*"))
    assert found == ["a", "a/own.tf", "d", "d/x.py", "empty"]


def test_baking_over_a_repository_leaves_what_is_not_the_templates(template: Path, tmp_path: Path) -> None:
    """Pruning takes only what the template brought: no file of the user, ignored or not, and no empty folder."""
    project = baking.bake("cookiecutter", template, tmp_path)
    git(project, "init", "--quiet")
    baking.commit(project, "Birth")
    own = [
        project / name
        for name in (".local/registry/1/package.json", ".venv/pyvenv.cfg", "terraform/own.tf", "docs/new/empty.d")
    ]
    for path in own:
        path.parent.mkdir(parents=True)
        path.touch()
    (project / "docs/new/empty").mkdir()
    baking.commit(project, "Work")
    before = sorted(project.glob(".git/**/*"))
    done = baking.run_tool("cookiecutter", template, tmp_path, {}, "--overwrite-if-exists")
    assert done.returncode == 0, done.stderr
    assert sorted(project.glob(".git/**/*")) == before
    assert git(project, "status", "--porcelain") == ""
    assert all(path.exists() for path in own)
    assert (project / "docs/new/empty").is_dir()
