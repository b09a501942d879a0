"""Git repositories over HTTP, as GitLab serves them: a token for everything, push options taken and written down."""

import base64
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

# Each push is a line: the branch (a minus in front: deleted), then the push options.
HOOK = r"""#!/bin/sh
read -r _ new ref
case "$new" in *[!0]*) ;; *) ref="-$ref" ;; esac
{ echo "$ref"; env | sed -n 's/^GIT_PUSH_OPTION_[0-9]*=//p' | sort; } | paste -s -d ';' >> pushes
"""


@dataclass
class GitServer:
    """`git http-backend` for the bare repositories below `root`."""

    root: Path
    tokens: dict[str, str] = field(default_factory=dict)  # by folder of the repository below the root
    port: int = 0
    users: set[str] = field(default_factory=set)  # who gave the right token

    def url(self, repository: Path) -> str:
        """Address of a repository."""
        return f"http://127.0.0.1:{self.port}/{repository.relative_to(self.root).as_posix()}"

    def bare(self, source: Path, name: str, token: str) -> Path:
        """A bare copy of `source`, which `token` opens; pushes to it are written down in the file `pushes`."""
        folder = self.root / name
        subprocess.run(["git", "clone", "--quiet", "--bare", str(source), str(folder)], check=True)
        for setting in ("http.receivepack", "receive.advertisePushOptions"):
            subprocess.run(["git", "-C", str(folder), "config", setting, "true"], check=True)
        hook = folder / "hooks" / "post-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(HOOK)
        hook.chmod(0o755)
        (folder / "pushes").touch()
        self.tokens[name] = token
        return folder

    def allows(self, path: str, authorization: str) -> bool:
        """Whether the password of a request opens the repository that it asks for."""
        user, _, password = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        allowed = any(path.startswith(f"/{name}/") and password == token for name, token in self.tokens.items())
        if allowed:
            self.users.add(user)
        return allowed


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """The body of a request, in chunks too: so git sends what is larger than its http.postBuffer."""
    if "chunked" not in request.headers.get("Transfer-Encoding", ""):
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    body = b""
    while size := int(request.rfile.readline(), 16):
        body += request.rfile.read(size)
        request.rfile.readline()
    request.rfile.readline()
    return body


@contextmanager
def serving(root: Path) -> Iterator[GitServer]:
    """A server on a free port of this machine."""
    served = GitServer(root)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

        def answer(self) -> None:
            body = read_body(self)
            address = urlsplit(self.path)
            if not served.allows(address.path, self.headers.get("Authorization", "")):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="GitLab"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            variables = {
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "CONTENT_LENGTH": str(len(body)),
                "REQUEST_METHOD": self.command,
                "PATH_INFO": address.path,
                "QUERY_STRING": address.query,
                "REMOTE_USER": "somebody",
            }
            done = subprocess.run(
                ["git", "http-backend"], input=body, env=os.environ | variables, capture_output=True, check=True
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.port = server.server_address[1]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
