"""A champion answers with the code of its archive, and one that cannot answer is told apart."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import xgboost as xgb
import yaml

from usecase.mlops import contract, metrics, model
from usecase.mlops.champion import Champion, ask_champion
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.features import Preprocessor
from usecase.mlops.model import Model, Predictions, load_model
from usecase.mlops.score import as_frame
from usecase.mlops.scored import Scored
from usecase.mlops.synthetic import synthetic_rows

FIELDS = [
    {"name": "age", "type": "integer", "role": "feature", "protected": True, "constraints": {"minimum": 0}},
    {"name": "plan", "type": "string", "role": "feature", "constraints": {"enum": ["basic", "plus", "pro"]}},
    {"name": "churned", "type": "boolean", "role": "target"},
]
DESCRIPTOR = {"name": "people", "schema": {"fields": FIELDS}}
CONTRACT = Contract.model_validate(DESCRIPTOR)
# The package of a use case with one derived feature: the champion was trained with it.
FEATURES = """
import polars as pl

def add_features(rows):
    return rows.with_columns(twice=pl.col("age") * 2)
"""
OTHER_FEATURES = FEATURES.replace('twice=pl.col("age") * 2', "twice=pl.lit(0), age=pl.lit(0)")
HANDLERS = """
from pathlib import Path
from usecase.mlops.model import load_model
from usecase.mlops.payload import typed_features
from usecase.preprocessing import add_features

def model_fn(folder):
    return load_model(Path(folder))

def predict_fn(rows, model):
    return model.predict(add_features(typed_features(rows, model.contract)))

input_fn = output_fn = None
"""


def add_features(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(twice=pl.col("age") * 2)


def predict(rows: pl.DataFrame, trained: Model) -> Predictions:
    return trained.predict(add_features(rows))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder as Train writes it, of the code above."""
    folder = tmp_path_factory.mktemp("model")
    rows = add_features(synthetic_rows(CONTRACT, 600, seed=1))
    preprocessor = Preprocessor.fit(rows, CONTRACT)
    matrix = xgb.DMatrix(preprocessor.transform(rows), label=preprocessor.labels(rows))
    xgb.train(model.OBJECTIVES[CONTRACT.task], matrix, num_boost_round=5).save_model(folder / model.FILE_NAME)
    preprocessor.save(folder)
    (folder / contract.FILE_NAME).write_text(yaml.safe_dump(DESCRIPTOR))
    package = folder / "code" / "usecase"
    shutil.copytree(Path(model.__file__).parent, package / "mlops", ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").write_text("")
    (package / "preprocessing.py").write_text(FEATURES)
    (package / "inference.py").write_text(HANDLERS)
    return folder


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test part, in two files."""
    folder = tmp_path_factory.mktemp("test")
    rows = synthetic_rows(CONTRACT, 300, seed=2)
    rows.head(200).write_parquet(folder / "part-algo-1-00000.parquet")
    rows.tail(100).write_parquet(folder / "part-algo-1-00001.parquet")
    return folder


@pytest.fixture(scope="module")
def scored(trained: Path, part: Path) -> Scored:
    return Scored.of(load_model(trained), part, predict)


@pytest.fixture
def edited(trained: Path, tmp_path: Path) -> Path:
    """A copy of the model folder that a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "model"))


def ask(folder: Path, part: Path, scored: Scored, tmp_path: Path, seconds: float = 60.0) -> Champion:
    """Pack the model folder and ask it."""
    place = tmp_path / "champion"
    place.mkdir()
    with tarfile.open(place / "model.tar.gz", "w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    return ask_champion(place, "3", CONTRACT.sha256, part, scored, seconds)


def test_the_test_rows_become_columns(scored: Scored, part: Path) -> None:
    rows = pl.read_parquet(part / "*.parquet")
    assert scored.frame.columns == ["actual", "predicted", "probability_0", "probability_1", "group:age"]
    assert scored.frame["actual"].to_list() == [str(value) for value in rows["churned"]]
    assert scored.frame["group:age"].n_unique() == 5  # quarters, and rows without an age
    assert scored.answers.actual.tolist() == [float(value) for value in rows["churned"]]
    assert (scored.answers.predicted == scored.answers.scores.argmax(axis=1)).all()


def test_a_champion_answers_by_the_code_it_was_trained_with(
    trained: Path, part: Path, scored: Scored, tmp_path: Path
) -> None:
    # The code of this process knows no feature `twice`: with it, the champion could not answer at all.
    champion = ask(trained, part, scored, tmp_path)
    assert champion.note == ""
    assert champion.version == "3"
    assert champion.answers is not None
    assert (champion.answers.scores == scored.answers.scores).all()
    assert (champion.answers.predicted == scored.answers.predicted).all()


def test_what_stands_on_the_path_already_changes_nothing(
    trained: Path, edited: Path, part: Path, scored: Scored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = edited / "code" / "usecase" / "preprocessing.py"
    features.write_text(OTHER_FEATURES)
    monkeypatch.setenv("PYTHONPATH", str(edited / "code"))  # as a job's code input is
    monkeypatch.chdir(edited / "code")
    champion = ask(trained, part, scored, tmp_path)
    assert champion.answers is not None
    assert (champion.answers.scores == scored.answers.scores).all()


def test_other_code_in_the_archive_gives_other_answers(
    edited: Path, part: Path, scored: Scored, tmp_path: Path
) -> None:
    features = edited / "code" / "usecase" / "preprocessing.py"
    features.write_text(OTHER_FEATURES)
    champion = ask(edited, part, scored, tmp_path)
    assert champion.answers is not None
    assert (champion.answers.scores != scored.answers.scores).any()


def test_no_champion(part: Path, scored: Scored, tmp_path: Path) -> None:
    (tmp_path / "no-champion").write_text("no version is approved yet\n")
    first = ask_champion(tmp_path, "none", CONTRACT.sha256, part, scored)
    assert first == Champion("none", None, "no version is approved yet")
    lost = ask_champion(tmp_path, "3", CONTRACT.sha256, part, scored)
    assert lost.note == "version 3 is not comparable: model.tar.gz is missing"


def test_another_contract_is_not_comparable(edited: Path, part: Path, scored: Scored, tmp_path: Path) -> None:
    content = json.loads((edited / "preprocessor.json").read_text())
    # A later version of the file may hold what today's code does not know.
    (edited / "preprocessor.json").write_text(json.dumps(content | {"contract_sha256": "0" * 64, "version": 2}))
    champion = ask(edited, part, scored, tmp_path)
    assert champion.answers is None
    assert champion.note == "version 3 is not comparable: the contract has changed since"


def test_an_archive_without_code_is_not_comparable(edited: Path, part: Path, scored: Scored, tmp_path: Path) -> None:
    shutil.rmtree(edited / "code")
    assert ask(edited, part, scored, tmp_path).note == "version 3 is not comparable: its archive holds no code"


@pytest.mark.parametrize(
    ("handlers", "reason"),
    [
        ("import no_such_library", "its code fails (ModuleNotFoundError: No module named 'no_such_library')"),
        (HANDLERS.replace("return model.predict", "raise SystemExit(4) #"), "its code fails (exit status 4)"),
        (HANDLERS.replace("rows, model.contract", "rows.head(10), model.contract"), "it answers 20 of 300 rows"),
    ],
)
def test_code_that_fails_is_not_comparable(
    edited: Path, part: Path, scored: Scored, tmp_path: Path, handlers: str, reason: str
) -> None:
    (edited / "code" / "usecase" / "inference.py").write_text(handlers)
    champion = ask(edited, part, scored, tmp_path)
    assert champion.answers is None
    assert champion.note == f"version 3 is not comparable: {reason}"


def test_code_that_never_ends_is_not_comparable(edited: Path, part: Path, scored: Scored, tmp_path: Path) -> None:
    (edited / "code" / "usecase" / "inference.py").write_text("import time\ntime.sleep(60)\n")
    note = ask(edited, part, scored, tmp_path, seconds=0.5).note
    assert note == "version 3 is not comparable: its code took longer than 0.5 seconds"


def test_a_damaged_archive_is_not_comparable(part: Path, scored: Scored, tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"\x1f\x8b damaged")
    note = ask_champion(tmp_path, "3", CONTRACT.sha256, part, scored).note
    assert note.startswith("version 3 is not comparable: ")
    assert "cannot be unpacked" in note


def test_an_answer_that_is_no_class_is_refused() -> None:
    strange = Predictions(values=["maybe"], classes=["no", "yes"], probabilities=np.array([[0.5, 0.5]], np.float32))
    with pytest.raises(UserError, match=r"^predict_fn answers 'maybe', which is none of the classes no, yes$"):
        as_frame(strange)


def test_metrics_follow_the_answers_of_the_service_not_the_likeliest_class() -> None:
    """A predict_fn that says yes from 0.3 on has another recall than one that takes the likelier class."""
    values = ["yes", "yes", "no", "no"]
    low = np.array([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]], np.float32)
    answers = as_frame(Predictions(values=list(values), classes=["no", "yes"], probabilities=low))
    scored = Scored("binary_classification", ["no", "yes"], answers.with_columns(actual=pl.Series(values)))
    found = metrics.evaluate(scored.task, scored.answers, scored.labels)["binary_classification_metrics"]
    assert found["recall"]["value"] == 1.0
    assert found["confusion_matrix"] == {"no": {"no": 2, "yes": 0}, "yes": {"no": 0, "yes": 2}}
