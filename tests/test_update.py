"""`copier update` of projects that people have worked in: from version to version, and from stage to stage."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

import baking
import updating
from baking import STAGES, TOOLS, bake, commit, files, git
from updating import BIRTHS, CODE, MANAGED, OLDER, SETTINGS, STARTER, append, born, prepend, write

MANAGED_AT_FULL = "terraform/platform/governance.tf"


def update(project: Path, *more: str) -> str:
    """Run `copier update` as a user does, without --trust; return what it prints."""
    done = baking.run_script("copier", "update", "--defaults", *more, cwd=project)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def changes(project: Path) -> dict[str, str]:
    """Return git's status letters by path."""
    lines = git(project, "status", "--porcelain", "--untracked-files=all").splitlines()
    return {line.strip().split(maxsplit=1)[1].strip('"'): line.strip().split(maxsplit=1)[0] for line in lines}


@pytest.fixture(scope="module")
def moved_on(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with v1.1.0 and v1.2.0."""
    return updating.moved_on(template, tmp_path_factory.mktemp("moved") / "template")


@pytest.fixture(scope="module", params=TOOLS)
def worked_in(request: pytest.FixtureRequest, moved_on: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a project born at v1.1.0, in which a team has edited, added and deleted files. Not to be changed."""
    folder = tmp_path_factory.mktemp(request.param)
    template = updating.at_first_version(moved_on, folder / "template")
    project = born(request.param, template, folder / "born", project_name='Müller\'s "Churn": {x}')
    git(template, "fetch", "--quiet", "--tags")
    prepend(project / STARTER, "# ours")
    append(project / SETTINGS, "# ours")
    append(project / "README.md", "Ours.")
    append(project / MANAGED, "# ours")
    (project / "src" / "usecase" / "extra.py").write_text("OURS = True\n")
    (project / "data" / "sample.csv").unlink()
    (project / "docs" / "unwanted.md").unlink()
    commit(project, "Work")
    return project


@pytest.fixture
def lived_in(worked_in: Path, tmp_path: Path) -> Path:
    """Return a copy of `worked_in`."""
    return Path(shutil.copytree(worked_in, tmp_path / "project"))


def test_an_update_keeps_what_is_theirs_and_brings_what_is_new(lived_in: Path) -> None:
    before = files(lived_in)
    printed = update(lived_in)
    after = files(lived_in)
    assert "look at `git diff`" in printed
    changed = {".copier-answers.yml", MANAGED, CODE, updating.NOTES, "docs/changed.md"}
    assert after.keys() - before.keys() == {"docs/added.md"}
    assert before.keys() - after.keys() == {"docs/removed.md"}
    assert {name for name in before.keys() & after.keys() if after[name] != before[name]} == changed
    managed = after[MANAGED][0].decode()
    assert managed.startswith("# from the template\n")
    assert managed.endswith("# ours\n")
    assert yaml.safe_load(after[".copier-answers.yml"][0])["_commit"] == "v1.2.0"
    assert after["docs/added.md"][0].decode() == 'New in Müller\'s "Churn": {x}.\n'
    assert not any(b"<<<<<<<" in content for content, _ in after.values())


def test_only_the_same_line_is_a_conflict(lived_in: Path) -> None:
    append(lived_in / "docs" / "changed.md", "# ours, at the same place")
    commit(lived_in, "More work")
    update(lived_in)
    marked = {name for name, (content, _) in files(lived_in).items() if b"<<<<<<<" in content}
    assert marked == {"docs/changed.md"}
    assert changes(lived_in)["docs/changed.md"] == "UU"
    assert b"# ours, at the same place" in files(lived_in)["docs/changed.md"][0]
    assert not list(lived_in.rglob("*.rej"))


def test_a_second_update_changes_nothing(lived_in: Path) -> None:
    update(lived_in)
    commit(lived_in, "Update")
    update(lived_in)
    assert changes(lived_in) == {}


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with every version that was released, and the working tree as its newest."""
    return updating.history(tmp_path_factory.mktemp("history") / "template")


@pytest.fixture(scope="module")
def at_work(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str], Path]:
    """Projects by version, birth and stage, in which a team has done all that a team does. Not to be changed."""

    @cache
    def project(version: str, birth: str, stage: str) -> Path:
        folder = tmp_path_factory.mktemp("at_work")
        return work(updating.born_at(version, birth, history, folder, mlops_stage=stage))

    return project


@pytest.fixture(scope="module")
def fresh(history: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, tuple[bytes, bool]]]:
    """Files of a new project of the newest version, by stage."""

    @cache
    def at(stage: str) -> dict[str, tuple[bytes, bool]]:
        return files(bake("copier", history, tmp_path_factory.mktemp("fresh"), {"mlops_stage": stage}))

    return at


OWN = {
    STARTER: "def main() -> None:\n    print('ours')\n",  # starter code rewritten
    "tests/test_model.py": "def test_ours() -> None:\n    assert True\n",
    SETTINGS: 'aws_account: "123456789012"\ntags: { team: ours }\n',  # settings filled in
    "README.md": "# Ours\n",
    "src/usecase/extra.py": "OURS = True\n",
    "terraform/own.tf": "# ours\n",  # in a folder that a stage may lack
}
ADDED = "docs/service.md"  # by the team, and by the version after the oldest
DELETED = {"data/sample.csv", "docs/grafana.json", "notebooks/exploration.ipynb"}
EDITED = {  # managed files, at lines that neither a version nor a stage changes
    MANAGED: ("\nquality:\n", "\nquality: # ours\n"),
    "Makefile": ("\n.DEFAULT_GOAL := help\n", "\n.DEFAULT_GOAL := ours\n"),
}


def work(project: Path) -> Path:
    """Do what a team does to a repository in a year."""
    write(project, OWN)
    for name in DELETED:
        (project / name).unlink()
    updating.edit(project, EDITED)
    if not (project / ADDED).exists():
        write(project, {ADDED: "Ours.\n"})
    code = (project / CODE).read_text(encoding="utf-8")
    (project / CODE).write_text(code.replace(OLDER, f"{OLDER}, ours"))
    commit(project, "Work of a year")
    return project


VERSIONS = [(version, birth, i + j) for i, version in enumerate(updating.releases()) for j, birth in enumerate(BIRTHS)]
CASES = [
    *((version, birth, STAGES[n % 3], STAGES[n % 3]) for version, birth, n in VERSIONS),
    # From the last version: each birth from the stage it has above, so that a project is made once.
    *(
        (version, birth, STAGES[n % 3], new)
        for version, birth, n in VERSIONS[-3:]
        for new in STAGES
        if new != STAGES[n % 3]
    ),
]


def check_unfinished(project: Path) -> set[str]:
    """Return the files that the check of the project's CI refuses."""
    command = [sys.executable, "tools/check_conflicts.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    found = {line.split(":")[0] for line in done.stdout.splitlines()}
    assert done.returncode == bool(found), done.stderr
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("version", "birth", "old", "new"), CASES)
def test_a_year_of_work_survives(
    version: str,
    birth: str,
    old: str,
    new: str,
    at_work: Callable[[str, str, str], Path],
    fresh: Callable[[str], dict[str, tuple[bytes, bool]]],
    tmp_path: Path,
) -> None:
    """Every release in each way of birth to this version; from the last one, every stage to every other as well."""
    project = Path(shutil.copytree(at_work(version, birth, old), tmp_path / "project"))
    before = files(project)
    update(project, "--data", f"mlops_stage={new}")
    after, wanted = files(project), fresh(new)

    # Only what both changed at the same place is in conflict, with both sides; CI refuses it until it is settled.
    both = {name for name in (CODE, ADDED) if before[name][0] != wanted[name][0] and b"ours" in before[name][0].lower()}
    assert updating.conflicts(project) == both == check_unfinished(project)
    for name in both:
        assert b"ours" in after[name][0].lower()
        git(project, "checkout", "--theirs", "--", name)
    assert check_unfinished(project) == set()
    after = files(project)

    # What is theirs is as it was, what they deleted stays away, and their edits of the template's files are in them.
    yours = updating.yours()
    edited = {**EDITED, **updating.SETTLED} if birth == "adopted" else EDITED
    of_before = updating.THEIRS.keys() - edited.keys() if birth == "adopted" else set()
    own = {name for name in before if name in OWN or name in of_before or yours.match_file(name)}
    assert {name: after.get(name) for name in own} == {name: before[name] for name in own}
    assert not DELETED & after.keys()
    for name, (line, ours) in edited.items():
        assert after[name][0].decode() == wanted[name][0].decode().replace(line, ours)

    # Everything else is what a new project has.
    assert after.keys() - own == wanted.keys() - own - DELETED
    answers = ".copier-answers.yml"
    managed = after.keys() - own - edited.keys() - {answers}
    assert {name for name in managed if after[name] != wanted[name]} == set()
    given, expected = (yaml.safe_load(found[answers][0]) for found in (after, wanted))
    assert {**given, "_src_path": ""} == {**expected, "_src_path": ""}
    assert not list(project.rglob("*.rej"))


def test_the_way_back_says_what_it_removes_and_does(template: Path, tmp_path: Path) -> None:
    project = born("cookiecutter", template, tmp_path, mlops_stage="full")
    append(project / MANAGED_AT_FULL, "# ours")
    commit(project, "Work")
    printed = update(project, "--vcs-ref=:current:", "--data", "mlops_stage=basic")
    assert "are removed, edits included" in printed
    assert not (project / "terraform").exists()
    assert not list(project.rglob("*.rej"))
    assert "# ours" in git(project, "show", f"HEAD:{MANAGED_AT_FULL}")


@pytest.mark.parametrize("tool", TOOLS)
def test_the_container_can_change_too(tool: str, template: Path, tmp_path: Path) -> None:
    project = born(tool, template, tmp_path / "born", container="managed")
    update(project, "--vcs-ref=:current:", "--data", "container=own")
    fresh = files(bake("copier", template, tmp_path / "fresh", {"container": "own"}))
    assert files(project).keys() == fresh.keys()


def test_a_bad_answer_leaves_the_project_as_it_is(template: Path, tmp_path: Path) -> None:
    project = born("copier", template, tmp_path)
    done = baking.run_script("copier", "update", "--defaults", "--data", "aws_region=mars", cwd=project)
    assert done.returncode == 1
    assert "aws_region" in done.stderr.splitlines()[-1]
    assert changes(project) == {}
