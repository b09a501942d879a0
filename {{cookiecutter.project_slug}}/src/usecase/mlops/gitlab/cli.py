"""The command line of tools/gitlab_setup.py."""

import argparse
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import gitlab
from gitlab.v4.objects import Project

from usecase.mlops import start
from usecase.mlops.errors import UserError
from usecase.mlops.gitlab.connection import AGAIN, connect, explained, read_token, require_access
from usecase.mlops.gitlab.converge import (
    INPUTS_SINCE,
    TIER_SINCE,
    Converger,
    EventConnection,
    find_project,
    is_own,
)
from usecase.mlops.gitlab.repository import Repository
from usecase.mlops.gitlab.wanted import SUB_CLAIMS, Wanted, read_wanted
from usecase.mlops.programs import run_program, uv_command

DESCRIPTION = """\
Makes the GitLab project what gitlab.yml says.

  plan     what differs; nothing is written
  apply    shows the plan, asks when a person sits at the terminal, and writes exactly that
  verify   compares everything, and asks GitLab whether the CI configuration is valid
  destroy  says what would be deleted; deletes it with --confirm FULL/PATH

Every step compares before it writes, so apply may be repeated at any time, also after it was interrupted. Needs
GITLAB_TOKEN in the environment: scope `api`, role Maintainer in the group. It is neither stored nor shown."""
EXIT_CODES = "exit status: 0 done, or nothing to do; 1 error; 2 plan found something to do; 130 interrupted"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """A wrong command line is no plan with differences: status 1, not argparse's 2."""
        self.exit(1, f"error: {message}: see {self.prog} --help\n")


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = _Parser(
        prog="gitlab_setup.py",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", nargs="?", choices=("plan", "apply", "verify", "destroy"), default="plan")
    parser.add_argument("--yes", action="store_true", help="apply without asking")
    parser.add_argument("--adopt", action="store_true", help="take over a project that holds other commits")
    parser.add_argument("--require-premium", action="store_true", help="GitLab Free is an error")
    parser.add_argument("--first-commit", action="store_true", help="git init and a first commit where there is none")
    parser.add_argument("--confirm", metavar="FULL/PATH", default="", help="destroy: the project that is to be deleted")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run one action in the repository of the current folder and return the exit status."""
    options = _arguments(argv)
    try:
        wanted = read_wanted(Path())
        token = read_token()
        with explained(wanted):
            client = connect(wanted, token, _say)
            _require_version(wanted, require_access(client))
            if options.action == "destroy":
                return _destroy(client, wanted, options)
            return _converge(client, wanted, options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"error: interrupted: what was done stays; to continue: {AGAIN}", file=sys.stderr)
        return 130


def _say(line: str) -> None:
    print(line, flush=True)


def _require_version(wanted: Wanted, version: tuple[int, int]) -> None:
    """Raise UserError when GitLab is too old for something that is wanted."""
    number = ".".join(map(str, version))
    if version < TIER_SINCE and wanted.settings.get("ci_id_token_sub_claim_components") == SUB_CLAIMS["tier"]:
        raise UserError(
            f"{wanted.url}: GitLab {number} cannot put the tier into the tokens of jobs, 18.7 can: set"
            " aws_access.sub_claims: ref in config/dev.yaml, qa.yaml and prod.yaml"
        )
    if version < INPUTS_SINCE and any(schedule.inputs for schedule in wanted.schedules.values()):
        raise UserError(f"{wanted.url}: GitLab {number} has no inputs of pipelines, 17.11 has: update GitLab first")


def _converge(client: gitlab.Gitlab, wanted: Wanted, options: argparse.Namespace) -> int:
    repository = Repository(Path())

    def converger(apply: bool) -> Converger:
        return Converger(
            client,
            wanted,
            repository,
            _say,
            apply=apply,
            adopt=options.adopt,
            first_commit=_first_commit if options.first_commit else None,
            require_premium=options.require_premium,
            events=_event_connection(),
        )

    run = converger(apply=False)
    run.run()
    if run.differences and options.action == "apply":
        if sys.stdin.isatty() and not options.yes and not _agreed(wanted):
            raise UserError(f"nothing was written; to do so later: {AGAIN}")
        run = converger(apply=True)
        run.run()
    for note in run.notes:
        _say(f"note: {note}")
    if run.differences and options.action != "apply":
        _say(f"{len(run.differences)} differences; to write them: {AGAIN}")
        return 2 if options.action == "plan" else 1
    if run.project is None or options.action == "plan":
        _say(f"{wanted.address} is as gitlab.yml says")
        return 0
    problem = _problem_of_ci(run.project)
    for line in _summary(run.project, wanted, run.is_premium, problem):
        _say(line)
    if problem:
        raise UserError(f"GitLab takes .gitlab-ci.yml for invalid: {problem}")
    return 0


def _agreed(wanted: Wanted) -> bool:
    try:
        return input(f"Write this to {wanted.url}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _first_commit() -> None:
    """The lock first, because the first pipeline needs it; without the network, `make setup` makes it later."""
    if not Path("uv.lock").exists():
        try:
            run_program("uv lock", [uv_command(), "lock"], Path())
        except UserError as error:
            _say(f"note: there is no uv.lock ({error}): `make setup` makes it, then commit and push it")
    start.make_repository(_say)


def _event_connection() -> EventConnection | None:
    """The connection of AWS, where there are tools for it, which come with stage automated."""
    if importlib.util.find_spec("usecase.mlops.aws") is None:
        return None
    found: EventConnection | None = importlib.import_module("usecase.mlops.aws.event_connection").find()
    return found


def _problem_of_ci(project: Project) -> str:
    """What GitLab finds wrong in the CI configuration, as if a pipeline of the default branch began now."""
    if project.empty_repo:
        return ""
    lint = project.ci_lint.get(dry_run=True)
    return "" if lint.valid else "; ".join(lint.errors) or "no reason given"


def _summary(project: Project, wanted: Wanted, is_premium: bool, problem: str) -> Iterator[str]:
    page = project.web_url
    branch = wanted.default_branch
    running = [schedule.description for schedule in wanted.schedules.values() if schedule.active]
    waiting = [schedule.description for schedule in wanted.schedules.values() if not schedule.active]
    rows = [
        ("project", f"{wanted.path}, number {project.get_id()}", page),
        (f"branch {branch.name}", f"push {branch.push}, merge {branch.merge}", f"{page}/-/settings/repository"),
        ("environments", ", ".join(wanted.environments) or "none at this stage", f"{page}/-/environments"),
        ("variables", ", ".join(sorted({item.key for item in wanted.variables})) or "none", f"{page}/-/settings/ci_cd"),
        (
            "schedules",
            ", ".join(running) + "".join(f", {name} (off)" for name in waiting),
            f"{page}/-/pipeline_schedules",
        ),
        ("Premium", "used" if is_premium else "not there: see the notes", f"{page}/-/settings/merge_requests"),
        ("CI configuration", "invalid" if problem else "valid", f"{page}/-/ci/editor"),
        ("first pipeline", "start it when runners and variables are ready", f"{page}/-/pipelines/new"),
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, state, link in rows:
        yield f"{name:<{widths[0]}}  {state:<{widths[1]}}  {link}"


def _destroy(client: gitlab.Gitlab, wanted: Wanted, options: argparse.Namespace) -> int:
    project = find_project(client, wanted)
    if project is None:
        _say(f"{wanted.address} is not there: nothing to delete")
        return 0
    if not (project.empty_repo or is_own(project, Repository(Path()))):
        raise UserError(f"{wanted.address} holds commits that are not of this folder: it is not deleted from here")
    if not options.confirm:
        _say(f"would delete {wanted.address}: code, issues, merge requests, pipelines, images and settings")
        _say(f"nothing was deleted; to do so: uv run --script tools/gitlab_setup.py destroy --confirm {wanted.path}")
        return 0
    if options.confirm != wanted.path:
        raise UserError(f"--confirm {options.confirm} is not {wanted.path}: nothing was deleted")
    project.delete()
    _say(f"deleted {wanted.address} (GitLab may keep it for some days); this folder was not touched")
    return 0
