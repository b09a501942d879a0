"""GitLab's API, as far as jobs use it: notes, issues, pipelines, releases."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gitlab
import requests
from gitlab.v4.objects import Project

from usecase.mlops.errors import UserError

TOKEN = "GITLAB_API_TOKEN"  # noqa: S105 - the name of a variable
TIMEOUT_SECONDS = 30


def needed(name: str) -> str:
    """A variable that GitLab gives to each job. Raises UserError elsewhere."""
    value = os.environ.get(name, "")
    if not value:
        raise UserError(f"{name} is not set: this command is for jobs of GitLab")
    return value


def pipeline_url() -> str:
    """The pipeline of this job; blank elsewhere."""
    return os.environ.get("CI_PIPELINE_URL", "")


def below_project(file: Path) -> str:
    """Path of a file as GitLab knows artifacts: from the top of the repository."""
    return file.resolve().relative_to(Path(needed("CI_PROJECT_DIR")).resolve()).as_posix()


def project(what: str, job_token: bool = False) -> Project:
    """The project of this job, with its project access token, or with the job's own. Raises UserError.

    `what` is wanted of it, for the message when there is no token.
    """
    url, number = needed("CI_SERVER_URL"), needed("CI_PROJECT_ID")
    token = needed("CI_JOB_TOKEN") if job_token else os.environ.get(TOKEN, "")
    if not token:
        raise UserError(
            f"{TOKEN} is not set, so there is no {what}: put a project access token with the scope api into that"
            " CI/CD variable, masked and protected (docs/delivery.md)"
        )
    server = gitlab.Gitlab(
        url,
        private_token=None if job_token else token,
        job_token=token if job_token else None,
        timeout=TIMEOUT_SECONDS,
        retry_transient_errors=True,
        ssl_verify=os.environ.get("CI_SERVER_TLS_CA_FILE") or True,
    )
    return server.projects.get(number, lazy=True)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Any error of GitLab, or on the way there, as one line."""
    try:
        yield
    except gitlab.exceptions.GitlabError as error:
        advice = f": {TOKEN} must be valid and have the scope api" if error.response_code in (401, 403) else ""
        said = " ".join(str(error.error_message or error).split())
        raise UserError(f"{what}: GitLab answers {error.response_code} ({said}){advice}") from None
    except requests.RequestException as error:
        raise UserError(f"{what}: GitLab cannot be reached ({' '.join(str(error).split())})") from None


def open_issue(where: Project, label: str, arn: str, title: str, text: str) -> tuple[str, bool]:
    """Address of the issue with this label about a version, and whether it is new. Raises UserError.

    One issue for a version and label, however often it is asked for; a closed one counts.
    """
    with explained(f"issue {title!r}"):
        wanted = {"labels": label, "search": arn, "in": "description", "state": "all"}
        found = where.issues.list(iterator=True, query_parameters=wanted)
        for issue in found:
            if _names(issue.description, arn):
                return str(issue.web_url), False
        issue = where.issues.create({"title": title, "description": text, "labels": [label]})
    return str(issue.web_url), True


def note_on_merge_request(where: Project, commit: str, arn: str, text: str) -> str:
    """Address of the merge request that brought a commit and has the note now; blank when none did."""
    with explained(f"merge request of commit {commit}"):
        try:
            found: Any = where.commits.get(commit, lazy=True).merge_requests()
        except gitlab.exceptions.GitlabHttpError as error:
            if error.response_code == 404:
                return ""
            raise
        merged = [item for item in found if item["state"] == "merged"]
        if not merged:
            return ""
        request = where.mergerequests.get(merged[-1]["iid"], lazy=True)
        if not any(_names(note.body, arn) for note in request.notes.list(iterator=True)):
            request.notes.create({"body": text})
    return str(merged[-1]["web_url"])


def _names(text: str | None, arn: str) -> bool:
    """Whether the text names this very version: `.../churn/1` is no `.../churn/12`."""
    return re.search(rf"{re.escape(arn)}(?!\d)", text or "") is not None
