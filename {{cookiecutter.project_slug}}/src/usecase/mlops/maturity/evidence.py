"""What is looked at: the files of the repository, and what AWS and GitLab answered, where they were asked."""

import ast
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from usecase.mlops.baseline.words import Words
from usecase.mlops.contract import Contract
from usecase.mlops.engine.definition import Definition
from usecase.mlops.errors import UserError
from usecase.mlops.gitlab.wanted import FILE as GITLAB_FILE
from usecase.mlops.gitlab.wanted import MANAGED, Wanted
from usecase.mlops.programs import git
from usecase.mlops.registry import REGISTRY, LocalPackage, LocalRegistry
from usecase.mlops.run import DEFINITION, LOCAL, MODEL_CARD
from usecase.mlops.scans.waivers import WAIVERS, Waiver, load_waivers
from usecase.mlops.settings import ENVIRONMENTS, Settings, load_settings, merge
from usecase.mlops.tracking import DATABASE
from usecase.mlops.yamlfile import parse, read_yaml

STARTER = Path("src/usecase")


@dataclass(frozen=True)
class Unseen:
    """Why something could not be looked at."""

    reason: str


@dataclass(frozen=True)
class Account:
    """What the account of one environment shows; each answer may be missing for a reason of its own.

    `execution`: state of the pipeline's newest one, blank for none. `versions`: state of each version of the registry.
    `in_service`: ARN of the version that the deployment record names, blank for none. `serving`: state of the endpoint,
    blank where there is none. `alarms`: those that notify somebody. `trails`: those that record. `versioned`: whether
    each bucket keeps versions. `backups`: copies of the data bucket.
    """

    environment: str
    execution: str | Unseen
    versions: Mapping[int, str] | Unseen
    in_service: str | Unseen
    serving: str | Unseen
    alarms: list[str] | Unseen
    trails: list[str] | Unseen
    versioned: Mapping[str, bool] | Unseen
    backups: int | Unseen


@dataclass(frozen=True)
class Project:
    """What the comparison of the GitLab project with gitlab.yml said: a line for each difference, and notes.

    `ci`: whether GitLab takes the CI configuration for valid, which it is asked only where nothing differs.
    """

    differences: list[str]
    notes: list[str]
    ci: bool | Unseen

    @property
    def is_premium(self) -> bool:
        """Whether the project has GitLab Premium."""
        return not any("needs Premium" in note for note in self.notes)


class Evidence:
    """The repository at `root` on a day. Every file is read once, when it is asked for. Raises UserError.

    What only the machine of a person has (its `.local`, its hooks) is not seen in a CI job.
    """

    def __init__(
        self,
        root: Path,
        today: date,
        account: Account | Unseen,
        project: Project | Unseen,
        in_ci: bool | None = None,
    ) -> None:
        self.root, self.today, self.account, self.project = root, today, account, project
        self.in_ci = bool(os.environ.get("CI")) if in_ci is None else in_ci

    def asked(self, question: str) -> Any:
        """What the account answered to a question, a field of Account; or why nothing is known."""
        return self.account if isinstance(self.account, Unseen) else getattr(self.account, question)

    @property
    def environment(self) -> str:
        """Whose account was asked; blank for none."""
        return "" if isinstance(self.account, Unseen) else self.account.environment

    @cached_property
    def stage(self) -> Literal["basic", "automated", "full"]:
        """The stage whose code is here."""
        if (self.root / "src/usecase/mlops/drift").is_dir():
            return "full"
        return "automated" if (self.root / "src/usecase/mlops/infrastructure").is_dir() else "basic"

    def has(self, *paths: str) -> bool:
        """Whether all the files are there."""
        return all((self.root / path).is_file() for path in paths)

    def text(self, path: str | Path) -> str:
        """The file's text; blank where there is none. Raises UserError."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read as UTF-8 text ({error})") from None

    def module(self, path: Path) -> ast.Module:
        """The Python file, parsed; an empty module where there is none. Raises UserError."""
        try:
            return ast.parse(self.text(path))
        except SyntaxError as error:
            raise UserError(f"{path}:{error.lineno}: is not valid Python: {error.msg}") from None

    @cached_property
    def starter(self) -> dict[str, ast.Module]:
        """The team's modules, by name."""
        names = sorted((self.root / STARTER).glob("*.py"))
        return {file.stem: self.module(STARTER / file.name) for file in names if file.stem != "__init__"}

    @cached_property
    def tested(self) -> set[str]:
        """What the team's tests import of the team's modules: `usecase.train`, `usecase.train.train`."""
        found = set()
        for file in sorted((self.root / "tests").glob("test_*.py")):
            for node in ast.walk(self.module(Path("tests") / file.name)):
                if isinstance(node, ast.Import):
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        return found

    @cached_property
    def contract(self) -> Contract:
        """The data contract."""
        return Contract.load(self.root)

    @cached_property
    def pipeline(self) -> Definition | None:
        """pipeline.json; None where there is none."""
        if not self.has(str(DEFINITION)):
            return None
        try:
            return Definition.parse(json.loads(self.text(DEFINITION)))
        except (UserError, ValueError) as error:
            raise UserError(f"{DEFINITION}: {error}: run `make pipeline`") from None

    @cached_property
    def settings(self) -> dict[str, Settings]:
        """Settings by environment."""
        return {name: load_settings(name, self.root) for name in ENVIRONMENTS}

    @cached_property
    def own(self) -> dict[str, dict[str, Any]]:
        """What the team states in the file of each environment, without the defaults."""
        files = {name: self.root / "config" / f"{name}.yaml" for name in self.settings}  # which are valid, then
        return {name: read_yaml(file) for name, file in files.items()}

    def stated(self, section: str, *names: str) -> list[str]:
        """The files of `config/` in which the team states one of the names in a section."""
        return [
            f"config/{environment}.yaml"
            for environment, content in self.own.items()
            if any(name in (content.get(section) or {}) for name in names)
        ]

    @property
    def training(self) -> Settings:
        """Settings of the environment that trains."""
        return self.settings[self.settings["dev"].training_environment]

    @cached_property
    def card(self) -> Words:
        """The team's words for the model card."""
        return Words.read(self.root / MODEL_CARD)

    @cached_property
    def waivers(self) -> list[Waiver]:
        """Findings of the scans that the team accepts."""
        return load_waivers(self.today, self.root / WAIVERS)

    @cached_property
    def wanted(self) -> Wanted:
        """gitlab.yml over what the template wants of a GitLab project, whose group may be blank."""
        content: dict[str, Any] = {}
        for name in (*(name for name in MANAGED if self.has(name)), GITLAB_FILE):
            content = merge(content, read_yaml(self.root / name))
        group = content.get("group") or ""
        return parse(Wanted, content | {"group": group or "blank"}, GITLAB_FILE).model_copy(update={"group": group})

    @cached_property
    def versions(self) -> list[LocalPackage]:
        """The versions of the registry on this machine, oldest first."""
        return list(LocalRegistry(self.root / REGISTRY, self.settings["local"].model_package_group).list())

    @cached_property
    def runs(self) -> int:
        """How many runs the local MLflow database has."""
        database = self.root / LOCAL / DATABASE
        if not database.is_file():
            return 0
        try:
            with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as opened:
                return int(opened.execute("select count(*) from runs").fetchone()[0])
        except sqlite3.Error:
            return 0

    def local_json(self, path: str) -> dict[str, Any]:
        """A JSON object that a command left below .local; {} where there is none, or no such."""
        try:
            content = json.loads(self.text(LOCAL / path) or "{}")
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def git(self, *words: str) -> str:
        """What git says; blank where it knows nothing."""
        try:
            return git(self.root, *words)
        except UserError:
            return ""
