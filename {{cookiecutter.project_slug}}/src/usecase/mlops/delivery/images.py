"""Copies a container image from one registry to another, layer by layer, so that its digest stays the same.

Speaks the OCI distribution specification (https://github.com/opencontainers/distribution-spec), as the registries of
GitLab and ECR do: no container engine is needed, and nothing is built anew.
"""

import base64
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import urljoin

import boto3
import requests

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.images import DOCKER
from usecase.mlops.errors import UserError

OCI = "application/vnd.oci.image.manifest.v1+json"
INDEXES = ("application/vnd.docker.distribution.manifest.list.v2+json", "application/vnd.oci.image.index.v1+json")
TIMEOUT_SECONDS = 60
CHUNK = 2**20  # bytes
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Repository:
    """A repository of images by its address without a scheme, and the user's name and password there."""

    address: str
    user: str
    password: str
    scheme: str = "https"
    _session: requests.Session = field(default_factory=requests.Session, repr=False)

    @classmethod
    def of_ecr(cls, connection: boto3.Session, address: str) -> "Repository":
        """One in ECR, for the role of a session. Raises UserError."""
        with explained(f"ECR {address}"):
            answer = connection.client("ecr").get_authorization_token()
        user, _, password = (
            base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode().partition(":")
        )
        return cls(address, user, password)

    def manifest(self, reference: str) -> tuple[bytes, str] | None:
        """Manifest and its media type, by tag or digest; None when there is none. Raises UserError."""
        accept = {"Accept": ", ".join([DOCKER, OCI, *INDEXES])}
        answer = self._call("GET", f"manifests/{reference}", headers=accept, fine=(200, 404))
        return None if answer.status_code == 404 else (answer.content, answer.headers["Content-Type"].partition(";")[0])

    def has_blob(self, digest: str) -> bool:
        """Whether a layer is there already. Raises UserError."""
        return self._call("HEAD", f"blobs/{digest}", fine=(200, 404), allow_redirects=True).status_code == 200

    @contextmanager
    def blob(self, digest: str) -> Iterator[IO[bytes]]:
        """A layer as a file, once its hash was compared. Raises UserError."""
        answer = self._call("GET", f"blobs/{digest}", stream=True)
        hashed = hashlib.sha256()
        with tempfile.TemporaryFile() as file:
            for chunk in answer.iter_content(CHUNK):
                hashed.update(chunk)
                file.write(chunk)
            if f"sha256:{hashed.hexdigest()}" != digest:
                raise UserError(f"{self.address}: layer {digest} is not what it says: nothing was copied")
            file.seek(0)
            yield file

    def put_blob(self, digest: str, content: IO[bytes]) -> None:
        """Add a layer. Raises UserError."""
        begun = self._call("POST", "blobs/uploads/", fine=(202,))
        place = urljoin(begun.url, begun.headers["Location"])
        octets = {"Content-Type": "application/octet-stream"}
        sent = self._call("PATCH", place, fine=(202, 201), data=content, headers=octets)
        place = urljoin(sent.url, sent.headers.get("Location", place))
        self._call("PUT", place, fine=(201,), params={"digest": digest})

    def put_manifest(self, reference: str, content: bytes, media_type: str) -> None:
        """Add an image whose layers are there. Raises UserError."""
        self._call("PUT", f"manifests/{reference}", fine=(201,), data=content, headers={"Content-Type": media_type})

    def _call(self, method: str, path: str, fine: tuple[int, ...] = (200,), **more: Any) -> requests.Response:
        host, _, name = self.address.partition("/")
        url = path if "://" in path else f"{self.scheme}://{host}/v2/{name}/{path}"
        try:
            answer = self._send(method, url, **more)
            if answer.status_code == 401 and answer.headers.get("WWW-Authenticate", "").lower().startswith("bearer"):
                self._log_in(dict(_CHALLENGE.findall(answer.headers["WWW-Authenticate"])))
                if hasattr(more.get("data"), "seek"):
                    more["data"].seek(0)
                answer = self._send(method, url, **more)
        except requests.RequestException as error:
            raise UserError(f"image registry {host}: cannot be reached ({' '.join(str(error).split())})") from None
        if answer.status_code not in fine:
            said = " ".join(answer.text.split())[:200] if method != "HEAD" else ""
            raise UserError(
                f"image registry {host}: {method} of {name} is answered {answer.status_code} {said}".rstrip()
            )
        return answer

    def _send(self, method: str, url: str, **more: Any) -> requests.Response:
        if "Authorization" not in self._session.headers:
            self._session.auth = (self.user, self.password)
        return self._session.request(method, url, timeout=TIMEOUT_SECONDS, **more)

    def _log_in(self, challenge: Mapping[str, str]) -> None:
        """The token for a short while that a registry such as GitLab's asks for."""
        wanted = {key: value for key, value in challenge.items() if key in ("service", "scope")}
        answer = requests.get(
            challenge["realm"], params=wanted, auth=(self.user, self.password), timeout=TIMEOUT_SECONDS
        )
        if answer.status_code != 200:
            raise UserError(f"{self.address}: user {self.user!r} is refused ({answer.status_code})")
        token = answer.json().get("token") or answer.json().get("access_token")
        self._session.auth = None
        self._session.headers["Authorization"] = f"Bearer {token}"


def copy_image(source: Repository, reference: str, target: Repository, tag: str) -> str:
    """Copy the image with a tag or digest, and return its digest. What is there is not sent again. Raises UserError."""
    found = source.manifest(reference)
    if found is None:
        raise UserError(f"{source.address}: has no image {reference}")
    content, media_type = found
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if reference.startswith("sha256:") and reference != digest:
        raise UserError(f"{source.address}: image {reference} is not what it says: nothing was copied")
    if media_type in INDEXES:
        raise UserError(f"{source.address}: {reference} is a list of images: build it for one platform")
    if target.manifest(digest) is not None:
        return digest
    manifest = json.loads(content)
    for part in [manifest["config"], *manifest["layers"]]:
        if not target.has_blob(part["digest"]):
            with source.blob(part["digest"]) as layer:
                target.put_blob(part["digest"], layer)
    target.put_manifest(tag, content, media_type)
    return digest
