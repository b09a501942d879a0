"""Take an environment down: serving before the platform that it stands on."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import typer

from usecase.mlops.aws.platform import read_platform
from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.deploy import Place, platform_is_there, serving_variables
from usecase.mlops.infrastructure.record import delete_record, read_record

ORDER = ("serving", "platform")


def destroy(place: Place, roots: Sequence[str], dry_run: bool) -> None:
    """Destroy what the states of `roots` know, after the environment's name was typed. Raises UserError."""
    environment = place.settings.environment
    for name in (name for name in ORDER if name in roots):
        if name == "serving" and not platform_is_there(place):
            place.say("serving: there is no platform, so there is nothing that serves")
            continue
        root = place.root(name)
        if not root.has_resources():
            place.say(f"{name}: the state is empty, there is nothing to destroy")
            continue
        with tempfile.TemporaryDirectory(prefix="usecase-plan-") as folder:
            plan = root.plan(Path(folder), _variables(place) if name == "serving" else {}, destroy=True)
            if dry_run:
                place.say("Nothing was changed: --dry-run")
                continue
            typed = typer.prompt(
                f"To destroy {name} of {environment}, type {environment}", default="", show_default=False
            )
            if typed != environment:
                raise UserError(f"{typed!r} is not {environment}: nothing of {name} was destroyed")
            root.apply(plan)
        if name == "serving":
            delete_record(place.connection, place.settings)


def _variables(place: Place) -> dict[str, object]:
    record = read_record(place.connection, place.settings)
    facts = read_platform(place.connection, place.settings)
    return serving_variables(facts, record.package_arn if record else "")
