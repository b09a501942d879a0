"""What the model looks at: SHAP values by XGBoost itself ("Consistent Individualized Feature Attribution for Tree
Ensembles", Lundberg, Erion, Lee, 2018)."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import xgboost as xgb

from usecase.mlops.model import Model

SAMPLE_ROWS = 2000


def contributions(model: Model, rows: pl.DataFrame) -> npt.NDArray[np.float64]:
    """How much each input moved each prediction: n x inputs x outputs, in the model's margin.

    That is log-odds for classifiers (one output per class, one for two classes), the target's unit for regression.
    rows: n, with derived features. The columns of a category or date are added up to their input.
    """
    matrix = xgb.DMatrix(model.preprocessor.transform(rows))
    shap = model.booster.predict(matrix, pred_contribs=True)
    if shap.ndim == 2:
        shap = shap[:, np.newaxis, :]
    owners = [i for i, item in enumerate(model.preprocessor.inputs) for _ in item.feature_names]
    summed = np.zeros((len(shap), len(model.preprocessor.inputs), shap.shape[1]))
    for column, owner in enumerate(owners):  # the last column is the expected value
        summed[:, owner, :] += shap[:, :, column]
    return summed


def importance(model: Model, rows: pl.DataFrame) -> dict[str, float]:
    """Mean absolute contribution of each input over the rows (n), the largest first."""
    mean = np.abs(contributions(model, rows)).mean(axis=(0, 2))
    named = zip((item.name for item in model.preprocessor.inputs), mean.tolist(), strict=True)
    return dict(sorted(named, key=lambda pair: -pair[1]))


def analysis(values: dict[str, float]) -> dict[str, Any]:
    """importance.json: the layout of SageMaker Clarify's analysis.json, which Studio shows beside a model version."""
    return {"version": "1.0", "explanations": {"kernel_shap": {"label0": {"global_shap_values": values}}}}
