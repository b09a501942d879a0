"""The way of a request without frames gives what frames give: values, verdicts, matrix, predictions."""

import datetime
import io
import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from hypothesis import given, settings
from hypothesis import strategies as st

from usecase.mlops.check import check_rows
from usecase.mlops.contract import Contract
from usecase.mlops.features import Preprocessor
from usecase.mlops.model import FILE_NAME, load_model
from usecase.mlops.onnx_model import save_onnx
from usecase.mlops.serving.matrix import MatrixMaker
from usecase.mlops.serving.model import ServedModel, returns_its_argument
from usecase.mlops.serving.predictor import TOLERANCE, BoosterPredictor, OnnxPredictor, load_predictor
from usecase.mlops.serving.request import CSV, JSON, JSON_LINES, NPY, NPZ, PARQUET, ContentType, RequestError
from usecase.mlops.serving.rows import Rows, parse_rows
from usecase.mlops.serving.validation import Validator
from usecase.mlops.synthetic import synthetic_rows
from usecase.mlops.tables import unnamed

FIELDS: list[dict[str, Any]] = [
    {"name": "age", "type": "integer", "constraints": {"required": True, "minimum": 0, "maximum": 120}},
    {"name": "income", "type": "number", "constraints": {"minimum": -1.5, "maximum": 9e3}},
    {"name": "level", "type": "integer", "constraints": {"enum": [1, 2, 3]}},
    {"name": "plan", "type": "string", "constraints": {"enum": ["basic", "pro", "a b"]}},
    {"name": "town", "type": "string"},
    {"name": "member", "type": "boolean", "trueValues": ["yes"], "falseValues": ["no"]},
    {"name": "born", "type": "date", "constraints": {"minimum": "1900-01-01"}},
    {"name": "day", "type": "date", "format": "%d.%m.%Y"},
    {"name": "seen", "type": "datetime"},
    {"name": "stamp", "type": "datetime", "format": "%Y-%m-%d %H:%M:%S%.f"},
]
TARGET = {"name": "churned", "type": "string", "role": "target", "constraints": {"enum": ["no", "yes"]}}
PLAIN_FIELDS: list[dict[str, Any]] = [
    {"name": "a", "type": "number", "constraints": {"required": True, "minimum": 0, "maximum": 10}},
    {"name": "b", "type": "integer", "constraints": {"maximum": 5}},
    {"name": "c", "type": "number"},
]


def contract_of(fields: list[dict[str, Any]], **more: Any) -> Contract:
    columns = [{"role": "feature", **field} for field in fields]
    schema = {"fields": [*columns, TARGET], "missingValues": more.pop("missing", ["", "NA"])}
    return Contract.model_validate({"name": "people", "schema": schema, "policy": more})


MIXED = contract_of(FIELDS)
STRICT = contract_of(FIELDS, unseen_category="reject", out_of_range="reject")
NUMBERS = contract_of(PLAIN_FIELDS)
ODD_MISSING = contract_of(PLAIN_FIELDS, missing=["", "-999", "7"], out_of_range="reject")

dates = st.dates(datetime.date(1890, 1, 1), datetime.date(2100, 1, 1))
words = st.sampled_from(
    ["", "NA", " ", "nan", "NaN", "inf", "-Infinity", "1_000", "\u0661", "0x1", "1e400", "+7", "007", "-0"]
)
numbers = st.one_of(
    st.integers(-200, 200).map(str),
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(0, 100).map(lambda number: f"{number:.3f}"),
    st.sampled_from([".5", "5.", "1E5", "1e5", "30.0", " 40 ", "1e", "-", "+", "1.5.5", "9007199254740993", "1e19"]),
)
texts = st.text(string.ascii_letters + " äß\u2003", max_size=4)
times = st.one_of(
    dates.map(str),
    dates.map(lambda day: f"{day:%d.%m.%Y}"),
    dates.map(lambda day: f"{day.day}.{day.month}.{day.year}"),
    dates.map(lambda day: f"{day}T01:02:03"),
    dates.map(lambda day: f"{day} 01:02:03.25"),
    st.sampled_from(["2024-1-5", "2024-02-30", "24-01-05", "2024-01-05T24:00:00", "2024-01-05T01:02:60", "5.1.24"]),
    st.sampled_from(["2024-01-05 01:02:03", "2024-01-05 01:02:03.", "2024-01-05 1:2:3.123456789", "+2024-01-05"]),
)
cells = st.one_of(words, numbers, texts, times, st.sampled_from(["yes", "no", "basic", "pro", "a b", " pro", "true"]))


GOOD = {
    "integer": st.integers(1, 3).map(str),
    "number": st.floats(-1, 10).map(repr),
    "boolean": st.sampled_from(["yes", "no", ""]),
    "string": st.sampled_from(["basic", "pro", "", "a b", "x"]),
    "date": dates.map(str),
    "datetime": dates.map(lambda day: f"{day}T01:02:03"),
}
GOOD_BY_FORMAT = {
    "%d.%m.%Y": dates.map(lambda day: f"{day:%d.%m.%Y}"),
    "%Y-%m-%d %H:%M:%S%.f": dates.map(lambda day: f"{day} 23:02:03.25"),
}


def tables(contract: Contract, good: bool) -> st.SearchStrategy[list[tuple[str, ...]]]:
    """Rows that are mostly right, or of any cells at all."""
    right = [GOOD_BY_FORMAT.get(column.format, GOOD[column.type]) for column in contract.features]
    drawn = right if good else [st.one_of(strategy, cells) for strategy in right]
    return st.lists(st.tuples(*drawn), min_size=1, max_size=5)


def frame_of(rows: list[tuple[Any, ...]], contract: Contract) -> pl.DataFrame:
    names = [column.name for column in contract.features]
    return pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")


def encoding_of(contract: Contract) -> Preprocessor:
    return Preprocessor.fit(synthetic_rows(contract), contract)


PREPROCESSORS = {id(contract): encoding_of(contract) for contract in (MIXED, STRICT, NUMBERS, ODD_MISSING)}


@pytest.mark.parametrize("contract", [MIXED, STRICT, NUMBERS, ODD_MISSING], ids=["mixed", "strict", "numbers", "odd"])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_the_verdicts_and_the_matrix_are_those_of_frames(contract: Contract, data: st.DataObject) -> None:
    rows = data.draw(st.booleans().flatmap(lambda good: tables(contract, good)))
    validator = Validator(contract)
    valid = validator.check(Rows(rows))
    checked = check_rows(frame_of(rows, contract), contract, roles=("feature",))
    assert [fault.problem for fault in valid.refused] == checked.problems
    if checked.problems:
        return
    assert [fault.problem for fault in valid.flagged] == checked.warnings
    assert len({row for fault in valid.flagged for row in fault.rows}) == checked.flagged
    assert [valid.columns[name] for name in validator.names] == [checked.frame[n].to_list() for n in validator.names]
    preprocessor = PREPROCESSORS[id(contract)]
    ours = MatrixMaker(preprocessor, contract).make(valid)
    np.testing.assert_array_equal(ours, preprocessor.transform(checked.frame))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(st.none(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
            min_size=3,
            max_size=3,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_numbers_of_json_count_as_their_text(rows: list[list[float | None]]) -> None:
    """The way with one matrix, taken when all is well, and the one by columns."""
    texts = [tuple("" if cell is None else repr(cell) for cell in row) for row in rows]
    validator = Validator(NUMBERS)
    fast = validator.check(Rows(rows, numbers=True))
    slow = validator.check(Rows(texts))
    assert [f.problem.row for f in fast.refused] == [f.problem.row for f in slow.refused]
    if not fast.refused:
        maker = MatrixMaker(PREPROCESSORS[id(NUMBERS)], NUMBERS)
        np.testing.assert_array_equal(maker.make(fast), maker.make(slow))
    if fast.numbers is not None:
        assert not slow.flagged


def test_the_way_with_one_matrix_is_taken() -> None:
    assert Validator(NUMBERS).check(Rows([[1, 2, None]], numbers=True)).numbers is not None
    assert Validator(NUMBERS).check(Rows([[None, 2, 3]], numbers=True)).refused
    assert Validator(NUMBERS).check(Rows([[1, 2.5, 3]], numbers=True)).refused
    assert Validator(NUMBERS).check(Rows([[11, 2, 3]], numbers=True)).flagged


def npy(array: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def npz(array: Any) -> bytes:
    stream = io.BytesIO()
    np.savez(stream, rows=array)
    return stream.getvalue()


def parquet(frame: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    frame.write_parquet(stream)
    return stream.getvalue()


@pytest.fixture(scope="module", params=["binary", "multiclass", "regression"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each task over numbers."""
    targets: dict[str, dict[str, Any]] = {
        "binary": TARGET,
        "multiclass": {**TARGET, "constraints": {"enum": ["low", "middle", "high"]}},
        "regression": {"name": "churned", "type": "number", "role": "target", "constraints": {"maximum": 1e5}},
    }
    path = tmp_path_factory.mktemp(request.param)
    columns = [{"role": "feature", **field} for field in PLAIN_FIELDS]
    contract = Contract.model_validate({"name": "people", "schema": {"fields": [*columns, targets[request.param]]}})
    (path / "data_contract.yaml").write_text(contract.model_dump_json(by_alias=True, exclude_none=True))
    rows = synthetic_rows(contract, count=300)
    preprocessor = Preprocessor.fit(rows, contract)
    preprocessor.save(path)
    objectives: dict[str, dict[str, Any]] = {
        "binary": {"objective": "binary:logistic"},
        "multiclass": {"objective": "multi:softprob", "num_class": 3},
        "regression": {"objective": "reg:squarederror"},
    }
    booster = xgb.train(
        objectives[request.param], xgb.DMatrix(preprocessor.transform(rows), label=preprocessor.labels(rows)), 30
    )
    booster.save_model(path / FILE_NAME)
    assert save_onnx(booster, path) is not None
    return path


def test_onnx_answers_as_the_booster_does(folder: Path) -> None:
    """Also at the thresholds of its trees and for missing values."""
    model = ServedModel(folder)
    assert isinstance(model.predictor, OnnxPredictor)
    random = np.random.default_rng(5)
    matrix = random.uniform(-5, 15, (5000, 3)).astype(np.float32)
    matrix[random.random(matrix.shape) < 0.2] = np.nan
    assert model.predictor.difference(matrix, BoosterPredictor(folder).predict(matrix)) <= TOLERANCE


def test_an_onnx_model_that_answers_otherwise_does_not_serve(folder: Path, tmp_path: Path) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    task = Contract.load(tmp_path).task
    objective = ServedModel(folder).encoding.task
    assert task == objective
    with np.load(tmp_path / "model.onnx.check.npz") as check:
        rows, answers = check["rows"], check["answers"]
    np.savez(tmp_path / "model.onnx.check.npz", rows=rows, answers=answers + np.float32(1e-3))
    assert isinstance(ServedModel(tmp_path).predictor, BoosterPredictor)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert isinstance(load_predictor(tmp_path, "binary:logistic", 3), BoosterPredictor)


def test_a_booster_of_another_kind_is_not_converted(tmp_path: Path) -> None:
    matrix = xgb.DMatrix(np.array([[0.0], [1.0]]), label=[1.0, 2.0])
    assert save_onnx(xgb.train({"objective": "count:poisson"}, matrix, 2), tmp_path) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("derives", [False, True])
def test_every_content_type_and_a_frame_give_the_same_answers(
    derives: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To 1e-9: the predictor is the same, and so is its input; also when the rows go through code that derives."""
    monkeypatch.setattr("usecase.mlops.serving.model.returns_its_argument", lambda *_: not derives)
    monkeypatch.setattr("usecase.preprocessing.add_features", lambda rows: rows)  # these rows are not the team's
    names = ["a", "b", "c"]
    rows: list[list[float | None]] = [
        [0.1, 2, 1e-5],
        [9.75, -3, 12345.678],
        [5.0, None, None],
        [3, 5, 0.30000000000000004],
    ]
    frame = pl.DataFrame(rows, schema={"a": pl.Float64, "b": pl.Int64, "c": pl.Float64}, orient="row")
    records = [dict(zip(names, row, strict=True)) for row in rows]
    array = np.array(rows, dtype=np.float64)
    bodies = [
        (CSV, frame.write_csv().encode()),
        (CSV, frame.write_csv(include_header=False).encode()),
        (CSV, frame.select("c", "a", "b").write_csv(quote_style="always", line_terminator="\r\n").encode()),
        (JSON, json.dumps({"instances": rows}).encode()),
        (JSON, json.dumps({"instances": records}).encode()),
        (JSON, json.dumps({"columns": names, "data": rows}).encode()),
        (JSON, json.dumps({"dataframe_split": {"columns": names, "data": rows, "index": [0, 1, 2, 3]}}).encode()),
        (JSON_LINES, "\n".join(map(json.dumps, records)).encode()),
        (JSON_LINES, "\n".join(map(json.dumps, rows)).encode()),
        (PARQUET, parquet(frame)),
        (NPY, npy(array)),
        (NPZ, npz(array)),
    ]
    model = ServedModel(folder)
    direct = load_model(folder)
    expected = json.loads(model.answer(bodies[0][1], ContentType(CSV), JSON)[0])["predictions"]
    for media_type, body in bodies:
        got = json.loads(model.answer(body, ContentType(media_type), JSON)[0])["predictions"]
        assert got == expected, (media_type, body[:60])
    predictions = direct.predict(check_rows(frame, direct.contract, roles=("feature",)).frame)
    for record, value in zip(expected, predictions.values, strict=True):
        if isinstance(value, float):
            assert record["prediction"] == pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE)
        else:
            assert record["prediction"] == value


@pytest.mark.parametrize(
    ("source", "same"),
    [
        ('def add_features(rows):\n    """Words."""\n    return rows\n', True),
        ("def add_features(rows):\n    return rows\n", True),
        ("def add_features(rows):\n    return rows.clear()\n", False),
        ("def add_features(rows):\n    rows = rows[:1]\n    return rows\n", False),
        ("@twice\ndef add_features(rows):\n    return rows\n", False),
        ("rows = 1\ndef add_features(other):\n    return rows\n", False),
        ("add_features = print\n", False),
    ],
)
def test_a_function_that_changes_nothing_is_known_by_its_code(source: str, same: bool) -> None:
    assert returns_its_argument(source, "add_features") is same


@pytest.mark.parametrize(
    ("media_type", "body", "says"),
    [
        (CSV, b"", "the body is empty"),
        (CSV, b"\n\r\n", "the body is empty"),
        (CSV, b"a,b,c\n", "a header but no rows"),
        (CSV, b"a,b,a\n1,2,3\n", "names 'a' twice"),
        (CSV, b'1,"2,3\n', "never closed"),
        (CSV, b"1,2\xff,3\n", "line 1 is not UTF-8"),
        (CSV, b"1,\x00,3\n", "not text"),
        (JSON, b'{"instances": [{"a": 1, "a": 2, "b": 3, "c": 4}]}', "names 'a' twice"),
        (JSON, b'{"instances": [[1, {"x": 1}, 2]]}', "row 1, cell 2: a cell holds one value"),
        (JSON, b'{"instances": [[1, 2, 3e999]]}', "not valid JSON"),
        (JSON, b'[{"a": 1}, [1]]', "each row must be an object"),
        (JSON, b'{"columns": ["a", 1], "data": [[1, 2]]}', '"columns" must be a list'),
        (JSON, b'{"columns": ["a"], "data": []}', "at least one row"),
        (JSON_LINES, b'{"a": 1}\n{"a": \n', "line 2 is not valid JSON"),
        (PARQUET, b"PAR1 and no more", "no Parquet file"),
        (NPY, b"\x93NUMPY", "no npy array"),
        (NPY, npy(np.zeros((1, 2, 3))), "send one array"),
        (NPZ, b"PK", "no npz archive"),
    ],
)
def test_what_is_no_table_is_refused_in_one_line(media_type: str, body: bytes, says: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse_rows(body, ContentType(media_type), ["a", "b", "c"])
    assert says in caught.value.message
    assert "\n" not in caught.value.message


def test_pickled_objects_are_not_opened(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "opened",))

    for media_type, body in (
        (NPY, npy(np.array([Trap()], dtype=object))),
        (NPZ, npz(np.array([Trap()], dtype=object))),
    ):
        with pytest.raises(RequestError):
            parse_rows(body, ContentType(media_type), ["a"])
    assert not (tmp_path / "opened").exists()


def test_cells_without_names_are_text_columns_of_frames() -> None:
    from usecase.mlops.payload import read_rows

    assert read_rows(b"1,x\n", "text/csv").columns == [unnamed(0), unnamed(1)]
