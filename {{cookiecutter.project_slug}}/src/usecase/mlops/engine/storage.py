"""Objects on disk: where a URI lies, what it holds, and the step cache.

Everything lies under one folder (`.local`): objects in s3/<bucket>/<key>, cache entries in cache/. An object and an
entry appear under their name only when they are complete: they are written elsewhere on the same disk and renamed.
"""

import hashlib
import json
import math
import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, write_json

COPY_LIMIT = 64 * 2**20  # bytes; a job gets its own copy of a smaller input file and a link to a larger one
MEMO_MINIMUM = 2**20  # bytes; hashing a smaller file costs no more than remembering it
MEMO_QUIET_SECONDS = 2  # a file changed this lately may change again within one tick of the file system's clock


def files(root: Path) -> Iterator[tuple[str, Path]]:
    """(path below `root`, file) of all files, sorted; of a file: (its name, itself). Bytecode is left out.

    Raises UserError for what is neither file nor folder, and for a folder that contains itself through a link.
    """
    if not root.is_dir():
        yield root.name, root
        return
    yield from _files(root, "", (os.path.realpath(root),))


def _files(folder: Path, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, Path]]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name == "__pycache__" or entry.name.endswith(".pyc"):
            continue
        path = folder / entry.name
        if entry.is_dir():
            real = os.path.realpath(path)
            if real in above:
                raise UserError(f"{path}: links to a folder that it lies in")
            yield from _files(path, f"{prefix}{entry.name}/", (*above, real))
        elif entry.is_file():
            yield prefix + entry.name, path
        else:
            raise UserError(f"{path}: neither a file nor a folder (a broken link, a socket or a pipe)")


def read_json(path: Path) -> Any:
    """The content of a file written by this engine; None when it is missing or was damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


class Store:
    """Maps URIs to local paths and hashes what lies there.

    `mounts` maps the URIs of what the user owns (data, contract, code) to real files and folders; every other s3:// URI
    lies in <root>/s3.
    """

    def __init__(self, root: Path, mounts: Mapping[str, Path]) -> None:
        self._objects = root / "s3"
        self._mounts = {uri.rstrip("/"): path.absolute() for uri, path in mounts.items()}
        self._memo_file = root / "cache" / "digests.json"
        self._memo: dict[str, list[Any]] = read_json(self._memo_file) or {}
        self._memo_changed = False
        self._known: dict[Path, str] = {}  # of objects, which never change once they are published
        self._lock = threading.Lock()

    def path(self, uri: str) -> Path:
        """Where `uri` lies, whether or not there is something. Raises UserError when it is no such place."""
        uri = uri.rstrip("/")
        for mounted, path in self._mounts.items():
            if uri == mounted:
                return path
            if uri.startswith(mounted + "/"):
                return self._below(path, uri[len(mounted) + 1 :], uri)
        if not uri.startswith("s3://") or uri == "s3:/":
            raise UserError(f"{uri}: neither an s3:// URI nor one of: {', '.join(self._mounts) or 'no mounts'}")
        return self._below(self._objects, uri.removeprefix("s3://"), uri)

    def is_mount(self, uri: str) -> bool:
        """Whether the user owns what lies at `uri`, so that it can change while a job reads it."""
        return not self.path(uri).is_relative_to(self._objects)

    def digest(self, uri: str) -> str:
        """A hash of the names and contents at `uri`. Raises UserError when there are no files."""
        path = self.path(uri)
        if path not in self._known:
            digest = self.digest_path(path, uri)
            if self.is_mount(uri):
                return digest
            self._known[path] = digest
        return self._known[path]

    def digest_path(self, path: Path, label: str) -> str:
        """Like `digest`, of a path; `label` names it in the error."""
        if not path.exists():
            raise UserError(f"{label}: no such file or folder ({path})")
        listing = [f"{name}\0{self._file_digest(file)}\n" for name, file in files(path)]
        if not listing:
            raise UserError(f"{label}: holds no files ({path})")
        return hashlib.sha256("".join(listing).encode()).hexdigest()

    def provide(self, uri: str, target: Path, *, link: bool = False) -> bool:
        """Puts what lies at `uri` into the folder `target`, for a job to read; `link` shows the folder itself.

        Returns whether there are links, through which the job could write to what lies at `uri`.
        """
        source = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        if link and source.is_dir() and _linked(source, target):
            return True
        linked = False
        for name, file in files(source):
            destination = target / name
            destination.parent.mkdir(parents=True, exist_ok=True)
            if file.stat().st_size > COPY_LIMIT and _linked(file, destination):
                linked = True
            else:
                shutil.copy(file, destination)
        return linked

    def publish(self, source: Path, uri: str) -> str:
        """Moves the folder `source` to `uri` at once; returns its digest. Raises UserError when it holds no files."""
        digest = self.digest_path(source, uri)
        if any(path.is_symlink() for path in source.rglob("*")):
            # a link into the job's sandbox or to its input would point nowhere later
            resolved = source.with_name(f"{source.name}.resolved")
            source = shutil.copytree(source, resolved)
        target = self.path(uri)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(source.with_name(f"{source.name}.replaced"))
        source.rename(target)
        self._known[target] = digest
        return digest

    def remove(self, uri: str) -> None:
        """Deletes an object that lies in <root>/s3, and the folders that this empties."""
        path = self.path(uri)
        if not path.is_relative_to(self._objects):
            return
        shutil.rmtree(path, ignore_errors=True)
        for parent in path.parents:
            if parent == self._objects or not parent.is_dir() or any(parent.iterdir()):
                break
            parent.rmdir()

    def save_memo(self) -> None:
        """Keeps the hashes of large files for the next run."""
        if self._memo_changed:
            write_json(self._memo_file, {path: memo for path, memo in self._memo.items() if os.path.exists(path)})

    def _file_digest(self, file: Path) -> str:
        status = file.stat()
        if status.st_size < MEMO_MINIMUM:
            return file_sha256(file)
        # The change time is the one that no program can set: copying with times kept, or `touch`, moves it.
        signature = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        memo = self._memo.get(str(file))
        if memo and memo[0] == signature:
            return str(memo[1])
        hashed_at = time.time()
        digest = file_sha256(file)
        if hashed_at - max(status.st_mtime, status.st_ctime) > MEMO_QUIET_SECONDS:
            with self._lock:
                self._memo[str(file)] = [signature, digest]
                self._memo_changed = True
        return digest

    @staticmethod
    def _below(base: Path, key: str, uri: str) -> Path:
        parts = PurePosixPath(key).parts
        if ".." in parts or not parts or parts[0] == "/":
            raise UserError(f"{uri}: leaves its bucket")
        return base.joinpath(*parts)


def _linked(file: Path, destination: Path) -> bool:
    try:
        destination.symlink_to(file)
    except OSError:  # a file system or a Windows account without links
        return False
    return True


@dataclass(frozen=True)
class CacheEntry:
    """A finished step: its properties, and the digest of each of its outputs by URI."""

    properties: Mapping[str, Any]
    outputs: Mapping[str, str]


class StepCache:
    """Results of earlier steps, found by what the step could see.

    `released` holds the URIs of outputs that an entry held which is replaced or has expired: nobody may need them.
    """

    def __init__(self, root: Path, store: Store) -> None:
        self._folder = root / "cache"
        self._store = store
        self.released: set[str] = set()

    def find(self, key: str, max_age: float) -> CacheEntry | None:
        """The entry for `key` if it is younger than `max_age` seconds and its outputs are there, unchanged."""
        content = read_json(self._path(key))
        try:
            if time.time() - content["created"] > max_age:
                return None
            entry = CacheEntry(content["properties"], content["outputs"])
            intact = all(self._store.digest(uri) == digest for uri, digest in entry.outputs.items())
        except (KeyError, TypeError, AttributeError, UserError, OSError):
            return None  # a damaged entry or a lost output costs a rerun, nothing more
        return entry if intact else None

    def add(self, key: str, entry: CacheEntry, max_age: float) -> None:
        """Keeps `entry`; all its outputs must be complete."""
        self.released |= _held(read_json(self._path(key)))
        created = time.time()
        content = {
            "created": created,
            "expires": None if max_age == math.inf else created + max_age,
            "properties": entry.properties,
            "outputs": entry.outputs,
        }
        write_json(self._path(key), content)

    def prune(self) -> set[str]:
        """Deletes the entries that have expired; returns the URIs of the outputs that the others point at."""
        kept: set[str] = set()
        for path in self._folder.glob("step-*.json"):
            content = read_json(path)
            expires = content.get("expires") if isinstance(content, dict) else 0
            if expires is not None and expires < time.time():
                self.released |= _held(content)
                path.unlink(missing_ok=True)
            else:
                kept |= _held(content)
        return kept

    def _path(self, key: str) -> Path:
        return self._folder / f"step-{key}.json"


def _held(content: Any) -> set[str]:
    """The URIs in the content of an entry; none when that was damaged."""
    outputs = content.get("outputs") if isinstance(content, dict) else None
    return set(outputs) if isinstance(outputs, dict) else set()
