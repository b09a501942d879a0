"""Preprocess: check the raw data against the contract, split it, and fit the preprocessor on the training rows.

Yours to change. Add derived features in `add_features`: it runs in training and in the prediction service alike.
"""

import argparse
import json
from pathlib import Path

import polars as pl

from usecase.mlops.contract import FILE_NAME, Contract
from usecase.mlops.data_report import check_training_data
from usecase.mlops.features import Preprocessor
from usecase.mlops.job import run_job
from usecase.mlops.split import split
from usecase.mlops.tables import read_table


def add_features(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with derived columns, for example `rows.with_columns(bmi=pl.col("kg") / pl.col("m") ** 2)`.

    Look at one row at a time only: a request to the service may hold a single row. The target may be absent.
    """
    return rows


def preprocess(input_dir: Path, contract_dir: Path, output_dir: Path) -> None:
    """Read the data in `input_dir`; write train, validation, test, preprocessor and report under `output_dir`."""
    contract = Contract.load(contract_dir)
    rows, report = check_training_data(read_table(input_dir), contract)
    parts = split(rows, contract)
    preprocessor = Preprocessor.fit(add_features(parts["train"]), contract)

    for name in (*parts, "preprocessor", "report"):
        (output_dir / name).mkdir(parents=True, exist_ok=True)
    for name, part in parts.items():
        part.write_parquet(output_dir / name / f"{name}.parquet")
    preprocessor.save(output_dir / "preprocessor")
    (output_dir / "preprocessor" / FILE_NAME).write_bytes((contract_dir / FILE_NAME).read_bytes())
    report["splits"] = {name: part.height for name, part in parts.items()}
    (output_dir / "report" / "data_report.json").write_text(json.dumps(report, indent=1))


def main() -> None:
    """Command line of the processing job; the defaults are SageMaker's paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input-dir", type=Path, default=Path("/opt/ml/processing/input/data"))
    parser.add_argument("--contract-dir", type=Path, default=Path("/opt/ml/processing/input/contract"))
    parser.add_argument("--output-dir", type=Path, default=Path("/opt/ml/processing/output"))
    arguments = parser.parse_args()
    preprocess(arguments.input_dir, arguments.contract_dir, arguments.output_dir)


if __name__ == "__main__":
    run_job(main)
