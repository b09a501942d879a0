"""Do the same work as Preprocess with pandas and scikit-learn, as it is usually written. Run by the peers' Python."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-not-found,import-untyped,unused-ignore]
from sklearn.compose import ColumnTransformer  # type: ignore[import-not-found,import-untyped,unused-ignore]
from sklearn.impute import SimpleImputer  # type: ignore[import-not-found,import-untyped,unused-ignore]
from sklearn.model_selection import train_test_split  # type: ignore[import-not-found,import-untyped,unused-ignore]
from sklearn.pipeline import make_pipeline  # type: ignore[import-not-found,import-untyped,unused-ignore]
from sklearn.preprocessing import (  # type: ignore[import-not-found,import-untyped,unused-ignore]
    OneHotEncoder,
    StandardScaler,
)

MEASURES = [f"measure_{number}" for number in range(11)]
COUNTS = [f"count_{number}" for number in range(6)]
CATEGORIES = {"plan": 4, "region": 7, "channel": 10, "device": 13}


def problems(rows: Any) -> Iterator[str]:
    """Tell what breaks the contract: types, ranges, categories, missing values, ids."""
    for name, low, high in [*((name, -100, 200) for name in MEASURES), *((name, 0, 999) for name in COUNTS)]:
        if not pd.api.types.is_numeric_dtype(rows[name]) or not rows[name].dropna().between(low, high).all():
            yield f"{name} is no number, or out of range"
    known = {name: [f"{name} {number}" for number in range(size)] for name, size in CATEGORIES.items()}
    for name, values in {**known, "churned": ["no", "yes"]}.items():
        if not rows[name].dropna().isin(values).all():
            yield f"{name} has an unknown value"
    if not pd.api.types.is_bool_dtype(rows["active"]) or not pd.api.types.is_datetime64_any_dtype(rows["since"]):
        yield "active or since has another type"
    if rows[["customer", "active", "since", "churned"]].isna().any().any():
        yield "a required value is missing"
    if rows["customer"].duplicated().any():
        yield "customers stand there twice"


def main() -> None:
    """Read `folder`/data/rows.csv; write the parts (rows, or with --matrices what the model takes) and a report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--matrices", action="store_true")
    arguments = parser.parse_args()
    file = arguments.folder / "data" / "rows.csv"
    rows = pd.read_csv(file, parse_dates=["since"])
    if found := list(problems(rows)):
        raise SystemExit("; ".join(found))
    train, rest = train_test_split(rows, test_size=0.3, stratify=rows["churned"], random_state=0)
    validation, test = train_test_split(rest, test_size=0.5, stratify=rest["churned"], random_state=0)
    transformer = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), MEASURES + COUNTS),
            (
                "categories",
                make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")),
                list(CATEGORIES),
            ),
        ]
    )
    transformer.fit(train)
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, part in (("train", train), ("validation", validation), ("test", test)):
        written = part
        if arguments.matrices:
            written = pd.DataFrame(transformer.transform(part), columns=transformer.get_feature_names_out())
            written["churned"] = (part["churned"] == "yes").to_numpy()
        written.to_parquet(arguments.output / f"{name}.parquet")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    report = {"data_sha256": digest, "rows": len(rows), "target": rows["churned"].value_counts().to_dict()}
    (arguments.output / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
