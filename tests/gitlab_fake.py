"""A GitLab that keeps state, over HTTP, with git behind it; it refuses what the documentation does not allow.

Every call is checked against tests/gitlab_contract.py. Behaviour follows the pages below https://docs.gitlab.com/api/;
where it copies a sentence, the page is named beside it.
"""

import json
import os
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from git_server import read_body
from gitlab_contract import FREE, PREMIUM, documented, fault

TOKEN = "glpat-of-these-tests"
GROUP = "data-science/models"
CLAIMS = {"project_path", "ref_type", "ref", "ref_protected", "environment_protected", "deployment_tier"}
# What a new project has on an instance that nobody changed.
NEW_PROJECT: dict[str, Any] = {
    "default_branch": None,
    "visibility": "private",
    "description": None,
    "merge_method": "merge",
    "squash_option": "default_off",
    "only_allow_merge_if_pipeline_succeeds": False,
    "only_allow_merge_if_all_discussions_are_resolved": False,
    "remove_source_branch_after_merge": True,
    "auto_cancel_pending_pipelines": "enabled",
    "auto_devops_enabled": True,
    "ci_forward_deployment_enabled": True,
    "ci_forward_deployment_rollback_allowed": True,
    "ci_separated_caches": True,
    "ci_pipeline_variables_minimum_override_role": "developer",
    "ci_id_token_sub_claim_components": ["project_path", "ref_type", "ref"],
    "archived": False,
    "marked_for_deletion_on": None,
}


# By collection: what tells one from another, and the attribute that addresses it in URLs.
IDENTITY = {
    "labels": (("name",), "id"),
    "environments": (("name",), "id"),
    "variables": (("key", "environment_scope"), "key"),
    "protected_branches": (("name",), "name"),
    "protected_tags": (("name",), "name"),
    "protected_environments": (("name",), "name"),
    "approval_rules": (("rule_type",), "id"),
    "resource_groups": (("key",), "key"),
    "pipeline_schedules": (("id",), "id"),
    "triggers": (("id",), "id"),
}
Answer = tuple[int, Any]


NEW_VARIABLE = {"masked": False, "protected": False, "raw": False, "hidden": False}


@dataclass
class FakeGitLab:
    """State of the instance, and how it misbehaves."""

    folder: Path
    url: str = ""
    tier: str = FREE
    version: str = "18.8.1-ee"
    scopes: tuple[str, ...] = ("api",)
    user: int = 11  # whose token it is
    access_level: int = 40  # in the group
    page_size: int = 1
    groups: dict[str, int] = field(default_factory=lambda: {GROUP: 7, "data-science/approvers": 8})
    projects: dict[int, dict[str, Any]] = field(default_factory=dict)
    collections: dict[int, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    singles: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    fail_before: int | None = None  # the write of this number is refused with status 500
    die_after: int | None = None  # the write of this number is done, but its answer never arrives
    at_write: Callable[[int], None] | None = None  # called with the number of each write, once it is done
    always: tuple[int, str] | None = None  # every call is answered with this status and body
    drops_groups: bool = False  # from protections, as if they could not see the project
    hidden: str = ""  # full path of a project that is there, but not for this token
    limited: int = 0  # so many calls are refused first, as too many
    lint_errors: list[str] = field(default_factory=list)
    _numbers: int = 0

    def forget(self) -> None:
        """Back to an instance without projects, which behaves."""
        for number in self.projects:
            shutil.rmtree(self.repository(number))
        self.projects.clear()
        self.collections.clear()
        self.singles.clear()
        self.writes.clear()
        self.fail_before = self.die_after = None

    def state(self) -> dict[str, Any]:
        """Everything a user could see, without numbers and tokens that differ from one making to the next."""
        state: dict[str, Any] = {}
        for number, project in self.projects.items():
            items = {
                name: sorted(({k: v for k, v in item.items() if k not in ("id", "token")} for item in found), key=str)
                for name, found in self.collections[number].items()
            }
            attributes = {key: value for key, value in project.items() if key not in ("id", "web_url")}
            refs = self.git(number, "for-each-ref", "--format=%(refname) %(objectname)")
            state[project["path_with_namespace"]] = [attributes, items, self.singles[number], refs]
        return json.loads(json.dumps(state))  # type: ignore[no-any-return]

    def repository(self, number: int) -> Path:
        """Bare repository of a project."""
        return self.folder / f"{self.projects[number]['path_with_namespace']}.git"

    def git(self, number: int, *words: str) -> str:
        """What git prints in a project's repository."""
        done = subprocess.run(["git", *words], cwd=self.repository(number), capture_output=True, text=True, check=False)
        return done.stdout.strip()

    def add_project(self, full_path: str, /, **attributes: Any) -> dict[str, Any]:
        """Makes a project as a new one is, but for `attributes`."""
        self._numbers += 1
        number, host = self._numbers, urlsplit(self.url).netloc
        self.projects[number] = {
            **NEW_PROJECT,
            "id": number,
            "name": full_path,
            "path_with_namespace": full_path,
            "web_url": f"{self.url}/{full_path}",
            # Some instances put a user into the clone URL.
            "http_url_to_repo": f"{urlsplit(self.url).scheme}://user@{host}/{full_path}.git",
            "ssh_url_to_repo": f"git@{urlsplit(self.url).hostname}:{full_path}.git",
            "shared_with_groups": [],
            **attributes,
        }
        self.collections[number] = {name: [] for name in IDENTITY}
        self.singles[number] = {}
        folder = self.repository(number)
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(folder)], check=True)
        (folder / "config").write_text("[receive]\n\tadvertisePushOptions = true\n[http]\n\treceivepack = true\n")
        (folder / "hooks").mkdir(exist_ok=True)
        hook = folder / "hooks" / "pre-receive"
        hook.write_text('#!/bin/sh\necho "$GIT_PUSH_OPTION_0" > push-option\n')
        hook.chmod(0o755)
        return self.projects[number]

    def add(self, number: int, name: str, /, **attributes: Any) -> dict[str, Any]:
        """Puts an item into one of the collections of a project."""
        self._numbers += 1
        item = {"id": self._numbers, **attributes}
        self.collections[number][name].append(item)
        return item

    def protect(self, number: int, name: str, push: int, merge: int) -> dict[str, Any]:
        """Protects branch `name` of project `number` with these access levels."""
        return self.add(
            number,
            "protected_branches",
            name=name,
            push_access_levels=[{"access_level": push}],
            merge_access_levels=[{"access_level": merge}],
            allow_force_push=False,
            code_owner_approval_required=False,
        )

    def run_pipeline(self, number: int, *resource_groups: str) -> None:
        """A pipeline makes the resource groups that its jobs name (resource_groups: they can only be edited)."""
        for key in resource_groups:
            self.add(number, "resource_groups", key=key, process_mode="unordered")

    def answer(self, method: str, path: str, given: dict[str, Any]) -> Answer:
        """Status and body of a call to /api/v4`path` with `given` attributes."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        called = documented(method, path)
        if called is None:
            return 404, {"error": "404 Not Found"}
        if wrong := fault(called, given):  # rest: "400 Bad Request: a required attribute of the API request is missing"
            return 400, {"error": wrong}
        if method != "GET" and "api" not in self.scopes:
            return 403, {"error": "insufficient_scope", "scope": "api"}
        if parts[0] != "projects":
            return self._instance(parts)
        if parts == ["projects"]:
            return self._create_project(given)
        project = next(
            (p for p in self.projects.values() if parts[1] in (str(p["id"]), p["path_with_namespace"])), None
        )
        if project is None:
            return 404, {"message": "404 Project Not Found"}
        return self._of_project(method, project, parts[2:], given, called.tier)

    def _of_project(
        self, method: str, project: dict[str, Any], parts: list[str], given: dict[str, Any], tier: str
    ) -> Answer:
        if tier == PREMIUM and self.tier == FREE:
            return 404, {"message": "404 Not Found"}
        if method != "GET" and self.access_level < 40:
            return 403, {"message": "403 Forbidden"}
        if not parts:
            return self._project(method, project, given)
        return self._below(method, project, parts, given)

    def _instance(self, parts: list[str]) -> Answer:
        if parts == ["version"]:
            return 200, {"version": self.version, "revision": "abc"}
        if parts == ["user"]:
            return 200, {"id": self.user, "username": "setter", "is_admin": False}
        if parts[0] == "personal_access_tokens":
            return 200, {"id": 1, "active": True, "revoked": False, "scopes": list(self.scopes)}
        number = next((n for path, n in self.groups.items() if parts[1] in (path, str(n))), None)
        if number is None:
            return 404, {"message": "404 Group Not Found"}
        if len(parts) == 2:
            return 200, {"id": number, "full_path": parts[1]}
        if self.access_level == 0:
            return 404, {"message": "404 Not found"}
        return 200, {"id": self.user, "access_level": self.access_level}

    def _create_project(self, given: dict[str, Any]) -> Answer:
        group = next(path for path, number in self.groups.items() if number == given["namespace_id"])
        path = f"{group}/{given['path']}"
        if any(project["path_with_namespace"] == path for project in self.projects.values()) or path == self.hidden:
            return 400, {"message": {"path": ["has already been taken"]}}
        attributes = {key: value for key, value in given.items() if key not in ("path", "namespace_id")}
        return 201, self.add_project(path, **attributes)

    def _project(self, method: str, project: dict[str, Any], given: dict[str, Any]) -> Answer:
        number = project["id"]
        if method == "DELETE":
            shutil.rmtree(self.repository(number))
            del self.projects[number], self.collections[number], self.singles[number]
            return 202, {"message": "202 Accepted"}
        if method == "PUT":
            claims = given.get("ci_id_token_sub_claim_components", ["project_path"])
            if claims[0] != "project_path" or not set(claims) <= CLAIMS:  # projects: must start with project_path
                return 400, {"message": {"ci_cd_settings.id_token_sub_claim_components": ["is invalid"]}}
            branch = given.get("default_branch")
            if branch and not self.git(number, "rev-parse", "--verify", f"refs/heads/{branch}"):
                return 400, {"message": {"base": [f"Could not change HEAD: branch '{branch}' does not exist"]}}
            project.update(given)
        return 200, {**project, "empty_repo": not self.git(number, "for-each-ref")}

    def _below(self, method: str, project: dict[str, Any], parts: list[str], given: dict[str, Any]) -> Answer:
        number, name = project["id"], parts[0]
        if name == "share":
            project["shared_with_groups"].append({"group_id": given["group_id"]})
            return 201, {"id": 1}
        if name == "repository":
            sha = self.git(number, "rev-parse", parts[2])
            return (200, {"id": sha}) if sha else (404, {"message": "404 Commit Not Found"})
        if name == "ci":
            return 200, {"valid": not self.lint_errors, "errors": self.lint_errors, "warnings": []}
        if name in ("approvals", "push_rule"):
            if method != "GET":
                exists = name in self.singles[number] or name == "approvals"
                if exists == (method == "POST" and name == "push_rule"):
                    return 422, {"error": "Project push rule exists" if exists else "404 Not Found"}
                self.singles[number].setdefault(name, {}).update(given)
            return 200, self.singles[number].get(name, {} if name == "approvals" else None)
        return self._collection(method, number, name, parts[1:], given)

    def _collection(self, method: str, number: int, name: str, one: list[str], given: dict[str, Any]) -> Answer:
        items = self.collections[number][name]
        keys, address = IDENTITY[name]
        if not one and method == "GET":
            hidden = {"inputs", "variables"} if name == "pipeline_schedules" else set()
            return 200, [self._shown(name, {k: v for k, v in item.items() if k not in hidden}) for item in items]
        if method == "POST":
            return self._create(number, name, keys, given)
        found = [item for item in items if str(item[address]) == one[0]]
        scope = given.pop("filter", {}).get("environment_scope")
        if scope:
            found = [item for item in found if item["environment_scope"] == scope]
        if not found:
            return 404, {"message": "404 Not Found"}
        if len(found) > 1:  # project_level_variables: "The filter parameter"
            return 409, {"message": "There are multiple variables with provided parameters. Please use 'filter'"}
        if method == "DELETE":
            items.remove(found[0])
            return 204, None
        if method == "PUT":
            found[0].update(given)
        return 200, self._shown(name, found[0])

    def _create(self, number: int, name: str, keys: tuple[str, ...], given: dict[str, Any]) -> Answer:
        item = {**({"environment_scope": "*", **NEW_VARIABLE} if name == "variables" else {}), **given}
        identity = [item.get(key) for key in keys]
        if keys != ("id",) and identity in [[i.get(key) for key in keys] for i in self.collections[number][name]]:
            return (400 if name == "variables" else 409), {"message": f"{identity} has already been taken"}
        if name == "protected_branches":
            made = self.protect(number, item["name"], item["push_access_level"], item["merge_access_level"])
            if self.tier == PREMIUM:
                made["code_owner_approval_required"] = item.get("code_owner_approval_required", False)
            return 201, made
        if refusal := self._complete(number, name, item):
            return 400, {"message": refusal}
        return 201, self._shown(name, self.add(number, name, **item))

    def _complete(self, number: int, name: str, item: dict[str, Any]) -> dict[str, Any]:
        """Puts in what GitLab puts in; the answer is why it refuses, if it does."""
        if name == "variables" and item["masked"] and not re.fullmatch(r"\S{8,}", item["value"]):
            return {"value": ["is invalid"]}  # ci/variables: "Mask a CI/CD variable"
        if name == "protected_tags":
            item["create_access_levels"] = [{"access_level": item.pop("create_access_level", 40)}]
        if name == "protected_environments":
            # protected_environments: "each group must have this project shared"; others are left out without a word
            groups = [] if self.drops_groups else self.projects[number]["shared_with_groups"]
            shared = [None, *(group["group_id"] for group in groups)]
            nobody = {"user_id": None, "group_id": None, "access_level": None}
            rules = item.get("approval_rules", [])
            item["approval_rules"] = [{**nobody, **rule} for rule in rules if rule.get("group_id") in shared]
        if name == "pipeline_schedules":
            if not self.git(number, "rev-parse", "--verify", f"refs/heads/{item['ref']}"):
                return {"ref": ["is ambiguous"]}  # pipeline_schedules: short refs are expanded
            item["ref"] = f"refs/heads/{item['ref']}"
        if name == "triggers":
            item |= {"token": f"glptt-{secrets.token_hex(20)}", "owner": {"id": self.user}}
        return {}

    def _shown(self, name: str, item: dict[str, Any]) -> dict[str, Any]:
        """pipeline_triggers: the token is "displayed in full if the trigger token was created by the user"."""
        if name == "triggers" and item["owner"]["id"] != self.user:
            return {**item, "token": item["token"][:4]}
        return item

    def pushed(self, full_path: str) -> None:
        """A first push names the default branch, and protects it as the instance does by default."""
        number, project = next((n, p) for n, p in self.projects.items() if p["path_with_namespace"] == full_path)
        if project["default_branch"] is None and self.git(number, "for-each-ref"):
            project["default_branch"] = "main"
            if "main" not in [item["name"] for item in self.collections[number]["protected_branches"]]:
                self.protect(number, "main", push=40, merge=40)


class Handler(BaseHTTPRequestHandler):
    """One call: to the API, or to git."""

    fake: FakeGitLab

    def log_message(self, *_: object) -> None:
        """Nothing: the tests look at answers and state."""

    def do_GET(self) -> None:
        fake, address = self.fake, urlsplit(self.path)
        body = read_body(self)
        if fake.always:
            return self.reply(fake.always[0], fake.always[1].encode())
        if fake.limited > 0:  # rest: "429 Too Many Requests", with Retry-After
            fake.limited -= 1
            return self.reply(429, b'{"message": "429 Too Many Requests"}', {"Retry-After": "1"})
        is_git, read_only = ".git/" in address.path, self.command == "GET"
        if not self.is_known(is_git):
            return self.reply(401, b'{"message": "401 Unauthorized"}', {"WWW-Authenticate": 'Basic realm="GitLab"'})
        writes = address.path.endswith("/git-receive-pack") if is_git else not read_only
        if writes:
            fake.writes.append(f"{self.command} {address.path}")
            if len(fake.writes) == fake.fail_before:
                return self.reply(500, b'{"message": "500 Internal Server Error"}')
        dies = writes and len(fake.writes) == fake.die_after
        if is_git:
            status, content, headers = self.git(address.path, address.query, body)
        else:
            status, content, headers = self.api(address.path, address.query, body)
        if writes and fake.at_write:
            fake.at_write(len(fake.writes))
        if dies:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return None
        return self.reply(status, content, headers)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server looks for

    def is_known(self, is_git: bool) -> bool:
        """Whether the call carries the token: as a header, for git as a password."""
        if not is_git:
            return self.headers.get("PRIVATE-TOKEN") == TOKEN
        _, _, coded = self.headers.get("Authorization", "").partition("Basic ")
        return b64decode(coded).decode().partition(":")[2] == TOKEN

    def api(self, path: str, query: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """A call to the API; lists come in pages (rest: "Offset-based pagination")."""
        given: dict[str, Any] = json.loads(body or b"{}")
        for name, (value, *_) in parse_qs(query).items():
            outer, _, inner = name.rstrip("]").partition("[")
            given[outer] = {inner: value} if inner else value
        page = int(given.get("page", 1))
        status, content = self.fake.answer(self.command, path.removeprefix("/api/v4"), given)
        headers = {"Content-Type": "application/json"}
        if isinstance(content, list):
            size = self.fake.page_size
            if len(content) > page * size:
                headers["Link"] = f'<{self.fake.url}{path}?page={page + 1}>; rel="next"'
            content = content[(page - 1) * size : page * size]
        return status, b"" if status == 204 else json.dumps(content).encode(), headers

    def git(self, path: str, query: str, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """A call of git, answered by git's own server."""
        done = subprocess.run(
            ["git", "-c", f"safe.directory={self.fake.folder}", "http-backend"],
            input=body,
            env={
                **os.environ,
                "GIT_PROJECT_ROOT": str(self.fake.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "oauth2",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
            capture_output=True,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        if path.endswith("/git-receive-pack"):
            self.fake.pushed(path.strip("/").removesuffix(".git/git-receive-pack"))
        return int(headers.pop("Status", "200")[:3]), content, headers

    def reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def running(certificate: ssl.SSLContext | None = None) -> Iterator[FakeGitLab]:
    """A fake on a free port of this machine; over TLS when given a certificate."""
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeGitLab(Path(folder))
        handler = type("BoundHandler", (Handler,), {"fake": fake})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if certificate:
            server.socket = certificate.wrap_socket(server.socket, server_side=True)
        fake.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
