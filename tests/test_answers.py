"""The two question files agree, and both tools refuse the same bad answers with one line and nothing left on disk."""

import importlib.util
import json
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from baking import PROJECT_FOLDER, ROOT, TOOLS, bake, copy_of_working_tree, files, run_script, run_tool
from cases import ACCEPTED, GOOD, REFUSED

COOKIECUTTER: dict[str, Any] = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
COPIER: dict[str, Any] = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
QUESTIONS = [name for name in COPIER if not name.startswith("_") and name != "cookiecutter"]
# For the tools' commands in the fast tests; the slow ones run a value of each rule of each question.
SAMPLE_VALUES = ["../../escape", "churn\n", "Churn 🚀", "{{ 7 * 7 }}", "foo", "000000000000", "team.git"]
SAMPLE = [case for case in REFUSED if case[1] in SAMPLE_VALUES]
RULES = list({(name, rule): (name, value, rule) for name, value, rule in REFUSED}.values())


def case_id(value: object) -> str:
    """Return a short, printable test id."""
    return ascii(value)[1:-1][:40]


@pytest.fixture(scope="module")
def complaint() -> Callable[[dict[str, str]], str | None]:
    """Return the check itself, for many answers. Not by import: Cookiecutter shall find the module as for users."""
    spec = importlib.util.spec_from_file_location("checked_alone", ROOT / "local_extensions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    check: Callable[[dict[str, str]], str | None] = module.complaint
    return check


@pytest.fixture(scope="module")
def questions_only(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a template with the real questions and one file: answers are judged before any file is read."""
    folder = tmp_path_factory.mktemp("questions") / "template"
    whole = copy_of_working_tree(folder / "whole")
    rules = [path.name for path in whole.glob("*.jinja")]
    for name in ("cookiecutter.json", "copier.yml", "local_extensions.py", "hooks", *rules):
        (whole / name).rename(folder / name)
    project = folder / PROJECT_FOLDER
    project.mkdir()
    (whole / PROJECT_FOLDER / ".copier-answers.yml").rename(project / ".copier-answers.yml")
    return folder


@pytest.fixture
def workplace(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder deep below another; afterwards nothing may be there or beside it."""
    folder = tmp_path / "outer" / "inner" / "here"
    folder.mkdir(parents=True)
    yield folder
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*"))
    assert left == ["outer", "outer/inner", "outer/inner/here"]


def test_same_questions_in_the_same_order() -> None:
    assert [name for name in COOKIECUTTER if not name.startswith("_")] == QUESTIONS
    assert len(QUESTIONS) == 13


@pytest.mark.parametrize("name", QUESTIONS)
def test_same_question_in_both_files(name: str) -> None:
    ours, theirs = COOKIECUTTER[name], COPIER[name]
    prompt = COOKIECUTTER["__prompts__"][name]
    assert theirs["type"] == "str"
    if isinstance(ours, list):
        assert ours == list(theirs["choices"].values())
        assert ours[0] == theirs["default"]
        assert prompt == {"__prompt__": theirs["help"], **{value: label for label, value in theirs["choices"].items()}}
    else:
        assert ours == theirs["default"].replace("project_name", "cookiecutter.project_name")
        assert prompt == theirs["help"]
        assert theirs["validator"], "text without a rule"


def test_every_question_reaches_the_template_files() -> None:
    names = re.findall(r"^(\w+): \{\{ (\w+) \| to_json \}\}$", COPIER["cookiecutter"]["default"], re.MULTILINE)
    assert names == [(name, name) for name in QUESTIONS]
    assert COPIER["cookiecutter"]["when"] is False


def test_nothing_in_copier_yml_needs_trust() -> None:
    assert not {"_tasks", "_migrations", "_jinja_extensions"} & COPIER.keys()


def test_junk_is_neither_rendered_nor_kept() -> None:
    junk = [pattern for pattern in COPIER["_exclude"] if pattern.startswith("**/")]
    assert COOKIECUTTER["_copy_without_render"] == ["*" + pattern.removeprefix("**/") for pattern in junk]


def test_patterns_mean_the_same_to_both_tools() -> None:
    patterns = [re.sub(r"\{%.*?%\}", "", entry) for entry in [*COPIER["_exclude"], *COPIER["_skip_if_exists"]]]
    assert [pattern for pattern in patterns if not re.fullmatch(r"(/|\*\*/)[^!?\[\] ]*[^!?\[\] /]", pattern)] == []


@pytest.mark.parametrize(
    "name", ["Tumour Diagnosis", "Customer Churn (EU): v2", "Über größe", "a  b", "x" * 23 + " yz", "O'Neill & Söhne"]
)
def test_both_derive_the_same_slug(name: str, questions_only: Path, tmp_path: Path) -> None:
    slugs = []
    for tool in TOOLS:
        project = bake(tool, questions_only, tmp_path / tool, {"project_name": name})
        slugs.append(yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))["project_slug"])
    assert slugs[0] == slugs[1]
    assert re.fullmatch(r"[a-z][a-z0-9-]{2,23}", slugs[0])


@pytest.mark.parametrize(("name", "value", "rule"), REFUSED, ids=case_id)
def test_copier_refuses(name: str, value: str, rule: str, questions_only: Path, workplace: Path) -> None:
    with pytest.raises(ValueError, match=re.escape(name)) as error:
        bake("copier", questions_only, workplace, {**GOOD, name: value})
    assert rule in str(error.value)


@pytest.mark.parametrize(("name", "value", "rule"), REFUSED, ids=case_id)
def test_cookiecutter_refuses(name: str, value: str, rule: str, questions_only: Path, workplace: Path) -> None:
    with pytest.raises((click.ClickException, ValueError), match=re.escape(name)) as error:
        bake("cookiecutter", questions_only, workplace, {**GOOD, name: value})
    assert rule in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize(("name", "value"), ACCEPTED, ids=case_id)
def test_both_accept(name: str, value: str, tool: str, questions_only: Path, tmp_path: Path) -> None:
    project = bake(tool, questions_only, tmp_path, {**GOOD, name: value})
    assert yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))[name] == value


def check_command(tool: str, case: tuple[str, str, str], template: Path, workplace: Path) -> None:
    """Assert that the tool's command fails with the rule as its last line."""
    name, value, rule = case
    done = run_tool(tool, template, workplace, {name: value})
    last = (done.stdout + done.stderr).rstrip().splitlines()[-1]
    assert done.returncode == 1
    assert name in last
    assert rule in last


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: f"{case[0]}-{case_id(case[1])}")
def test_commands_refuse(tool: str, case: tuple[str, str, str], questions_only: Path, workplace: Path) -> None:
    check_command(tool, case, questions_only, workplace)


@pytest.mark.slow
@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("case", RULES, ids=lambda case: f"{case[0]}-{case_id(case[1])}")
def test_commands_refuse_by_every_rule(
    tool: str, case: tuple[str, str, str], questions_only: Path, workplace: Path
) -> None:
    check_command(tool, case, questions_only, workplace)


def test_cookiecutter_prints_the_one_line_alone(
    questions_only: Path, workplace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """And it writes nothing at all, not even the answers for a later replay."""
    home = tmp_path_factory.mktemp("home")
    (home / "config.yaml").write_text(f"replay_dir: {home / 'replay'}\n")
    more = ["--config-file", str(home / "config.yaml")]
    done = run_tool("cookiecutter", questions_only, workplace, {"project_slug": "a/b"}, *more)
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"Error: project_slug: must be .*\n", done.stderr)
    assert [path.name for path in home.iterdir()] == ["config.yaml"]


def test_each_checkout_has_its_own_rules(
    questions_only: Path, workplace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Within one process, as in a portal: Python would keep the first checkout's module for all."""
    other = tmp_path_factory.mktemp("other") / "template"
    shutil.copytree(questions_only, other)
    rules = other / "rules.jinja"
    rules.write_text(rules.read_text(encoding="utf-8").replace(" eu-west-1 ", " "), encoding="utf-8")
    bake("cookiecutter", questions_only, tmp_path_factory.mktemp("first"), GOOD)
    with pytest.raises(click.ClickException, match="aws_region"):
        bake("cookiecutter", other, workplace, GOOD)


def test_cookiecutter_stays_in_its_folder(questions_only: Path, workplace: Path) -> None:
    for slug in (str(workplace.parent / "absolute"), "../../escape", "../here"):
        assert run_tool("cookiecutter", questions_only, workplace, {"project_slug": slug}).returncode == 1


def test_cookiecutter_checks_a_config_file(
    questions_only: Path, workplace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("config") / "config.yaml"
    config.write_text("default_context:\n  project_slug: ../../escape\n")
    done = run_tool("cookiecutter", questions_only, workplace, {}, "--config-file", str(config))
    assert done.returncode == 1
    assert "project_slug: must be" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "rule"), [("project_slug", "../../escape", "must be"), ("mlops_stage", "foo", "must be one of")]
)
def test_cookiecutter_checks_a_replay_file(
    name: str, value: str, rule: str, questions_only: Path, workplace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("replay")
    good = bake("cookiecutter", questions_only, folder / "good", GOOD)
    context = {**GOOD, name: value, "__checked": "", "_extensions": COOKIECUTTER["_extensions"]}
    (folder / "replay.json").write_text(json.dumps({"cookiecutter": context}))
    command = ["cookiecutter", "--replay-file", str(folder / "replay.json"), "-o", str(workplace), str(questions_only)]
    done = run_script(*command, cwd=workplace)
    assert done.returncode == 1
    assert f"{name}: {rule}" in done.stderr
    context[name] = GOOD[name]
    (folder / "replay.json").write_text(json.dumps({"cookiecutter": context}))
    command[4] = str(folder / "again")
    assert run_script(*command, cwd=workplace).returncode == 0
    assert files(folder / "again" / "customer-churn").keys() == files(good).keys()


def test_cookiecutter_runs_no_code_in_an_answer(
    questions_only: Path, workplace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    witness = tmp_path_factory.mktemp("witness") / "ran"
    code = "{{ lipsum.__globals__['os'].mkdir('WITNESS') }}".replace("WITNESS", str(witness))
    for name in ("project_name", "project_slug", "gitlab_group"):
        done = run_tool("cookiecutter", questions_only, workplace, {name: code})
        assert done.returncode == 1
        assert f"{name}: must not hold Jinja marks" in done.stderr
    assert not witness.exists()


@pytest.mark.parametrize("tool", TOOLS)
def test_target_path_with_blanks_and_other_letters(tool: str, template: Path, tmp_path: Path) -> None:
    plain = bake(tool, template, tmp_path / "plain")
    into = tmp_path / "mes données été {x}"
    into.mkdir()
    done = run_tool(tool, template, into, {})
    assert done.returncode == 0, done.stderr
    project = next(into.iterdir())
    assert f'cd "{project}"' in done.stdout + done.stderr
    assert files(project) == files(plain)


def test_every_python_name_is_refused(complaint: Callable[[dict[str, str]], str | None]) -> None:
    free = [
        name
        for name in sys.stdlib_module_names
        if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name)
        and len(name) >= 3
        and not complaint({**GOOD, "project_slug": name.replace("_", "-")})
    ]
    assert free == []


def test_every_dependency_name_is_refused(
    complaint: Callable[[dict[str, str]], str | None], template: Path, tmp_path: Path
) -> None:
    spec = tomllib.loads((bake("copier", template, tmp_path) / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [spec["project"]["dependencies"], *spec.get("dependency-groups", {}).values()]
    groups += spec["project"].get("optional-dependencies", {}).values()
    names = {re.split(r"[^\w.-]", entry)[0].lower() for group in groups for entry in group if isinstance(entry, str)}
    free = [name for name in sorted(names) if not complaint({**GOOD, "project_slug": re.sub(r"[_.]", "-", name)})]
    assert names
    assert free == []
