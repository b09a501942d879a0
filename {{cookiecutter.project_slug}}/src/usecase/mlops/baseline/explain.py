"""What the model looks at: SHAP values by XGBoost itself.

"Consistent Individualized Feature Attribution for Tree Ensembles" (Lundberg, Erion, Lee, 2018): exact for trees, so
there is no background data to choose.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import xgboost as xgb

from usecase.mlops.model import Model

FILE_NAME = "importance.json"
MAX_ROWS = 2000
MAX_CELLS = 20_000_000  # rows x matrix columns x classes: SHAP values of many categories would fill the memory


@dataclass(frozen=True)
class Contributions:
    """How much each input moved each answer away from the expected one.

    `values`: n x inputs x outputs; `expected`: one per output. Both in the model's margin: log-odds for classifiers
    (one output per class, a single one for two classes), the unit of the target for regression.
    """

    inputs: list[str]
    values: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]

    @property
    def importance(self) -> dict[str, float]:
        """Mean absolute contribution of each input, over rows and outputs; the largest first."""
        mean = np.abs(self.values).mean(axis=(0, 2))
        named = zip(self.inputs, mean.tolist(), strict=True)
        return dict(sorted(named, key=lambda pair: (-pair[1], pair[0])))


def sample_size(model: Model) -> int:
    """Of how many rows SHAP values are taken."""
    columns = (len(model.preprocessor.feature_names) + 1) * max(1, len(model.preprocessor.classes))
    return max(100, min(MAX_ROWS, MAX_CELLS // columns))


def contributions(model: Model, rows: pl.DataFrame) -> Contributions:
    """Contributions for typed rows (n) with derived features; the matrix columns of an input are added up."""
    inputs = model.preprocessor.inputs
    shap = model.booster.predict(xgb.DMatrix(model.preprocessor.transform(rows)), pred_contribs=True)
    shap = shap.reshape(
        len(shap), -1, shap.shape[-1]
    )  # of two classes or a number there is one output, without an axis
    first = np.cumsum([0, *(len(item.feature_names) for item in inputs[:-1])])
    summed = np.add.reduceat(shap[:, :, :-1].astype(np.float64), first, axis=2)
    return Contributions([item.name for item in inputs], summed.transpose(0, 2, 1), shap[0, :, -1].astype(np.float64))


def analysis(found: Contributions) -> dict[str, Any]:
    """importance.json: the layout of SageMaker Clarify's analysis.json, which the model registry shows.

    It knows the key `kernel_shap` only; these values are exact and were not estimated by that method. Several classes
    are averaged.
    """
    expected = found.expected.tolist()
    label = {"global_shap_values": found.importance, "expected_value": expected if len(expected) > 1 else expected[0]}
    return {"version": "1.0", "explanations": {"kernel_shap": {"label0": label}}}
