"""Files that others read while they are written."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from usecase.mlops.files import file_sha256, write_json


def test_json_is_written_whole_into_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new/file.json"
    write_json(path, {"a": [1, None], "ü": 0.1})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": [1, None], "ü": 0.1}
    assert path.read_text(encoding="utf-8").endswith("}\n")
    assert os.listdir(path.parent) == ["file.json"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_json(path, "old")
    with pytest.raises(TypeError):
        write_json(path, {"path": path})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_json(path, "new")
    assert json.loads(path.read_text(encoding="utf-8")) == "old"
    assert os.listdir(tmp_path) == ["file.json"]


def test_the_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    content = os.urandom(2**20 + 1)
    (tmp_path / "f").write_bytes(content)
    assert file_sha256(tmp_path / "f") == hashlib.sha256(content).hexdigest()
