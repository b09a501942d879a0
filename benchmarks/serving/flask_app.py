"""Flask behind gunicorn, tuned by hand: no frames, no DMatrix. `gunicorn --workers 1 flask_app:app`."""

import os

import flask  # type: ignore[import-not-found,unused-ignore]
import numpy as np  # type: ignore[import-not-found,unused-ignore]
import xgboost as xgb  # type: ignore[import-not-found,unused-ignore]

booster = xgb.Booster(model_file=os.environ["MODEL_FILE"], params={"nthread": 1})
app = flask.Flask(__name__)


@app.get("/ping")
def ping() -> str:
    """Answer that the service is ready."""
    return ""


@app.post("/invocations")
def invocations() -> flask.Response:
    """Answer {"instances": [[...], ...]}."""
    rows = np.array(flask.request.get_json()["instances"], np.float32)
    return flask.jsonify(predictions=booster.inplace_predict(rows).tolist())
