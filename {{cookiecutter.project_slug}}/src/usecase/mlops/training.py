"""What a training job needs beyond XGBoost itself: data larger than memory, several hosts, a search for parameters.

Sources: "Using XGBoost External Memory Version" and "Collective" (XGBoost documentation); the hosts of a job stand in
resourceconfig.json ("How Amazon SageMaker Provides Training Information", SageMaker Developer Guide).
"""

import json
import re
import socket
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
import xgboost as xgb
from xgboost.tracker import RabitTracker

from usecase.mlops import model
from usecase.mlops.errors import UserError
from usecase.mlops.features import Preprocessor
from usecase.mlops.prepare import Hosts
from usecase.mlops.tables import read_table

# With more cells (rows x features) than this on any host, the matrix is kept on disk. In memory a cell takes 7 bytes
# where values are missing, 5 where none is (measured on 250 million), so this is 3.5 GB: half of an ml.m5.large.
MAXIMUM_CELLS = 500_000_000
EARLY_STOPPING_ROUNDS = 25
TRACKER_PORT = 9091
BOOTSTRAP_SECONDS, SILENCE_SECONDS = 600, 1800  # until all hosts have come; until a silent one counts as lost

Rows = Callable[[pl.DataFrame], pl.DataFrame]
Encode = Callable[[Path], tuple[Any, Any]]


@dataclass(frozen=True)
class Range:
    """What a hyperparameter may be: both ends belong to it. `logarithmic` is how the search draws, and no limit."""

    low: float
    high: float
    kind: Literal["integer", "logarithmic", "linear"] = "linear"


# `seed` decides which trials are drawn, and which rows and columns each of them samples. Without trials nothing is
# drawn and nothing is sampled: the same data gives the same model whatever the seed.
LIMITS = {
    "num_rounds": Range(1, 100_000, "integer"),
    "max_depth": Range(1, 64, "integer"),
    "learning_rate": Range(1e-6, 1.0),
    "seed": Range(0, 2**31 - 1, "integer"),
    "tuning_trials": Range(0, 500, "integer"),
}
OURS = ("num_rounds", "seed", "tuning_trials")  # the others are XGBoost's own


def read_hyperparameters(folder: Path, limits: Mapping[str, Range] = LIMITS) -> dict[str, float]:
    """The numbers in hyperparameters.json of `folder`, which SageMaker writes as text. Raises UserError.

    Each name in `limits` must be there. More of XGBoost's parameters: pass `LIMITS | {"gamma": Range(0, 10)}`.
    """
    file = folder / "hyperparameters.json"
    try:
        given = dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{file}: cannot be read ({error})") from None
    missing = [name for name in limits if name not in given]
    if missing:
        raise UserError(f"hyperparameter {missing[0]}: is missing in {file}")
    return {name: _number(name, str(text), limits) for name, text in given.items()}


def _number(name: str, text: str, limits: Mapping[str, Range]) -> float:
    if name not in limits:
        raise UserError(f"hyperparameter {name}: is not known; known are {', '.join(limits)}")
    limit = limits[name]
    try:
        value = int(text) if limit.kind == "integer" else float(text)
    except ValueError:
        value = float("nan")
    if not limit.low <= value <= limit.high:
        kind = "a whole number" if limit.kind == "integer" else "a number"
        raise UserError(f"hyperparameter {name}: {text!r} is not {kind} from {limit.low:.10g} to {limit.high:.10g}")
    return value


@dataclass(frozen=True)
class Cluster:
    """The hosts of a training job and which of them this is; the first one leads."""

    hosts: Sequence[str] = ("algo-1",)
    current: str = "algo-1"
    port: int = TRACKER_PORT
    wait_seconds: int = BOOTSTRAP_SECONDS

    @property
    def leader(self) -> bool:
        """Whether this host writes the model: SageMaker packs the files of all hosts, whose names must not clash."""
        return self.current == self.hosts[0]

    @classmethod
    def read(cls, config_dir: Path) -> "Cluster":
        """From resourceconfig.json in `config_dir`; one host when there is none. Raises UserError."""
        hosts = Hosts.read(config_dir / "resourceconfig.json")
        return cls(sorted(hosts.names), hosts.current)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Inside of this, all hosts train one model. Raises UserError when one does not come or is lost."""
        if len(self.hosts) == 1:
            yield
            return
        try:
            self._join()
            try:
                yield
            finally:
                xgb.collective.finalize()
        except xgb.core.XGBoostError as error:
            if "/collective/" not in str(error):
                raise
            causes = re.findall(r"^- \[[^]]*\]: (.+)$", str(error), re.MULTILINE) or [str(error).splitlines()[0]]
            raise UserError(
                f"{self.current} lost the other hosts ({', '.join(self.hosts)}): {causes[-1]}: see their logs"
            ) from None

    def _join(self) -> None:
        """Meet the other hosts, which may start later than this one."""
        address = self._address_of_leader()
        if self.leader:
            tracker = RabitTracker(len(self.hosts), address, self.port, sortby="task", timeout=self.wait_seconds)
            tracker.start()
            threading.Thread(target=_wait_for, args=[tracker], daemon=True).start()
        end = time.monotonic() + self.wait_seconds
        while True:
            try:
                with warnings.catch_warnings():  # of each attempt
                    warnings.simplefilter("ignore", UserWarning)
                    xgb.collective.init(
                        dmlc_tracker_uri=address,
                        dmlc_tracker_port=self.port,
                        dmlc_task_id=f"{self.hosts.index(self.current):06}",
                        dmlc_timeout=SILENCE_SECONDS,
                        dmlc_retry=2,  # seconds; also when a lost leader is told goodbye
                    )
                return
            except xgb.core.XGBoostError:
                if time.monotonic() > end:
                    raise

    def _address_of_leader(self) -> str:
        """Names of hosts are not known at once ("Running a container for distributed training", developer guide)."""
        end = time.monotonic() + self.wait_seconds
        while True:
            try:
                return socket.gethostbyname(self.hosts[0])
            except OSError as error:
                if time.monotonic() > end:
                    raise UserError(f"{self.current} does not find the host {self.hosts[0]!r}: {error}") from None
            time.sleep(1)


def _wait_for(tracker: RabitTracker) -> None:
    """The tracker ends when every host has said goodbye. When one is lost, the training itself says so."""
    with suppress(xgb.core.XGBoostError):
        tracker.wait_for()
    with suppress(xgb.core.XGBoostError):  # which says it again, and would do so as a traceback out of __del__
        tracker.free()


class _Files(xgb.DataIter):
    """Hands the files of a channel to XGBoost one after the other, encoded."""

    def __init__(self, files: Sequence[Path], encode: Encode, cache: Path | None) -> None:
        self._files, self._encode, self._next = files, encode, 0
        super().__init__(cache_prefix=str(cache) if cache else None)

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
    """The Parquet parts in `input_dir`/train and /validation, with derived features, encoded. Raises UserError.

    Never more than one part is in memory as numbers: XGBoost keeps the bin of each value. When a host has more than
    `maximum_cells`, all keep the bins on disk (in the folder of TMPDIR) and read them again in each round.
    """

    def encode(path: Path) -> tuple[Any, Any]:
        rows = add_features(read_table(path))
        return preprocessor.transform(rows), preprocessor.labels(rows)

    files = {channel: sorted((input_dir / channel).glob("*.parquet")) for channel in ("train", "validation")}
    _check_shares({channel: len(found) for channel, found in files.items()}, input_dir)
    rows = sum(_height(file) for found in files.values() for file in found)
    cells = max(_on_each_host(rows * len(preprocessor.feature_names)))
    with tempfile.TemporaryDirectory(prefix="usecase-matrix-") as folder:
        cache = Path(folder) if cells > maximum_cells else None
        if cache:
            print(f"{cells:,} cells are more than {maximum_cells:,}: the matrix is kept on disk", flush=True)
        train = _matrix(_Files(files["train"], encode, cache and cache / "train"))
        channels = Channels(train, _matrix(_Files(files["validation"], encode, cache and cache / "validation"), train))
        del train
        yield channels
        del channels.train, channels.validation  # XGBoost deletes its files itself, before the folder goes


def _matrix(files: _Files, reference: xgb.DMatrix | None = None) -> xgb.DMatrix:
    """Bins of all values; with a `reference`, in its bins."""
    kind = xgb.ExtMemQuantileDMatrix if files.cache_prefix else xgb.QuantileDMatrix
    return kind(files, ref=reference)


def _check_shares(counts: Mapping[str, int], input_dir: Path) -> None:
    """Every host needs a file of each channel; all hosts find out together, so that none waits for another."""
    for channel, count in counts.items():
        shares = _on_each_host(count)
        if all(shares):
            continue
        if not any(shares):
            raise UserError(f"{input_dir / channel}: holds no Parquet file: pass the outputs of Preprocess")
        idle = shares.count(0)
        raise UserError(
            f"channel {channel}: {idle} of {len(shares)} hosts got none of its files ({sum(shares)} in all): set"
            f" TrainingInstanceCount to {min(sum(shares), len(shares) - idle)} at most"
        )


def _on_each_host(number: int) -> list[int]:
    """The `number` of every host, in their order."""
    shares = np.zeros(xgb.collective.get_world_size(), dtype=np.int64)
    shares[xgb.collective.get_rank()] = number
    return [int(share) for share in xgb.collective.allreduce(shares, xgb.collective.Op.SUM)]


def _height(file: Path) -> int:
    try:
        return int(pl.scan_parquet(file).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError):
        raise UserError(f"{file}: is not a Parquet file, or a damaged one: run Preprocess again") from None


@dataclass(frozen=True)
class Trained:
    """The best booster, and training.json: its parameters, rounds and history, and every trial with its value."""

    booster: xgb.Booster
    report: dict[str, Any]


@dataclass(frozen=True)
class _Trial:
    """One training: the best value of the validation metric, less is better, and each metric in every round."""

    parameters: dict[str, Any]
    value: float
    booster: xgb.Booster
    history: dict[str, dict[str, list[float]]]


def fit(channels: Channels, preprocessor: Preprocessor, hyperparameters: Mapping[str, float]) -> Trained:
    """Boosted trees with early stopping on the validation rows; with `tuning_trials`, the best of so many more trials.

    The trials vary the given values and are compared by the validation metric, less is better. The same seed finds
    the same again; hosts that train together make the same trial at the same time.
    """
    given = {name: value for name, value in hyperparameters.items() if name not in OURS}
    rounds, seed = int(hyperparameters["num_rounds"]), int(hyperparameters["seed"])
    fixed: dict[str, Any] = {**model.OBJECTIVES[preprocessor.task], "tree_method": "hist", "seed": seed}
    if preprocessor.task == "multiclass_classification":
        fixed["num_class"] = len(preprocessor.classes)
    metric = fixed["eval_metric"]

    drawn = _draw(given, int(hyperparameters.get("tuning_trials", 0)), seed)
    trials: list[dict[str, Any]] = []

    def log(trial: _Trial) -> None:
        shown = ", ".join(f"{name} {setting:.4g}" for name, setting in trial.parameters.items())
        print(f"trial {len(trials)} of {len(drawn)}: {metric} {trial.value:.5g} ({shown})", flush=True)
        trials.append(
            {"parameters": trial.parameters, "value": trial.value, "rounds": trial.booster.num_boosted_rounds()}
        )

    best = _boost(channels, fixed, given, rounds, verbose=not drawn)
    if drawn:
        log(best)
    for parameters in drawn:
        trial = _boost(channels, fixed, parameters, rounds)
        log(trial)
        best = min(best, trial, key=lambda one: one.value)
    report = {
        "rounds": best.booster.num_boosted_rounds(),
        "parameters": {**fixed, **best.parameters},
        "history": best.history,
        "trials": trials,
    }
    return Trained(best.booster, report)


def _boost(
    channels: Channels, fixed: Mapping[str, Any], parameters: dict[str, Any], rounds: int, verbose: bool = False
) -> _Trial:
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgb.train(
        {**fixed, **parameters},
        channels.train,
        num_boost_round=rounds,
        evals=[(channels.train, "train"), (channels.validation, "validation")],
        callbacks=[xgb.callback.EarlyStopping(rounds=EARLY_STOPPING_ROUNDS, save_best=True)],
        evals_result=history,
        verbose_eval=25 if verbose else False,
    )
    return _Trial(parameters, min(history["validation"][fixed["eval_metric"]]), booster, history)


def _draw(given: Mapping[str, float], count: int, seed: int) -> list[dict[str, Any]]:
    """Random search (Bergstra and Bengio, 2012) around the `given` values: `count` trials, the same for each seed."""
    generator = np.random.default_rng(seed)

    def draw(limits: Range) -> float | int:
        if limits.kind == "integer":
            return int(generator.integers(int(limits.low), int(limits.high) + 1))
        if limits.kind == "logarithmic":
            return float(np.exp(generator.uniform(np.log(limits.low), np.log(limits.high))))
        return float(generator.uniform(limits.low, limits.high))

    searched = _around(given)
    return [{**given, **{name: draw(limits) for name, limits in searched.items()}} for _ in range(count)]


def _around(given: Mapping[str, float]) -> dict[str, Range]:
    """Where the search looks: near the `given` values, and near XGBoost's default of 1 for what is not given."""
    depth, rate = int(given["max_depth"]), given["learning_rate"]
    weight, penalty = (given.get(name) or 1 for name in ("min_child_weight", "lambda"))
    return {
        "max_depth": Range(max(1, depth - 2), min(64, depth + 3), "integer"),
        "learning_rate": Range(rate / 3, min(1, rate * 3), "logarithmic"),
        "min_child_weight": Range(weight / 10, weight * 10, "logarithmic"),
        "subsample": Range(0.5, 1),
        "colsample_bytree": Range(0.5, 1),
        "lambda": Range(penalty / 10, penalty * 10, "logarithmic"),
    }
