"""What holds for all answers: hypothesis looks for ones that break it, in the questions of both tools.

Only files that hold Jinja depend on answers, so the examples bake those alone; every other file is looked at once.
"""

import os
import re
import shutil
import tempfile
import tomllib
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import nbformat
import pytest
import yaml
from hypothesis import HealthCheck, Phase, example, find, given, settings
from hypothesis import strategies as st
from lark import UnexpectedInput

import baking
from baking import PROJECT_FOLDER, STAGES, TOOLS, bake, copy_of_rendered_files, files, parse
from cases import ACCEPTED, GOOD, JINJA
from delivery import replace, run, tool

Answers = Mapping[str, str]
CHOICES = ["mlops_stage", "container", "create_gitlab_project"]  # refused by the tools, each in its own words
JINJA_MARKS = re.compile(r"\{[{%#]")
DEFAULTS = f"{PROJECT_FOLDER}/config/defaults.yaml"
TEXTS = ["project_name", "description"]
# Found anew on each machine, the same in each run of CI; no example takes long enough to be measured.
FEW = settings(
    max_examples=6,
    derandomize=bool(os.environ.get("CI")),
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
MANY = settings(FEW, max_examples=25)

# What a language of one of the files reads as something else than text, and what ends a text in it.
PIECES = [
    "'",
    '"',
    "\\",
    "\\n",
    "`",
    "$(id)",
    "${x}",
    ": ",
    " #",
    "- ",
    "{x}",
    "[a]",
    "%",
    "&a",
    "*a",
    "!x",
    "|",
    ">",
    "<b>",
]
WORDS = [
    "null",
    "~",
    "yes",
    "off",
    "true",
    "1e3",
    "0x1F",
    "012",
    "2020-01-01",
    "---",
    "...",
    "%YAML",
    "=",
    "<<",
    "?",
    "@a",
    ",",
]
# The rules let through any other character up to U+FFFF that shows.
HIDDEN = "\u034f\u115f\u1160\u3164\uffa0\ufffc\ufffd" + "".join(
    map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10)])
)
SHOWN = st.characters(
    max_codepoint=0xFFFF, exclude_categories=["Cc", "Cf", "Cn", "Cs", "Zl", "Zp"], exclude_characters=HIDDEN
)
LINES = (
    st.one_of(
        st.lists(st.one_of(SHOWN, st.sampled_from(PIECES)), min_size=1, max_size=40).map("".join),
        st.sampled_from(WORDS + PIECES),
        st.text(SHOWN, min_size=1, max_size=10).map(lambda text: (text * 200)[:200]),
    )
    .map(str.strip)
    .filter(lambda text: text and len(text) <= 200 and not JINJA_MARKS.search(text))
)
ENDS = st.sampled_from(["yes", "off", "true", "null", "churn-model-1", "a" * 24, "a-" * 11 + "a9"])
SLUGS = st.one_of(ENDS, st.from_regex(r"\A[b-r][a-z0-9]{2,9}-[0-9]{1,3}(-[a-z0-9]{1,9})?\Z"))
ACCOUNTS = st.one_of(st.just(""), st.from_regex(r"\A[0-9]{11}[1-9]\Z", alphabet=st.characters(codec="ascii")))
GROUPS = st.one_of(st.just(""), st.from_regex(r"\A[b-f][A-Za-z0-9]{1,8}([._-][A-Za-z0-9]{1,4})?(/[1-9]{1,5}){0,3}\Z"))
HOSTS = r"\Ahttps://[a-z]{1,9}(\.[a-z]{2,9}){0,2}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9_-]{1,9}){0,2}\Z"
ANSWERS = st.fixed_dictionaries(
    {
        "project_name": LINES,
        "project_slug": SLUGS,
        "description": LINES,
        "owner_email": st.from_regex(r"\A[a-zA-Z0-9_+-]{1,20}(\.[a-z]{1,9})?@[a-z0-9]{1,20}(\.[a-z]{2,9}){1,2}\Z"),
        "mlops_stage": st.sampled_from(STAGES),
        "container": st.sampled_from(["own", "managed"]),
        "aws_region": st.sampled_from(["eu-west-1", "us-gov-west-1", "cn-northwest-1", "ap-southeast-7"]),
        "aws_account_dev": ACCOUNTS,
        "aws_account_qa": ACCOUNTS,
        "aws_account_prod": ACCOUNTS,
        "gitlab_url": st.from_regex(HOSTS),
        "gitlab_group": GROUPS,
        "create_gitlab_project": st.sampled_from(["no", "yes"]),
    }
)
# What no rule may let through.
BAD = [
    "\n",
    "\r\n",
    "\t",
    "\0",
    "\x1b[31m",
    "\x85",
    "\u2028",
    "\u200b",
    "\u202e",
    "\ufeff",
    "\U0001f680",
    "\ud83d",
    "{{",
    "{%",
]


def spoiled(texts: st.SearchStrategy[str], bad: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return texts that were fine until something was put into them."""
    return st.builds(
        lambda text, bad, place: text[: place % (len(text) + 1)] + bad + text[place % (len(text) + 1) :],
        texts,
        bad,
        st.integers(0, 200),
    )


SPOILED = spoiled(LINES, st.one_of(st.sampled_from(BAD), st.characters()))


@pytest.fixture(scope="module")
def rendered_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_rendered_files(tmp_path_factory.mktemp("rendered") / "template")


def ordinary(text: str) -> bool:
    """Return whether people see all of a text in one line: judged by Unicode's tables, not by the template's rules."""
    return len(text.splitlines()) == 1 and not {unicodedata.category(letter) for letter in text} & {
        *("Cc", "Cs", "Zl", "Zp"),
    }


def read(project: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((project / name).read_text(encoding="utf-8"))
    return content


def check_project(project: Path, answers: Answers) -> None:
    """Assert that every file is what its name says, and that the answers stand in them as they were given."""
    for path in (path for path in project.rglob("*") if path.is_file()):
        parse(path)
    kept = read(project, ".copier-answers.yml")
    assert {name: kept[name] for name in answers} == answers
    assert [name for name in TEXTS if name in answers and not ordinary(answers[name])] == []
    package = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    defaults, gitlab = read(project, "config/defaults.yaml"), read(project, "gitlab.yml")
    environments = {name: read(project, f"config/{name}.yaml") for name in ("dev", "qa", "prod")}
    readme = (project / "README.md").read_text(encoding="utf-8").split("\n")
    found = {
        "project_name": {gitlab["project"]["name"], readme[0].removeprefix("# ")},
        "project_slug": {package["name"], defaults["project"], gitlab["project"]["path"]},
        "description": {package["description"], defaults["description"], gitlab["project"]["description"], readme[2]},
        "owner_email": {defaults["owner_email"]},
        "container": {defaults["container"]},
        "aws_region": {defaults["aws_region"]},
        **{f"aws_account_{name}": {settings["aws_account"]} for name, settings in environments.items()},
        "gitlab_url": {gitlab["url"]},
        "gitlab_group": {gitlab["group"]},
    }
    assert {name: {answers[name]} for name in found if name in answers} == {
        name: values for name, values in found.items() if name in answers
    }


def outcome(tool: str, template: Path, folder: Path, answers: Answers) -> Path | str:
    """Return the project, or what the tool says instead of one; then nothing may be there."""
    into = folder / tool
    into.mkdir()
    try:
        return bake(tool, template, into, answers)
    except (click.ClickException, ValueError) as refusal:
        assert list(folder.rglob(f"{tool}/*")) == []
        return str(refusal)


def fails(template: Path, answers: Answers) -> bool:
    """Return whether a template breaks the property for these answers."""
    try:
        check_answers(template, answers)
    except (AssertionError, ValueError, yaml.YAMLError):
        return True
    return False


def check_answers(template: Path, answers: Answers) -> bool:
    """Assert that both tools make the same sound project of the answers, or both refuse them; return which."""
    with tempfile.TemporaryDirectory() as scratch:
        ours, theirs = (outcome(tool, template, Path(scratch), answers) for tool in TOOLS)
        if isinstance(ours, str) or isinstance(theirs, str):
            assert isinstance(ours, str), f"only Copier refuses: {theirs}"
            assert isinstance(theirs, str), f"only Cookiecutter refuses: {ours}"
            name, _, rule = ours.partition(": ")
            assert name in answers
            if JINJA_MARKS.search(answers[name]):
                assert JINJA in rule  # Cookiecutter refuses a template before it looks at what else is wrong
            else:
                # Where one counts characters, Cookiecutter has read CRLF as the LF that Jinja makes of it.
                assert re.sub(r"\d+", "", theirs).endswith(re.sub(r"\d+", "", rule))
            assert "\n" not in ours
            return False
        here, there = files(ours), files(theirs)
        assert here.pop(".copier-answers.yml") != there.pop(".copier-answers.yml", None)  # only Copier knows a source
        assert here == there
        for project in (ours, theirs):
            check_project(project, answers)
    return True


@FEW
@given(answers=ANSWERS)
@example(answers=GOOD | dict(ACCEPTED))
@example(answers=GOOD | dict(reversed(ACCEPTED)))
def test_accepted_answers_make_the_same_sound_project(answers: Answers, rendered_files: Path) -> None:
    assert check_answers(rendered_files, answers)


@pytest.mark.slow
@MANY
@given(answers=ANSWERS)
def test_many_accepted_answers_make_the_same_sound_project(answers: Answers, rendered_files: Path) -> None:
    assert check_answers(rendered_files, answers)


@FEW
@given(name=st.sampled_from(TEXTS), value=SPOILED)
def test_a_text_comes_through_or_both_refuse_it(name: str, value: str, rendered_files: Path) -> None:
    check_answers(rendered_files, GOOD | {name: value})


@pytest.mark.slow
@MANY
@given(
    name=st.sampled_from([name for name in GOOD if name not in CHOICES]),
    value=st.one_of(SPOILED, st.text(st.characters(), max_size=30)),
)
@example(name="project_name", value="{{" + "0" * 200)
@example(name="gitlab_url", value="https://{{host}}")
def test_any_answer_comes_through_or_both_refuse_it(name: str, value: str, rendered_files: Path) -> None:
    check_answers(rendered_files, GOOD | {name: value})


def plant(template: Path, folder: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of the template with a fault."""
    shutil.copytree(template, folder)
    replace(folder / file, old, new)
    return folder


@pytest.mark.parametrize(
    ("file", "old", "new", "name", "values"),
    [
        # A rule that lets line ends and escape sequences through, found by what both tools then write.
        (
            "rules.jinja",
            r"'[\\x00-\\x1f\\x7f",
            r"'[\\x00-\\x08\\x7f",
            "description",
            spoiled(st.sampled_from(WORDS), st.sampled_from(BAD)),
        ),
        # A value that a file does not quote.
        (DEFAULTS, "project_slug | tojson", "project_slug", "project_slug", ENDS),
        pytest.param(
            f"{PROJECT_FOLDER}/gitlab.yml",
            "{{ cookiecutter.description | tojson }}",
            '"{{ cookiecutter.description }}"',
            "description",
            LINES,
            marks=pytest.mark.slow,
        ),
    ],
    ids=["rule", "slug", "description"],
)
def test_a_planted_fault_is_found(
    file: str, old: str, new: str, name: str, values: st.SearchStrategy[str], rendered_files: Path, tmp_path: Path
) -> None:
    planted = plant(rendered_files, tmp_path / "planted", file, old, new)
    search = settings(MANY, derandomize=True, max_examples=200, phases=[Phase.generate])  # up to the first
    assert find(values, lambda value: fails(planted, {**GOOD, name: value}), settings=search)


def test_a_file_that_only_one_tool_renders_is_found(rendered_files: Path, tmp_path: Path) -> None:
    line = "{% if _copier_operation is defined %}Hello{% endif %}\n# {{ cookiecutter.project_name }}"
    planted = plant(
        rendered_files, tmp_path / "planted", f"{PROJECT_FOLDER}/README.md", "# {{ cookiecutter.project_name }}", line
    )
    assert fails(planted, GOOD)


def test_what_holds_no_jinja_is_copied_and_every_file_parses(template: Path, tmp_path: Path) -> None:
    """So the examples may leave out the files that no answer changes."""
    project = bake("cookiecutter", template, tmp_path, {"mlops_stage": "full"})
    tree = template / PROJECT_FOLDER
    for name, (content, _) in files(project).items():
        parse(project / name)
        assert baking.holds_jinja(tree / name) or content == (tree / name).read_bytes(), name
    done = run("make", "--dry-run", "setup", "run", "test", cwd=project)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "def f(:\n"),
        ("a.tf", 'resource "a" {\n'),
        ("a.yml", "a: [b\n"),
        ("a.toml", "a = \n"),
        ("a.json", "{,}"),
        ("a.ipynb", '{"cells": [{}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'),
    ],
)
def test_a_file_that_does_not_parse_is_found(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((ValueError, SyntaxError, yaml.YAMLError, nbformat.ValidationError, UnexpectedInput)):
        parse(tmp_path / name)


@pytest.mark.slow
@settings(FEW, max_examples=3, phases=[Phase.generate])
@given(answers=ANSWERS)
def test_style_holds_for_accepted_answers(answers: Answers, template: Path) -> None:
    """Ruff reads the project's own settings, which hold answers. Types do not depend on texts: test_scans has them."""
    with tempfile.TemporaryDirectory() as scratch:
        project = bake("copier", template, Path(scratch), answers)
        for command in (["check", "--quiet"], ["format", "--check", "--quiet"]):
            done = run(tool("ruff"), *command, ".", cwd=project)
            assert done.returncode == 0, done.stdout + done.stderr
