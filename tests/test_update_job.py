"""The job that proposes a newer template, and `make update`, against git repositories over HTTP."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any

import pytest
import yaml

import baking
import gitlab_ci
import updating
from baking import PROJECT_FOLDER, commit, git, release
from git_server import GitServer, serving
from updating import CODE, MANAGED, NOTES, TO_DO, append

PUSH, READ = "push-token-1234", "read-token-1234"
BRANCH = "template/v1.2.0"
OPTIONS = [
    "merge_request.create",
    f"merge_request.description=From v1.1.0. What changed and what to do: {NOTES}",
    "merge_request.label=template-update",
    "merge_request.remove_source_branch",
    "merge_request.target=main",
    "merge_request.title=Template v1.2.0",
]
# Stands for uv: runs the tools of this environment, and writes what the index and the SageMaker SDK would decide.
UV = f"""#!/bin/sh
echo "uv $*" >> "$LOG"
main="from usecase.mlops.cli import main; main()"
steps=src/usecase/mlops/steps.py
case "$*" in
  "run usecase "*) shift 2; PYTHONPATH=src exec "{sys.executable}" -c "$main" "$@" ;;
  "tool run --quiet copier@"*) shift 4; exec "{Path(sys.executable).with_name("copier")}" "$@" ;;
  "--quiet lock") test -z "$UV_LOCKED" || exit 2; git hash-object pyproject.toml > uv.lock ;;
  "run --quiet --isolated --group sagemaker usecase pipeline") git hash-object $steps > pipeline.json ;;
  *) echo "no such command: uv $*" >&2; exit 64 ;;
esac
"""
GIT = f"""#!/bin/sh
echo "git $*" >> "$LOG"
exec "{shutil.which("git")}" "$@"
"""


def definition(project: Path) -> dict[str, Any]:
    """The job as it stands in the project's files, with what all jobs have."""
    _, root = yaml.safe_load_all((project / ".gitlab-ci.yml").read_text())
    (job,) = yaml.safe_load((project / ".gitlab/ci/update.yml").read_text()).values()
    return {**root["default"], **job}


@dataclass
class Job:
    """A project of GitLab, a checkout of its main branch as a runner has it, and what the job may know."""

    server: GitServer
    template: Path  # where it is developed
    published: Path  # where projects read it
    project: Path
    checkout: Path
    log: Path
    folder: str = ""  # of the use case in the checkout

    def run(self, **variables: str) -> "subprocess.CompletedProcess[str]":
        """Run the job's script lines, with `variables` over its own."""
        job = definition(self.checkout / self.folder)
        given = {
            **job["variables"],
            "PROJECT_DIR": self.folder,
            "CI_PROJECT_URL": self.server.url(self.project).removesuffix(".git"),
            "CI_PROJECT_DIR": str(self.checkout),
            "CI_SERVER_HOST": "gitlab.example.com",
            "CI_DEFAULT_BRANCH": "main",
            "TEMPLATE_UPDATE_TOKEN": PUSH,
            "TEMPLATE_READ_TOKEN": READ,
            **variables,
        }
        expanded = {name: Template(value).safe_substitute(given) for name, value in given.items()}
        return self._bash("\n".join(job["before_script"] + job["script"]), expanded)

    def usecase(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run `usecase` as a person does, who has not the job's variables."""
        return self._bash(" ".join(["uv run usecase", *words]), {"TEMPLATE_READ_TOKEN": READ})

    def _bash(self, script: str, variables: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        path = f"{self.log.parent}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=self.checkout,
            env={**os.environ, "PATH": path, "LOG": str(self.log), "NO_COLOR": "1", **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def pushes(self) -> list[list[str]]:
        """Branch and push options of each push to the project."""
        return [line.split(";") for line in (self.project / "pushes").read_text().splitlines()]

    def born_at(self, version: str) -> None:
        """Make it a project of another version."""
        answers = self.checkout / ".copier-answers.yml"
        answers.write_text(re.sub("_commit: .*", f"_commit: {version}", answers.read_text()))
        commit(self.checkout, "Born")

    def publish(self) -> None:
        """Bring what was developed in the template to where projects read it."""
        git(self.template, "push", "--quiet", "--force", "--all", str(self.published))
        git(self.template, "push", "--quiet", "--tags", str(self.published))

    def change(self, file: str, line: str, branch: str = "main") -> None:
        """A person adds a line to a file of the project; the runner then checks main out anew."""
        git(self.checkout, "fetch", "--quiet", str(self.project), branch)
        git(self.checkout, "checkout", "--quiet", "--detach", "FETCH_HEAD")
        append(self.checkout / file, line)
        commit(self.checkout, "Work")
        git(self.checkout, "push", "--quiet", str(self.project), f"HEAD:{branch}")
        (self.project / "pushes").write_text("")
        git(self.checkout, "fetch", "--quiet", str(self.project), "main")
        git(self.checkout, "checkout", "--quiet", "--detach", "FETCH_HEAD")

    def show(self, revision: str) -> str:
        """A file of the project on GitLab."""
        return git(self.project, "show", revision)


@pytest.fixture(scope="module")
def started(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the template at v1.1.0 and v1.2.0, and a project born at v1.1.0. Not to be changed."""
    folder = tmp_path_factory.mktemp("started")
    moved = updating.moved_on(updating.cut_down(template, folder / "less"), folder / "template")
    birth = updating.at_first_version(moved, folder / "birth")
    project = updating.born("cookiecutter", birth, folder / "born", mlops_stage="basic", container="managed")
    (project / "uv.lock").write_text("first\n")
    commit(project, "Lock")
    project.rename(folder / "project")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with serving(tmp_path_factory.mktemp("gitlab")) as server:
        yield server


@pytest.fixture
def job(started: Path, server: GitServer, tmp_path: Path) -> Job:
    folder = server.root / tmp_path.name
    template = tmp_path / "template"
    git(started, "clone", "--quiet", str(started / "template"), str(template))
    published = server.bare(template, f"{tmp_path.name}/template.git", READ)
    checkout = tmp_path / "checkout"
    git(started, "clone", "--quiet", str(started / "project"), str(checkout))
    answers = (checkout / ".copier-answers.yml").read_text()
    source = f'_src_path: "{server.url(published)}"'
    (checkout / ".copier-answers.yml").write_text(re.sub("_src_path: .*", source, answers))
    commit(checkout, "Where the template is read")
    project = server.bare(checkout, f"{folder.name}/churn.git", PUSH)
    git(checkout, "remote", "remove", "origin")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"uv": UV, "git": GIT}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return Job(server, template, published, project, checkout, programs / "log")


def succeed(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fail(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line that a failure ends with."""
    assert done.returncode == 1, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_newer_template_becomes_one_merge_request(job: Job, tmp_path: Path) -> None:
    before = git(job.project, "rev-parse", "main")
    git(job.checkout, "config", "credential.helper", f"store --file {tmp_path / 'stored'}")
    done = job.run(UV_LOCKED="1")
    printed = succeed(done)
    assert job.pushes == [[f"refs/heads/{BRANCH}", *OPTIONS]]
    assert git(job.project, "log", "-1", "--format=%B", BRANCH).endswith(TO_DO)
    assert "template v1.1.0 -> v1.2.0" in printed
    assert f"  changed   {MANAGED}\n" in printed
    assert git(job.project, "rev-parse", "main", f"{BRANCH}~1").splitlines() == [before, before]
    assert job.show(f"{BRANCH}:{MANAGED}").startswith("# from the template\n")
    assert "_commit: v1.2.0" in job.show(f"{BRANCH}:.copier-answers.yml")
    # What is generated fits to the merged files.
    for generated, of in {"uv.lock": "pyproject.toml", "pipeline.json": CODE}.items():
        assert job.show(f"{BRANCH}:{generated}") == git(job.project, "rev-parse", f"{BRANCH}:{of}")
    author = git(job.project, "log", "-1", "--format=%an <%ae> %cn <%ce>", BRANCH)
    assert author == " ".join(["Template update <template-update@noreply.gitlab.example.com>"] * 2)
    assert git(job.checkout, "status", "--porcelain") == ""
    assert len(git(job.checkout, "worktree", "list").splitlines()) == 1
    assert f"uv tool run --quiet copier@{version('copier')} update --defaults --skip-answered" in job.log.read_text()
    assert "--trust" not in job.log.read_text()

    # No token is told to a program by its arguments, printed, or kept: not by git's own helper either.
    assert not (tmp_path / "stored").exists()
    kept = [path.read_bytes() for path in (job.checkout / ".git").rglob("*") if path.is_file()]
    for text in (done.stdout, done.stderr, job.log.read_text(), *map(repr, kept)):
        assert PUSH not in text
        assert READ not in text

    job.log.write_text("")
    assert f"{BRANCH} is there already: nothing to do" in succeed(job.run())
    assert len(job.pushes) == 1
    assert "update --defaults" not in job.log.read_text()


def test_nothing_new_is_nothing_to_do_and_the_jobs_own_token_may_read_the_template(job: Job) -> None:
    job.server.tokens[f"{job.project.parent.name}/template.git"] = "job-token"
    job.server.users.clear()
    job.born_at("v1.2.0")
    printed = succeed(job.run(CI_SERVER_HOST="127.0.0.1", CI_JOB_TOKEN="job-token", TEMPLATE_READ_TOKEN=""))
    assert "v1.2.0 is the newest version of the template: nothing to do" in printed
    assert job.server.users == {"gitlab-ci-token"}
    assert job.pushes == []


def test_a_conflict_is_told_and_not_pushed(job: Job) -> None:
    job.change("docs/changed.md", "ours, at the same place")
    done = job.run()
    assert re.search(r"conflict: docs/changed.md:\d:<<<<<<< before updating\n", done.stdout)
    assert "git switch --create template/v1.2.0, make update, settle the places, push the branch" in fail(done)
    assert job.pushes == []
    assert git(job.checkout, "status", "--porcelain") == ""
    assert len(git(job.checkout, "worktree", "list").splitlines()) == 1


def test_a_branch_that_no_longer_merges_is_made_anew_unless_others_have_worked_on_it(job: Job) -> None:
    succeed(job.run())
    job.change("uv.lock", "another library")
    succeed(job.run())
    assert [push[0] for push in job.pushes] == [f"refs/heads/{BRANCH}"]
    assert git(job.project, "rev-parse", f"{BRANCH}~1") == git(job.project, "rev-parse", "main")
    job.change("docs/changed.md", "settled by a person", branch=BRANCH)
    job.change("uv.lock", "yet another library")
    tip = git(job.project, "rev-parse", BRANCH)
    assert f"{BRANCH}: others have worked on it: it is left to them" in succeed(job.run())
    assert git(job.project, "rev-parse", BRANCH) == tip
    assert job.pushes == []


@pytest.mark.slow
def test_a_newer_version_takes_the_place_of_the_one_before_unless_others_have_worked_on_it(job: Job) -> None:
    succeed(job.run())
    for newer in ("1.3.0", "1.4.0"):
        (job.project / "pushes").write_text("")
        append(job.template / PROJECT_FOLDER / MANAGED, f"# {newer}")
        release(job.template, newer)
        job.publish()
        succeed(job.run())
        assert job.show(f"template/v{newer}:{MANAGED}").endswith(f"# {newer}")
        if newer == "1.3.0":
            assert [push[0] for push in job.pushes] == ["refs/heads/template/v1.3.0", f"-refs/heads/{BRANCH}"]
            job.change("docs/changed.md", "settled by a person", branch="template/v1.3.0")
    assert [push[0] for push in job.pushes] == ["refs/heads/template/v1.4.0"]


@pytest.mark.slow
def test_a_use_case_of_a_monorepo_has_branches_of_its_own(job: Job) -> None:
    (job.checkout / "churn").mkdir()
    for path in git(job.checkout, "ls-files").splitlines():
        if path != ".gitlab-ci.yml":
            (job.checkout / "churn" / path).parent.mkdir(parents=True, exist_ok=True)
            git(job.checkout, "mv", path, f"churn/{path}")
    git(job.checkout, "mv", ".gitlab-ci.yml", "churn/.gitlab-ci.yml")
    commit(job.checkout, "Monorepo")
    git(job.checkout, "push", "--quiet", str(job.project), "HEAD:main")
    (job.project / "pushes").write_text("")
    job.folder = "churn/"
    assert f"  changed   {MANAGED}\n" in succeed(job.run())
    assert job.pushes[0][0] == "refs/heads/template/churn/v1.2.0"
    assert job.show(f"template/churn/v1.2.0:churn/{MANAGED}").startswith("# from the template")


def dirty(job: Job) -> None:
    append(job.checkout / MANAGED, "# not committed")


def between_releases(job: Job) -> None:
    job.born_at("v1.1.0-3-gabcdef0")


def moved_away(job: Job) -> None:
    shutil.rmtree(job.published)


def runs_commands(job: Job) -> None:
    append(job.template / "copier.yml", '_tasks: ["touch owned"]')
    release(job.template, "1.3.0")
    job.publish()


def refuses(job: Job) -> None:
    hook = job.project / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'GitLab: You are not allowed to push code to this project.'; exit 1\n")
    hook.chmod(0o755)


def loses_a_race(job: Job) -> None:
    """Between fetch and push, somebody else makes the branch."""
    hook = job.checkout / ".git" / "hooks" / "post-commit"
    hook.write_text(f"#!/bin/sh\n{shutil.which('git')} --git-dir {job.project} branch {BRANCH} main\n")
    hook.chmod(0o755)


def opens_none(job: Job) -> None:
    hook = job.project / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'WARNINGS:'; echo 'Error encountered with push options'\n")
    hook.chmod(0o755)


def nothing(_: Job) -> None:
    """The fault is in the variables."""


@pytest.mark.parametrize(
    ("plant", "variables", "complaint"),
    [
        (nothing, {"TEMPLATE_UPDATE_TOKEN": ""}, "TEMPLATE_UPDATE_TOKEN is not set: make a project access token"),
        (nothing, {"TEMPLATE_UPDATE_TOKEN": "expired"}, "is TEMPLATE_UPDATE_TOKEN still valid"),
        (nothing, {"TEMPLATE_READ_TOKEN": ""}, "does a private one get a token (TEMPLATE_READ_TOKEN)?"),
        (nothing, {"CI_PROJECT_URL": "http://gitlab.example.com/a/b"}, "is for an address with https:// alone"),
        (nothing, {"CI_PROJECT_URL": "http://127.0.0.1:9/a/b"}, "Can the runner reach it"),
        (nothing, {"CI_PROJECT_URL": ""}, "--push is for the CI job"),
        (dirty, {}, "there are changes that are not committed"),
        (between_releases, {}, "made from v1.1.0-3-gabcdef0, which is no release"),
        (moved_away, {}, "cannot be read: copier check-update: "),
        (runs_commands, {}, "runs commands of its own"),
        (refuses, {}, "GitLab: You are not allowed to push code to this project."),
        pytest.param(loses_a_race, {}, "[rejected]", marks=pytest.mark.slow),
    ],
)
def test_what_cannot_work_is_one_clear_line(
    plant: Callable[[Job], None], variables: dict[str, str], complaint: str, job: Job
) -> None:
    plant(job)
    assert complaint in fail(job.run(**variables))
    assert job.pushes == []
    assert not (job.checkout / "owned").exists()


@pytest.mark.slow
def test_a_push_without_a_merge_request_is_a_failure(job: Job) -> None:
    opens_none(job)
    assert "is pushed, but GitLab opened no merge request" in fail(job.run())


def test_by_hand_it_changes_the_files_and_nothing_else(job: Job) -> None:
    append(job.checkout / "docs/removed.md", "ours")
    commit(job.checkout, "Work")
    before = git(job.checkout, "rev-parse", "HEAD")
    printed = succeed(job.usecase("update", "--dry-run"))
    # What goes is said before it goes, and what a person must do.
    assert "  removed   docs/removed.md (with your edits)\n" in printed
    assert f"## 1.2.0 (2026-02-01)\n\n{TO_DO}\n" in printed
    assert "Older." not in printed
    assert f"  changed   {MANAGED}\n" in printed
    assert "  added     docs/added.md\n" in printed
    assert "Nothing was changed" in printed
    assert git(job.checkout, "status", "--porcelain") == ""
    printed = succeed(job.usecase("update"))
    assert "Next: git diff, make setup, make test, and commit" in printed
    assert TO_DO in printed
    assert "ours" in git(job.checkout, "show", "HEAD:./docs/removed.md")
    for name in (MANAGED, "uv.lock", "pipeline.json"):
        assert f"  changed   {name}\n" in printed
    assert (job.checkout / MANAGED).read_text().startswith("# from the template\n")
    assert git(job.checkout, "rev-parse", "HEAD") == before
    assert job.pushes == []
    assert "not committed" in fail(job.usecase("update"))


def test_by_hand_a_conflict_stays_in_the_files_to_be_settled(job: Job) -> None:
    job.change("docs/changed.md", "ours, at the same place")
    done = job.usecase("update")
    assert "settle each" in fail(done)
    assert "conflict: docs/changed.md:" in done.stdout
    assert "<<<<<<<" in (job.checkout / "docs/changed.md").read_text()


def test_by_hand_it_changes_the_stage_too(job: Job) -> None:
    job.born_at("v1.2.0")
    assert "the repository is at stage basic" in succeed(job.usecase("update", "--stage", "basic"))
    printed = succeed(job.usecase("update", "--stage", "automated", "--dry-run"))
    assert "stage basic -> automated\n" in printed
    assert "  added     .gitlab/ci/train.yml\n" in printed
    assert "To update: make update stage=automated" in printed
    succeed(job.usecase("update", "--stage", "automated"))
    assert (job.checkout / ".gitlab/ci/train.yml").is_file()
    commit(job.checkout, "Grow")
    append(job.checkout / ".gitlab/ci/train.yml", "# ours")
    commit(job.checkout, "Work")
    printed = succeed(job.usecase("update", "--stage", "basic", "--dry-run"))
    assert "  removed   .gitlab/ci/train.yml (with your edits)\n" in printed
    assert "  removed   .gitlab/ci/prod.yml\n" in printed
    assert "git keeps each: git show HEAD:./FILE" in printed


@pytest.mark.parametrize(
    ("source", "ref", "purpose", "runs"),
    [
        ("schedule", "main", "template-update", True),
        ("web", "main", "template-update", True),
        ("web", "feature", "template-update", False),
        ("schedule", "main", "", False),
        ("push", "main", "", False),
        ("merge_request_event", "", "", False),
    ],
)
def test_the_job_runs_when_it_is_asked_for(source: str, ref: str, purpose: str, runs: bool, started: Path) -> None:
    (rule,) = definition(started / "project")["rules"]
    variables = {**gitlab_ci.event(source, ref=ref).variables, "SCHEDULE": purpose}
    assert gitlab_ci.holds(rule["if"], variables) == runs


def test_copier_is_the_version_that_the_tests_ran() -> None:
    pins = tomllib.loads((baking.ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    assert f"copier=={version('copier')}" in pins
