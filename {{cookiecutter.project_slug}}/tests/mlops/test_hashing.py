"""Hashes that must never change: with other keys, rows would move between training and test."""

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest

from usecase.mlops.hashing import SAMPLE_SIZE, ContentHash, KeyLog, KeySample, row_keys

ROWS = pl.DataFrame(
    {
        "number": [1.5, None, -0.0],
        "whole": [1, 2**62, None],
        "yes": [True, False, None],
        "day": [date(2024, 2, 29), None, date(1969, 12, 31)],
        "moment": [datetime(2024, 2, 29, 12, 30, 0, 1), None, datetime(1900, 1, 1)],
        "text": ["", "eight by", "Größe: 大きい"],
    }
)


def content(*batches: pl.DataFrame) -> str:
    digest = ContentHash()
    for batch in batches:
        digest.add(batch)
    return digest.hexdigest()


def test_keys_and_hash_are_the_same_for_ever() -> None:
    assert row_keys(ROWS).tolist() == [11416658194080117188, 14471421126490358484, 18102791718838419265]
    assert content(ROWS) == "4b4e1a3c35ddc5bac0c70157fd40763137483da425a9d24e2f97040d96cd883b"


def test_neither_order_of_columns_nor_batch_matters() -> None:
    keys = row_keys(ROWS).tolist()
    assert row_keys(ROWS.select(reversed(ROWS.columns))).tolist() == keys
    assert [int(row_keys(ROWS[i : i + 1])[0]) for i in range(3)] == keys
    assert content(*(ROWS[i : i + 1] for i in range(3))) == content(ROWS[:2], ROWS[2:]) == content(ROWS)
    assert content(ROWS.select(reversed(ROWS.columns))) == content(ROWS)


def test_equal_values_of_another_type_have_equal_keys() -> None:
    narrow = ROWS.with_columns(pl.col("number").cast(pl.Float32), pl.col("number").fill_null(0).alias("zero"))
    assert row_keys(narrow.drop("zero")).tolist() == row_keys(ROWS).tolist()
    assert row_keys(ROWS.with_columns(number=pl.Series([1.5, None, 0.0]))).tolist() == row_keys(ROWS).tolist()


@pytest.mark.parametrize(
    "changed",
    [
        pl.col("number").fill_null(0.0),
        pl.col("whole") + 1,
        ~pl.col("yes"),
        pl.col("day").dt.offset_by("1d"),
        pl.col("moment").dt.offset_by("1us"),
        pl.col("text") + "\0",
        pl.col("text").replace("", None),
    ],
)
def test_each_value_counts(changed: pl.Expr) -> None:
    assert (row_keys(ROWS.with_columns(changed)) != row_keys(ROWS)).any()
    assert content(ROWS.with_columns(changed)) != content(ROWS)


def test_the_border_between_texts_and_the_place_of_a_missing_value_count() -> None:
    assert content(pl.DataFrame({"a": ["ab", "c"]})) != content(pl.DataFrame({"a": ["a", "bc"]}))
    assert content(pl.DataFrame({"a": [None, 0]})) != content(pl.DataFrame({"a": [0, None]}))
    assert content(pl.DataFrame({"a": [None, ""]})) != content(pl.DataFrame({"a": ["", None]}))
    ab, ba = pl.DataFrame({"a": [1], "b": [2]}), pl.DataFrame({"a": [2], "b": [1]})
    assert row_keys(ab) != row_keys(ba)


def test_repeated_texts_are_hashed_like_single_ones() -> None:
    few = [f"value {i % 3}" for i in range(50_000)] + ["late", None]
    many = [f"value {i}" for i in range(50_000)] + [f"{'long ' * (i % 9)}{i}" for i in range(500)]
    for texts in (few, many):
        keys = row_keys(pl.DataFrame({"text": texts}))
        assert len(set(keys.tolist())) == len(set(texts))
        for position in (0, 1, 2, 20_000, len(texts) - 2, len(texts) - 1):
            assert row_keys(pl.DataFrame({"text": pl.Series([texts[position]], dtype=pl.String)}))[0] == keys[position]


def test_keys_are_spread_evenly() -> None:
    numbers = pl.Series("x", range(100_000))
    for column in (numbers, numbers.cast(pl.String), numbers / 8):
        keys = row_keys(column.to_frame())
        assert len(np.unique(keys)) == 100_000
        counts = np.bincount((keys >> np.uint64(60)).astype(np.int64), minlength=16)
        assert counts.min() > 0.95 * 100_000 / 16


def test_repeated_keys_are_found_in_all_batches() -> None:
    log = KeyLog()
    assert log.repeated().tolist() == []
    for batch in ([5, 6, 7], [], [8, 6], [5, 9, 5]):
        log.add(np.array(batch, np.uint64))
    assert log.repeated().tolist() == [4, 5, 7]


def test_a_small_sample_is_exact() -> None:
    sample = KeySample()
    for batch in range(3):
        sample.add("train", row_keys(pl.DataFrame({"x": range(batch * 100, batch * 100 + 150)})))
        sample.add("test", row_keys(pl.DataFrame({"x": range(300 + batch * 20, 340 + batch * 20)})))
    assert sample.complete
    assert sample.distinct() == 380
    assert sample.most_frequent() == 2
    assert sample.shared("test", "train") == pytest.approx(80 / 120)
    assert sample.shared("test", "nothing") == sample.shared("nothing", "test") == 0
    assert KeySample.from_dict(sample.to_dict()).to_dict() == sample.to_dict()


def test_a_large_sample_is_near_and_the_same_for_one_host_or_several() -> None:
    keys = row_keys(pl.DataFrame({"x": range(400_000)}))
    one, hosts = KeySample(), [KeySample(), KeySample()]
    for start in range(0, 400_000, 50_000):
        for sample in (one, hosts[start // 50_000 % 2]):
            sample.add("train", keys[start : start + 50_000][:40_000])
            sample.add("test", keys[start + 30_000 : start + 50_000])
    hosts[0].merge(hosts[1])
    assert hosts[0].to_dict() == one.to_dict()
    assert not one.complete
    assert sum(len(keys) for keys, _ in one.to_dict()["groups"].values()) < 2 * SAMPLE_SIZE
    assert one.shared("test", "train") == pytest.approx(0.5, abs=0.02)
    assert one.distinct() == pytest.approx(400_000, rel=0.03)
