"""Files that others read while they are written."""

import hashlib
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from usecase.mlops.cli import app
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, output_folder, table_or_folder, write_json


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


def test_results_go_into_a_folder_that_is_there_or_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert output_folder(tmp_path) == tmp_path
    assert output_folder(tmp_path / "new/er") == tmp_path / "new/er"
    for path in ("file", "file/below"):
        with pytest.raises(UserError, match="file: is a file: give a folder"):
            output_folder(tmp_path / path)
    assert os.listdir(tmp_path) == ["file"]


def test_the_name_tells_a_table(tmp_path: Path) -> None:
    for name in ("a.csv", "A.CSV", "a.csv.gz", "a.parquet"):
        (tmp_path / name).write_text("")
        assert table_or_folder(tmp_path / name) == tmp_path / name
    assert table_or_folder(tmp_path) == tmp_path
    (tmp_path / "a.txt").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match=r"a.txt: give a file that ends in .csv, .csv.gz, .parquet, or a folder"):
        table_or_folder(tmp_path / "a.txt")
    with pytest.raises(UserError, match=r"b.csv: no such file"):
        table_or_folder(tmp_path / "b.csv")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("predict --output folder", "folder: is a folder: give a file for the predictions"),
        ("serve --capture rows.txt", "rows.txt: is a file: give a folder"),
        ("batch --input rows.txt --output out", "rows.txt: is no folder: give the one that holds the files"),
        ("batch --input nowhere --output out", "nowhere: is no folder: give the one that holds the files"),
        ("batch --input folder --output rows.txt", "rows.txt: is a file: give a folder"),
        ("contract --data rows.txt --target b", "rows.txt: give a file that ends in"),
    ],
)
def test_commands_tell_a_bad_path_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "rows.txt").write_text("a,b\n1,2\n")
    refused = CliRunner().invoke(app, words.split())
    assert isinstance(refused.exception, UserError)
    assert str(refused.exception).startswith(says)
    assert sorted(os.listdir(tmp_path)) == ["folder", "rows.txt"]
