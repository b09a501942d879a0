"""GitLab and a registry of images over HTTP, beside account, repository and Terraform of the tests next door."""

import hashlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from infrastructure.conftest import (
    Account,
    FakeTerraform,
    account,
    aws,
    facts,
    qa,
    repository,
    settings,
    terraform,
    usecase,
)

__all__ = ["account", "aws", "facts", "qa", "repository", "settings", "terraform", "usecase"]
TOKEN, JOB_TOKEN = "glpat-only-for-tests", "glcbt-only-for-tests"
TREE = Path(__file__).parents[3]
Answer = tuple[int, dict[str, str], bytes]


@contextmanager
def served(answer: Callable[[str, str, dict[str, str], bytes], Answer]) -> Iterator[str]:
    """Serve over HTTP what `answer` says to method, path, headers (names in lower case) and body; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, more, content = answer(self.command, self.path, headers, body)
            self.send_response(status)
            for name, value in {**more, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = _answer  # noqa: N815 - names of http.server

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class FakeGitLab:
    """Project 7, as far as jobs use it. Lists have one item a page; a job's token may make releases alone.

    Behaviour: issues, notes, commits, pipelines and releases below https://docs.gitlab.com/api/.
    """

    def __init__(self) -> None:
        self.issues: list[dict[str, Any]] = []
        self.notes: dict[int, list[dict[str, Any]]] = {}
        self.merged: dict[str, int] = {}
        self.pipelines: list[dict[str, Any]] = []
        self.releases: dict[str, dict[str, Any]] = {}
        self.refuse = 0

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """See `served`."""
        place = urlsplit(path)
        page = {key: values[-1] for key, values in parse_qs(place.query).items()}
        parts = place.path.removeprefix("/api/v4/projects/7/").split("/")
        if self.refuse:
            return _json(self.refuse, {"message": "no"})
        if headers.get("private-token") != TOKEN and not (
            headers.get("job-token") == JOB_TOKEN and parts == ["releases"]
        ):
            return _json(401, {"message": "401 Unauthorized"})
        if method == "GET":
            found = self._list(parts, page)
            number = int(page.get("page", 1))
            shown, more = found[number - 1 : number], str(number + 1) if number < len(found) else ""
            link = f'<http://{headers["host"]}{place.path}?{_with(page, more)}>; rel="next"' if more else ""
            status, about, content = _json(200, shown)
            return status, about | {"X-Next-Page": more, "X-Total": str(len(found)), "Link": link}, content
        return self._create(parts, json.loads(body))

    def _list(self, parts: list[str], wanted: dict[str, str]) -> list[dict[str, Any]]:
        if parts[:2] == ["repository", "commits"]:
            number = self.merged.get(parts[2])
            return [{"iid": number, "state": "merged", "web_url": f"https://gitlab.test/mr/{number}"}] if number else []
        if parts[0] == "merge_requests":
            return self.notes.get(int(parts[1]), [])
        if parts[0] == "issues":
            assert (wanted["in"], wanted["state"]) == ("description", "all")
            return [
                issue
                for issue in self.issues
                if wanted["labels"] in issue["labels"] and wanted["search"] in issue["description"]
            ]
        assert parts == ["pipelines"], parts
        return self.pipelines

    def _create(self, parts: list[str], given: dict[str, Any]) -> Answer:
        if parts[0] == "merge_requests":
            self.notes.setdefault(int(parts[1]), []).append(given)
        elif parts == ["issues"]:
            made = given | {
                "iid": len(self.issues) + 1,
                "web_url": f"https://gitlab.test/issues/{len(self.issues) + 1}",
            }
            self.issues.append(made)
            return _json(201, made)
        elif parts == ["pipeline"]:
            name = f"{given['inputs']['registry_event']} {given['inputs']['model_package_arn']}"  # as the workflow does
            self.pipelines.insert(0, given | {"name": name, "web_url": "https://gitlab.test/p"})
            return _json(201, self.pipelines[0])
        elif given["tag_name"] in self.releases:
            return _json(409, {"message": "Release already exists"})
        else:
            self.releases[given["tag_name"]] = given
        return _json(201, given)


def _json(status: int, content: object) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps(content).encode()


def _with(page: dict[str, str], number: str) -> str:
    return "&".join(f"{key}={value}" for key, value in {**page, "page": number}.items())


@pytest.fixture
def gitlab(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitLab]:
    """GitLab, and the variables that it gives to a job."""
    for name in ("REASON", "STEWARDS", "PROJECT_DIR", "CI_SERVER_TLS_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeGitLab()
    with served(fake.answer) as address:
        for name, value in {
            "CI_SERVER_URL": f"http://{address}",
            "CI_PROJECT_ID": "7",
            "CI_PROJECT_DIR": str(repository),
            "CI_PROJECT_URL": "https://gitlab.test/data/churn",
            "CI_JOB_ID": "3",
            "CI_JOB_URL": "https://gitlab.test/data/churn/-/jobs/3",
            "CI_JOB_TOKEN": JOB_TOKEN,
            "CI_PIPELINE_URL": "https://gitlab.test/p/9",
            "GITLAB_API_TOKEN": TOKEN,
            "GITLAB_USER_LOGIN": "grace",
        }.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def record(repository: Path, account: Account, terraform: FakeTerraform) -> Account:
    """The account of dev, which has the registry of record."""
    file = repository / "config/dev.yaml"
    file.write_text(file.read_text(encoding="utf-8") + "\nmodel_package_group: churn-dev\n", encoding="utf-8")
    return account


class FakeImages:
    """A registry of images (OCI distribution specification) that wants a token of its own, as GitLab's does."""

    def __init__(self) -> None:
        self.manifests: dict[str, tuple[bytes, str]] = {}
        self.blobs: dict[str, bytes] = {}
        self.sent: list[str] = []
        self.upload = b""

    def add(self, tag: str, media_type: str, layers: list[bytes]) -> str:
        """An image; returns its digest."""
        parts = []
        for layer in layers:
            digest = _sha256(layer)
            self.blobs[digest] = layer
            parts.append({"digest": digest, "size": len(layer)})
        content = json.dumps({"mediaType": media_type, "config": parts[0], "layers": parts[1:]}).encode()
        for name in (tag, _sha256(content)):
            self.manifests[name] = (content, media_type)
        return _sha256(content)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        """See `served`."""
        place = urlsplit(path)
        given = {key: values[0] for key, values in parse_qs(place.query).items()}
        if place.path == "/token":
            fine = headers.get("authorization", "").startswith("Basic ")
            return _json(200, {"token": "short"}) if fine else _json(401, {})
        if headers.get("authorization") != "Bearer short":
            realm = f'Bearer realm="http://{headers["host"]}/token",service="images",scope="repository:churn"'
            return 401, {"WWW-Authenticate": realm}, b""
        kind, _, name = place.path.removeprefix("/v2/churn/").partition("/")
        if method in ("GET", "HEAD"):
            if kind == "manifests" and name in self.manifests:
                content, media_type = self.manifests[name]
                return 200, {"Content-Type": media_type}, content
            found = self.blobs.get(name) if kind == "blobs" else None
            return (200, {}, found) if found is not None else (404, {}, b"")
        self.sent.append(f"{method} {kind}")
        if method == "POST":
            return 202, {"Location": "/v2/churn/blobs/uploads/1?state=a"}, b""
        if method == "PATCH":
            self.upload = body
            return 202, {"Location": "/v2/churn/blobs/uploads/1?state=b"}, b""
        if kind == "blobs":
            if _sha256(self.upload) != given["digest"] or given["state"] != "b":
                return 400, {}, b"digest invalid"
            self.blobs[given["digest"]] = self.upload
            return 201, {}, b""
        known = json.loads(body)
        if any(part["digest"] not in self.blobs for part in [known["config"], *known["layers"]]):
            return 404, {}, b"blob unknown"
        for reference in (name, _sha256(body)):
            self.manifests[reference] = (body, headers["content-type"])
        return 201, {}, b""


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@pytest.fixture
def images() -> Iterator[tuple[FakeImages, str, FakeImages, str]]:
    """Two registries of images, each with its address."""
    source, target = FakeImages(), FakeImages()
    with served(source.answer) as from_address, served(target.answer) as to_address:
        yield source, f"{from_address}/churn", target, f"{to_address}/churn"


def aws_config(folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run tools/aws_config.sh as a job does; prints the configuration file's path and what is left of its variables."""
    ids = {"CI_PROJECT_ID": "7", "CI_PIPELINE_ID": "9", "CI_JOB_ID": "3", "CI_JOB_NAME": "deploy:qa"}
    told = 'printf "%s\\n" "$AWS_CONFIG_FILE" "${AWS_ROLE_ARN-gone}${AWS_ID_TOKEN-gone}"'
    script = f"set -eu\n. '{TREE / 'tools/aws_config.sh'}'\n{told}\n"
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "AWS_CREDENTIAL_SOURCE": "EcsContainer"}
    return subprocess.run(
        ["sh", "-c", script], env=environment | ids | variables, capture_output=True, text=True, check=False
    )


def session_in(account: str, region: str) -> boto3.Session:
    """A session in another account."""
    role = f"arn:aws:iam::{account}:role/somebody"
    given = boto3.client("sts", region_name=region).assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    return boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region)
