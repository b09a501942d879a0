"""Cookiecutter's side of the answers: they are checked by the very rules that Copier's validators use.

Cookiecutter imports this module by its name from the template's folder (``_extensions`` in cookiecutter.json) and gives
the extension to each of its Jinja environments: for the questions, for the files and for the hook.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import click
import yaml
from jinja2 import Environment, FileSystemLoader
from jinja2.ext import Extension

OLDEST = (2, 6)  # of Cookiecutter; the tests make projects with it. Copier looks at _min_copier_version itself
TEMPLATE = Path(__file__).resolve().parent
PROJECT_FOLDER = "{{cookiecutter.project_slug}}"
JINJA_MARK = re.compile(r"\{[{%#]")


def look_at_version() -> None:
    """Stop with one line when Cookiecutter is older than what the template was tried with."""
    present = version("cookiecutter")
    if tuple(int(part) for part in re.findall(r"\d+", present)[:2]) < OLDEST:
        wanted = ".".join(map(str, OLDEST))
        raise click.ClickException(
            f"Cookiecutter {present} is too old: {wanted} or newer is needed, by uv tool install --upgrade cookiecutter"
        )


@cache
def questions() -> dict[str, dict[str, Any]]:
    """Return the questions of copier.yml by name."""
    spec = yaml.safe_load((TEMPLATE / "copier.yml").read_text(encoding="utf-8"))
    return {name: details for name, details in spec.items() if not name.startswith("_") and name != "cookiecutter"}


def complaint(answers: Mapping[str, object]) -> str | None:
    """Return one line on the first answer that breaks a rule of copier.yml, or None when all keep them."""
    env = Environment(loader=FileSystemLoader(TEMPLATE))
    env.filters["regex_search"] = lambda value, pattern: bool(re.search(pattern, value))
    for name, details in questions().items():
        answer = answers.get(name)
        choices = list(details.get("choices", {}).values())
        if not isinstance(answer, str):
            return f"{name}: must be text"
        if choices and answer not in choices:
            return f"{name}: must be one of {', '.join(choices)}"
        if fault := env.from_string(details.get("validator", "")).render({name: answer}).strip():
            return f"{name}: {fault}"
    return None


def checked(answers: Mapping[str, object]) -> str:
    """Stop with one line when an answer breaks a rule; else write nothing."""
    if fault := complaint(answers):
        raise click.ClickException(fault)
    return ""


def refused(answers: Mapping[str, object]) -> NoReturn:
    """Stop because the next answer, after those that are already there, is a Jinja template."""
    name = next((name for name in questions() if name not in answers), "answers")
    raise click.ClickException(f"{name}: must not hold Jinja marks (two opening braces, or a brace before % or #)")


@cache
def own_templates() -> frozenset[str]:
    """Return every text with Jinja that the template itself asks Cookiecutter to render as a string."""

    def strings(value: object) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, (dict, list)):
            for item in value.values() if isinstance(value, dict) else value:
                yield from strings(item)

    project = TEMPLATE / PROJECT_FOLDER
    return frozenset(
        [
            *strings(json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))),
            *(hook.read_text(encoding="utf-8") for hook in (TEMPLATE / "hooks").glob("*.py")),
            *(str(path.relative_to(project)) for path in project.rglob("*{*")),
        ]
    )


class Answers(Extension):
    """Checks the answers before anything is written.

    Cookiecutter renders the private entry of cookiecutter.json after the last question. A replay file skips it, so the
    check is made again when the project folder's name is rendered, the first thing of all. Cookiecutter also renders
    given answers as templates, outside a sandbox: they are refused, since a portal may pass on what a stranger typed.
    """

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        look_at_version()
        environment.filters.update(checked=checked, refused=refused)
        # The hook's text is rendered with the template's folder as working directory; its other names may be relative.
        environment.globals.update(template_folder=os.getcwd)
        # A process that bakes from two checkouts would otherwise keep the first one's rules for both.
        sys.modules.pop(__name__, None)

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:  # noqa: ARG002
        """Return the source to render: files (they have a name) and the template's own strings as they are."""
        if source == PROJECT_FOLDER:
            return "{{ cookiecutter | checked }}" + source
        if name is not None or not JINJA_MARK.search(source) or source in own_templates():
            return source
        return "{{ cookiecutter | refused }}"
