"""Hashes of typed rows that are the same on every machine, for every file format, batch size and version of polars.

Row keys (64 bits, not cryptographic) place rows in a split and find rows that stand twice; `ContentHash` (SHA-256)
names the data that a model was trained on.
"""

import hashlib
import json
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Keys = npt.NDArray[np.uint64]
Counts = tuple[Keys, npt.NDArray[np.int64]]  # different keys, ascending, and the rows of each
NOTHING: Counts = (np.zeros(0, np.uint64), np.zeros(0, np.int64))

WORD = 8
# Texts are hashed so many rows at a time, since the work needs some 20 times their size.
TEXT_ROWS = 16_384
GLANCE_ROWS = 1024
SAMPLE_SIZE = 16_384
MAX_KEY = 2**64 - 1
_NULL = np.uint64(0x6A09E667F3BCC909)
_NULL_LENGTH = np.uint32(0xFFFFFFFF)
# The constants of splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def mix(values: Keys) -> Keys:
    """The 64-bit numbers (n) with their bits well spread: one-to-one, so different values stay different."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def row_keys(rows: pl.DataFrame) -> Keys:
    """One key per row (n), equal for equal rows whatever the order of the columns.

    Takes columns in the types of a contract: integers, floats, booleans, dates, datetimes in microseconds, text.
    """
    keys = np.zeros(rows.height, np.uint64)
    for name in sorted(rows.columns):
        keys = mix(keys ^ _words(rows[name]))
    return keys


class ContentHash:
    """SHA-256 of the typed values of rows that are added in order, however they are cut into batches.

    Of each column: the places of missing values, and all values; of text the lengths and the UTF-8. The order of
    columns is left out.
    """

    def __init__(self) -> None:
        self._rows = 0
        self._columns: dict[str, tuple[Any, Any, Any]] = {}

    def add(self, rows: pl.DataFrame) -> None:
        """Continue with `rows` (n); all batches have the same columns and types."""
        for values in rows.iter_columns():
            missing, content, text = self._columns.setdefault(
                values.name, (hashlib.sha256(), hashlib.sha256(), hashlib.sha256())
            )
            if values.null_count():
                missing.update(np.flatnonzero(values.is_null().to_numpy()) + self._rows)
            if values.dtype == pl.String:
                content.update(np.ascontiguousarray(values.str.len_bytes().fill_null(0).to_numpy(), np.uint32))
                text.update(_joined(values))
            else:
                content.update(_fixed_words(values))
        self._rows += rows.height

    def hexdigest(self) -> str:
        """The hash as 64 hex digits."""
        columns = [[name, *(part.hexdigest() for part in parts)] for name, parts in sorted(self._columns.items())]
        return hashlib.sha256(json.dumps([self._rows, columns]).encode()).hexdigest()


class KeyLog:
    """The keys of all rows in order, 8 bytes each, to find those that came before."""

    def __init__(self) -> None:
        self._batches: list[Keys] = []

    def add(self, keys: Keys) -> None:
        """Continue with the keys of a batch (n)."""
        self._batches.append(keys)

    def repeated(self) -> npt.NDArray[np.int64]:
        """Positions (from 0, ascending) of the keys that came before."""
        keys = np.concatenate([np.zeros(0, np.uint64), *self._batches])
        ordered = np.sort(keys)
        if not (ordered[1:] == ordered[:-1]).any():
            return np.zeros(0, np.int64)
        first = np.zeros(len(keys), np.bool_)
        first[np.unique(keys, return_index=True)[1]] = True
        return np.flatnonzero(~first)


class KeySample:
    """How many rows of each group have a key, for the lowest keys only: all up to `SAMPLE_SIZE` different ones.

    Keys are spread evenly, so the lowest are a random sample; the same keys are in the samples of all hosts, so samples
    can be merged, and shares of rows in them are those of all rows.
    """

    def __init__(self) -> None:
        self._limit = MAX_KEY
        self._counts: dict[str, Counts] = {}
        self._waiting: dict[str, list[Keys]] = {}

    @property
    def complete(self) -> bool:
        """Whether every key is in the sample."""
        return self._limit == MAX_KEY

    def add(self, group: str, keys: Keys) -> None:
        """Count the rows (n) of a group."""
        self._waiting.setdefault(group, []).append(keys[keys <= self._limit])
        if sum(len(batch) for batches in self._waiting.values() for batch in batches) > SAMPLE_SIZE:
            self._settle()

    def merge(self, other: "KeySample") -> None:
        """Count the rows of another sample too."""
        self._settle()
        self._limit = min(self._limit, other._limit)
        for group, counts in other._settle().items():
            self._counts[group] = _sum([self._counts.get(group, NOTHING), counts])
        self._settle()

    def shared(self, group: str, other: str) -> float:
        """The share of rows of `group` whose key stands in `other` too; 0 for no rows."""
        groups = self._settle()
        keys, counts = groups.get(group, NOTHING)
        found = np.isin(keys, groups.get(other, NOTHING)[0])
        return float(counts[found].sum() / counts.sum()) if len(keys) else 0.0

    def distinct(self) -> int:
        """How many different keys there are in all groups: estimated from the sample when it is not complete."""
        keys, _ = _sum(list(self._settle().values()))
        return round(len(keys) * (MAX_KEY / self._limit))

    def most_frequent(self) -> int:
        """The largest count of rows of one key in the sample; 0 for no rows."""
        return max((int(counts.max()) for _, counts in self._settle().values() if len(counts)), default=0)

    def to_dict(self) -> dict[str, Any]:
        """The sample as JSON can hold it."""
        groups = {name: [keys.tolist(), counts.tolist()] for name, (keys, counts) in self._settle().items()}
        return {"limit": self._limit, "groups": groups}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "KeySample":
        """The inverse of `to_dict`."""
        sample = cls()
        sample._limit = int(content["limit"])
        for name, (keys, counts) in content["groups"].items():
            sample._counts[name] = (np.array(keys, np.uint64), np.array(counts, np.int64))
        return sample

    def _settle(self) -> dict[str, Counts]:
        """Count what waits, and keep the lowest keys."""
        for group, batches in self._waiting.items():
            new = [(keys, np.ones(len(keys), np.int64)) for keys in batches]
            self._counts[group] = _sum([self._counts.get(group, NOTHING), *new])
        self._waiting = {}
        distinct, _ = _sum(list(self._counts.values()))
        if len(distinct) > SAMPLE_SIZE:
            self._limit = int(distinct[SAMPLE_SIZE - 1])
        for group, (keys, counts) in self._counts.items():
            low = keys <= self._limit
            self._counts[group] = (keys[low], counts[low])
        return self._counts


def _sum(counts: list[Counts]) -> Counts:
    """Different keys, ascending, each with all its rows."""
    keys = np.concatenate([NOTHING[0], *(keys for keys, _ in counts)])
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], np.concatenate([NOTHING[1], *(rows for _, rows in counts)])[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.int64)
    return keys[first], np.add.reduceat(rows, first) if len(keys) else rows


def _words(values: pl.Series) -> Keys:
    """One 64-bit number per value (n)."""
    words = _text_words(values) if values.dtype == pl.String else _fixed_words(values)
    return np.where(values.is_null().to_numpy(), _NULL, words) if values.null_count() else words


def _fixed_words(values: pl.Series) -> Keys:
    """Numbers, booleans and times (n) as their 64 bits; 0 where missing, and for -0.0, which equals 0.0."""
    if values.dtype.is_float():
        return (_filled(values.cast(pl.Float64), 0.0) + 0.0).view(np.uint64)
    return np.ascontiguousarray(_filled(values.cast(pl.Int64), 0)).view(np.uint64)


def _filled(values: pl.Series, missing: float) -> npt.NDArray[Any]:
    return (values.fill_null(missing) if values.null_count() else values).to_numpy()


def _text_words(values: pl.Series) -> Keys:
    """Hashes of texts (n); each different one is hashed once where they repeat."""
    glance = values.head(GLANCE_ROWS)
    distinct = glance.drop_nulls().unique()
    if 2 * len(distinct) > len(glance):
        starts = range(0, len(values), TEXT_ROWS)
        return np.concatenate([_hash_texts(values.slice(start, TEXT_ROWS)) for start in starts])
    codes = values.cast(pl.Enum(distinct), strict=False)
    if codes.null_count() != values.null_count():
        distinct = values.drop_nulls().unique()
        codes = values.cast(pl.Enum(distinct))
    hashes: Keys = np.append(_hash_texts(distinct), np.uint64(0))[codes.to_physical().fill_null(0).to_numpy()]
    return hashes


def _hash_texts(values: pl.Series) -> Keys:
    """Hashes of texts (n), each cut into 64-bit words that are mixed with their position and added up."""
    if not len(values):
        return np.zeros(0, np.uint64)
    lengths = values.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
    words_each = lengths // WORD + 1
    first_word = np.cumsum(words_each) - words_each
    text = np.frombuffer(_joined(values), np.uint8)
    padded = np.zeros(int(words_each.sum()) * WORD, np.uint8)
    if lengths.min() == lengths.max():  # as of codes
        padded.reshape(len(lengths), -1)[:, : lengths[0]] = text.reshape(len(lengths), -1)
    else:
        first_byte = np.cumsum(lengths) - lengths
        padded[np.arange(len(text)) + np.repeat(first_word * WORD - first_byte, lengths)] = text
    words = padded.view("<u8").astype(np.uint64, copy=False)
    position = (np.arange(len(words)) - np.repeat(first_word, words_each)).astype(np.uint64)
    sums = np.add.reduceat(mix(words + mix(position)), first_word)
    return mix(sums ^ lengths.astype(np.uint64))


def _joined(values: pl.Series) -> bytes:
    text: str = values.str.join("").item() or ""
    return text.encode()
