"""`usecase update`: the newest version of the template, into the working tree or, in CI, as a merge request.

`copier update` merges what both sides changed, and what is generated from the merged files is made anew: uv.lock and
pipeline.json. A merge request is made from a working tree of its own, so that the checkout stays as it is.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import dropwhile, takewhile
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from usecase.mlops.errors import UserError
from usecase.mlops.programs import git, may_carry_token, run_program, token_settings, uv_command

COPIER = "copier@9.19.1"
ANSWERS = ".copier-answers.yml"
NOTES = "docs/template_changes.md"  # arrives with each version: what it changes, and what a person must do
RELEASE = re.compile(r"v?\d+(\.\d+)*((a|b|rc)\d+)?")  # what the template tags; anything else lies between two releases
READ_VARIABLE, PUSH_VARIABLE = "TEMPLATE_READ_TOKEN", "TEMPLATE_UPDATE_TOKEN"
FETCHED = "refs/template-update/"  # where the remote's branches are kept while they are looked at
COMPILED_FROM = ("src/usecase/mlops/", "pyproject.toml")  # of what the template brings: pipeline.json depends on it
# For programs that we start: CI says that the lock is not to be touched, and here it is made.
OURS = {"UV_LOCKED": None, "UV_FROZEN": None, "VIRTUAL_ENV": None}
WORDS = {"U": "conflict", "?": "added", "A": "added", "D": "removed"}  # by letter of `git status`; others: changed

Say = Callable[[str], None]


@dataclass(frozen=True)
class Template:
    """Where the repository comes from: address, version and stage, of the answers file."""

    source: str
    version: str
    stage: str

    @classmethod
    def read(cls) -> "Template":
        """The template of the repository in the current folder. Raises UserError when it was born between releases."""
        try:
            answers = yaml.safe_load(Path(ANSWERS).read_text(encoding="utf-8"))
            found = cls(str(answers["_src_path"]), str(answers["_commit"]), str(answers["mlops_stage"]))
        except OSError as error:
            raise UserError(f"{ANSWERS}: {error.strerror}: take it back from git") from None
        except (yaml.YAMLError, KeyError, TypeError):
            raise UserError(f"{ANSWERS}: names no _src_path, _commit and mlops_stage: take it back from git") from None
        if not RELEASE.fullmatch(found.version):
            raise UserError(
                f"{ANSWERS}: made from {found.version}, which is no release of the template: go to one by hand, once:"
                " uvx copier update --vcs-ref=vX.Y.Z"
            )
        return found

    def newest(self) -> str:
        """The newest version, or this one when there is none. Raises UserError when the template cannot be read."""
        try:
            found = json.loads(_copier(self, "check-update", "--output-format", "json"))
            return f"v{found['latest_version']}" if found["update_available"] else self.version
        except (UserError, ValueError) as error:
            _copier(self, "--version")  # a missing tool is not a missing template
            reason = error if isinstance(error, UserError) else "it is no git repository with tags"
            raise UserError(
                f"the template {self.source} cannot be read: {reason}. Is _src_path of {ANSWERS} its address for git,"
                f" can this machine reach it, and does a private one get a token ({READ_VARIABLE})?"
            ) from None

    def access(self) -> dict[str, str]:
        """Environment in which git may read a private template: by a token of its own, else by that of the CI job."""
        address = self.source.removeprefix("git+")
        if os.environ.get(READ_VARIABLE):
            return token_settings(address, READ_VARIABLE, "token")
        if os.environ.get("CI_JOB_TOKEN") and urlsplit(address).hostname == os.environ.get("CI_SERVER_HOST"):
            return token_settings(address, "CI_JOB_TOKEN", "gitlab-ci-token") if may_carry_token(address) else {}
        return {}


@dataclass
class Merged:
    """What an update did to the files: `git status` lines, and the places that are in conflict, as path:line."""

    changes: list[str]
    conflicts: list[str] = field(default_factory=list)

    @property
    def compiles(self) -> bool:
        """Whether pipeline.json may come out differently."""
        return any(change[3:].startswith(COMPILED_FROM) for change in self.changes)

    @property
    def removed(self) -> list[str]:
        """Files that the template has no longer."""
        return [change[3:] for change in self.changes if _word(change) == "removed"]


def update(say: Say, *, stage: str = "", dry_run: bool = False) -> None:
    """Bring the newest version, or at the same version another stage, into the working tree.

    With `dry_run` only show what that would change, what goes, and what to do about it. Raises UserError.
    """
    template = _template_of_clean_checkout()
    newest = template.version if stage else template.newest()
    if stage and stage == template.stage:
        say(f"the repository is at stage {stage}")
        return
    if newest == template.version and not stage:
        say(f"{template.version} is the newest version of the template")
        return
    say(f"stage {template.stage} -> {stage}" if stage else f"template {template.version} -> {newest}")
    if dry_run:
        with _working_tree() as folder:
            merged = _merge(template, folder, stage)
            _tell(merged, folder, say)
            _tell_notes(template, newest, folder, say)
        say(f"Nothing was changed. To update: make update{f' stage={stage}' if stage else ''}")
        return
    merged = _merge(template, Path(), stage)
    if not merged.conflicts:
        _generate(merged, Path())
        merged.changes = _changes(Path())
    _tell(merged, Path(), say)
    _tell_notes(template, newest, Path(), say)
    if merged.conflicts:
        raise UserError(
            "both you and the template changed the lines above: settle each (between the marks yours come first, then"
            " the template's), then make setup, make pipeline, make test, and commit"
        )
    say("Next: git diff, make setup, make test, and commit")


def propose(say: Say) -> None:
    """Open a merge request with the newest version, unless it is there already. For the CI job. Raises UserError."""
    remote = _Remote.of_job()
    template = _template_of_clean_checkout()
    newest = template.newest()
    if newest == template.version:
        say(f"{template.version} is the newest version of the template: nothing to do")
        return
    branches = remote.branches()
    there = branches.pop(newest, "")
    if there and not _is_ours(there):
        say(f"{remote.branch(newest)}: others have worked on it: it is left to them")
        return
    if there and _merges(there):
        say(f"{remote.branch(newest)} is there already: nothing to do")
        return
    say(f"template {template.version} -> {newest}")
    with _working_tree() as folder:
        merged = _merge(template, folder)
        _tell(merged, folder, say)
        if merged.conflicts:
            raise UserError(
                f"template {newest} changes the same lines as you, and nothing was pushed. On a machine of yours:"
                f" git switch --create {remote.branch(newest)}, make update, settle the places, push the branch"
            )
        _generate(merged, folder)
        git(folder, "add", "--all")
        message = "\n\n".join([f"Update the template to {newest}", *_notes(template, newest, folder)])
        git(folder, "commit", "--quiet", "--no-verify", "--message", message)
        remote.push(newest, git(folder, "rev-parse", "HEAD"), there, template, say)
    remote.remove({version: commit for version, commit in branches.items() if _is_ours(commit)}, say)


@dataclass(frozen=True)
class _Remote:
    """The project on GitLab, as the project access token of the job may read and write it."""

    address: str
    target: str
    prefix: str  # of the branches: `template/`, and the folder in a monorepo
    access: dict[str, str]

    @classmethod
    def of_job(cls) -> "_Remote":
        """The project of this CI job. Raises UserError when it or the token is missing."""
        url, target = os.environ.get("CI_PROJECT_URL"), os.environ.get("CI_DEFAULT_BRANCH")
        if not url or not target:
            raise UserError("--push is for the CI job, which knows CI_PROJECT_URL and CI_DEFAULT_BRANCH: make update")
        if not os.environ.get(PUSH_VARIABLE):
            raise UserError(
                f"{PUSH_VARIABLE} is not set: make a project access token (role Developer, scope write_repository) and"
                " store it as a masked and protected CI/CD variable"
            )
        address = f"{url}.git"
        access = token_settings(address, PUSH_VARIABLE, "token")
        if authorities := os.environ.get("CI_SERVER_TLS_CA_FILE"):
            access["GIT_SSL_CAINFO"] = authorities
        return cls(address, target, f"template/{git(Path(), 'rev-parse', '--show-prefix')}", access)

    def branch(self, version: str) -> str:
        return f"{self.prefix}{version}"

    def branches(self) -> dict[str, str]:
        """Commits of the branches that updates have made, by version."""
        self._git("fetch", "--quiet", "--prune", self.address, f"+refs/heads/{self.prefix}*:{FETCHED}*")
        lines = git(Path(), "for-each-ref", "--format=%(objectname) %(refname)", FETCHED).splitlines()
        found = {name.removeprefix(FETCHED): commit for commit, name in map(str.split, lines)}
        return {version: commit for version, commit in found.items() if RELEASE.fullmatch(version)}

    def push(self, version: str, commit: str, replaces: str, template: Template, say: Say) -> None:
        """Push the commit as the version's branch, and let GitLab open a merge request from it."""
        options = {
            "create": "",
            "target": self.target,
            "title": f"Template {version}",
            "description": f"From {template.version}. What changed and what to do: {NOTES}",
            "label": "template-update",
            "remove_source_branch": "",
        }
        words = [f"merge_request.{name}" + (f"={value}" if value else "") for name, value in options.items()]
        ref = f"refs/heads/{self.branch(version)}"
        told = self._git(
            "push",
            f"--force-with-lease={ref}:{replaces}",
            *(f"--push-option={word}" for word in words),
            self.address,
            f"{commit}:{ref}",
        )
        say(f"pushed {self.branch(version)}")
        for line in told:
            say(line)
        # With an open merge request GitLab may warn, too, that it cannot open one (its issue 378787).
        if not replaces and any("WARNING" in line for line in told):
            raise UserError(
                f"{self.branch(version)} is pushed, but GitLab opened no merge request, for the reason above: open one"
            )

    def remove(self, outdated: dict[str, str], say: Say) -> None:
        """Delete branches of older versions that nobody has worked on: GitLab closes their merge requests."""
        for version, commit in outdated.items():
            ref = f"refs/heads/{self.branch(version)}"
            self._git("push", "--quiet", f"--force-with-lease={ref}:{commit}", self.address, f":{ref}")
            say(f"removed {self.branch(version)}, which this one replaces")

    def _git(self, *words: str) -> list[str]:
        """Lines that the remote has to say."""
        try:
            done = run_program(f"git {words[0]}", ["git", *words], Path(), self.access)
        except UserError as error:
            raise UserError(
                f"{self.address}: {error}. Can the runner reach it, and is {PUSH_VARIABLE} still valid (role Developer,"
                " scope write_repository)?"
            ) from None
        lines = (
            line.removeprefix("remote:").strip() for line in done.stderr.splitlines() if line.startswith("remote:")
        )
        return [line for line in lines if line]


def _template_of_clean_checkout() -> Template:
    if git(Path(), "status", "--porcelain", "--", "."):
        raise UserError("there are changes that are not committed: commit or stash them, then update")
    return Template.read()


def _copier(template: Template, *words: str, folder: Path = Path()) -> str:
    """Standard output of Copier, which needs no --trust: the template runs no command of its own. Raises UserError."""
    command = [os.path.abspath(uv_command()), "tool", "run", "--quiet", COPIER, *words]
    return run_program(f"copier {words[0]}", command, folder, {**OURS, **template.access()}).stdout


def _merge(template: Template, folder: Path, stage: str = "") -> Merged:
    """Let Copier merge the newest version, or this one at another stage, into the clean checkout. Raises UserError."""
    other = ["--vcs-ref=:current:", "--data", f"mlops_stage={stage}"] if stage else []
    try:
        _copier(template, "update", "--defaults", "--skip-answered", "--conflict", "inline", *other, folder=folder)
    except UserError as error:
        if "--trust" in str(error):
            raise UserError(
                f"the newest version of {template.source} runs commands of its own, which no update needs: look at its"
                " copier.yml (_tasks, _migrations, _jinja_extensions) and tell its maintainers"
            ) from None
        raise UserError(f"{error} (git restore . takes back what was begun)") from None
    check = [sys.executable, "tools/check_conflicts.py"]
    found = subprocess.run(check, cwd=folder, capture_output=True, text=True, check=False)
    places = [line for line in found.stdout.splitlines() if ":>>>>>>>" not in line]
    return Merged(_changes(folder), (places or [found.stderr.strip()]) if found.returncode else [])


def _generate(merged: Merged, folder: Path) -> None:
    """Make uv.lock anew, and pipeline.json where it may come out differently. Raises UserError."""
    uv = os.path.abspath(uv_command())
    try:
        run_program("uv lock", [uv, "--quiet", "lock"], folder, OURS)
        if merged.compiles:
            # isolated: the SageMaker SDK (720 MB) stays out of the environment that runs this
            words = ["run", "--quiet", "--isolated", "--group", "sagemaker", "usecase", "pipeline"]
            run_program("usecase pipeline", [uv, *words], folder, OURS)
    except UserError as error:
        raise UserError(f"the template's files are merged, but {error}; then: uv lock, make pipeline") from None


def _changes(folder: Path) -> list[str]:
    """What differs from the commit, as `git status` says it: two letters and the path from this folder."""
    prefix = git(folder, "rev-parse", "--show-prefix")
    lines = git(folder, "-c", "core.quotePath=false", "status", "--porcelain", "--untracked-files=all", "--", ".")
    return [line[:3] + line[3:].strip('"').removeprefix(prefix) for line in lines.splitlines()]


def _word(change: str) -> str:
    """What a line of `git status` says of its file: added, removed, conflict or changed."""
    return next((word for letter, word in WORDS.items() if letter in change[:2]), "changed")


def _tell(merged: Merged, folder: Path, say: Say) -> None:
    edited = _edited(folder, merged.removed)
    for change in merged.changes:
        path = change[3:]
        say(f"  {_word(change):<8}  {path}{' (with your edits)' if path in edited else ''}")
    if merged.removed:
        say("The template has the removed files no longer. git keeps each: git show HEAD:./FILE")
    for place in merged.conflicts:
        say(f"conflict: {place}")


def _edited(folder: Path, paths: list[str]) -> set[str]:
    """Those of the committed files that somebody has changed since the template last wrote here."""
    if not paths:
        return set()
    written = git(folder, "log", "-1", "--format=%H", "--", ANSWERS)
    return set(git(folder, "diff", "--relative", "--name-only", "-z", written, "HEAD", "--", *paths).split("\0"))


def _tell_notes(template: Template, newest: str, folder: Path, say: Say) -> None:
    for note in _notes(template, newest, folder):
        say(f"\n{note}\n")


def _notes(template: Template, newest: str, folder: Path) -> list[str]:
    """What the versions after that of the repository say, up to `newest`: the sections of the page that arrived."""
    try:
        text = (folder / NOTES).read_text(encoding="utf-8")
    except OSError:  # it is theirs to delete
        return [f"What changed and what to do about it: CHANGELOG.md of {template.source}"]
    sections = re.findall(r"^(## v?(\S+).*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    old, new = template.version.removeprefix("v"), newest.removeprefix("v")
    after = takewhile(lambda section: section[1] != old, dropwhile(lambda section: section[1] != new, sections))
    return [section.strip() for section, _ in after]


@contextmanager
def _working_tree() -> Iterator[Path]:
    """This folder, as it is committed, in a working tree of its own that is gone afterwards."""
    prefix = git(Path(), "rev-parse", "--show-prefix")
    with tempfile.TemporaryDirectory(prefix="usecase-update-") as parent:
        tree = str(Path(parent, "tree"))
        git(Path(), "worktree", "add", "--quiet", "--detach", tree, "HEAD")
        try:
            yield Path(tree, prefix)
        finally:
            with suppress(UserError):
                git(Path(), "worktree", "remove", "--force", tree)


def _is_ours(commit: str) -> bool:
    """Whether the update job made this commit, and nobody has added to it."""
    ours = git(Path(), "var", "GIT_COMMITTER_IDENT")
    return f"<{git(Path(), 'log', '-1', '--format=%ce', commit)}>" in ours


def _merges(commit: str) -> bool:
    """Whether the branch of this commit merges into the default branch as that is now."""
    try:
        git(Path(), "merge-tree", "--write-tree", "HEAD", commit)
    except UserError:
        return False
    return True
