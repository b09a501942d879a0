"""`copier update` of projects that people have worked in: from version to version, and from stage to stage."""

from itertools import permutations
from pathlib import Path

import copier
import pytest
import yaml

import baking
import updating
from baking import STAGES, TOOLS, bake, commit, files, git
from updating import CODE, MANAGED, SETTINGS, STARTER, append, born, prepend

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


@pytest.fixture(params=TOOLS)
def lived_in(request: pytest.FixtureRequest, moved_on: Path, tmp_path: Path) -> Path:
    """Return a project born at v1.1.0, in which a team has edited, added and deleted files."""
    template = updating.at_first_version(moved_on, tmp_path / "template")
    project = born(request.param, template, tmp_path / "born", project_name='Müller\'s "Churn": {x}')
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


def test_an_update_keeps_what_is_theirs_and_brings_what_is_new(lived_in: Path) -> None:
    before = files(lived_in)
    printed = update(lived_in)
    after = files(lived_in)
    assert "look at `git diff`" in printed
    changed = {".copier-answers.yml", MANAGED, CODE, "docs/changed.md"}
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


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("old", "new"), list(permutations(STAGES, 2)))
def test_every_stage_to_every_other(tool: str, old: str, new: str, template: Path, tmp_path: Path) -> None:
    project = born(tool, template, tmp_path / "born", mlops_stage=old)
    fresh = files(bake("copier", template, tmp_path / "fresh", {"mlops_stage": new}))
    append(project / STARTER, "# ours")
    append(project / SETTINGS, "# ours")
    (project / "terraform").mkdir(exist_ok=True)
    (project / "terraform" / "own.tf").write_text("# ours\n")
    commit(project, "Work")
    ours = {name: files(project)[name] for name in (STARTER, SETTINGS, "terraform/own.tf")}
    copier.run_update(
        project, data={"mlops_stage": new}, vcs_ref=copier.VcsRef.CURRENT, defaults=True, overwrite=True, quiet=True
    )
    grown = files(project)
    assert {name: grown[name] for name in ours} == ours
    assert grown.keys() == fresh.keys() | {"terraform/own.tf"}
    assert yaml.safe_load(grown.pop(".copier-answers.yml")[0]) == yaml.safe_load(fresh[".copier-answers.yml"][0])
    assert {name for name in grown.keys() - ours.keys() if grown[name] != fresh[name]} == set()


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
