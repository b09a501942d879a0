"""What a model answers for rows in files: `python -m usecase.mlops.score --model-dir DIR --input PATH --output FILE`.

Evaluate starts it with the code of a champion's archive, which may be older than Evaluate itself: options and columns
stay as they are.
"""

import argparse
from pathlib import Path

import polars as pl

from usecase.inference import model_fn, predict_fn
from usecase.mlops.errors import UserError
from usecase.mlops.job import run_job
from usecase.mlops.model import Predictions
from usecase.mlops.tables import read_batches

PREDICTED = "predicted"


def score(model_dir: Path, source: Path, output: Path) -> None:
    """Write the answers of the model folder for the rows of `source`, a file or folder, in their order, as Parquet.

    Rows are read in batches; an answer is some bytes. Raises UserError.
    """
    model = model_fn(str(model_dir))
    pl.concat([as_frame(predict_fn(rows, model)) for rows in read_batches(source)]).write_parquet(output)


def as_frame(predictions: Predictions) -> pl.DataFrame:
    """Predictions (n) as the columns `predicted` (number, or label as text) and `probability_<i>` for each class.

    Raises UserError for an answer that is no class.
    """
    if predictions.probabilities is None:
        return pl.DataFrame({PREDICTED: pl.Series(predictions.values, dtype=pl.Float64)})
    texts = {label: str(label) for label in predictions.classes}
    strange = next((value for value in predictions.values if value not in texts), None)
    if strange is not None:
        raise UserError(f"predict_fn answers {strange!r}, which is none of the classes {', '.join(texts.values())}")
    columns = {PREDICTED: pl.Series([texts[value] for value in predictions.values], dtype=pl.String)}
    columns |= {f"probability_{i}": pl.Series(column) for i, column in enumerate(predictions.probabilities.T)}
    return pl.DataFrame(columns)


def main() -> None:
    """Command line of the process that answers for a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True, help="folder that Train wrote")
    parser.add_argument("--input", type=Path, required=True, help="Parquet file with typed rows, or a folder of such")
    parser.add_argument("--output", type=Path, required=True, help="Parquet file to write")
    arguments = parser.parse_args()
    score(arguments.model_dir, arguments.input, arguments.output)


if __name__ == "__main__":
    run_job(main)
