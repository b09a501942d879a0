"""Baseline: the evidence of a model that passed its gates, and what later data will be compared with.

Outputs: `baseline` (Model Monitor's statistics and constraints, our own drift baseline, the schema of a request),
`explanation` (what the model looks at) and `model_card`.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from usecase.inference import model_fn, predict_fn
from usecase.mlops import explain
from usecase.mlops.check import as_text
from usecase.mlops.contract import Column, Contract
from usecase.mlops.errors import UserError
from usecase.mlops.files import file_sha256, write_json
from usecase.mlops.job import run_job
from usecase.mlops.model import ARCHIVE, Model, unpack
from usecase.mlops.model_card import Evidence, read_words, write_card
from usecase.mlops.model_monitor import (
    CONSTRAINTS,
    STATISTICS,
    Constraints,
    Dataset,
    MonitoringConfig,
    Statistics,
    constrain,
    describe,
)
from usecase.preprocessing import add_features

DRIFT_BINS = 10
DRIFT_LEVELS = 50  # of a column with more values the rest is one level
SCHEMA_TYPES = {"integer": "integer", "number": "number", "boolean": "boolean"}
SCHEMA_FORMATS = {"date": "date", "datetime": "date-time"}


def make_baseline(
    model_dir: Path, train_dir: Path, evaluation_dir: Path, card_dir: Path, output_dir: Path, facts: dict[str, str]
) -> None:
    """Describe the training rows in `train_dir` and the model; write the three outputs below `output_dir`.

    facts: lineage for the card, by name; `Model package group` is its title. Raises UserError.
    """
    words = read_words(card_dir)
    model_sha256 = file_sha256(model_dir / ARCHIVE)
    unpacked = model_dir / "unpacked"
    unpack(model_dir / ARCHIVE, unpacked)
    model = model_fn(str(unpacked))
    evaluation, quality, report = (
        _read(evaluation_dir / name) for name in ("evaluation.json", "quality.json", "data_report.json")
    )

    files = sorted(train_dir.glob("*.parquet"))
    if not files:
        raise UserError(f"{train_dir}: holds no Parquet file: Preprocess did not end well")
    columns = list(_columns(files, model))
    statistics = [describe(_as_sent(values, model.contract)) for values in columns]
    rows = len(columns[0])
    folder = output_dir / "baseline"
    Statistics(dataset=Dataset(item_count=rows), features=statistics).save(folder / STATISTICS)
    constraints = [constrain(item, _domain(item.name, model)) for item in statistics]
    Constraints(features=constraints, monitoring_config=MonitoringConfig()).save(folder / CONSTRAINTS)
    drift = {"version": 1, "rows": rows, "columns": {values.name: drift_column(values) for values in columns}}
    write_json(folder / "drift_baseline.json", drift)
    write_json(folder / "input_schema.json", input_schema(model.contract))
    write_json(folder / "baseline_report.json", {"model_sha256": model_sha256, "rows": rows})

    importance = explain.importance(model, add_features(_sample(files)))
    write_json(output_dir / "explanation" / "importance.json", explain.analysis(importance))
    facts = facts | {
        "Data SHA-256": report["data_sha256"],
        "Contract SHA-256": model.contract.sha256,
        "Model SHA-256": model_sha256,
    }
    evidence = Evidence(
        group=facts["Model package group"],
        facts=facts,
        model=model,
        evaluation=evaluation,
        quality=quality,
        report=report,
        predictions=pl.read_parquet(evaluation_dir / "predictions.parquet"),
        importance=importance,
        words=words,
    )
    write_card(output_dir / "model_card", evidence)


def drift_column(values: pl.Series) -> dict[str, Any]:
    """What drift is measured against: the shares between quantiles of a number (or moment), or of each level of a text.

    `missing` is a share of all rows, the others of those with a value. The outer quantiles are the smallest and largest.
    """
    present = values.drop_nulls()
    missing = values.null_count() / max(1, len(values))
    if not len(present):
        return {"kind": "empty", "missing": missing}
    if values.dtype.is_numeric() or values.dtype.is_temporal():
        numbers = present.to_physical().cast(pl.Float64).to_numpy()
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, DRIFT_BINS + 1)))
        counts, _ = np.histogram(numbers, bins=edges) if len(edges) > 1 else (np.array([len(numbers)]), edges)
        return {
            "kind": "moment" if values.dtype.is_temporal() else "number",
            "missing": missing,
            "edges": edges.tolist(),
            "shares": (counts / len(numbers)).tolist(),
        }
    counted = (
        present.cast(pl.String)
        .alias("level")
        .value_counts(name="rows")
        .sort(["rows", "level"], descending=[True, False])
    )
    levels = {level: rows / len(present) for level, rows in counted.head(DRIFT_LEVELS).rows()}
    return {"kind": "category", "missing": missing, "levels": levels, "other": max(0.0, 1 - sum(levels.values()))}


def input_schema(contract: Contract) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of one record of a request, from the contract."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A record of {contract.name}",
        "type": "object",
        "properties": {column.name: _property(column) for column in contract.features},
        "required": [column.name for column in contract.features if column.constraints.required],
        "additionalProperties": False,
    }


def _property(column: Column) -> dict[str, Any]:
    limits = column.constraints
    kind = SCHEMA_TYPES.get(column.type, "string")
    schema: dict[str, Any] = {"type": kind if limits.required else [kind, "null"]}
    if column.type in SCHEMA_FORMATS and column.format == "default":
        schema["format"] = SCHEMA_FORMATS[column.type]
    if kind in ("integer", "number"):
        schema |= {k: v for k, v in (("minimum", limits.minimum), ("maximum", limits.maximum)) if v is not None}
    if limits.enum is not None:
        schema["enum"] = [*limits.enum, *([] if limits.required else [None])]
    if text := " ".join(part for part in (column.description, f"[{column.unit}]" if column.unit else "") if part):
        schema["description"] = text
    return schema


def _columns(files: list[Path], model: Model) -> Iterator[pl.Series]:
    """The prediction for each training row, then each feature of a request, one column at a time."""
    answers = [predict_fn(rows, model).values for file in files for rows in pl.read_parquet(file).iter_slices(100_000)]
    yield pl.Series(model.contract.target.name, [value for part in answers for value in part], strict=False)
    rows = pl.scan_parquet(files)
    for column in model.contract.features:
        yield rows.select(column.name).collect().to_series()


def _as_sent(values: pl.Series, contract: Contract) -> pl.Series:
    """Dates and booleans as the text that a request holds: Model Monitor knows numbers and text."""
    if values.dtype.is_numeric():
        return values
    return as_text(values.to_frame(), contract).to_series()


def _domain(name: str, model: Model) -> list[str] | None:
    column = model.contract.columns[name]
    if column.type == "boolean":
        return [column.true_values[0], column.false_values[0]]
    return [str(value) for value in column.constraints.enum] if column.constraints.enum else None


def _sample(files: list[Path]) -> pl.DataFrame:
    """About explain.SAMPLE_ROWS training rows, evenly over all files."""
    lazy = pl.scan_parquet(files)
    rows = int(lazy.select(pl.len()).collect().item())
    return lazy.gather_every(max(1, rows // explain.SAMPLE_ROWS)).collect()


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error}): Evaluate did not end well") from None


def main() -> None:
    """Command line of the processing job; the defaults are SageMaker's paths."""
    inputs = Path("/opt/ml/processing/input")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=inputs / "model")
    parser.add_argument("--input-dir", type=Path, default=inputs / "train")
    parser.add_argument("--evaluation-dir", type=Path, default=inputs / "evaluation")
    parser.add_argument("--card-dir", type=Path, default=inputs / "card")
    parser.add_argument("--output-dir", type=Path, default=Path("/opt/ml/processing/output"))
    for name in ("model-package-group", "git-sha", "pipeline-execution", "champion-version"):
        parser.add_argument(f"--{name}", default="none")
    given = parser.parse_args()
    facts = {
        "Model package group": given.model_package_group,
        "Git commit": given.git_sha,
        "Pipeline execution": given.pipeline_execution,
        "Compared with champion": given.champion_version,
    }
    folders = given.model_dir, given.input_dir, given.evaluation_dir, given.card_dir, given.output_dir
    make_baseline(*folders, facts)


if __name__ == "__main__":
    run_job(main)
