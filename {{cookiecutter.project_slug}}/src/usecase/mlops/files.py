"""Files that are read while others write them: JSON that is never half-written, and what a file holds as a checksum."""

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any


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
