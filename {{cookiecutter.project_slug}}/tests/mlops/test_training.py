"""Training: larger than memory, on several hosts, and the search for parameters agree with the plain way."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.features import Preprocessor
from usecase.mlops.model import add_code
from usecase.mlops.split import split
from usecase.mlops.synthetic import synthetic_rows
from usecase.mlops.training import Channels, Cluster, fit, read_channels, read_hyperparameters

FIELDS = [
    {"name": "age", "type": "integer", "role": "feature", "constraints": {"minimum": 0, "maximum": 100}},
    {"name": "plan", "type": "string", "role": "feature", "constraints": {"enum": ["basic", "plus", "pro"]}},
    {"name": "spent", "type": "number", "role": "feature"},
    {"name": "churned", "type": "string", "role": "target", "constraints": {"enum": ["no", "yes"]}},
]
CONTRACT = Contract.model_validate({"name": "people", "schema": {"fields": FIELDS}})
HYPERPARAMETERS = {"num_rounds": 20, "max_depth": 3, "learning_rate": 0.3, "seed": 1, "tuning_trials": 0}
PARTS = 4

Vector = npt.NDArray[np.float32]

WORKER = """
import sys
from pathlib import Path
from usecase.mlops.features import Preprocessor
from usecase.mlops.job import run_job
from usecase.mlops.training import Cluster, fit, read_channels

def main():
    folder, config, port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    cluster = Cluster.read(config)
    preprocessor = Preprocessor.load(folder.parent)
    with cluster.connected(port), read_channels(folder, preprocessor, lambda rows: rows) as channels:
        trained = fit(channels, preprocessor, {hyperparameters})
    if cluster.leader:
        trained.booster.save_model(folder.parent / "distributed.json")

run_job(main)
"""


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return synthetic_rows(CONTRACT, 2000, seed=3)


@pytest.fixture(scope="module")
def preprocessor(rows: pl.DataFrame) -> Preprocessor:
    return Preprocessor.fit(rows, CONTRACT)


@pytest.fixture
def folder(rows: pl.DataFrame, tmp_path: Path) -> Path:
    for name, part in split(rows, CONTRACT).items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(PARTS):
            part.gather_every(PARTS, number).write_parquet(
                tmp_path / "data" / name / f"part-algo-1-{number:05}.parquet"
            )
    return tmp_path / "data"


def predictions(channels: Channels, preprocessor: Preprocessor, **changes: float) -> Vector:
    return np.asarray(fit(channels, preprocessor, HYPERPARAMETERS | changes).booster.predict(channels.validation))


def test_data_larger_than_memory_gives_the_same_model(folder: Path, preprocessor: Preprocessor) -> None:
    with read_channels(folder, preprocessor, lambda rows: rows) as channels:
        inside = predictions(channels, preprocessor)
    with read_channels(folder, preprocessor, lambda rows: rows, maximum_cells=100) as channels:
        assert type(channels.train).__name__ == "ExtMemQuantileDMatrix"
        outside = predictions(channels, preprocessor)
    assert_alike(inside, outside)


def assert_alike(one: Vector, other: Vector) -> None:
    """Bins of numbers are cut from a sketch of the data, so that single rows near a cut may differ a little."""
    assert np.abs(one - other).mean() < 0.005
    assert np.corrcoef(one, other)[0, 1] > 0.999


def start(host: str, folder: Path, port: int, hosts: list[str]) -> "subprocess.Popen[str]":
    config = folder / "config"
    config.mkdir(parents=True, exist_ok=True)
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": host, "hosts": hosts}))
    worker = WORKER.replace("{hyperparameters}", repr(HYPERPARAMETERS))
    return subprocess.Popen(
        [sys.executable, "-c", worker, str(folder), str(config), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def shard(folder: Path, host: str, hosts: list[str]) -> Path:
    """The folder of one host with its share of the files, as ShardedByS3Key gives them."""
    for channel in ("train", "validation"):
        (folder.parent / host / channel).mkdir(parents=True)
        for number, file in enumerate(sorted((folder / channel).iterdir())):
            if hosts[number % len(hosts)] == host:
                file.rename(folder.parent / host / channel / file.name)
    return folder.parent / host


def test_two_hosts_agree_with_one(folder: Path, preprocessor: Preprocessor) -> None:
    import xgboost as xgb

    preprocessor.save(folder.parent)
    with read_channels(folder, preprocessor, lambda rows: rows) as channels:
        alone = fit(channels, preprocessor, HYPERPARAMETERS).booster
        hosts, port = ["127.0.0.1", "localhost"], free_port()  # two names that both lead here
        shards = {host: shard(folder, host, hosts) for host in hosts}
        workers = [start(host, shards[host], port, hosts) for host in hosts]
        outputs = [worker.communicate(timeout=120)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], outputs
        together = xgb.Booster(model_file=folder.parent / "distributed.json")
        assert_alike(alone.predict(channels.validation), together.predict(channels.validation))


def test_a_lost_host_ends_the_others_with_a_reason(folder: Path, preprocessor: Preprocessor) -> None:
    preprocessor.save(folder.parent)
    hosts, port = ["127.0.0.1", "localhost"], free_port()
    shards = {host: shard(folder, host, hosts) for host in hosts}
    for file in (shards["localhost"] / "train").iterdir():
        file.write_text("no parquet")  # its job fails while the other waits for it
    workers = [start(host, shards[host], port, hosts) for host in hosts]
    outputs = [worker.communicate(timeout=120)[0] for worker in workers]
    assert all(worker.returncode for worker in workers), outputs
    assert "is not a Parquet file" in outputs[1]
    assert "127.0.0.1 lost the other hosts" in outputs[0]


def test_a_host_without_files_says_what_to_change(folder: Path, preprocessor: Preprocessor) -> None:
    for file in (folder / "validation").iterdir():
        file.unlink()
    with (
        pytest.raises(UserError, match="use fewer training instances than there are part files"),
        read_channels(folder, preprocessor, lambda rows: rows),
    ):
        pass


def test_the_search_is_repeatable_bounded_and_never_worse(folder: Path, preprocessor: Preprocessor) -> None:
    with read_channels(folder, preprocessor, lambda rows: rows) as channels:
        plain = fit(channels, preprocessor, HYPERPARAMETERS)
        first, second = (fit(channels, preprocessor, HYPERPARAMETERS | {"tuning_trials": 5}) for _ in range(2))
        other = fit(channels, preprocessor, HYPERPARAMETERS | {"tuning_trials": 5, "seed": 2})
    assert plain.report["trials"] == []
    values = [trial["value"] for trial in first.report["trials"]]
    assert len(values) == 6
    assert min(values) == min(first.report["history"]["validation"]["logloss"])
    assert first.report["trials"] == second.report["trials"]
    assert first.booster.save_raw() == second.booster.save_raw()
    assert other.report["trials"][1:] != first.report["trials"][1:]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("max_depth", "0", "hyperparameter max_depth: '0' is not a whole number from 1 to 64"),
        ("max_depth", "3.5", "hyperparameter max_depth: '3.5' is not a whole number"),
        ("learning_rate", "2", "hyperparameter learning_rate: '2' is not a number from 1e-06 to 1"),
        ("learning_rate", "nan", "hyperparameter learning_rate: 'nan' is not a number"),
        ("tuning_trials", "-1", "hyperparameter tuning_trials: '-1' is not a whole number from 0 to 500"),
        ("depth", "3", "hyperparameter depth: is not known; known are num_rounds"),
    ],
)
def test_a_wrong_hyperparameter_is_one_line(tmp_path: Path, name: str, value: str, says: str) -> None:
    (tmp_path / "hyperparameters.json").write_text(json.dumps({"seed": "1", name: value}))
    with pytest.raises(UserError, match=says):
        read_hyperparameters(tmp_path)


def test_hosts_are_read_as_sagemaker_writes_them(tmp_path: Path) -> None:
    assert Cluster.read(tmp_path).leader
    content = {"current_host": "algo-2", "hosts": ["algo-2", "algo-1"], "network_interface_name": "eth0"}
    (tmp_path / "resourceconfig.json").write_text(json.dumps(content))
    cluster = Cluster.read(tmp_path)
    assert (cluster.hosts, cluster.leader) == (["algo-1", "algo-2"], False)


def test_the_model_folder_gets_the_code_and_nothing_else(tmp_path: Path) -> None:
    code = tmp_path / "src"
    for name in ("usecase/train.py", "usecase/__pycache__/train.pyc", "usecase.egg-info/PKG-INFO", ".mypy_cache/x"):
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text("")
    add_code(code, tmp_path / "model")
    found = {path.relative_to(tmp_path / "model").as_posix() for path in (tmp_path / "model").rglob("*.*")}
    assert found == {"code/inference.py", "code/usecase/train.py"}
    with pytest.raises(UserError, match="holds no package `usecase`"):
        add_code(tmp_path / "model", tmp_path / "other")
