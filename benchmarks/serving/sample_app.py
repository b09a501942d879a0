"""The server of AWS's sample for a container of one's own (scikit_bring_your_own), with XGBoost's plain predict.

`gunicorn --workers 1 sample_app:app`. The sample puts nginx in front, which is left out in its favour.
"""

import io
import os

import flask  # type: ignore[import-not-found,unused-ignore]
import pandas as pd  # type: ignore[import-untyped,unused-ignore]
import xgboost as xgb  # type: ignore[import-not-found,unused-ignore]

booster = xgb.Booster(model_file=os.environ["MODEL_FILE"], params={"nthread": 1})
app = flask.Flask(__name__)


@app.get("/ping")
def ping() -> str:
    """Answer that the service is ready."""
    return ""


@app.post("/invocations")
def invocations() -> flask.Response:
    """Answer CSV without a header."""
    rows = pd.read_csv(io.StringIO(flask.request.data.decode("utf-8")), header=None)
    predictions = booster.predict(xgb.DMatrix(rows.to_numpy()))
    out = io.StringIO()
    pd.DataFrame({"results": predictions}).to_csv(out, header=False, index=False)
    return flask.Response(out.getvalue(), mimetype="text/csv")
