"""The Baseline job as a whole: its outputs for each kind of problem, and what it says about bad inputs."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import baseline_cases
import numpy as np
import polars as pl
import pytest
import xgboost as xgb
from baseline_cases import TASKS, Case, add_features, make_case, predict, use_own_handlers

from usecase.mlops.baseline import __main__ as job
from usecase.mlops.baseline import explain
from usecase.mlops.baseline.drift import Category, DriftBaseline, Numeric
from usecase.mlops.baseline.model_monitor import Constraints, Statistics
from usecase.mlops.baseline.request_schema import request_schema
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256

FILES = {
    *("baseline/statistics.json", "baseline/constraints.json", "baseline/drift_baseline.json"),
    *("baseline/input_schema.json", "baseline/baseline_report.json", "explanation/importance.json"),
    *("model_card/model_card.json", "model_card/model_card.html", "model_card/model_card.md"),
}
REQUESTED = ["age", "Gain $x$", "plan", "active", "joined", "seen"]


@pytest.fixture(autouse=True)
def own_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    use_own_handlers(monkeypatch)


@pytest.fixture(scope="module", params=TASKS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case"), request.param)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make_case(tmp_path_factory.mktemp("case"), "binary_classification")


@pytest.fixture
def binary(original: Case, tmp_path: Path) -> Case:
    return original.copy(tmp_path / "case")


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def written(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_all_outputs_are_written_and_the_same_again(case: Case) -> None:
    first, again = case.output, case.run(case.folder / "again")
    files = written(first)
    assert files.keys() >= FILES
    assert {name for name in files if name.endswith(".svg")} >= {"model_card/importance.svg", "model_card/groups_1.svg"}
    assert len(files) == len(FILES) + sum(name.endswith(".svg") for name in files)
    assert written(again) == files


def test_the_report_names_the_model(case: Case) -> None:
    report = read(case.output / "baseline/baseline_report.json")
    assert report == {"model_sha256": file_sha256(case.folder / "model/model.tar.gz"), "rows": 400}


def test_answers_come_first_then_the_features_of_a_request(case: Case) -> None:
    output = case.output
    statistics = Statistics.load(output / "baseline/statistics.json")
    target = case.model.preprocessor.target
    answers = [target] if case.task == "regression" else [target, f"{target}_probability"]
    names = [feature.name for feature in statistics.features]
    assert names == [*answers, *REQUESTED], "no derived feature, no column that requests do not carry"
    limits = Constraints.load(output / "baseline/constraints.json").features
    assert [limit.name for limit in limits] == names
    assert statistics.dataset.item_count == 400
    types = {feature.name: feature.inferred_type for feature in statistics.features}
    inferred = {"churned": "String", "grade": "Integral", "cost": "Fractional"}
    assert types[target] == inferred[target]
    assert types["active"] == types["joined"] == types["seen"] == "String"
    gain = next(feature for feature in statistics.features if feature.name == "Gain $x$").numerical_statistics
    assert gain is not None
    assert gain.mean == pytest.approx(case.rows["Gain $x$"].mean())
    assert gain.common.num_missing == case.rows["Gain $x$"].null_count() > 0


def test_drift_is_measured_from_what_the_model_answers_and_was_asked(case: Case) -> None:
    baseline = DriftBaseline.load(case.output / "baseline/drift_baseline.json")
    assert (baseline.rows, baseline.answered) == (400, 200)
    assert list(baseline.features) == REQUESTED
    kinds = {name: part.kind for name, part in baseline.features.items()}
    assert kinds == dict(zip(REQUESTED, ("number", "number", "category", "category", "moment", "moment"), strict=True))
    plan = baseline.features["plan"]
    assert isinstance(plan, Category)
    values = case.rows["plan"].drop_nulls()
    assert plan.shares["basic"] == pytest.approx((values == "basic").mean())
    assert plan.missing == case.rows["plan"].null_count() / 400
    if case.task == "regression":
        assert isinstance(baseline.prediction, Numeric)
        assert baseline.probability is None
    else:
        assert isinstance(baseline.prediction, Category)
        answers = predict(pl.read_parquet(case.folder / "test"), case.model)  # the model has not learned those
        counted = pl.Series([str(value).lower() for value in answers.values]).value_counts(normalize=True)
        assert baseline.prediction.shares == pytest.approx(dict(counted.rows()))
        assert isinstance(baseline.probability, Numeric)
        assert answers.probabilities is not None
        assert baseline.probability.maximum == pytest.approx(answers.probabilities.max())


def test_a_feature_may_be_called_like_the_probability(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"name": "churned_probability", "type": "number", "role": "feature"}
    monkeypatch.setattr(baseline_cases, "FEATURES", [*baseline_cases.FEATURES, named])
    case = make_case(tmp_path, "binary_classification")
    names = [feature.name for feature in Statistics.load(case.output / "baseline/statistics.json").features]
    assert names == ["churned", "churned_probability_", *REQUESTED, "churned_probability"]


# Importance


def test_contributions_add_up_to_the_margin_and_inputs_to_their_columns(case: Case) -> None:
    rows = add_features(case.rows.head(50))
    found = explain.contributions(case.model, rows)
    assert found.inputs == [*REQUESTED, "twice"]
    matrix = xgb.DMatrix(case.model.preprocessor.transform(rows))
    margin = case.model.booster.predict(matrix, output_margin=True).reshape(50, -1)
    assert np.allclose(found.values.sum(axis=1) + found.expected, margin, atol=1e-4)
    shap = case.model.booster.predict(matrix, pred_contribs=True).reshape(50, margin.shape[1], -1)
    columns = [n for n, name in enumerate(case.model.preprocessor.feature_names) if name.startswith("plan=")]
    assert len(columns) > 1
    assert np.allclose(found.values[:, 2, :], shap[:, :, columns].sum(axis=2), atol=1e-5)
    assert found.importance["age"] == pytest.approx(np.abs(found.values[:, 0, :]).mean())


def test_importance_has_the_layout_of_clarify(case: Case) -> None:
    content = read(case.output / "explanation/importance.json")
    label = content["explanations"]["kernel_shap"]["label0"]
    values = label["global_shap_values"]
    assert set(values) == {*REQUESTED, "twice"}
    assert list(values.values()) == sorted(values.values(), reverse=True)
    assert max(values.values()) > 0
    assert isinstance(label["expected_value"], list) == (case.task == "multiclass_classification")


def test_the_rows_that_are_explained_are_a_sample_of_all_parts(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = case.rows.select(REQUESTED)
    assert job.profile_rows(case.folder / "train", case.model).sample.equals(rows)
    monkeypatch.setattr(explain, "MAX_ROWS", 100)
    sample = job.profile_rows(case.folder / "train", case.model).sample
    assert sample.height == sample.unique().height == 100
    assert sample.join(rows, on=REQUESTED, nulls_equal=True).height == 100
    assert 20 < sample.join(rows.head(150), on=REQUESTED, nulls_equal=True).height < 55
    assert job.profile_rows(case.folder / "train", case.model).sample.equals(sample)


def test_many_matrix_columns_are_explained_by_fewer_rows(binary: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain.sample_size(binary.model) == explain.MAX_ROWS
    monkeypatch.setattr(explain, "MAX_CELLS", 8000)
    assert 100 <= explain.sample_size(binary.model) < 400


# The schema of a request


def test_the_request_schema_says_what_the_contract_says() -> None:
    columns: list[dict[str, Any]] = [
        {"name": "age", "type": "integer", "role": "feature", "unit": "years", "description": "Age at start.",
         "constraints": {"required": True, "minimum": 0, "maximum": 120}},
        {"name": "plan", "type": "string", "role": "feature", "constraints": {"enum": ["a", "b"]}},
        {"name": "on", "type": "boolean", "role": "feature"},
        {"name": "day", "type": "date", "role": "feature", "constraints": {"minimum": "2020-01-01"}},
        {"name": "born", "type": "date", "role": "feature", "format": "%d.%m.%Y"},
        {"name": "seen", "type": "datetime", "role": "feature", "constraints": {"required": True}},
        {"name": "left", "type": "boolean", "role": "target"},
    ]  # fmt: skip
    schema = request_schema(Contract.model_validate({"name": "rows", "schema": {"fields": columns}}))
    assert schema["required"] == ["age", "plan", "on", "day", "born", "seen"]
    assert schema["properties"] == {
        "age": {"type": "integer", "minimum": 0, "maximum": 120, "description": "Age at start. Unit: years."},
        "plan": {"type": ["string", "null"], "enum": ["a", "b", None]},
        "on": {"type": ["boolean", "null"]},
        "day": {"type": ["string", "null"], "format": "date", "description": "The minimum is 2020-01-01."},
        "born": {"type": ["string", "null"], "description": "Written as %d.%m.%Y."},
        "seen": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"},
    }


@pytest.mark.sdk
@pytest.mark.filterwarnings("ignore")
def test_the_request_schema_takes_rows_and_refuses_others(binary: Case) -> None:
    jsonschema: Any = importlib.import_module("jsonschema")
    schema = read(binary.run() / "baseline/input_schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    row = {"age": 3, "Gain $x$": None, "plan": "plus", "active": True, "joined": "2024-01-31", "seen": None}
    assert validator.is_valid(row)
    assert validator.is_valid(row | {"note": "a known column that is dropped"})
    faults: list[dict[str, Any]] = [{"age": None}, {"age": 1.5}, {"Gain $x$": 101}, {"plan": "other"}, {"new": 1}]
    for fault in [*faults, {"joined": "31.01.2024"}, {"seen": "2024-01-31"}]:
        assert not validator.is_valid(row | fault), fault
    assert not validator.is_valid({name: value for name, value in row.items() if name != "plan"})


# Bad inputs


def edit(name: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = read(folder / name)
        change(content)
        (folder / name).write_text(json.dumps(content))

    return apply


def cut(name: str) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        (folder / name).write_bytes((folder / name).read_bytes()[:60])

    return apply


def drop(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def without_rows(folder: Path) -> None:
    for file in (folder / "train").iterdir():
        pl.read_parquet(file).clear().write_parquet(file)


def without_probabilities(folder: Path) -> None:
    file = folder / "evaluation/predictions.parquet"
    pl.read_parquet(file).drop("probability_1").write_parquet(file)


PART = "train/part-algo-1-00001.parquet"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop("model/model.tar.gz"), r"model.tar.gz: cannot be unpacked"),
        (cut("model/model.tar.gz"), r"model.tar.gz: cannot be unpacked"),
        (lambda folder: shutil.rmtree(folder / "train"), r"train: holds no Parquet file"),
        (without_rows, r"train: holds no rows"),
        (cut(PART), r"part-algo-1-00001.parquet: cannot be read as training rows"),
        (lambda folder: pl.DataFrame({"a": [1]}).write_parquet(folder / PART), r"00001.parquet: cannot be read"),
        (drop("evaluation/evaluation.json"), r"evaluation.json: cannot be read as JSON"),
        (cut("evaluation/evaluation.json"), r"evaluation.json: cannot be read as JSON"),
        (edit("evaluation/evaluation.json", dict.clear), r"holds no binary_classification_metrics"),
        (drop("evaluation/quality.json"), r"quality.json: cannot be read as JSON"),
        (
            edit("evaluation/quality.json", lambda quality: quality.pop("checks")),
            r"quality.json: checks: Field required",
        ),
        (lambda folder: (folder / "evaluation/quality.json").write_text("[]"), r"quality.json: holds no JSON object"),
        (drop("evaluation/data_report.json"), r"data_report.json: cannot be read as JSON"),
        (edit("evaluation/data_report.json", lambda report: report.pop("splits")), r"data_report.json: splits"),
        (drop("evaluation/predictions.parquet"), r"predictions.parquet: is no Parquet file"),
        (cut("evaluation/predictions.parquet"), r"predictions.parquet: is no Parquet file"),
        (without_probabilities, r"predictions.parquet: holds no column probability_1"),
        (drop("card/model_card.md"), r"model_card.md: the words of the model card cannot be read"),
        (lambda folder: (folder / "card/model_card.md").write_bytes(b"\xff\xfe"), r"words of the model card cannot"),
    ],
)
def test_a_bad_input_is_named_in_one_line_and_nothing_is_written(
    binary: Case, damage: Callable[[Path], None], message: str
) -> None:
    damage(binary.folder)
    with pytest.raises(UserError, match=message) as caught:
        binary.run()
    assert "\n" not in str(caught.value)
    assert not (binary.folder / "output").exists()


def test_the_command_line_ends_with_one_line(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "usecase.mlops.baseline",
        "--card-dir",
        str(tmp_path),
        "--output-dir",
        str(tmp_path),
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith(f"error: {tmp_path / 'model_card.md'}")
    assert "Traceback" not in ended.stderr


def test_rows_are_read_one_part_at_a_time(binary: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    heights = []
    read_parquet = pl.read_parquet

    def spy(source: Any, **options: Any) -> pl.DataFrame:
        frame = read_parquet(source, **options)
        if Path(source).parent.name == "train":
            heights.append(frame.height)
        return frame

    monkeypatch.setattr(pl, "read_parquet", spy)
    binary.run()
    assert heights == [150, 250]
