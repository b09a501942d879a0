"""Files of rows to files of answers: a line for a line, and a run that was interrupted goes on."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xgboost as xgb

from usecase import inference
from usecase.mlops import default_handlers
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.features import Preprocessor
from usecase.mlops.model import FILE_NAME, Model, Predictions
from usecase.mlops.serving import batch, own
from usecase.mlops.serving.batch import run_batch
from usecase.mlops.serving.request import RequestError
from usecase.mlops.synthetic import synthetic_rows

CONTRACT = """\
name: people
schema:
  fields:
    - {name: age, type: integer, role: feature, constraints: {required: true, minimum: 0, maximum: 100}}
    - {name: paid, type: number, role: target, constraints: {minimum: 0, maximum: 9}}
"""
NO_ANSWER = '""'


@pytest.fixture
def model_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in own.HANDLERS:  # of the use case as it was born
        monkeypatch.setattr(inference, name, getattr(default_handlers, name))
    monkeypatch.setattr("usecase.preprocessing.add_features", lambda rows: rows)  # these rows are not the team's
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "data_contract.yaml").write_text(CONTRACT)
    contract = Contract.load(folder)
    rows = synthetic_rows(contract)
    preprocessor = Preprocessor.fit(rows, contract)
    preprocessor.save(folder)
    matrix = xgb.DMatrix(preprocessor.transform(rows), label=preprocessor.labels(rows))
    xgb.train({}, matrix, 2).save_model(folder / FILE_NAME)
    return folder


def test_a_line_for_each_row_of_each_kind_of_file(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "CHUNK_BYTES", 64)
    source = tmp_path / "in"
    source.mkdir()
    ages = [str(number % 100) for number in range(200)]
    (source / "named.csv").write_text("age\n" + "\n".join(ages) + "\n")
    (source / "bare.csv").write_text("\n".join(["x", *ages[1:]]))
    (source / "lines.jsonl").write_text("".join(json.dumps({"age": int(age)}) + "\n" for age in ages))
    pl.DataFrame({"age": list(map(int, ages))}).write_parquet(source / "table.parquet")
    said: list[str] = []
    run_batch(model_dir, source, tmp_path / "out", said.append)
    answers = {file.name: file.read_text().splitlines() for file in (tmp_path / "out").iterdir()}
    assert {name: len(lines) for name, lines in answers.items()} == dict.fromkeys(
        ("named.csv.out", "bare.csv.out", "lines.jsonl.out", "table.parquet.out"), 200
    )
    assert answers["bare.csv.out"][0] == NO_ANSWER
    assert answers["bare.csv.out"][1:] == answers["named.csv.out"][1:] == answers["table.parquet.out"][1:]
    assert said[0] == "1 of 4  bare.csv  200 rows, 1 without an answer: column 'age', row 1: 'x' is no integer"


def test_the_first_row_without_an_answer_is_named(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "CHUNK_BYTES", 64)
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.csv").write_text("age\n" + "\n".join(["1"] * 99 + ["x", "2", "y"]) + "\n")
    (source / "b.csv").write_text("name\nAda\n")
    said: list[str] = []
    run_batch(model_dir, source, tmp_path / "out", said.append)
    assert said[0] == "1 of 2  a.csv  102 rows, 2 without an answer: column 'age', row 100: 'x' is no integer"
    assert said[1].startswith("2 of 2  b.csv  2 rows, 2 without an answer: column 'age', row 1: ")


def test_what_is_made_is_kept_and_what_failed_leaves_nothing(tmp_path: Path, model_dir: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "a.csv").write_text("31\n")
    (source / "b.csv").write_bytes(b"3\xff\n")
    said: list[str] = []
    with pytest.raises(UserError, match=r"b\.csv: rows from 1: line 1 is not UTF-8"):
        run_batch(model_dir, source, target, said.append)
    assert [file.name for file in target.iterdir()] == ["a.csv.out"]
    (source / "b.csv").write_text("32\n")
    run_batch(model_dir, source, target, said.append)
    assert said[1:] == ["1 of 2  a.csv  is there already", "2 of 2  b.csv  1 rows"]


def test_a_folder_without_rows_is_said(tmp_path: Path, model_dir: Path) -> None:
    with pytest.raises(UserError, match="holds no file to answer"):
        run_batch(model_dir, tmp_path / "nothing", tmp_path / "out", print)
    assert not (tmp_path / "out").exists()


def test_own_handlers_answer_files_too(tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the service, with a place for each row that they refuse."""
    monkeypatch.setattr(inference, "predict_fn", height_of_all)
    monkeypatch.setattr(inference, "input_fn", all_or_nothing)
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.csv").write_text("age\n1\n2\nx\n\n5\n")
    (source / "b.jsonl").write_text('{"age": 1}\n{"age": "x"}\n')
    said: list[str] = []
    run_batch(model_dir, source, tmp_path / "out", said.append)
    assert (tmp_path / "out/a.csv.out").read_text().splitlines() == ["2.0", "2.0", NO_ANSWER, NO_ANSWER, "1.0"]
    answers = [json.loads(line) for line in (tmp_path / "out/b.jsonl.out").read_text().splitlines()]
    assert [answer["prediction"] for answer in answers] == [1.0, None]
    assert said[0] == "1 of 2  a.csv  5 rows, 2 without an answer"


def height_of_all(rows: pl.DataFrame, _model: Model) -> Predictions:
    return Predictions([float(rows.height)] * rows.height, [])


def all_or_nothing(body: bytes, content_type: str) -> pl.DataFrame:
    rows = default_handlers.input_fn(body, content_type)
    if "x" in rows.to_series().to_list():
        raise RequestError("x is no age", row=1)
    return rows.slice(1) if content_type == "text/csv" else rows


def one_too_few(rows: pl.DataFrame, model: Model) -> Predictions:
    answers = default_handlers.predict_fn(rows, model)
    return Predictions(answers.values[1:], answers.classes)


@pytest.mark.parametrize(
    ("handler", "function", "says"),
    [
        ("predict_fn", one_too_few, "predict_fn gave 1 answers for 2 rows"),
        ("output_fn", lambda predictions, accept: b"1\n", "output_fn wrote 1 lines for 2 rows"),
        ("input_fn", lambda body, content_type: body[1_000], "IndexError: index out of range"),
    ],
)
def test_own_handlers_answer_every_row_or_none(
    tmp_path: Path, model_dir: Path, monkeypatch: pytest.MonkeyPatch, handler: str, function: Any, says: str
) -> None:
    monkeypatch.setattr(inference, handler, function)
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.csv").write_text("age\n1\n2\n")
    with pytest.raises(UserError) as refused:
        run_batch(model_dir, source, tmp_path / "out", print)
    assert says in str(refused.value)
    assert f"{Path(__file__).name}:{function.__code__.co_firstlineno}" in str(refused.value)
    assert not any((tmp_path / "out").iterdir())
