"""Traffic as it comes: every encoding is read, what is odd is counted by reason and never stops the rest."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import polars as pl
import pytest

from drift.people import CONTRACT, NAMES, lines, record, rows
from usecase.mlops.drift.reader import Batch, Found, ahead, read_traffic
from usecase.mlops.errors import UserError

LINE = next(line for line in lines(20) if ",," not in line)
CELLS = dict(zip(NAMES, LINE.split(","), strict=True))
COUNT = len(NAMES)


def read(path: Path) -> tuple[list[Batch], Found]:
    found = Found()
    return list(read_traffic(path, CONTRACT, found)), found


def one(folder: Path, *records: str | bytes) -> tuple[list[dict[str, Any]], list[Any], Found]:
    """The rows and predictions of a capture file of these lines."""
    content = b"\n".join(r.encode() if isinstance(r, str) else r for r in records) + b"\n"
    (folder / "a.jsonl").write_bytes(content)
    batches, found = read(folder)
    asked = [row for batch in batches for row in batch.rows.select(NAMES).rows(named=True)]
    return asked, [value for batch in batches for value in batch.answers["prediction"]], found


JSON_CELLS = {**CELLS, "income": 12.5, "active": True, "age": 40, "weight": None}
READ = {**CELLS, "income": "12.5", "active": "true", "age": "40", "weight": None}


@pytest.mark.parametrize(
    ("given", "change"),
    [
        (LINE, {}),
        (f"{LINE}\r\n", {}),
        (f"\ufeff{LINE}\n", {}),
        (f"{','.join(NAMES)}\n{LINE}", {}),
        (",".join(f'"{cell}"' for cell in CELLS.values()), {}),
        (base64.b64encode(LINE.encode()).decode(), {"encoding": "BASE64"}),
        ({"instances": [CELLS]}, {}),
        ([CELLS], {}),
        (CELLS, {}),
        ([list(CELLS.values())], {}),
        (base64.b64encode(json.dumps(CELLS).encode()).decode(), {"encoding": "BASE64", "observedContentType": None}),
    ],
)
def test_requests_in_every_form(tmp_path: Path, given: Any, change: dict[str, Any]) -> None:
    asked, said, found = one(tmp_path, record(given, **change))
    assert asked == [CELLS]
    assert said == ["true"]
    assert not found.odd


def test_cells_of_json_are_read_as_a_csv_would_hold_them(tmp_path: Path) -> None:
    assert one(tmp_path, record({"instances": [JSON_CELLS]}))[0] == [READ]


def test_json_lines_are_rows(tmp_path: Path) -> None:
    text = f"{json.dumps(CELLS)}\n{json.dumps(JSON_CELLS)}\n"
    asked, _, _ = one(tmp_path, record(text, "true\nfalse\n", encoding="JSON"))
    assert asked == [CELLS, READ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("true,0.9", "true"),
        ("true", "true"),
        ("true,0.9,some-id,2026-01-02T03:04:05Z", "true"),
        ({"predictions": [{"prediction": True, "probability": 0.9}]}, "true"),
        ([{"prediction": "true"}], "true"),
        ([1.5], "1.5"),
        ({"error": {"code": 400}}, None),
        ("", None),
        ("true\nfalse", None),
    ],
)
def test_answers_in_every_form(tmp_path: Path, answer: Any, expected: str | None) -> None:
    asked, said, found = one(tmp_path, record(LINE, answer))
    assert asked == [CELLS]
    assert said == [expected]
    assert found.unread == 0
    assert bool(found.odd) is (expected is None)


ODD: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("{", "no record of data capture"),
    "another JSON": ('{"a": 1}', "no record of data capture"),
    "a list": ("[]", "no record of data capture"),
    "nested beyond reason": ("[" * 100_000, "no record of data capture"),
    "not UTF-8": (b'{"captureData": "\xff"}', "no record of data capture"),
    "no request": ('{"captureData": {"endpointOutput": {}}}', "has no request"),
    "empty": (record("  "), "is empty"),
    "too few cells": (record(LINE.rpartition(",")[0]), f"than the {COUNT} features"),
    "too many cells": (record(LINE + ",1"), f"than the {COUNT} features"),
    "too few in a list": (record([[1, 2]]), f"than the {COUNT} features"),
    "a quote that stays open": (record('"' + LINE), "is no CSV"),
    "no base64": (record("%%%", encoding="BASE64"), "cannot be decoded"),
    "bytes": (record(base64.b64encode(b"\xff\xfe").decode(), encoding="BASE64"), "is not UTF-8"),
    "a word of JSON": (record("true", encoding="JSON"), "holds no rows"),
    "rows of words": (record("[1, 2]", encoding="JSON"), "number of cells"),
}


@pytest.mark.parametrize("case", ODD)
def test_an_odd_line_is_counted_and_the_others_are_read(tmp_path: Path, case: str) -> None:
    line, reason = ODD[case]
    asked, _, found = one(tmp_path, record(LINE), line, record(LINE))
    assert asked == [CELLS, CELLS]
    assert found.unread == 1
    assert [reason in odd for odd in found.odd] == [True]


@pytest.mark.parametrize("left", ["endpointOutput", None])
def test_a_call_without_an_answer_is_a_call(tmp_path: Path, left: str | None) -> None:
    content = json.loads(record(LINE))
    content["captureData"] = {k: v for k, v in content["captureData"].items() if k != "endpointOutput"}
    if left:
        content["captureData"][left] = None
    asked, said, found = one(tmp_path, json.dumps(content))
    assert (asked, said) == ([CELLS], [None])
    assert (found.unread, dict(found.odd)) == (0, {"a record has no answer": 1})


def test_a_line_that_was_cut_off_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(record(LINE) + "\n" + record(LINE)[:50])
    (batch,), found = read(tmp_path)
    assert batch.rows.height == 1
    assert list(found.odd) == ["a line is no record of data capture, cut off at the end of its file"]


def test_gzip_is_read_up_to_where_it_is_damaged(tmp_path: Path) -> None:
    text = "".join(record(LINE) + "\n" for _ in range(500)).encode()
    (tmp_path / "whole.jsonl.gz").write_bytes(gzip.compress(text))
    batches, found = read(tmp_path)
    assert (sum(batch.rows.height for batch in batches), found.unread) == (500, 0)
    (tmp_path / "whole.jsonl.gz").write_bytes(gzip.compress(text, 0)[:20_000])
    batches, found = read(tmp_path)
    assert 0 < sum(batch.rows.height for batch in batches) < 500
    assert "a file is damaged" in found.odd


def test_many_files_of_several_hours_are_one_window(tmp_path: Path) -> None:
    for hour in range(24):
        file = tmp_path / f"endpoint/AllTraffic/2026/01/02/{hour:02}/a.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text(record(LINE).replace("T03:", f"T{hour:02}:") + "\n")
    (tmp_path / "endpoint/AllTraffic/2026/01/02/00/empty.jsonl").write_text("")
    batches, found = read(tmp_path)
    assert sum(batch.rows.height for batch in batches) == 24
    assert (found.files, found.calls) == (25, 24)
    assert (found.first, found.last) == ("2026-01-02T00:04:05Z", "2026-01-02T23:04:05Z")


def test_variants_and_versions_of_the_format_are_read_together(tmp_path: Path) -> None:
    for variant, version in (("AllTraffic", "0"), ("Shadow", "1")):
        file = tmp_path / f"endpoint/{variant}/2026/01/02/03/a.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(json.loads(record(LINE)) | {"eventVersion": version, "new": {}}) + "\n")
    batches, found = read(tmp_path)
    assert sum(batch.rows.height for batch in batches) == 2
    assert (found.files, found.unread) == (2, 0)


def test_thousands_of_small_files(tmp_path: Path) -> None:
    for number in range(3000):
        (tmp_path / f"{number:05}.jsonl").write_text(record(LINE) if number % 3 else "")
    batches, found = read(tmp_path)
    assert sum(batch.rows.height for batch in batches) == 2000
    assert (found.files, found.calls, found.unread) == (3000, 2000, 0)


def test_rows_keep_the_name_of_their_call_and_their_place_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(record(f"{LINE}\n{LINE}", "true,0.9\nfalse,0.8", "order-7") + "\n")
    ((_, said, keys),), _ = read(tmp_path)
    assert keys.rows() == [("order-7", "1", "2026-01-02T03:04:05Z"), ("order-7", "2", "2026-01-02T03:04:05Z")]
    assert said.rows() == [("true", "0.9"), ("false", "0.8")]


def manifests(root: Path, answers: str | None, body: str) -> None:
    for kind, key, text in (("input", "rows.csv", body), ("output", "rows.csv.out", answers)):
        if text is not None:
            (root / key).write_text(text)
            file = root / f"captured/{kind}/2026/01/02/03/a.json"
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps([{"prefix": "s3://bucket/"}, key]))


def test_batch_transforms_by_their_manifests(tmp_path: Path) -> None:
    asked = lines(2500)
    manifests(tmp_path, "".join(f"false,0.7,id-{i},2026-01-02T03:04:05Z\n" for i in range(2500)), "\n".join(asked))
    batches, found = read(tmp_path)
    assert sum(batch.rows.height for batch in batches) == 2500
    assert not found.odd
    keys = [key for batch in batches for key in batch.keys.rows()]
    assert keys[2400][0] == "id-2400"
    assert {value for batch in batches for value in batch.answers["prediction"]} == {"false"}


def test_one_bad_line_of_a_batch_transform_costs_that_line(tmp_path: Path) -> None:
    asked = lines(50)
    asked[7] = "1,2"
    manifests(tmp_path, "false,0.7\n" * 50, "\n".join(asked) + "\n")
    batches, found = read(tmp_path)
    assert sum(batch.rows.height for batch in batches) == 49
    assert found.unread == 1


def test_a_batch_transform_without_answers_or_files_says_so(tmp_path: Path) -> None:
    manifests(tmp_path, None, "\n".join(lines(3)))
    batches, found = read(tmp_path)
    assert sum(batch.rows.height for batch in batches) == 3
    assert found.odd["a file has no answers"] == 1
    (tmp_path / "rows.csv").unlink()
    assert list(read(tmp_path)[1].odd) == ["a file of a manifest is not here"]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_tables_may_hold_answers_too(tmp_path: Path, suffix: str) -> None:
    table = rows(100).with_columns(prediction=pl.lit("yes"), inference_id=pl.lit("a"), left=pl.lit("no"))
    file = tmp_path / f"rows.{suffix}"
    table.write_csv(file) if suffix == "csv" else table.write_parquet(file)
    ((asked, said, keys),), found = read(file)
    assert asked.columns == [*NAMES, "left"]
    assert said["prediction"].to_list() == ["yes"] * 100
    assert keys.columns == ["inference_id"]
    assert found.calls == 100


def test_what_is_no_traffic_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read(tmp_path / "nowhere")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(UserError, match="give a file that ends in"):
        read(tmp_path / "a.txt")
    assert read(tmp_path) == ([], Found())


def test_the_next_batch_is_read_while_one_is_worked_on() -> None:
    read_on, begun = Event(), list[int]()

    def batches() -> Iterator[Batch]:
        for number in range(4):
            begun.append(number)
            if number == 1:
                read_on.set()
            if number == 3:
                raise UserError("the file is damaged")
            yield Batch(rows(number + 1), pl.DataFrame(), pl.DataFrame())

    waiting = ahead(batches())
    assert next(waiting).rows.height == 1
    assert read_on.wait(10)
    assert begun == [0, 1]
    assert [next(waiting).rows.height, next(waiting).rows.height] == [2, 3]
    with pytest.raises(UserError, match="damaged"):
        next(waiting)
