"""From typed rows to the matrix, and the stable split."""

import math
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.features import Fitting, Preprocessor
from usecase.mlops.split import SHARES, split

FIELDS = [
    {"name": "id", "type": "integer", "role": "id"},
    {"name": "size", "type": "number", "role": "feature"},
    {"name": "colour", "type": "string", "role": "feature", "constraints": {"enum": ["blue", "green", "red"]}},
    {"name": "sold", "type": "boolean", "role": "feature"},
    {"name": "day", "type": "date", "role": "feature"},
    {"name": "grade", "type": "string", "role": "target", "constraints": {"enum": ["a", "b"]}},
]
CONTRACT = Contract.model_validate({"name": "things", "schema": {"fields": FIELDS}})
WITHOUT_ID = Contract.model_validate({"name": "things", "schema": {"fields": FIELDS[1:]}})


def rows(n: int = 400) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": range(n),
            "size": [None if i % 10 == 0 else i / 3 for i in range(n)],
            "colour": [["blue", "red", None][i % 3] for i in range(n)],
            "sold": [i % 2 == 0 for i in range(n)],
            "day": [date(2024, 1 + i % 12, 1) for i in range(n)],
            "grade": [["a", "b"][i % 2] for i in range(n)],
        }
    )


def test_matrix() -> None:
    preprocessor = Preprocessor.fit(rows(), CONTRACT)
    assert preprocessor.feature_names == [
        "size",
        "colour=blue",
        "colour=red",
        "sold",
        "day",
        "day.month",
        "day.weekday",
    ]
    matrix = preprocessor.transform(rows())
    assert matrix.shape == (400, 7)
    assert math.isnan(matrix[0, 0])
    assert matrix[1].tolist() == pytest.approx([1 / 3, 0, 1, 0, (date(2024, 2, 1) - date(1970, 1, 1)).days, 2, 4])
    assert all(math.isnan(value) for value in matrix[2, 1:3])
    assert preprocessor.labels(rows())[:3].tolist() == [0, 1, 0]


def test_unseen_category_is_no_category() -> None:
    preprocessor = Preprocessor.fit(rows(), CONTRACT)
    green = rows(1).with_columns(colour=pl.lit("green"))
    assert preprocessor.transform(green)[0, 1:3].tolist() == [0, 0]


def test_durations_are_seconds_and_times_are_refused() -> None:
    waited = rows(3).with_columns(waited=pl.Series([1500, None, 60000]).cast(pl.Duration("ms")))
    assert Preprocessor.fit(waited, CONTRACT).transform(waited)[0, -1] == 1.5
    with pytest.raises(UserError, match="feature 'at' is Time"):
        Preprocessor.fit(rows(3).with_columns(at=pl.time(12, 0)), CONTRACT)


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    preprocessor = Preprocessor.fit(rows(), CONTRACT)
    preprocessor.save(tmp_path)
    assert Preprocessor.load(tmp_path) == preprocessor


def test_batches_and_hosts_learn_what_one_does(tmp_path: Path) -> None:
    whole = Preprocessor.fit(rows(), CONTRACT)
    fitting = Fitting(CONTRACT)
    for start in range(0, 400, 70):
        fitting.add(rows()[start : start + 70])
    assert fitting.preprocessor() == whole
    for host, part in (("algo-1", rows()[:1]), ("algo-2", rows()[1:]), ("algo-3", rows()[:0])):
        shard = Fitting(CONTRACT)
        shard.add(part)
        shard.preprocessor(complete=False).save(tmp_path, f"preprocessor-{host}.json")
    assert Preprocessor.load(tmp_path) == whole


def test_a_category_without_values_is_no_input(tmp_path: Path) -> None:
    fitting = Fitting(CONTRACT)
    fitting.add(rows().with_columns(colour=pl.lit(None, dtype=pl.String)))
    assert "colour" not in {item.name for item in fitting.preprocessor().inputs}
    for host in ("algo-1", "algo-2"):
        fitting.preprocessor(complete=False).save(tmp_path, f"preprocessor-{host}.json")
    assert Preprocessor.load(tmp_path) == fitting.preprocessor()


def test_batches_with_other_features_are_refused() -> None:
    fitting = Fitting(CONTRACT)
    fitting.add(rows().with_columns(more=pl.lit(1)))
    with pytest.raises(UserError, match="add_features makes other columns for some rows"):
        fitting.add(rows())
    with pytest.raises(UserError, match="feature 'more' is a number in some rows and a category in others"):
        fitting.add(rows().with_columns(more=pl.lit("x")))


def test_hosts_with_other_features_are_refused(tmp_path: Path) -> None:
    Preprocessor.fit(rows(), CONTRACT).save(tmp_path, "preprocessor-algo-1.json")
    Preprocessor.fit(rows().with_columns(more=pl.lit(1)), CONTRACT).save(tmp_path, "preprocessor-algo-2.json")
    with pytest.raises(
        UserError, match=r"preprocessor-algo-2\.json and preprocessor-algo-1\.json: were fitted with other"
    ):
        Preprocessor.load(tmp_path)


def test_too_many_categories_are_refused() -> None:
    texts = rows(6000).with_columns(colour=pl.col("id").cast(pl.String))
    with pytest.raises(UserError, match="feature 'colour' has more than 5000 different texts"):
        Preprocessor.fit(texts, CONTRACT)
    fitting = Fitting(CONTRACT)
    fitting.add(texts[:3000])
    with pytest.raises(UserError, match="feature 'colour' has more than 5000 different texts"):
        fitting.add(texts[3000:])


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "preprocessor.json").write_text("{")
    with pytest.raises(UserError, match=r"preprocessor\.json: cannot be read"):
        Preprocessor.load(tmp_path)


def test_split_is_stable_when_rows_are_added_or_sorted() -> None:
    before = split(rows(300), CONTRACT)
    after = split(rows(400).sample(fraction=1, shuffle=True, seed=1), CONTRACT)
    for name in SHARES:
        assert set(before[name]["id"]) <= set(after[name]["id"])


def test_split_follows_the_shares() -> None:
    parts = split(rows(4000), CONTRACT)
    for name, share in SHARES.items():
        assert parts[name].height / 4000 == pytest.approx(share, abs=0.03)


def test_equal_features_stay_together_without_an_id() -> None:
    one = rows(200).drop("id")
    parts = split(pl.concat([one, one.with_columns(grade=pl.lit("a"))]), WITHOUT_ID)
    assert all(part.drop("grade").is_duplicated().all() for part in parts.values())


def test_the_split_never_changes() -> None:
    parts = split(rows(20), CONTRACT)
    assert {name: part["id"].to_list() for name, part in parts.items()} == {
        "train": [0, 1, 2, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19],
        "validation": [3, 5, 6],
        "test": [4, 14],
    }


def test_batches_are_split_like_the_whole() -> None:
    parts = [split(batch, CONTRACT) for batch in (rows()[:7], rows()[7:8], rows()[8:])]
    for name, part in split(rows(), CONTRACT).items():
        assert pl.concat(batch[name] for batch in parts).equals(part)


@pytest.mark.parametrize(
    ("kind", "enum", "values"),
    [
        ("string", ["no", "yes"], ["no", "yes", "no"]),
        ("integer", [3, 1, 2], [2, 1, 3]),
        ("boolean", None, [True, False]),
    ],
)
def test_labels_are_the_positions_of_classes(kind: str, enum: list[str | int] | None, values: list[object]) -> None:
    target = {"name": "goal", "type": kind, "role": "target", **({"constraints": {"enum": enum}} if enum else {})}
    contract = Contract.model_validate({"name": "things", "schema": {"fields": [FIELDS[1], target]}})
    frame = pl.DataFrame({"size": [float(i) for i in range(len(values))], "goal": values})
    positions = [contract.classes.index(value) for value in values]  # type: ignore[arg-type]
    assert Preprocessor.fit(frame, contract).labels(frame).tolist() == positions
