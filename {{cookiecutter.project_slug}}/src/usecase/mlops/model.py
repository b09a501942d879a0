"""The trained model as one folder, without pickle anywhere.

model.ubj, the same as model.onnx, preprocessor.json, data_contract.yaml, code/, and manifest.json with checksums.
"""

import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import xgboost as xgb

from usecase.mlops import contract
from usecase.mlops.contract import Contract, Scalar
from usecase.mlops.errors import UserError
from usecase.mlops.features import Preprocessor
from usecase.mlops.onnx_model import save_onnx
from usecase.mlops.serving.manifest import write_manifest
from usecase.mlops.serving.predictor import BOOSTER, load_booster

FILE_NAME = BOOSTER
ARCHIVE = "model.tar.gz"

CODE = "code"
LEFT_OUT = ("__pycache__", "*.py[co]", "*.egg-info", ".*")  # of the code
# AWS's XGBoost server imports the module SAGEMAKER_PROGRAM of the folder SAGEMAKER_SUBMIT_DIRECTORY, which may lie in
# the unpacked archive (sagemaker_xgboost_container.serving and sagemaker_containers.modules in github.com/aws).
HANDLERS = '''\
"""The handlers, where AWS's XGBoost server looks for them."""

from usecase.mlops.handlers import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
'''

OBJECTIVES = {
    "binary_classification": {"objective": "binary:logistic", "eval_metric": "logloss"},
    "multiclass_classification": {"objective": "multi:softprob", "eval_metric": "mlogloss"},
    "regression": {"objective": "reg:squarederror", "eval_metric": "rmse"},
}


@dataclass(frozen=True)
class Predictions:
    """One prediction per row: the label or number, and for classifiers the probability of each class (n x classes)."""

    values: list[Scalar]
    classes: list[Scalar]
    probabilities: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Model:
    """Booster, fitted preprocessing and contract: all that turns rows into predictions."""

    booster: xgb.Booster
    preprocessor: Preprocessor
    contract: Contract

    def predict(self, rows: pl.DataFrame) -> Predictions:
        """Predictions for typed rows (n) that hold every input of the preprocessor."""
        classes = self.preprocessor.classes
        output: npt.NDArray[np.float32] = self.booster.inplace_predict(self.preprocessor.transform(rows))
        if not classes:
            return Predictions(values=[float(value) for value in output], classes=[])
        probabilities = output if len(classes) > 2 else np.column_stack([1 - output, output])
        return Predictions([classes[i] for i in probabilities.argmax(axis=1)], classes, probabilities)


def load_model(folder: Path) -> Model:
    """Load a model folder as Train writes it. Raises UserError when a part is missing, damaged or foreign."""
    booster = load_booster(folder)
    model = Model(booster, Preprocessor.load(folder), Contract.load(folder))
    if model.preprocessor.contract_sha256 != model.contract.sha256:
        raise UserError(f"{folder}: preprocessor.json and data_contract.yaml do not belong together: train again")
    if booster.num_features() != len(model.preprocessor.feature_names):
        raise UserError(
            f"{folder}: the model takes {booster.num_features()} features,"
            f" preprocessor.json makes {len(model.preprocessor.feature_names)}: train again"
        )
    return model


def save_model(booster: xgb.Booster, preprocessor_dir: Path, code_dir: Path, model_dir: Path) -> None:
    """Write all that answers from now on into `model_dir`: booster, its ONNX model, preprocessing, contract and code.

    `preprocessor_dir` holds what Preprocess wrote. manifest.json, written last, has the checksum of each file.
    """
    model_dir.mkdir(parents=True, exist_ok=True)
    add_code(code_dir, model_dir)
    booster.save_model(model_dir / FILE_NAME)
    save_onnx(booster, model_dir)
    Preprocessor.load(preprocessor_dir).save(model_dir)
    shutil.copyfile(preprocessor_dir / contract.FILE_NAME, model_dir / contract.FILE_NAME)
    write_manifest(model_dir)


def add_code(code_dir: Path, model_dir: Path) -> None:
    """Copy the packages in `code_dir` into `model_dir`/code, where the service finds them. Bytecode stays behind.

    code/inference.py is the module that AWS's XGBoost server imports (SAGEMAKER_PROGRAM).
    """
    if not (code_dir / "usecase").is_dir():
        raise UserError(f"{code_dir}: holds no package `usecase`: pass the folder that src/ is copied to")
    shutil.copytree(code_dir, model_dir / CODE, ignore=shutil.ignore_patterns(*LEFT_OUT), dirs_exist_ok=True)
    (model_dir / CODE / "inference.py").write_text(HANDLERS)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack model.tar.gz into `folder`; members that point outside of it are refused. Raises UserError."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extractall(folder, filter="data")
    except (OSError, EOFError, tarfile.TarError) as error:
        raise UserError(f"{archive}: cannot be unpacked ({error})") from None
