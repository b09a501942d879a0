"""Evaluate: measure the model on the test rows, the way the prediction service would answer. Yours to change."""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from usecase.inference import model_fn, predict_fn
from usecase.mlops import metrics
from usecase.mlops.job import run_job
from usecase.mlops.model import ARCHIVE, unpack
from usecase.mlops.tables import read_table


def evaluate(model_dir: Path, input_dir: Path, output_dir: Path, thresholds: dict[str, Any]) -> None:
    """Measure the model.tar.gz in `model_dir` on the rows in `input_dir`; write evaluation.json and quality.json."""
    unpacked = model_dir / "unpacked"
    unpack(model_dir / ARCHIVE, unpacked)
    model = model_fn(str(unpacked))
    preprocessor = model.preprocessor

    rows = read_table(input_dir)
    predictions = predict_fn(rows, model)
    predicted = np.array(predictions.values) if predictions.probabilities is None else predictions.probabilities
    labels = [str(label) for label in preprocessor.classes]
    evaluation = metrics.evaluate(preprocessor.task, preprocessor.labels(rows), predicted, labels)
    quality = metrics.check_thresholds(evaluation, thresholds)

    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / "evaluation.json").write_text(json.dumps(evaluation, indent=1))
    (output_dir / "quality.json").write_text(json.dumps(quality, indent=1))


def main() -> None:
    """Command line of the processing job; the defaults are SageMaker's paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=Path("/opt/ml/processing/input/model"))
    parser.add_argument("--input-dir", type=Path, default=Path("/opt/ml/processing/input/test"))
    parser.add_argument("--output-dir", type=Path, default=Path("/opt/ml/processing/output/evaluation"))
    parser.add_argument("--thresholds", type=json.loads, default={}, help="JSON: metric -> minimum or maximum")
    arguments = parser.parse_args()
    evaluate(arguments.model_dir, arguments.input_dir, arguments.output_dir, arguments.thresholds)


if __name__ == "__main__":
    run_job(main)
