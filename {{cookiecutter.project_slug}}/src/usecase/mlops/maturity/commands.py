"""The work of `usecase maturity`: look, judge, print, and write the page."""

import importlib
import importlib.util
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from usecase.mlops.errors import UserError
from usecase.mlops.maturity import page, project
from usecase.mlops.maturity.evidence import Account, Evidence, Unseen
from usecase.mlops.maturity.score import Maturity, examine, growth
from usecase.mlops.settings import load_settings

FILE = Path(".local/maturity.md")


def report(environment: str, output: Path | None, offline: bool, say: Callable[[str], None]) -> Maturity:
    """Judge the repository of the working folder; print the table, and write the page. Raises UserError."""
    file = output or FILE
    if output is not None and not output.absolute().parent.is_dir():
        raise UserError(f"{output}: the folder {output.parent} does not exist")
    if offline and environment:
        raise UserError("an environment is looked at in AWS, and --offline asks nobody: give one of them")
    nobody = Unseen("AWS and GitLab were not asked: offline") if offline else None
    today = datetime.now(UTC).date()
    maturity = examine(Evidence(Path(), today, nobody or _account(environment), nobody or project.look(Path())))
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        file.write_text(page.page(maturity, str(today)), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: cannot be written: {error.strerror}") from None
    for line in page.table(maturity):
        say(line)
    say(f"\nAll checks with their evidence: {file}")
    return maturity


def _account(environment: str) -> Account | Unseen:
    if not importlib.util.find_spec("usecase.mlops.infrastructure"):
        if environment:
            raise UserError(f"{environment} has an account from stage automated on: to grow, {growth('automated')}")
        return Unseen("AWS: comes with stage automated")
    if not environment:
        return Unseen("AWS: no environment is named: env=dev, with credentials of its account")
    module = importlib.import_module("usecase.mlops.infrastructure.maturity")
    seen: Account | Unseen = module.look(load_settings(environment))
    return seen
