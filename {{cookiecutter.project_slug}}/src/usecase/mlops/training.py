"""What a training job needs beyond XGBoost itself: data larger than memory, several hosts, a search for parameters.

Sources: "Using XGBoost External Memory Version" and "Collective" (XGBoost documentation); the hosts of a job stand in
resourceconfig.json ("How Amazon SageMaker Provides Training Information", SageMaker Developer Guide).
"""

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import xgboost as xgb
from xgboost.tracker import RabitTracker

from usecase.mlops import model
from usecase.mlops.errors import UserError
from usecase.mlops.features import Preprocessor
from usecase.mlops.tables import read_table

# Above so many cells (rows x features) the matrix is made file by file and kept on disk: 200 million are 0.8 GB,
# and XGBoost's copy as much again.
MAXIMUM_CELLS = 200_000_000
EARLY_STOPPING_ROUNDS = 25
TRACKER_PORT = 9091
BOOTSTRAP_SECONDS, SILENCE_SECONDS = 600, 1800  # until all hosts have come; until a silent one counts as lost

Score = tuple[float, xgb.Booster, dict[str, Any]]
Rows = Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Range:
    """Where a hyperparameter may lie; `kind` is how the search draws it around the given value."""

    low: float
    high: float
    kind: Literal["integer", "logarithmic", "linear"] = "linear"


# Hyperparameters of train.py with what they may be. XGBoost's own parameters among them are searched in SEARCHED.
LIMITS = {
    "num_rounds": Range(1, 100_000, "integer"),
    "max_depth": Range(1, 64, "integer"),
    "learning_rate": Range(1e-6, 1.0),
    "seed": Range(0, 2**31 - 1, "integer"),
    "tuning_trials": Range(0, 500, "integer"),
}
SEARCHED = {
    "max_depth": Range(2, 10, "integer"),
    "learning_rate": Range(0.01, 0.3, "logarithmic"),
    "min_child_weight": Range(0.1, 20, "logarithmic"),
    "subsample": Range(0.6, 1.0),
    "colsample_bytree": Range(0.5, 1.0),
    "lambda": Range(0.1, 10, "logarithmic"),
}


def read_hyperparameters(folder: Path, defaults: Mapping[str, float] | None = None) -> dict[str, float]:
    """The numbers in hyperparameters.json of `folder`, which SageMaker writes as text. Raises UserError."""
    file = folder / "hyperparameters.json"
    try:
        given: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None
    return {**(defaults or {}), **{name: _number(name, text) for name, text in given.items()}}


def _number(name: str, text: str) -> float:
    if name not in LIMITS:
        raise UserError(f"hyperparameter {name}: is not known; known are {', '.join(LIMITS)}")
    limits = LIMITS[name]
    try:
        value = int(text) if limits.kind == "integer" else float(text)
    except ValueError:
        value = float("nan")
    if not limits.low <= value <= limits.high:
        kind = "a whole number" if limits.kind == "integer" else "a number"
        raise UserError(f"hyperparameter {name}: {text!r} is not {kind} from {limits.low:g} to {limits.high:g}")
    return value


@dataclass(frozen=True)
class Cluster:
    """The hosts of a training job and which of them this is; XGBoost ranks them in the order of the list."""

    hosts: Sequence[str]
    current: str

    @property
    def leader(self) -> bool:
        """Whether this host keeps the model: SageMaker packs /opt/ml/model of every host into one archive."""
        return self.current == self.hosts[0]

    @classmethod
    def read(cls, config_dir: Path) -> "Cluster":
        """From resourceconfig.json in `config_dir`; one host when there is none."""
        file = config_dir / "resourceconfig.json"
        if not file.exists():
            return cls(["algo-1"], "algo-1")
        content = json.loads(file.read_text(encoding="utf-8"))
        return cls(sorted(content["hosts"]), content["current_host"])

    @contextmanager
    def connected(self, port: int = TRACKER_PORT) -> Iterator[None]:
        """Inside of this, all hosts train one model. Raises UserError when one does not come or is lost."""
        if len(self.hosts) == 1:
            yield
            return
        if self.leader:
            tracker = RabitTracker(len(self.hosts), self.hosts[0], port, sortby="task", timeout=BOOTSTRAP_SECONDS)
            tracker.start()
            # waits beside us: it ends when every host has said goodbye
            threading.Thread(target=tracker.wait_for, daemon=True).start()
        arguments: dict[str, str | int | None] = {
            "dmlc_tracker_uri": self.hosts[0],
            "dmlc_tracker_port": port,
            "dmlc_task_id": f"{self.hosts.index(self.current):06}",
            "dmlc_timeout": SILENCE_SECONDS,
            "dmlc_retry": BOOTSTRAP_SECONDS // 2,
        }
        try:
            with xgb.collective.CommunicatorContext(**arguments):
                yield
        except xgb.core.XGBoostError as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"{self.current} lost the other hosts ({', '.join(self.hosts)}): {reason}") from None


class _Files(xgb.DataIter):
    """Hands the files of a channel to XGBoost one after the other, encoded."""

    def __init__(self, files: Sequence[Path], encode: Callable[[Path], tuple[Any, Any]], cache: str | None) -> None:
        self._files, self._encode, self._next = files, encode, 0
        super().__init__(cache_prefix=cache)

    def next(self, input_data: Callable[..., Any]) -> bool:
        """Give the next file; False when there is none."""
        if self._next == len(self._files):
            return False
        data, label = self._encode(self._files[self._next])
        self._next += 1
        input_data(data=data, label=label)
        return True

    def reset(self) -> None:
        """Begin again: XGBoost goes over the data several times."""
        self._next = 0


@dataclass
class Channels:
    """The channels `train` and `validation` as XGBoost's matrices."""

    train: xgb.DMatrix
    validation: xgb.DMatrix


@contextmanager
def read_channels(
    input_dir: Path, preprocessor: Preprocessor, add_features: Rows, maximum_cells: int = MAXIMUM_CELLS
) -> Iterator[Channels]:
    """The Parquet parts in `input_dir`/train and /validation, with derived features, encoded. Raises UserError."""

    def encode(path: Path) -> tuple[Any, Any]:
        rows = add_features(read_table(path))
        return preprocessor.transform(rows), preprocessor.labels(rows)

    files = {channel: _parts(input_dir / channel) for channel in ("train", "validation")}
    cells = sum(_height(file) for file in files["train"]) * len(preprocessor.feature_names)
    with tempfile.TemporaryDirectory(prefix="usecase-matrix-") as folder:
        if cells <= maximum_cells:
            matrices = []
            for paths in files.values():
                data, labels = zip(*map(encode, paths), strict=True)
                matrices.append(xgb.DMatrix(np.concatenate(data), label=np.concatenate(labels)))
            yield Channels(*matrices)
            return
        print(f"{cells:,} cells are more than {maximum_cells:,}: the matrix is kept on disk", flush=True)
        train = xgb.ExtMemQuantileDMatrix(_Files(files["train"], encode, os.path.join(folder, "train")))
        cached = _Files(files["validation"], encode, os.path.join(folder, "validation"))
        channels = Channels(train, xgb.ExtMemQuantileDMatrix(cached, ref=train))
        del train
        yield channels
        del channels.train, channels.validation  # XGBoost deletes its files itself, before the folder goes


def _parts(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise UserError(f"{folder}: holds no Parquet file: use fewer training instances than there are part files")
    return files


def _height(file: Path) -> int:
    try:
        return int(pl.scan_parquet(file).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError):
        raise UserError(f"{file}: is not a Parquet file, or a damaged one: run Preprocess again") from None


@dataclass(frozen=True)
class Trained:
    """The best booster, and training.json: its parameters, rounds and history, and every trial with its value."""

    booster: xgb.Booster
    report: dict[str, Any] = field(default_factory=dict)


def fit(channels: Channels, preprocessor: Preprocessor, hyperparameters: Mapping[str, float]) -> Trained:
    """Boosted trees with early stopping on the validation rows; with `tuning_trials`, the best of so many more trials.

    The search is seeded, so that it finds the same again; each trial is compared by the validation metric, less is
    better. Hosts that train together draw the same trials.
    """
    given = {
        "max_depth": int(hyperparameters["max_depth"]),
        "learning_rate": hyperparameters["learning_rate"],
    }
    fixed: dict[str, Any] = {**model.OBJECTIVES[preprocessor.task], "tree_method": "hist"}
    if preprocessor.task == "multiclass_classification":
        fixed["num_class"] = len(preprocessor.classes)
    rounds, seed = int(hyperparameters["num_rounds"]), int(hyperparameters["seed"])
    fixed["seed"] = seed
    drawn = _draw(int(hyperparameters.get("tuning_trials", 0)), seed)
    best: Score | None = None
    trials = []
    for number, parameters in enumerate([given, *drawn]):
        value, booster, history = _boost(channels, {**fixed, **parameters}, rounds, verbose=not drawn)
        trials.append({"parameters": parameters, "value": value, "rounds": booster.num_boosted_rounds()})
        if best is None or value < best[0]:
            best = value, booster, {"parameters": {**fixed, **parameters}, "history": history}
        if drawn:
            shown = ", ".join(f"{name} {setting:.4g}" for name, setting in parameters.items())
            print(f"trial {number} of {len(drawn)}: {fixed['eval_metric']} {value:.5g} ({shown})", flush=True)
    assert best is not None  # noqa: S101 - the given parameters are always tried
    return Trained(best[1], {"rounds": best[1].num_boosted_rounds(), **best[2], "trials": trials if drawn else []})


def _boost(channels: Channels, parameters: dict[str, Any], rounds: int, verbose: bool) -> Score:
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgb.train(
        parameters,
        channels.train,
        num_boost_round=rounds,
        evals=[(channels.train, "train"), (channels.validation, "validation")],
        callbacks=[xgb.callback.EarlyStopping(rounds=EARLY_STOPPING_ROUNDS, save_best=True)],
        evals_result=history,
        verbose_eval=25 if verbose else False,
    )
    return min(history["validation"][parameters["eval_metric"]]), booster, history


def _draw(count: int, seed: int) -> list[dict[str, Any]]:
    """Random search (Bergstra and Bengio, 2012): `count` settings of SEARCHED, the same for the same seed."""
    generator = np.random.default_rng(seed)

    def draw(limits: Range) -> float | int:
        if limits.kind == "integer":
            return int(generator.integers(int(limits.low), int(limits.high) + 1))
        if limits.kind == "logarithmic":
            return float(np.exp(generator.uniform(np.log(limits.low), np.log(limits.high))))
        return float(generator.uniform(limits.low, limits.high))

    return [{name: draw(limits) for name, limits in SEARCHED.items()} for _ in range(count)]
