"""Train: fit gradient-boosted trees on the training rows, stop early on the validation rows. Yours to change."""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path

from usecase.mlops.features import Preprocessor
from usecase.mlops.job import run_job
from usecase.mlops.model import save_model
from usecase.mlops.training import Cluster, fit, read_channels, read_hyperparameters
from usecase.preprocessing import add_features


def train(
    input_dir: Path,
    code_dir: Path,
    model_dir: Path,
    output_dir: Path,
    hyperparameters: Mapping[str, float],
    cluster: Cluster | None = None,
) -> None:
    """Train on the channels `train` and `validation` of `input_dir`; write the model folder and training.json.

    `code_dir` holds the packages that the model answers with from now on: they go into the model folder. Of several
    hosts only the first one writes. More hyperparameters: add them in pipeline.py and to what `main` reads.
    """
    cluster = cluster or Cluster()
    preprocessor = Preprocessor.load(input_dir / "preprocessor")
    with cluster.connected(), read_channels(input_dir, preprocessor, add_features) as channels:
        trained = fit(channels, preprocessor, hyperparameters)
    if not cluster.leader:
        return

    save_model(trained.booster, input_dir / "preprocessor", code_dir, model_dir)
    output_dir.mkdir(parents=True, exist_ok=True)
    (output_dir / "training.json").write_text(json.dumps(trained.report, indent=1))


def main() -> None:
    """Command line of the training job; the defaults are SageMaker's paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input-dir", type=Path, default=Path("/opt/ml/input/data"))
    parser.add_argument("--code-dir", type=Path, default=Path("/opt/ml/input/data/code"))
    parser.add_argument("--model-dir", type=Path, default=Path("/opt/ml/model"))
    parser.add_argument("--output-dir", type=Path, default=Path("/opt/ml/output/data"))
    parser.add_argument("--config-dir", type=Path, default=Path("/opt/ml/input/config"))
    arguments = parser.parse_args()
    train(
        arguments.input_dir,
        arguments.code_dir,
        arguments.model_dir,
        arguments.output_dir,
        read_hyperparameters(arguments.config_dir),
        Cluster.read(arguments.config_dir),
    )


if __name__ == "__main__":
    run_job(main)
