"""Your tests of the model: that it is the same each time, and that the handlers serve it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from usecase.inference import input_fn, model_fn, output_fn, predict_fn
from usecase.mlops.check import as_text
from usecase.mlops.contract import Contract
from usecase.mlops.model import Model
from usecase.mlops.synthetic import synthetic_rows
from usecase.preprocessing import preprocess
from usecase.train import train

ROOT = Path(__file__).parents[1]
HYPERPARAMETERS = {"num_rounds": 20, "max_depth": 3, "learning_rate": 0.3, "seed": 1}
# Two processes of this machine train as two hosts; only the first one's name must have an address.
HOSTS = ["localhost", "second"]
ONE_HOST = f"""
import sys
from pathlib import Path
from usecase.mlops.training import Cluster
from usecase.train import train

src, folder, host, port = sys.argv[1:]
inputs, model, report = (Path(folder) / host / name for name in ("in", "model", "report"))
train(inputs, Path(src), model, report, {HYPERPARAMETERS}, Cluster({HOSTS}, host, int(port)))
"""


def prepared(folder: Path) -> Path:
    (folder / "data").mkdir()
    synthetic_rows(Contract.load(ROOT)).write_parquet(folder / "data" / "rows.parquet")
    preprocess(folder / "data", ROOT, folder / "out")
    return folder / "out"


def train_once(folder: Path) -> Model:
    train(prepared(folder), ROOT / "src", folder / "model", folder / "report", HYPERPARAMETERS)
    return model_fn(str(folder / "model"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return train_once(tmp_path_factory.mktemp("model"))


@pytest.fixture
def rows(model: Model) -> pl.DataFrame:
    return synthetic_rows(model.contract, count=5, seed=7)


def test_the_same_data_and_seed_give_the_same_model(tmp_path: Path, model: Model) -> None:
    assert train_once(tmp_path).booster.save_raw() == model.booster.save_raw()


def test_the_service_answers_json_and_csv_alike(model: Model, rows: pl.DataFrame) -> None:
    text = as_text(rows, model.contract)
    as_csv = input_fn(text.write_csv().encode(), "text/csv")
    as_json = input_fn(text.write_json().encode(), "application/json")
    answers = [output_fn(predict_fn(request, model), "application/json") for request in (as_csv, as_json)]
    assert answers[0] == answers[1]
    assert len(json.loads(answers[0])["predictions"]) == 5


def test_the_order_of_columns_does_not_matter(model: Model, rows: pl.DataFrame) -> None:
    assert predict_fn(rows.select(reversed(rows.columns)), model).values == predict_fn(rows, model).values


def test_of_two_hosts_only_the_first_writes(tmp_path: Path) -> None:
    parts = prepared(tmp_path)
    for number, host in enumerate(HOSTS):
        shutil.copytree(parts / "preprocessor", tmp_path / host / "in" / "preprocessor")
        for channel in ("train", "validation"):
            (tmp_path / host / "in" / channel).mkdir()
            half = pl.read_parquet(parts / channel / "*.parquet").gather_every(2, number)
            half.write_parquet(tmp_path / host / "in" / channel / f"{number}.parquet")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-c", ONE_HOST, str(ROOT / "src"), str(tmp_path)]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # hosts do not share cores as these do
    workers = [subprocess.Popen([*command, host, port], stderr=subprocess.PIPE, text=True, env=alone) for host in HOSTS]
    said = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert predict_fn(synthetic_rows(Contract.load(ROOT), 5), model_fn(str(tmp_path / HOSTS[0] / "model"))).values
    assert sorted(path.name for path in (tmp_path / HOSTS[1]).iterdir()) == ["in"]
