"""Evaluate: measure the model on the test rows, the way the prediction service would answer. Yours to change."""

import argparse
from pathlib import Path

from usecase.inference import model_fn, predict_fn
from usecase.mlops import metrics
from usecase.mlops.data_report import DataReport
from usecase.mlops.files import write_json
from usecase.mlops.gates import Limits, Tested, add_options, judge
from usecase.mlops.job import run_job
from usecase.mlops.model import ARCHIVE, unpack
from usecase.mlops.score import score_champion


def evaluate(
    model_dir: Path, input_dir: Path, report_dir: Path, champion_dir: Path, output_dir: Path, limits: Limits
) -> None:
    """Measure the model.tar.gz in `model_dir` on the rows in `input_dir`, and judge it; write what was found."""
    unpacked = model_dir / "unpacked"
    unpack(model_dir / ARCHIVE, unpacked)
    model = model_fn(str(unpacked))

    tested = Tested.of(model, input_dir, predict_fn)
    report = DataReport.load(report_dir)
    champion = score_champion(champion_dir, limits.champion_version, model.contract, input_dir)

    evaluation = metrics.evaluate(tested.task, tested.actual, tested.predicted, tested.labels)
    # A metric of your own: evaluation[f"{tested.task}_metrics"]["cost"] = {"value": ..., "standard_deviation": ...}
    quality = judge(evaluation, report, tested, limits, champion)

    write_json(output_dir / "evaluation.json", evaluation)
    write_json(output_dir / "quality.json", quality)
    report.save(output_dir / "data_report.json")
    tested.frame().write_parquet(output_dir / "predictions.parquet")


def main() -> None:
    """Command line of the processing job; the defaults are SageMaker's paths, without a champion and limits."""
    inputs, outputs = Path("/opt/ml/processing/input"), Path("/opt/ml/processing/output")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, default=inputs / "model")
    parser.add_argument("--input-dir", type=Path, default=inputs / "test")
    parser.add_argument("--report-dir", type=Path, default=inputs / "report")
    parser.add_argument("--champion-dir", type=Path, default=inputs / "champion")
    parser.add_argument("--output-dir", type=Path, default=outputs / "evaluation")
    add_options(parser)
    given = parser.parse_args()
    folders = given.model_dir, given.input_dir, given.report_dir, given.champion_dir, given.output_dir
    evaluate(*folders, Limits.given(given))


if __name__ == "__main__":
    run_job(main)
