"""What turns the matrix of a request into numbers: ONNX Runtime, or XGBoost where there is no equal ONNX model."""

import os
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from usecase.mlops.errors import UserError

FILE_NAME, CHECK = "model.onnx", "model.onnx.check.npz"
BOOSTER = "model.ubj"
ONNX_INPUT = "matrix"
MAX_EXPONENT = np.float32(88)
TOLERANCE = 1e-6  # between the answers of two predictors; relative for numbers beyond 1

Matrix = npt.NDArray[np.float32]

# Else ONNX Runtime sends events to Microsoft, and keeps a number for this device and a database in ~/.cache. It is read
# when the library is loaded, which nobody does before this module is.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


class Predictor(Protocol):
    """Something that answers rows; `name` is said in the log."""

    name: str

    def predict(self, matrix: Matrix) -> Matrix:
        """For rows (n x features) what XGBoost gives: numbers or the probability of the second class (n), else of
        each class (n x classes).
        """


class OnnxPredictor:
    """ONNX Runtime on one thread: requests are small, and the cores are for the workers."""

    name = "onnx"

    def __init__(self, content: bytes, objective: str) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._objective = objective

    @classmethod
    def load(cls, folder: Path, objective: str) -> "OnnxPredictor":
        """Raises OSError, or an error of ONNX Runtime."""
        return cls((folder / FILE_NAME).read_bytes(), objective)

    def predict(self, matrix: Matrix) -> Matrix:
        """See Predictor."""
        margins: Matrix = self._session.run(self._outputs, {ONNX_INPUT: matrix})[0]
        if self._objective == "reg:squarederror":
            return margins[:, 0]
        if self._objective == "binary:logistic":
            # Beyond 88 the exponential is over 32 bits, and the answer is 0 all the same.
            return np.float32(1) / (np.float32(1) + np.exp(np.minimum(-margins[:, 0], MAX_EXPONENT)))
        powers: Matrix = np.exp(margins - margins.max(axis=1, keepdims=True))
        shares: Matrix = powers / powers.sum(axis=1, keepdims=True)
        return shares

    def difference(self, matrix: Matrix, answers: Matrix) -> float:
        """The largest difference from the `answers` of another predictor, relative to those beyond 1."""
        mine = self.predict(matrix).astype(np.float64)
        return float(np.max(np.abs(mine - answers) / np.maximum(1.0, np.abs(answers)), initial=0.0))


class BoosterPredictor:
    """XGBoost itself."""

    name = "xgboost"

    def __init__(self, folder: Path) -> None:
        self.booster = load_booster(folder)

    def predict(self, matrix: Matrix) -> Matrix:
        """See Predictor."""
        answers: Matrix = self.booster.inplace_predict(matrix)
        return answers


def load_predictor(folder: Path, objective: str, features: int) -> Predictor:
    """The ONNX model when there is one that still gives the booster's answers, else the booster. Raises UserError."""
    try:
        predictor = OnnxPredictor.load(folder, objective)
        with np.load(folder / CHECK, allow_pickle=False) as check:
            if predictor.difference(check["rows"], check["answers"]) <= TOLERANCE:
                return predictor
    except Exception:  # noqa: S110 - whatever is wrong with it, the booster is the model and needs no ONNX
        pass
    fallback = BoosterPredictor(folder)
    if fallback.booster.num_features() != features:
        raise UserError(
            f"{folder}: the model takes {fallback.booster.num_features()} features,"
            f" preprocessor.json makes {features}: train again"
        )
    return fallback


def load_booster(folder: Path) -> Any:
    """The booster in model.ubj. Raises UserError."""
    file = folder / BOOSTER
    if not file.exists():
        raise UserError(f"{file}: no such file: the model was not trained here, or its archive is incomplete")
    import xgboost as xgb

    booster = xgb.Booster()
    try:
        booster.load_model(file)
    except xgb.core.XGBoostError:
        raise UserError(f"{file}: is damaged or no XGBoost model") from None
    return booster
