"""What a model card is made of: the files of the jobs before, the model, and the team's own words."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict

from usecase.mlops.data_report import FILE_NAME as DATA_REPORT
from usecase.mlops.data_report import DataReport
from usecase.mlops.errors import UserError
from usecase.mlops.model import Model
from usecase.mlops.yamlfile import parse

Rating = Literal["Low", "Medium", "High", "Unknown"]
SECTIONS = ("Purpose", "Intended use", "Out of scope", "Risks and ethical considerations", "Caveats")
RATINGS: tuple[Rating, ...] = ("Low", "Medium", "High", "Unknown")

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_HEADING = re.compile(r"^##[ \t]+(\S.*?)[ \t]*$", re.MULTILINE)
_RATING = re.compile(rf"^risk rating:[ \t]*({'|'.join(RATINGS)})\b[.,;:]?[ \t]*", re.MULTILINE | re.IGNORECASE)

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
class Words:
    """docs/model_card.md: text by section, in the order of the file; the known sections are there, filled in or not."""

    sections: Mapping[str, str]
    risk_rating: Rating = "Unknown"

    @property
    def unfilled(self) -> list[str]:
        """The known sections without text."""
        return [title for title in SECTIONS if not self.sections[title]]

    @classmethod
    def read(cls, folder: Path) -> "Words":
        """The Markdown file in `folder`. Hints in comments are no text. Raises UserError."""
        file = next(iter(sorted(folder.glob("*.md"))), folder / "model_card.md")
        try:
            text = _COMMENT.sub("", file.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: the words of the model card cannot be read ({error})") from None
        rating = _RATING.search(text)
        parts = _HEADING.split(_RATING.sub("", text))
        found = {title: body.strip() for title, body in zip(parts[1::2], parts[2::2], strict=True)}
        if len(found) < len(parts) // 2:
            raise UserError(f"{file}: two sections have the same heading: join them")
        known = {title: found.pop(title, "") for title in SECTIONS}
        rated = rating.group(1).capitalize() if rating else "Unknown"
        return cls({**known, **found}, next(word for word in RATINGS if word == rated))


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
