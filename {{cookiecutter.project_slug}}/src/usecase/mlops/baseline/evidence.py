"""What a model card is made of: the files of the jobs before, the model, and the team's own words."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from usecase.mlops.baseline.words import Words
from usecase.mlops.data_report import FILE_NAME as DATA_REPORT
from usecase.mlops.data_report import DataReport
from usecase.mlops.errors import UserError
from usecase.mlops.model import Model
from usecase.mlops.yamlfile import parse

Parsed = TypeVar("Parsed", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Check(_Part):
    """One check of a gate. Without a value nothing could be compared, and `note` says why."""

    gate: str
    metric: str
    value: float | None
    operator: Literal["<=", ">="]
    threshold: float | None
    passed: bool
    note: str = ""


class Group(_Part):
    """Metrics of the test rows of one group of a protected column; None where one is undefined."""

    column: str
    group: str
    rows: int
    metrics: dict[str, float | None]


class Compared(_Part):
    """The model and the champion by one metric, on the same test rows."""

    version: str
    metric: str
    value: float
    champion_value: float


class Quality(_Part):
    """quality.json."""

    failed: int
    checks: list[Check]
    fairness: list[Group] = []
    champion: Compared | None = None


@dataclass(frozen=True)
class Evidence:
    """All of it. `facts` is lineage by name; `predictions` are Evaluate's, one row per test row."""

    title: str
    facts: Mapping[str, str]
    model: Model
    evaluation: Mapping[str, Any]
    quality: Quality
    report: DataReport
    predictions: pl.DataFrame
    importance: Mapping[str, float]
    explained_rows: int
    missing: Mapping[str, float]
    words: Words

    @property
    def task(self) -> str:
        """The kind of problem."""
        return self.model.preprocessor.task

    @property
    def classes(self) -> list[str]:
        """The labels as predictions.parquet has them; none for regression."""
        return [str(label) for label in self.model.preprocessor.classes]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """`value` and `standard_deviation` of the metrics that are one number, by name."""
        return {name: metric for name, metric in self.evaluation.items() if "value" in metric}

    @property
    def target(self) -> str:
        """What is predicted, with its unit."""
        column = self.model.contract.target
        return f"{column.name} ({column.unit})" if column.unit else column.name


def read_evaluation(folder: Path, model: Model) -> tuple[dict[str, Any], Quality, DataReport, pl.DataFrame]:
    """Metrics of evaluation.json, quality.json, data_report.json and predictions.parquet. Raises UserError."""
    task = model.preprocessor.task
    evaluation = _read_json(folder / "evaluation.json").get(f"{task}_metrics")
    if not isinstance(evaluation, dict):
        raise UserError(f"{folder / 'evaluation.json'}: holds no {task}_metrics: it is of another model")
    quality = parse(Quality, _read_json(folder / "quality.json"), str(folder / "quality.json"))
    report = parse(DataReport, _read_json(folder / DATA_REPORT), str(folder / DATA_REPORT))
    return evaluation, quality, report, _read_predictions(folder / "predictions.parquet", model)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error}): Evaluate did not end well") from None
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds no JSON object: Evaluate did not end well")
    return content


def _read_predictions(file: Path, model: Model) -> pl.DataFrame:
    try:
        predictions = pl.read_parquet(file)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(f"{file}: is no Parquet file, or a damaged one ({reason}): Evaluate did not end well") from None
    wanted = ["actual", "predicted", *(f"probability_{i}" for i in range(len(model.preprocessor.classes)))]
    absent = [name for name in wanted if name not in predictions.columns]
    if absent or not predictions.height:
        problem = f"holds no column {absent[0]}" if absent else "holds no rows"
        raise UserError(f"{file}: {problem}: Evaluate did not end well")
    return predictions
