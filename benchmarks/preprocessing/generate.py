"""Write a table of mixed columns as CSV or Parquet, and its data contract. Run by the Python of a project."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import numpy as np  # type: ignore[import-not-found,unused-ignore]
import polars as pl  # type: ignore[import-not-found,unused-ignore]

CHUNK = 1_000_000
CATEGORIES = {"plan": 4, "region": 7, "channel": 10, "device": 13}
MEASURES, COUNTS = 11, 6  # 17 numbers; with id, 4 categories, boolean, date and target: 25 columns
CONTRACT_HEAD = "name: customers\nschema:\n  fieldsMatch: equal\n  missingValues: ['']\n  fields:\n"


def rows(first: int, count: int, generator: np.random.Generator) -> pl.DataFrame:
    """Rows `first` and following; a fifth of the numbers has missing values, the target follows two columns."""
    columns: dict[str, pl.Series] = {
        "customer": pl.Series([f"C{number:010}" for number in range(first, first + count)])
    }
    for number in range(MEASURES):
        columns[f"measure_{number}"] = pl.Series(np.round(generator.normal(50, 10, count), 3))
    for number in range(COUNTS):
        columns[f"count_{number}"] = pl.Series(generator.integers(0, 1000, count))
    for name in ("measure_0", "measure_1", "count_0"):
        columns[name] = columns[name].set(pl.Series(generator.random(count) < 0.05), None)
    for name, size in CATEGORIES.items():
        columns[name] = pl.Series(values(name))[generator.integers(0, size, count)]
    columns["active"] = pl.Series(generator.random(count) < 0.5)
    days = (date(2020, 1, 1) - date(1970, 1, 1)).days + generator.integers(0, 1500, count)
    columns["since"] = pl.Series(days.astype(np.int32)).cast(pl.Date)
    score = columns["measure_2"].to_numpy() + columns["count_1"].to_numpy() / 50 + generator.normal(0, 10, count)
    columns["churned"] = pl.Series(["no", "yes"])[(score > 70).astype(np.int64)]
    return pl.DataFrame(columns)


def values(category: str) -> list[str]:
    """Return the values of a category."""
    return [f"{category} {number}" for number in range(CATEGORIES[category])]


def contract() -> str:
    """Return the contract of the table as YAML."""
    ranges = {f"measure_{number}": ("number", -100, 200) for number in range(MEASURES)}
    ranges |= {f"count_{number}": ("integer", 0, 999) for number in range(COUNTS)}
    fields = ["{name: customer, type: string, role: id}"]
    fields += [
        f"{{name: {name}, type: {kind}, role: feature, constraints: {{minimum: {low}, maximum: {high}}}}}"
        for name, (kind, low, high) in ranges.items()
    ]
    fields += [
        f"{{name: {name}, type: string, role: feature, constraints: {{enum: {values(name)}}}}}" for name in CATEGORIES
    ]
    fields.append("{name: active, type: boolean, role: feature, constraints: {required: true}}")
    fields.append("{name: since, type: date, role: feature, constraints: {required: true}}")
    fields.append("{name: churned, type: string, role: target, constraints: {enum: ['no', 'yes']}}")
    return CONTRACT_HEAD + "".join(f"  - {field}\n" for field in fields)


def main() -> None:
    """Write `folder`/data/rows.csv or rows.parquet, and `folder`/contract/data_contract.yaml."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=CHUNK)
    parser.add_argument("--format", choices=["csv", "parquet"], default="csv")
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    data, contract_dir = arguments.folder / "data", arguments.folder / "contract"
    for folder in (data, contract_dir):
        folder.mkdir(parents=True, exist_ok=True)
    (contract_dir / "data_contract.yaml").write_text(contract(), encoding="utf-8")
    chunks = (rows(first, min(CHUNK, arguments.rows - first), generator) for first in range(0, arguments.rows, CHUNK))
    if arguments.format == "parquet":
        pl.concat(list(chunks)).write_parquet(data / "rows.parquet")
        return
    with (data / "rows.csv").open("wb") as file:
        for number, chunk in enumerate(chunks):
            chunk.write_csv(file, include_header=number == 0)


if __name__ == "__main__":
    main()
