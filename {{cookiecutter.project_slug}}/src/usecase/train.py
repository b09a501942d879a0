"""Train: fit gradient-boosted trees on the training rows, stop early on the validation rows. Yours to change."""

import argparse
import json
import shutil
from pathlib import Path

import xgboost as xgb

from usecase.mlops import contract, model
from usecase.mlops.features import Preprocessor
from usecase.mlops.job import run_job
from usecase.mlops.tables import read_table
from usecase.preprocessing import add_features

EARLY_STOPPING_ROUNDS = 25


def train(input_dir: Path, model_dir: Path, output_dir: Path, hyperparameters: dict[str, str]) -> None:
    """Train on the channels `train` and `validation` of `input_dir`; write the model folder and training.json."""
    preprocessor = Preprocessor.load(input_dir / "preprocessor")
    matrices = {}
    for channel in ("train", "validation"):
        rows = add_features(read_table(input_dir / channel))
        matrices[channel] = xgb.DMatrix(preprocessor.transform(rows), label=preprocessor.labels(rows))

    parameters: dict[str, str | int | float] = {
        **model.OBJECTIVES[preprocessor.task],
        "max_depth": int(hyperparameters["max_depth"]),
        "learning_rate": float(hyperparameters["learning_rate"]),
        "seed": int(hyperparameters["seed"]),
        "tree_method": "hist",
    }
    if preprocessor.task == "multiclass_classification":
        parameters["num_class"] = len(preprocessor.classes)
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgb.train(
        parameters,
        matrices["train"],
        num_boost_round=int(hyperparameters["num_rounds"]),
        evals=[(matrix, name) for name, matrix in matrices.items()],
        callbacks=[xgb.callback.EarlyStopping(rounds=EARLY_STOPPING_ROUNDS, save_best=True)],
        evals_result=history,
        verbose_eval=25,
    )

    for folder in (model_dir, output_dir):
        folder.mkdir(parents=True, exist_ok=True)
    booster.save_model(model_dir / model.FILE_NAME)
    preprocessor.save(model_dir)
    shutil.copyfile(input_dir / "preprocessor" / contract.FILE_NAME, model_dir / contract.FILE_NAME)
    summary = {"rounds": booster.num_boosted_rounds(), "parameters": parameters, "history": history}
    (output_dir / "training.json").write_text(json.dumps(summary, indent=1))


def main() -> None:
    """Command line of the training job; the defaults are SageMaker's paths."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input-dir", type=Path, default=Path("/opt/ml/input/data"))
    parser.add_argument("--model-dir", type=Path, default=Path("/opt/ml/model"))
    parser.add_argument("--output-dir", type=Path, default=Path("/opt/ml/output/data"))
    parser.add_argument("--hyperparameters", type=Path, default=Path("/opt/ml/input/config/hyperparameters.json"))
    arguments = parser.parse_args()
    hyperparameters = json.loads(arguments.hyperparameters.read_text())
    train(arguments.input_dir, arguments.model_dir, arguments.output_dir, hyperparameters)


if __name__ == "__main__":
    run_job(main)
