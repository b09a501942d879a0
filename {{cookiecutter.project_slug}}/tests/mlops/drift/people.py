"""People who are asked about: their contract, rows of them, and the baseline of some."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from usecase.mlops.baseline import drift
from usecase.mlops.baseline.drift import Distribution, DriftBaseline
from usecase.mlops.baseline.profile import ColumnProfile
from usecase.mlops.check import as_text
from usecase.mlops.contract import Contract

FIELDS: list[dict[str, Any]] = [
    {"name": "age", "type": "integer", "role": "feature"},
    {"name": "income", "type": "number", "role": "feature", "constraints": {"required": True, "minimum": 0}},
    {"name": "weight", "type": "number", "role": "feature"},
    {"name": "plan", "type": "string", "role": "feature"},
    {"name": "active", "type": "boolean", "role": "feature", "trueValues": ["yes"], "falseValues": ["no"]},
    {"name": "joined", "type": "date", "role": "feature"},
    {"name": "left", "type": "boolean", "role": "target", "trueValues": ["yes"], "falseValues": ["no"]},
]
CONTRACT = Contract.model_validate({"name": "people", "schema": {"fields": FIELDS}})
PROTECTED = [field | ({"protected": True} if field["name"] in ("age", "plan") else {}) for field in FIELDS]
GROUPED = Contract.model_validate({"name": "people", "schema": {"fields": PROTECTED}})
NAMES = [column.name for column in CONTRACT.features]
TRAINED = 5000


def rows(count: int, seed: int = 0) -> pl.DataFrame:
    """Typed rows; weight goes with age, and one in ten is not known."""
    chance = np.random.default_rng(seed)
    age = chance.normal(45, 12, count).round().astype(np.int64)
    weight = 60 + 0.3 * age + chance.normal(0, 5, count)
    return pl.DataFrame(
        {
            "age": age,
            "income": chance.lognormal(8, 0.6, count),
            "weight": [
                None if hidden else value for hidden, value in zip(chance.random(count) < 0.1, weight, strict=True)
            ],
            "plan": chance.choice(["basic", "plus", "pro"], count, p=[0.6, 0.3, 0.1]),
            "active": chance.random(count) < 0.8,
            "joined": pl.Series(chance.integers(18_000, 19_000, count)).cast(pl.Int32).cast(pl.Date),
        }
    )


def leaves(people: pl.DataFrame) -> pl.Series:
    """Who leaves: the old, and the less active with little income."""
    return people.select(((pl.col("age") > 55) | (~pl.col("active") & (pl.col("income") < 3000))).alias("left"))["left"]


def answers(count: int, seed: int = 0) -> pl.DataFrame:
    """What the model said: one in four leaves."""
    chance = np.random.default_rng(seed + 1000)
    return pl.DataFrame({"prediction": chance.random(count) < 0.25, "probability": 0.5 + chance.random(count) / 2})


def baseline(count: int = TRAINED) -> DriftBaseline:
    """The baseline of `count` rows."""
    known, said = rows(count, 99), answers(count, 99)
    features = {name: _distribution(known[name]) for name in NAMES}
    return DriftBaseline(
        rows=count,
        answered=count,
        prediction=_distribution(said["prediction"].alias("left")),
        probability=_distribution(said["probability"]),
        features=features,
        relations=drift.relations(known, features),
    )


def lines(count: int, seed: int = 0) -> list[str]:
    """Rows as the CSV lines of requests."""
    return as_text(rows(count, seed), CONTRACT).write_csv(include_header=False).splitlines()


def record(data: Any, answer: Any = "true,0.9", name: str = "", **change: Any) -> str:
    """A line of data capture: of CSV, or of JSON when `data` is no text."""
    text = isinstance(data, str)
    part = {"observedContentType": "text/csv", "mode": "INPUT", "data": data, "encoding": "CSV"}
    if not text:
        part |= {"observedContentType": "application/json", "data": json.dumps(data), "encoding": "JSON"}
    said = answer if isinstance(answer, str) else json.dumps(answer)
    kind = "CSV" if isinstance(answer, str) else "JSON"
    output = {"observedContentType": "text/csv", "mode": "OUTPUT", "data": said, "encoding": kind}
    about = {"eventId": "event", "inferenceTime": "2026-01-02T03:04:05Z"} | ({"inferenceId": name} if name else {})
    content = {
        "captureData": {"endpointInput": part | change, "endpointOutput": output},
        "eventMetadata": about,
        "eventVersion": "0",
    }
    return json.dumps(content)


def capture(folder: Path, count: int, seed: int = 0, change: Any = None) -> Path:
    """A folder with a call per row, whose cells `change` may have changed."""
    asked = rows(count, seed) if change is None else change(rows(count, seed))
    said = answers(count, seed).select(pl.col("prediction").cast(pl.String), pl.col("probability").cast(pl.String))
    calls = zip(as_text(asked, CONTRACT).write_csv(include_header=False).splitlines(), said.rows(), strict=True)
    file = folder / "endpoint/AllTraffic/2026/01/02/03/calls.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    text = (record(line, ",".join(answer), f"id-{number}") for number, (line, answer) in enumerate(calls))
    file.write_text("\n".join(text) + "\n")
    return folder


def _distribution(values: pl.Series) -> Distribution:
    profile = ColumnProfile(values.name, values.dtype)
    profile.add(values, as_text(values.to_frame(), CONTRACT).to_series())
    return drift.distribution(profile)
