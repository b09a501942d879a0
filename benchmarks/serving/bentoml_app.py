"""BentoML with one worker: `bentoml serve bentoml_app:Model`."""

import os
from typing import Any

import bentoml  # type: ignore[import-not-found,unused-ignore]
import numpy as np  # type: ignore[import-not-found,unused-ignore]
import xgboost as xgb  # type: ignore[import-not-found,unused-ignore]


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Model:
    """The booster behind BentoML's interface."""

    def __init__(self) -> None:
        self.booster = xgb.Booster(model_file=os.environ["MODEL_FILE"], params={"nthread": 1})

    @bentoml.api(route="/invocations")  # type: ignore[untyped-decorator,unused-ignore]
    def invocations(self, instances: list[list[float]]) -> dict[str, Any]:
        """Answer {"instances": [[...], ...]}."""
        return {"predictions": self.booster.inplace_predict(np.array(instances, np.float32)).tolist()}
