"""The booster once more, as ONNX: what the prediction service answers with when its answers equal the booster's.

ONNX Runtime answers one row in a tenth of XGBoost's time and starts without it. Written is the operator
TreeEnsembleRegressor of ai.onnx.ml 3; what it gives are margins, which `serving.predictor` turns into probabilities.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from usecase.mlops.serving.predictor import CHECK, FILE_NAME, ONNX_INPUT, TOLERANCE, OnnxPredictor

CHECK_ROWS = 200
OPSETS = (("", 18), ("ai.onnx.ml", 3))
IR_VERSION = 9  # of these operator sets: read by every ONNX Runtime since 1.15
SEED = 0
OBJECTIVES = ("binary:logistic", "multi:softprob", "reg:squarederror")


def save_onnx(booster: xgb.Booster, folder: Path) -> float | None:
    """Write model.onnx and the answers to compare it with, when they equal the booster's; the largest difference.

    None, and nothing written, when the libraries are not installed, the booster is of another kind than ours, or an
    answer differs by more than TOLERANCE.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401 - an image without it serves with XGBoost
    except ImportError:
        return None
    content = json.loads(booster.save_raw("json"))["learner"]
    if not _is_ours(content):
        return None
    rows = _check_rows(content)
    answers = booster.inplace_predict(rows)
    onnx.save_model(_convert(content), folder / FILE_NAME)
    np.savez(folder / CHECK, rows=rows, answers=answers)
    difference = OnnxPredictor.load(folder, content["objective"]["name"]).difference(rows, answers)
    if difference > TOLERANCE:
        (folder / FILE_NAME).unlink()
        (folder / CHECK).unlink()
        return None
    return difference


def _is_ours(learner: dict[str, Any]) -> bool:
    """Whether the booster holds plain trees with numeric splits, of one of our objectives."""
    booster = learner["gradient_booster"]
    return (
        learner["objective"]["name"] in OBJECTIVES
        and booster["name"] == "gbtree"
        and not any(any(tree["split_type"]) for tree in booster["model"]["trees"])
    )


def _convert(learner: dict[str, Any]) -> Any:
    from onnx import TensorProto, helper

    trees: list[dict[str, Any]] = learner["gradient_booster"]["model"]["trees"]
    outputs = max(1, int(learner["learner_model_param"]["num_class"]))
    names = ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    nodes: dict[str, list[Any]] = {f"nodes_{name}": [] for name in (*names, "missing_value_tracks_true")}
    leaves: dict[str, list[Any]] = {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, (tree, output) in enumerate(zip(trees, learner["gradient_booster"]["model"]["tree_info"], strict=True)):
        for node, left in enumerate(tree["left_children"]):
            leaf = left == -1
            values = (
                number,
                node,
                0 if leaf else tree["split_indices"][node],
                "LEAF" if leaf else "BRANCH_LT",
                0.0 if leaf else tree["split_conditions"][node],
                0 if leaf else left,
                0 if leaf else tree["right_children"][node],
                0 if leaf else int(tree["default_left"][node]),
            )
            for name, value in zip(nodes, values, strict=True):
                nodes[name].append(value)
            if leaf:
                for name, value in zip(leaves, (number, node, output, tree["split_conditions"][node]), strict=True):
                    leaves[name].append(value)
    base = _base_margins(learner, outputs)
    attributes: Any = nodes | leaves
    operator = helper.make_node(
        "TreeEnsembleRegressor",
        [ONNX_INPUT],
        ["margins"],
        domain="ai.onnx.ml",
        n_targets=outputs,
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=base,
        **attributes,
    )
    features = int(learner["learner_model_param"]["num_feature"])
    graph = helper.make_graph(
        [operator],
        "booster",
        [helper.make_tensor_value_info(ONNX_INPUT, TensorProto.FLOAT, [None, features])],
        [helper.make_tensor_value_info("margins", TensorProto.FLOAT, [None, outputs])],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def _base_margins(learner: dict[str, Any], outputs: int) -> list[float]:
    """What all trees start from. One number or one per class; of `binary:logistic` a probability."""
    written = json.loads(learner["learner_model_param"]["base_score"])
    base = [float(value) for value in (written if isinstance(written, list) else [written])]
    if learner["objective"]["name"] == "binary:logistic":
        base = [math.log(value / (1 - value)) for value in base]
    return base if len(base) == outputs else base * outputs


def _check_rows(learner: dict[str, Any]) -> npt.NDArray[np.float32]:
    """Rows (n x features) that take many paths: thresholds of the trees, values just below, and missing values."""
    random = np.random.default_rng(SEED)
    features = int(learner["learner_model_param"]["num_feature"])
    rows = random.normal(size=(CHECK_ROWS, features)).astype(np.float32)
    thresholds: dict[int, list[float]] = {}
    for tree in learner["gradient_booster"]["model"]["trees"]:
        for node, left in enumerate(tree["left_children"]):
            if left != -1:
                thresholds.setdefault(tree["split_indices"][node], []).append(tree["split_conditions"][node])
    for feature, values in thresholds.items():
        drawn = random.choice(np.array(values, np.float32), CHECK_ROWS)
        rows[:, feature] = np.where(random.random(CHECK_ROWS) < 0.5, drawn, np.nextafter(drawn, np.float32(-np.inf)))
    rows[random.random(rows.shape) < 0.1] = np.nan
    return rows
