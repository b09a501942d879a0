"""manifest.json of a model folder: the SHA-256 of every file that Train wrote, compared before the model answers."""

import json
from pathlib import Path

from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, write_json

FILE_NAME = "manifest.json"
VERSION_DIGITS = 12


def write_manifest(folder: Path) -> None:
    """Write manifest.json for the files that lie in `folder` now."""
    write_json(folder / FILE_NAME, {"files": {name: file_sha256(folder / name) for name in _files(folder)}})


def check_manifest(folder: Path, nothing_else: bool = False) -> str:
    """The short name of what the manifest lists, once each file is as listed. Raises UserError.

    `nothing_else`: a file that is not listed is an error, too, also one that Python has compiled: it could be anything.
    A folder without one, as older versions of Train left it, is named `unknown`.
    """
    file = folder / FILE_NAME
    if not file.exists():
        return "unknown"
    try:
        listed = dict(json.loads(file.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{file}: cannot be read: unpack the model archive again") from None
    for name, digest in listed.items():
        path = folder / name
        if not path.is_file():
            raise UserError(f"{path}: no such file: the model was not trained here, or its archive is incomplete")
        if file_sha256(path) != digest:
            raise UserError(f"{path}: is not the file that Train wrote: its checksum differs from {FILE_NAME}")
    if nothing_else and (others := set(_files(folder)) - set(listed)):
        raise UserError(f"{folder / min(others)}: is not listed in {FILE_NAME}: Train did not write it")
    return file_sha256(file)[:VERSION_DIGITS]


def _files(folder: Path) -> list[str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return [name for path in found if (name := path.relative_to(folder).as_posix()) != FILE_NAME]
