"""Files as other people send them: what is fine, and what is refused with one clear line."""

import gzip
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.tables import read_table

ROWS = [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"a,b\n1,x\n2,y\n", id="plain"),
        pytest.param(b"a,b\r\n1,x\r\n2,y\r\n", id="CRLF"),
        pytest.param(b"\xef\xbb\xbfa,b\n1,x\n2,y\n", id="byte-order mark"),
        pytest.param(b"a,b\n1,x\n2,y", id="no newline at the end"),
        pytest.param(b'"a","b"\n"1","x"\n"2","y"\n', id="quoted"),
        pytest.param(b"a,b\r1,x\r2,y\r", id="CR"),
        pytest.param(b"\na,b\n1,x\n\n \n2,y\n\n", id="blank lines"),
        pytest.param(gzip.compress(b"a,b\n1,x\n2,y\n"), id="gzip"),
    ],
)
def test_csv_variants_read_alike(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "path with blanks é.csv"
    file.write_bytes(content)
    assert read_table(file).to_dicts() == ROWS


def test_the_column_without_a_name_is_the_index_of_pandas(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(",a\n0,x\n1,y\n")
    assert read_table(tmp_path / "data.csv").columns == ["row_index", "a"]


def test_parquet_and_folders(tmp_path: Path) -> None:
    pl.DataFrame(ROWS[:1]).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame(ROWS[1:]).select("b", "a").write_parquet(tmp_path / "2.parquet")
    assert read_table(tmp_path).to_dicts() == ROWS


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("data.csv", None, "no such file"),
        ("data.csv", b"", "the file is empty"),
        ("data.csv", b"\n\n", "the file is empty"),
        ("data.csv", b"a,b\n", "has a header but no rows"),
        ("data.csv", b"a;b\n1;x\n", "separated by ';': save the file with commas"),
        ("data.csv", b"a\tb\n1\tx\n", "separated by a tab"),
        ("data.csv", b"a\n1\n", "only one column"),
        ("data.csv", b"a,b,a\n1,x,2\n", "two columns are named 'a'"),
        ("data.csv", b"a,,\n1,x,2\n", "columns 2, 3 have no name"),
        ("data.csv", "a,b\n1,x\n2,é\n".encode("latin-1"), "line 3 is not UTF-8"),
        ("data.csv", "a,b\n1,x\n".encode("utf-16"), "is not text"),
        ("data.csv", b"a,b\n1,x\n2,y,z\n", "line 3 has 3 cells, the header has 2"),
        ("data.csv", b'a,b\n1,x\n2,"y\n3,z\n' * 9, "line 3 opens a quote that is never closed"),
        ("data.csv", b'a,b\n1,"x"\n\n2,y\n', "line 3 is blank"),
        ("data.csv.gz", b"a,b\n1,x\n", "not a gzip file"),
        ("data.csv.gz", gzip.compress(b"a,b\n1,x\n" * 99, mtime=0)[:30], "the gzip file is damaged"),
        ("data.parquet", b"a,b\n1,x\n", "not a Parquet file"),
        ("data.parquet", b"PAR1 this is cut off", "the Parquet file is damaged"),
    ],
)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_table(file)
    assert says in str(error.value)
    assert str(error.value).startswith(str(file))
    assert "\n" not in str(error.value)


def test_nested_parquet_is_refused(tmp_path: Path) -> None:
    pl.DataFrame({"a": [[1], [2]], "b": [1, 2]}).write_parquet(tmp_path / "nested.parquet")
    with pytest.raises(UserError, match=r"column 'a' holds List\(Int64\)"):
        read_table(tmp_path / "nested.parquet")


def test_types_that_only_parquet_has(tmp_path: Path) -> None:
    moment = datetime(2024, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    columns = {
        "category": pl.Series(["x", "y"], dtype=pl.Categorical),
        "price": pl.Series(["1.50", "2"]).cast(pl.Decimal(10, 2)),
        "at": [moment, moment],
        "nothing": pl.Series([None, None], dtype=pl.Null),
    }
    pl.DataFrame(columns).write_parquet(tmp_path / "data.parquet")
    rows = read_table(tmp_path / "data.parquet").to_dicts()
    assert rows[0] == {"category": "x", "price": 1.5, "at": datetime(2024, 1, 1, 10), "nothing": None}


def test_other_files_of_a_folder_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Data")
    with pytest.raises(UserError, match="holds no data file"):
        read_table(tmp_path)
    (tmp_path / "1.csv").write_text("a,b\n1,x\n2,y\n")
    assert read_table(tmp_path).to_dicts() == ROWS


def test_files_of_one_folder_must_agree(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text("a,b\n1,x\n")
    (tmp_path / "2.csv").write_text("a,c\n1,x\n")
    with pytest.raises(UserError, match=r"2\.csv: has other columns than 1\.csv"):
        read_table(tmp_path)
