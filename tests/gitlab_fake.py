"""A GitLab that answers the few calls of tools/gitlab_setup.py over HTTP, keeps state, and fails when told to.

Behaviour follows the pages below https://docs.gitlab.com/api/: projects, groups, protected_branches.
"""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "glpat-only-for-tests"
# What a new project has on an instance that nobody changed.
NEW_PROJECT: dict[str, Any] = {
    "default_branch": None,
    "empty_repo": True,
    "visibility": "private",
    "description": None,
    "merge_method": "merge",
    "squash_option": "default_off",
    "only_allow_merge_if_pipeline_succeeds": False,
    "only_allow_merge_if_all_discussions_are_resolved": False,
    "remove_source_branch_after_merge": False,
}


@dataclass
class FakeGitLab:
    """State of the instance and how it misbehaves."""

    url: str = ""
    groups: dict[str, int] = field(default_factory=lambda: {"data-science/models": 7})
    projects: dict[int, dict[str, Any]] = field(default_factory=dict)
    branches: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)
    writes: list[str] = field(default_factory=list)
    fail_before: int | None = None  # the write of this number is refused with status 500
    die_after: int | None = None  # the write of this number is done, but its answer never arrives
    always: tuple[int, str] | None = None  # every call is answered with this status and body

    def state(self) -> dict[str, Any]:
        """Everything a user could see, without the counters."""
        return json.loads(json.dumps({"projects": self.projects, "branches": self.branches}))  # type: ignore[no-any-return]

    def add_project(self, full_path: str, /, **attributes: Any) -> dict[str, Any]:
        """Makes a project as a new one is, but for `attributes`."""
        number = len(self.projects) + 1
        host = urlsplit(self.url).netloc
        self.projects[number] = {
            **NEW_PROJECT,
            "id": number,
            "name": full_path,
            "path_with_namespace": full_path,
            # Some instances put a user into the clone URL.
            "http_url_to_repo": f"http://user@{host}/{full_path}.git",
            **attributes,
        }
        self.branches[number] = {}
        return self.projects[number]

    def protect(self, number: int, name: str, push: int, merge: int) -> dict[str, Any]:
        """Protects branch `name` of project `number` with these access levels."""
        self.branches[number][name] = {
            "id": 1,
            "name": name,
            "push_access_levels": [{"access_level": push}],
            "merge_access_levels": [{"access_level": merge}],
            "allow_force_push": False,
        }
        return self.branches[number][name]

    def answer(self, method: str, parts: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        """Status and body of a call to /api/v4/`parts`."""
        if parts[0] == "groups":
            number = self.groups.get(parts[1])
            return (200, {"id": number, "full_path": parts[1]}) if number else (404, {"message": "404 Group Not Found"})
        if parts == ["projects"] and method == "POST":
            group = next(path for path, number in self.groups.items() if number == body["namespace_id"])
            path = f"{group}/{body['path']}"
            if any(project["path_with_namespace"] == path for project in self.projects.values()):
                return 400, {"message": {"path": ["has already been taken"]}}
            return 201, self.add_project(path, **body)
        project = next(
            (p for p in self.projects.values() if parts[1] in (str(p["id"]), p["path_with_namespace"])), None
        )
        if project is None:
            return 404, {"message": "404 Project Not Found"}
        if len(parts) == 2:
            if method == "PUT":
                project.update(body)
            return 200, project
        return self._protected_branches(method, project["id"], parts[3:], body)

    def _protected_branches(self, method: str, number: int, name: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        branches = self.branches[number]
        if method == "GET":
            return 200, list(branches.values())
        if method == "DELETE":
            del branches[name[0]]
            return 204, None
        if body["name"] in branches:
            return 409, {"message": f"Protected branch '{body['name']}' already exists"}
        return 201, self.protect(number, body["name"], body["push_access_level"], body["merge_access_level"])


@contextmanager
def running(certificate: ssl.SSLContext | None = None) -> Iterator[FakeGitLab]:
    """A fake on a free port of this machine; over TLS when given a certificate."""
    fake = FakeGitLab()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            parts = [unquote(part) for part in urlsplit(self.path).path.split("/")[3:]]
            writes = self.command != "GET"
            if fake.always:
                return self.reply(fake.always[0], fake.always[1].encode())
            if self.headers.get("PRIVATE-TOKEN") != TOKEN:
                return self.reply(401, b'{"message": "401 Unauthorized"}')
            if writes:
                fake.writes.append(f"{self.command} {'/'.join(parts)}")
            if writes and len(fake.writes) == fake.fail_before:
                return self.reply(500, b'{"message": "500 Internal Server Error"}')
            status, content = fake.answer(self.command, parts, body)
            if writes and len(fake.writes) == fake.die_after:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return None
            return self.reply(status, b"" if content is None else json.dumps(content).encode())

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that http.server looks for

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        server.socket = certificate.wrap_socket(server.socket, server_side=True)
    fake.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
