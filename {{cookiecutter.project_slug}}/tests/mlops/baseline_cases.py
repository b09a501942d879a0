"""What the Baseline job finds: a model, its training rows, what Evaluate wrote, and the team's words, of each kind."""

import shutil
import tarfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import xgboost as xgb
import yaml

from usecase.mlops import contract, metrics, model
from usecase.mlops.baseline import __main__ as job
from usecase.mlops.champion import NONE, Champion
from usecase.mlops.contract import Contract
from usecase.mlops.data_report import DataReport
from usecase.mlops.features import Preprocessor
from usecase.mlops.files import write_json
from usecase.mlops.gates import Limits, judge
from usecase.mlops.model import Model, Predictions, load_model
from usecase.mlops.payload import typed_features
from usecase.mlops.scored import Scored
from usecase.mlops.synthetic import synthetic_rows

FEATURES: list[dict[str, Any]] = [
    {"name": "age", "type": "integer", "role": "feature", "unit": "years", "constraints": {"required": True}},
    {"name": "Gain $x$", "type": "number", "role": "feature", "constraints": {"minimum": -5, "maximum": 100}},
    {"name": "plan", "type": "string", "role": "feature", "constraints": {"enum": ["basic", "plus", "<b>pro</b>"]}},
    {"name": "active", "type": "boolean", "role": "feature", "trueValues": ["yes"], "falseValues": ["no"]},
    {"name": "joined", "type": "date", "role": "feature", "constraints": {"minimum": "2020-01-01"}},
    {"name": "seen", "type": "datetime", "role": "feature"},
]
IGNORED = [
    {"name": "sex", "type": "string", "role": "ignored", "protected": True, "constraints": {"enum": ["f", "m"]}},
    {"name": "note", "type": "string", "role": "ignored"},
]
TARGETS: dict[str, dict[str, Any]] = {
    "binary_classification": {"name": "churned", "type": "boolean", "role": "target"},
    "multiclass_classification": {
        "name": "grade",
        "type": "integer",
        "role": "target",
        "constraints": {"enum": [1, 2, 3]},
    },
    "regression": {"name": "cost", "type": "number", "role": "target", "unit": "EUR"},
}
TASKS = list(TARGETS)
ROWS = 600
WORDS = """# Model card
## Purpose
<!-- a hint -->
Tells **who** will leave; see [the plan](https://example.com/plan).

- first <i>item</i>
- second item

## Risks and ethical considerations
Risk rating: high
Nobody is called twice.
## Caveats
<!-- only a hint -->
## Contact
The team.
"""


@dataclass
class Case:
    """A folder with everything that the job reads."""

    folder: Path
    task: str
    model: Model
    rows: pl.DataFrame

    @cached_property
    def output(self) -> Path:
        """The outputs of the job, for tests that only read them."""
        return self.run()

    def copy(self, folder: Path) -> "Case":
        """The same in another folder, for tests that damage it."""
        shutil.copytree(self.folder, folder)
        return Case(folder, self.task, self.model, self.rows)

    def run(self, output_dir: Path | None = None) -> Path:
        """Runs the job; returns its output folder."""
        output = output_dir or self.folder / "output"
        facts = {"Model package group": "people", "Git commit": "abc"}
        job.make_baseline(
            self.folder / "model",
            self.folder / "train",
            self.folder / "evaluation",
            self.folder / "card",
            output,
            facts,
        )
        return output


def add_features(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(twice=pl.col("age") * 2)


def predict(rows: pl.DataFrame, trained: Model) -> Predictions:
    return trained.predict(add_features(typed_features(rows, trained.contract)))


def make_case(folder: Path, task: str, **limits: Any) -> Case:
    """Trains a small model on made-up rows, and measures and judges it with our own functions."""
    descriptor = {"name": "people", "schema": {"fields": [*FEATURES, *IGNORED, TARGETS[task]]}}
    known = Contract.model_validate(descriptor)
    rows = synthetic_rows(known, ROWS)
    train, test = rows.head(ROWS - 200), rows.tail(200)
    features = add_features(train)
    preprocessor = Preprocessor.fit(features, known)
    matrix = xgb.DMatrix(preprocessor.transform(features), preprocessor.labels(train))
    parameters = model.OBJECTIVES[task] | ({"num_class": 3} if task == "multiclass_classification" else {})
    booster = xgb.train({**parameters, "max_depth": 3, "nthread": 1}, matrix, num_boost_round=8)

    unpacked = folder / "unpacked"
    unpacked.mkdir(parents=True)
    booster.save_model(unpacked / model.FILE_NAME)
    preprocessor.save(unpacked)
    (unpacked / contract.FILE_NAME).write_text(yaml.safe_dump(descriptor), encoding="utf-8")
    trained = load_model(unpacked)
    for name in ("model", "train", "test", "evaluation", "card"):
        (folder / name).mkdir()
    with tarfile.open(folder / "model" / model.ARCHIVE, "w:gz") as tar:
        tar.add(unpacked, ".")
    train.head(150).write_parquet(folder / "train" / "part-algo-1-00000.parquet")
    train.slice(150).write_parquet(folder / "train" / "part-algo-1-00001.parquet")
    test.write_parquet(folder / "test" / "part-algo-1-00000.parquet")
    (folder / "card" / "model_card.md").write_text(WORDS, encoding="utf-8")
    _evaluate(folder, trained, replace(Limits(fairness_metric="accuracy"), **limits))
    return Case(folder, task, trained, train)


def _evaluate(folder: Path, trained: Model, limits: Limits) -> None:
    task = trained.preprocessor.task
    if task == "regression" and limits.fairness_metric == "accuracy":
        limits = replace(limits, fairness_metric="mae")
    scored = Scored.of(trained, folder / "test", predict)
    evaluation = metrics.evaluate(task, scored.answers, scored.labels)
    report = DataReport.model_validate(
        {
            "data_sha256": "d" * 64,
            "rows": ROWS,
            "features": len(FEATURES),
            "task": task,
            "target": {"name": trained.preprocessor.target},
            "warnings": ["column 'plan', row 3: `free` is none of the values in the contract"],
            "flagged_rows": 3,
            "splits": {"train": 400, "validation": 0, "test": 200},
            "overlap": {"validation": 0.0, "test": 0.01},
            "label_shift": {"value": 0.02, "standard_error": 0.01, "part": "test", "class": None},
        }
    )
    answers = scored.answers if limits.champion_version != NONE else None
    champion = Champion(limits.champion_version, answers, "" if answers else "no version is approved yet")
    quality = judge(evaluation, report, scored, champion, limits)
    write_json(folder / "evaluation" / "evaluation.json", evaluation)
    write_json(folder / "evaluation" / "quality.json", quality)
    report.save(folder / "evaluation" / "data_report.json")
    scored.frame.write_parquet(folder / "evaluation" / "predictions.parquet")


def use_own_handlers(patch: pytest.MonkeyPatch) -> None:
    """The job asks handlers of these tests, whatever the team made of its own."""
    patch.setattr(job, "model_fn", lambda folder: load_model(Path(folder)))
    patch.setattr(job, "predict_fn", predict)
    patch.setattr(job, "add_features", add_features)
