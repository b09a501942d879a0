"""An organisation's own defaults, values and locks for all its use cases: by settings of the tools, and by a fork."""

import datetime
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import baking
import release
import updating
from baking import PROJECT_FOLDER, TOOLS, bake, commit, files, git
from updating import MANAGED, append, prepend

ANSWERS = {"aws_region": "eu-central-1", "gitlab_url": "https://git.example.com", "owner_email": "ml@example.com"}
ORGANISATION = "config/organisation.yaml"
VALUES = """\
locked: [instance_types, tags.cost-centre]
instance_types: [ml.m5.*]
tags: { cost-centre: "42" }
"""
SECTION = "## {} (unreleased)\n\n### What changes in your repository\nSomething.\n\n### What you must do\nNothing.\n\n"


@pytest.fixture(scope="module")
def upstream(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a small template at v1.0.1. Not to be changed."""
    return updating.cut_down(template, tmp_path_factory.mktemp("upstream") / "template")


def answers(project: Path) -> dict[str, str]:
    """Return what a project recorded."""
    content: dict[str, str] = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("way", ["cookiecutter's settings", "copier's settings", "copier's data file"])
def test_defaults_of_a_machine(way: str, upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "given.yaml"
    more: list[str] = []
    if way == "cookiecutter's settings":
        given.write_text(yaml.safe_dump({"default_context": ANSWERS, "replay_dir": str(tmp_path / "replay")}))
        monkeypatch.setenv("COOKIECUTTER_CONFIG", str(given))
    elif way == "copier's settings":
        given.write_text(yaml.safe_dump({"defaults": ANSWERS}))
        monkeypatch.setenv("COPIER_SETTINGS_PATH", str(given))
    else:
        given.write_text(yaml.safe_dump(ANSWERS))
        more = ["--data-file", str(given)]
    (tmp_path / "out").mkdir()
    done = baking.run_tool(way.split("'")[0], upstream, tmp_path / "out", {"owner_email": "other@example.com"}, *more)
    assert done.returncode == 0, done.stderr
    (project,) = (tmp_path / "out").iterdir()
    assert answers(project).items() >= {**ANSWERS, "owner_email": "other@example.com"}.items()


@pytest.fixture(scope="module")
def fork(upstream: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a fork as docs/platform-team.md describes it, released as v1.0.1.post1. Not to be changed."""
    folder = tmp_path_factory.mktemp("fork") / "template"
    git(upstream, "clone", "--quiet", str(upstream), str(folder))
    allowed = {"aws_region": ["eu-central-1", "eu-west-1"], "gitlab_url": ["https://git.example.com"]}
    (folder / "organisation.jinja").write_text(f"{{%- set allowed = {allowed} -%}}\n")
    (folder / PROJECT_FOLDER / ORGANISATION).write_text(VALUES)
    for name, quoted in {"copier.yml": "default: {}\n", "cookiecutter.json": ': "{}",\n'}.items():
        text = (folder / name).read_text(encoding="utf-8")
        for old, new in {"eu-west-1": "eu-central-1", "https://gitlab.com": "https://git.example.com"}.items():
            assert quoted.format(old) in text
            text = text.replace(quoted.format(old), quoted.format(new))
        (folder / name).write_text(text, encoding="utf-8")
    return released(folder, "1.0.1.post1")


def released(template: Path, version: str) -> Path:
    """Release a version by the template's own routine."""
    text = (template / release.CHANGELOG).read_text(encoding="utf-8")
    text = re.sub(r"(?m)^(?=## )", SECTION.format(version), text, count=1)
    for name in (release.CHANGELOG, release.COPY):
        (template / name).write_text(text, encoding="utf-8")
    commit(template, "Changes")
    release.release(template, version, datetime.date(2026, 3, 1))
    return template


@pytest.mark.parametrize("tool", TOOLS)
def test_a_fork_has_its_defaults_and_values_and_refuses_other_answers(tool: str, fork: Path, tmp_path: Path) -> None:
    project = bake(tool, fork, tmp_path / "out", {"mlops_stage": "automated"})
    found = answers(project)
    assert (found["aws_region"], found["gitlab_url"]) == ("eu-central-1", "https://git.example.com")
    assert (project / ORGANISATION).read_text() == VALUES
    (tmp_path / "none").mkdir()
    for answer, message in {
        "aws_region=us-east-1": "aws_region: must be eu-central-1 or eu-west-1, as your organisation has it",
        "gitlab_url=https://gitlab.com": "gitlab_url: must be https://git.example.com, as your organisation has it",
    }.items():
        done = baking.run_tool(tool, fork, tmp_path / "none", dict([answer.split("=")]))
        assert done.returncode == 1
        name, _, reason = message.partition(": ")
        assert name in done.stderr
        assert reason in done.stderr
        assert list((tmp_path / "none").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
def test_a_fork_takes_a_version_from_upstream_by_git_merge(
    tool: str, upstream: Path, fork: Path, tmp_path: Path
) -> None:
    upstream = Path(shutil.copytree(upstream, tmp_path / "upstream"))
    fork = Path(shutil.copytree(fork, tmp_path / "fork"))
    project = updating.born(tool, fork, tmp_path / "born")
    append(project / MANAGED, "# ours")
    commit(project, "Work")
    prepend(upstream / PROJECT_FOLDER / MANAGED, "# from upstream")
    questions = upstream / "copier.yml"
    text = questions.read_text(encoding="utf-8").replace("help: What the use case is called", "help: What you call it")
    questions.write_text(text, encoding="utf-8")
    released(upstream, "1.1.0")

    git(fork, "remote", "add", "upstream", str(upstream))
    git(fork, "fetch", "--quiet", "upstream", "tag", "v1.1.0")
    command = ["git", "merge", "--quiet", "v1.1.0"]
    subprocess.run(command, cwd=fork, capture_output=True, check=False)
    # Both changed the version, and each wrote its section: no value of the organisation is in the way.
    assert updating.conflicts(fork) == {"cookiecutter.json"}
    answers_file = fork / "cookiecutter.json"
    conflict = re.compile(r"<<<<<<< [^\n]*\n(.*?)=======\n.*?>>>>>>> [^\n]*\n", re.DOTALL)
    assert conflict.search(answers_file.read_text(encoding="utf-8")) is not None
    answers_file.write_text(conflict.sub(r"\1", answers_file.read_text(encoding="utf-8")), encoding="utf-8")
    assert json.loads(answers_file.read_text(encoding="utf-8"))["_template_version"] == "1.0.1.post1"
    commit(fork, "Merge v1.1.0")
    for name in (release.CHANGELOG, release.COPY):
        assert re.findall(r"(?m)^## (\S+)", (fork / name).read_text(encoding="utf-8")) == [
            "1.0.1.post1",
            "1.1.0",
            "1.0.0",
        ]
    git(fork, "tag", "--delete", "v1.1.0")
    released(fork, "1.1.0.post1")

    done = baking.run_script("copier", "update", "--defaults", cwd=project)
    assert done.returncode == 0, done.stderr
    assert updating.conflicts(project) == set()
    managed = (project / MANAGED).read_text()
    assert managed.startswith("# from upstream\n")
    assert managed.endswith("# ours\n")
    assert (project / ORGANISATION).read_text() == VALUES
    assert answers(project)["_commit"] == "v1.1.0.post1"
    assert "What you call it" in (fork / "copier.yml").read_text(encoding="utf-8")
    assert files(project)


def test_an_answer_that_is_no_longer_accepted_becomes_the_forks_default(
    fork: Path, upstream: Path, tmp_path: Path
) -> None:
    """A repository of before moves to the fork."""
    project = updating.born("copier", upstream, tmp_path, aws_region="us-east-1", gitlab_group="company")
    record = project / ".copier-answers.yml"
    record.write_text(record.read_text().replace(str(upstream), str(fork)))
    commit(project, "Move to the fork")
    done = baking.run_script("copier", "update", "--defaults", "--skip-answered", cwd=project)
    assert done.returncode == 0, done.stderr
    found = answers(project)
    assert (found["aws_region"], found["gitlab_url"]) == ("eu-central-1", "https://git.example.com")
    assert found["gitlab_group"] == "company"
    assert (project / ORGANISATION).read_text() == VALUES
