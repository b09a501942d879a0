"""The way to GitLab: a client with the token, waits that are shown, and every failure as one line."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gitlab
import requests

from usecase.mlops.errors import UserError
from usecase.mlops.gitlab.wanted import Wanted

SCOPES = "the scope `api` and the role Maintainer"
AGAIN = "uv run --script tools/gitlab_setup.py apply"
Say = Callable[[str], None]


def read_token() -> str:
    """The token of the environment. Raises UserError when there is none."""
    token = os.environ.get("GITLAB_TOKEN", "").strip()
    if not token:
        raise UserError(f"GITLAB_TOKEN is not set: export a token with {SCOPES} in the group, then: {AGAIN}")
    return token


def connect(wanted: Wanted, token: str, say: Say) -> gitlab.Gitlab:
    """A client whose waits for a rate limit are told. Environment variables give proxy and certificate authority."""
    session = requests.Session()

    def tell(response: requests.Response, *_: Any, **__: Any) -> None:
        if response.status_code == 429:
            seconds = response.headers.get("Retry-After", "a few")
            say(f"GitLab limits the rate of requests: waiting {seconds} s")

    session.hooks["response"].append(tell)
    return gitlab.Gitlab(wanted.url, private_token=token, timeout=30, session=session)


def read(client: gitlab.Gitlab, path: str) -> Any:
    """What GitLab answers, parsed. Raises GitlabParsingError for anything but JSON, such as a portal's page."""
    answer: Any = client.http_get(path)
    if isinstance(answer, requests.Response):
        raise gitlab.GitlabParsingError(f"no JSON from {path}")
    return answer


def require_access(client: gitlab.Gitlab) -> tuple[int, int]:
    """GitLab's version, such as (18, 7). Raises UserError for a token that cannot write."""
    version = re.match(r"(\d+)\.(\d+)", read(client, "/version")["version"])
    try:
        scopes = read(client, "/personal_access_tokens/self")["scopes"]
    except gitlab.GitlabHttpError as error:
        if error.response_code not in (403, 404):
            raise
        scopes = ["api"]  # not such a token (of a login by OAuth, for example): the first write tells
    if "api" not in scopes:
        raise UserError(f"GITLAB_TOKEN has the scopes {', '.join(scopes) or 'none'}: it needs {SCOPES}")
    return (int(version[1]), int(version[2])) if version else (0, 0)


@contextmanager
def explained(wanted: Wanted) -> Iterator[None]:
    """Any failure of GitLab, or on the way there, as one line: what happened and what to do."""
    try:
        yield
    except (gitlab.GitlabError, requests.exceptions.RequestException) as error:
        raise UserError(f"{_words(error, wanted)} (nothing was deleted; to continue: {AGAIN})") from None


def _words(error: Exception, wanted: Wanted) -> str:
    if isinstance(error, requests.exceptions.SSLError):
        return f"{wanted.url}: the certificate is not trusted: name your CA file in REQUESTS_CA_BUNDLE"
    if isinstance(error, requests.exceptions.ProxyError):
        return f"{wanted.url}: the proxy did not let the request through: check HTTPS_PROXY and NO_PROXY"
    if isinstance(error, requests.exceptions.Timeout):
        return f"{wanted.url}: no answer within 30 s: check the network and HTTPS_PROXY"
    if isinstance(error, requests.exceptions.RequestException):
        return f"{wanted.url}: cannot be reached: check the url in gitlab.yml, the network and HTTPS_PROXY"
    if isinstance(error, gitlab.GitlabParsingError):
        return f"{wanted.url}: does not answer like GitLab: check the url in gitlab.yml"
    code = getattr(error, "response_code", None)
    said = " ".join(str(error).split())
    if code == 401:
        return f"{wanted.url}: 401: GITLAB_TOKEN is wrong, revoked or expired: make a new one"
    if code == 403:
        return f"{wanted.path}: 403: the token needs {SCOPES} in {wanted.group} ({said})"
    if code == 429:
        return f"{wanted.url}: 429: GitLab still limits the rate of requests: wait some minutes"
    if isinstance(code, int) and code >= 500:
        return f"{wanted.url}: GitLab fails with {said}: try again later"
    return f"{wanted.path}: {said}"
