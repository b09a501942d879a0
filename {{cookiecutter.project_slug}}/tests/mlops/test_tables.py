"""Files as other people send them: what is fine, and what is refused with one clear line."""

import gzip
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from usecase.mlops.errors import UserError
from usecase.mlops.tables import PIECE_BYTES, read_batches, read_pieces, read_table

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


# A line end, a quote and a character of two bytes at every distance from the edge of a piece.
RECORDS = "".join(f'{i},"line {i}\nsecond ""line"", é",{"x" * (i % 7)}\n' for i in range(30))


@pytest.mark.parametrize("piece_bytes", [*range(40, 60), 200, PIECE_BYTES])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_csv_in_pieces_is_the_whole_csv(tmp_path: Path, piece_bytes: int, line_end: str, zipped: bool) -> None:
    text = ("\ufeffa,b,c\n" + RECORDS.rstrip("\n")).replace("\n", line_end)
    (tmp_path / "data.csv").write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    pieces = list(read_pieces(tmp_path / "data.csv", piece_bytes))
    assert (len(pieces) > 4) == (piece_bytes < 1000)
    assert [piece.first_row for piece in pieces] == [
        1 + sum(piece.rows.height for piece in pieces[:i]) for i in range(len(pieces))
    ]
    rows = pl.concat(piece.rows for piece in pieces)
    assert rows.rows() == [(str(i), f'line {i}{line_end}second "line", é', "x" * (i % 7) or None) for i in range(30)]


NUMBERS = {"whole": pl.Int64(), "number": pl.Float64(), "other": pl.Float64()}


@given(
    st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(-1e300, 1e300)), min_size=1),
    st.sampled_from(["{}", "{:e}", "{:.17g}", "{:+f}"]),
)
def test_numbers_are_the_same_read_at_once_or_from_text(pairs: list[tuple[int, float]], pattern: str) -> None:
    text = "whole,number\n" + "".join(f"{whole},{pattern.format(number)}\n" for whole, number in pairs)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "data.csv").write_text(text)
        (at_once,) = read_pieces(Path(folder) / "data.csv", numbers=NUMBERS)
        words = read_table(Path(folder) / "data.csv")
    assert at_once.rows.schema == {"whole": pl.Int64(), "number": pl.Float64()}
    assert at_once.rows.equals(words.select(pl.col("whole").cast(pl.Int64), pl.col("number").cast(pl.Float64)))


@pytest.mark.parametrize("cell", ["NA", "-", "1.5", "inf", "nan", "1e400", "99999999999999999999", "1_0", "0x1"])
def test_what_may_be_no_number_is_read_as_text(tmp_path: Path, cell: str) -> None:
    name = "whole" if cell in ("1.5", "99999999999999999999") else "number"
    (tmp_path / "data.csv").write_text(f"{name},b\n1,x\n,x\n{cell},x\n" + "1,x\n" * 20)
    pieces = list(read_pieces(tmp_path / "data.csv", 40, NUMBERS))
    assert len(pieces) > 1
    assert (
        pl.concat(piece.rows for piece in pieces).rows() == [("1", "x"), (None, "x"), (cell, "x")] + [("1", "x")] * 20
    )


@pytest.mark.parametrize("content", [b"a,b\r" + b"1,x\r" * 99, b"\n\na,b\n\n" + b"1,x\n\n" * 99])
def test_old_line_ends_and_blank_lines_in_pieces(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.csv").write_bytes(content)
    batches = list(read_batches(tmp_path / "data.csv", 50))
    assert len(batches) > 5
    assert pl.concat(batches).rows() == [("1", "x")] * 99


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"2,y,z\n", "line 204 has 3 cells, the header has 2"),
        (b"2,\xe9\n", "line 204 is not UTF-8"),
        (b'2,"y\n', "line 204 opens a quote that is never closed"),
        (b'"2",y\n\n', "line 205 is blank: take it out"),
        (b'2,5" pipe\n', "line 204 "),
    ],
)
@pytest.mark.parametrize("piece_bytes", [30, 100, PIECE_BYTES])
@pytest.mark.parametrize("end", [b"1,x\n" * 300, b'1,"x"\n' * 300, b""])
def test_lines_are_counted_over_pieces(tmp_path: Path, line: bytes, says: str, piece_bytes: int, end: bytes) -> None:
    (tmp_path / "data.csv").write_bytes(b"\n\na,b\n" + b"1,x\n" * 200 + line + end)
    with pytest.raises(UserError, match=f"data.csv: {says}"):
        list(read_batches(tmp_path / "data.csv", piece_bytes))


def test_a_record_without_an_end_is_not_kept_in_memory(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"a,b\n1,x\n2," + b"y" * 1000)
    with pytest.raises(UserError, match="line 3 never ends"):
        list(read_batches(tmp_path / "data.csv", 50))


@pytest.mark.parametrize("cut", [40, 200, -4])
def test_damage_behind_the_first_piece_is_seen(tmp_path: Path, cut: int) -> None:
    rows = pl.DataFrame({"a": range(5000), "b": [f"text {i * i}" for i in range(5000)]})
    file = tmp_path / "data.csv.gz"
    file.write_bytes(gzip.compress(rows.write_csv().encode())[:cut])
    with pytest.raises(UserError, match="the gzip file is damaged"):
        list(read_batches(file, 1000))


@pytest.mark.parametrize("row_group_size", [700, 10**6])
def test_parquet_in_slices(tmp_path: Path, row_group_size: int) -> None:
    rows = pl.DataFrame({"a": range(30_000), "b": [f"text {i}" for i in range(30_000)]})
    rows.write_parquet(tmp_path / "data.parquet", row_group_size=row_group_size)
    pieces = list(read_pieces(tmp_path / "data.parquet", 100_000))
    assert len(pieces) > 3
    assert max(piece.rows.estimated_size() for piece in pieces[1:]) < 200_000
    assert [piece.first_row for piece in pieces][1] == pieces[0].rows.height + 1
    assert pl.concat(piece.rows for piece in pieces).equals(rows)
    assert read_table(tmp_path / "data.parquet").equals(rows)


def test_files_with_other_types_are_refused_together(tmp_path: Path) -> None:
    pl.DataFrame({"a": [True], "b": [1]}).write_parquet(tmp_path / "1.parquet")
    pl.DataFrame({"a": [datetime(2024, 1, 1)], "b": [1.5]}).write_parquet(tmp_path / "2.parquet")
    with pytest.raises(UserError, match="files hold other types in one column"):
        read_table(tmp_path)


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
        ("data.csv", b'a,b\n1,5" pipe\n2,6" pipe\n', "line 2 holds a single quote"),
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
