"""Preprocess: check the raw data against the contract, split it, and fit the preprocessor on the training rows.

Yours to change. Add derived features in `add_features`: it runs in training and in the prediction service alike.
"""

import argparse
from pathlib import Path

import polars as pl

from usecase.mlops.job import run_job
from usecase.mlops.prepare import Preparation
from usecase.mlops.split import split


def add_features(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with derived columns, for example `rows.with_columns(bmi=pl.col("kg") / pl.col("m") ** 2)`.

    Look at one row at a time only: a request to the service may hold a single row. The target may be absent.
    """
    return rows


def preprocess(input_dir: Path, contract_dir: Path, output_dir: Path) -> None:
    """Read the data in `input_dir`; write train, validation, test, preprocessor and report under `output_dir`.

    Data comes in batches of some ten thousand rows, so that files may be larger than memory.
    """
    with Preparation(contract_dir, output_dir) as preparation:
        for rows in preparation.checked_batches(input_dir):
            parts = split(rows, preparation.contract)
            preparation.fit(add_features(parts["train"]))
            preparation.write(parts)


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
