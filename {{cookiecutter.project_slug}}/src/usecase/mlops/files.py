"""Files: JSON that is never half-written, what a file holds as a checksum, and paths that a person has given."""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from usecase.mlops.errors import UserError

TABLES = (".csv", ".csv.gz", ".parquet")


def write_json(path: Path, content: Any) -> None:
    """Writes `content` as JSON; a reader sees the old file or the new one, never a part.

    Makes the folder. Raises OSError, and TypeError or ValueError for what JSON cannot hold; `path` is then as before.
    """
    text = json.dumps(content, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """SHA-256 of the bytes of a file, as 64 hex digits; a large file is read in pieces. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def table_or_folder(path: Path) -> Path:
    """`path`, which a table of rows can be read from by its name. Raises UserError."""
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.is_file() and not path.name.lower().endswith(TABLES):
        raise UserError(f"{path}: give a file that ends in {', '.join(TABLES)}, or a folder of them")
    return path


def output_folder(path: Path) -> Path:
    """`path`, which is a folder or can be made one. Raises UserError."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise UserError(f"{there}: is a file: give a folder")
    return path
