"""Evaluate: measure the model on the test rows, the way the prediction service would answer. Yours to change."""

import argparse
import tempfile
from pathlib import Path

from usecase.inference import model_fn, predict_fn
from usecase.mlops import metrics
from usecase.mlops.champion import ask_champion
from usecase.mlops.data_report import DataReport
from usecase.mlops.files import write_json
from usecase.mlops.gates import Limits, add_options, judge
from usecase.mlops.job import run_job
from usecase.mlops.model import ARCHIVE, unpack
from usecase.mlops.scored import Scored


def evaluate(
    model_dir: Path, input_dir: Path, report_dir: Path, champion_dir: Path, output_dir: Path, limits: Limits
) -> None:
    """Measure the model.tar.gz in `model_dir` on the rows in `input_dir` and judge it; write what was found.

    evaluation.json, quality.json, data_report.json (of all hosts) and predictions.parquet go to `output_dir`.
    """
    with tempfile.TemporaryDirectory() as folder:
        unpack(model_dir / ARCHIVE, Path(folder))
        model = model_fn(folder)
    report = DataReport.load(report_dir)

    scored = Scored.of(model, input_dir, predict_fn)
    champion = ask_champion(
        champion_dir, limits.champion_version, model.preprocessor.contract_sha256, input_dir, scored
    )
    evaluation = metrics.evaluate(scored.task, scored.answers, scored.labels)
    # A metric of your own, measured on scored.answers or scored.frame, goes in here, and may have a threshold then:
    # evaluation[f"{scored.task}_metrics"]["cost"] = {"value": 7.0, "standard_deviation": 0.5}
    quality = judge(evaluation, report, scored, champion, limits)

    write_json(output_dir / "evaluation.json", evaluation)
    write_json(output_dir / "quality.json", quality)
    report.save(output_dir / "data_report.json")
    scored.frame.write_parquet(output_dir / "predictions.parquet")


def main() -> None:
    """Command line of the processing job; the defaults are SageMaker's paths, no champion and no limits."""
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
