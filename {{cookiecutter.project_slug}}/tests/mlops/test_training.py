"""Training: larger than memory, on several hosts, and the search for parameters agree with the plain way."""

import json
import math
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import xgboost as xgb

from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.features import Preprocessor
from usecase.mlops.model import OBJECTIVES, add_code
from usecase.mlops.split import split
from usecase.mlops.synthetic import synthetic_rows
from usecase.mlops.training import LIMITS, Channels, Cluster, Range, fit, read_channels, read_hyperparameters

FIELDS = [
    {"name": "age", "type": "integer", "role": "feature", "constraints": {"minimum": 0, "maximum": 100}},
    {"name": "plan", "type": "string", "role": "feature", "constraints": {"enum": ["basic", "plus", "pro"]}},
    {"name": "spent", "type": "number", "role": "feature"},
]
TARGET = {"name": "churned", "type": "string", "role": "target", "constraints": {"enum": ["no", "yes"]}}
HYPERPARAMETERS = {"num_rounds": 20, "max_depth": 3, "learning_rate": 0.3, "seed": 1, "tuning_trials": 0}
PARTS = 4
# The first name leads, and is the only one that must be found; both processes are on this machine.
HOSTS = ["localhost", "second"]

WORKER = """
import json, sys
from pathlib import Path
from usecase.mlops.features import Preprocessor
from usecase.mlops.job import run_job
from usecase.mlops.training import Cluster, fit, read_channels

def main():
    host, port, wait, maximum_cells, hyperparameters = json.loads(sys.argv[2])
    folder = Path(sys.argv[1])
    cluster = Cluster(["localhost", "second"], host, port, wait)
    preprocessor = Preprocessor.load(folder)
    with cluster.connected(), read_channels(folder / host, preprocessor, lambda rows: rows, maximum_cells) as channels:
        trained = fit(channels, preprocessor, hyperparameters)
    trained.booster.save_model(folder / f"{host}.ubj")

run_job(main)
"""

Values = npt.NDArray[np.float32]


def contract(**target: object) -> Contract:
    return Contract.model_validate({"name": "people", "schema": {"fields": [*FIELDS, TARGET | target]}})


def unchanged(rows: pl.DataFrame) -> pl.DataFrame:
    return rows


def write_parts(folder: Path, rows: pl.DataFrame, contract: Contract) -> Preprocessor:
    for name, part in split(rows, contract).items():
        (folder / name).mkdir(parents=True)
        for number in range(PARTS):
            part.gather_every(PARTS, number).write_parquet(folder / name / f"part-algo-1-{number:05}.parquet")
    return Preprocessor.fit(rows, contract)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    """Chance decides one label in five, so that a search has something to find."""
    rows = synthetic_rows(contract(), 2000, seed=3)
    noise = pl.Series(np.random.default_rng(4).random(rows.height))
    return rows.with_columns(churned=pl.when(noise < 0.2).then(pl.lit("yes")).otherwise("churned"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def preprocessor(folder: Path, rows: pl.DataFrame) -> Preprocessor:
    return write_parts(folder, rows, contract())


def predictions(channels: Channels, preprocessor: Preprocessor, **changes: float) -> Values:
    return np.asarray(fit(channels, preprocessor, HYPERPARAMETERS | changes).booster.predict(channels.validation))


def assert_alike(one: Values, other: Values, within: float = 0.005) -> None:
    """Bins are cut from a sketch of the data, so that single rows near a cut may differ a little."""
    assert np.abs(one - other).mean() < within
    assert np.corrcoef(one, other)[0, 1] > 0.999


def test_data_larger_than_memory_gives_the_same_model(
    folder: Path, preprocessor: Preprocessor, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = folder.parent / "disk"
    disk.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with read_channels(folder, preprocessor, unchanged) as channels:
        assert not list(disk.rglob("*.page"))
        inside = predictions(channels, preprocessor)
    with read_channels(folder, preprocessor, unchanged, maximum_cells=100) as channels:
        assert list(disk.rglob("*.page"))
        outside = predictions(channels, preprocessor)
    assert "cells are more than 100: the matrix is kept on disk" in capsys.readouterr().out
    assert not list(disk.iterdir())
    np.testing.assert_allclose(inside, outside, atol=1e-6)


def test_file_by_file_gives_what_all_rows_at_once_give(
    folder: Path, preprocessor: Preprocessor, rows: pl.DataFrame
) -> None:
    train, validation = (
        xgb.DMatrix(preprocessor.transform(part), label=preprocessor.labels(part))
        for part in (split(rows, contract())[name] for name in ("train", "validation"))
    )
    at_once = np.sort(predictions(Channels(train, validation), preprocessor))
    with read_channels(folder, preprocessor, unchanged) as channels:
        assert_alike(at_once, np.sort(predictions(channels, preprocessor)))


@pytest.mark.parametrize(
    "target",
    [
        {},
        {"constraints": {"enum": ["low", "middle", "high"]}},
        {"type": "number", "constraints": {"minimum": 0, "maximum": 9}},
    ],
)
def test_every_kind_of_target_is_learned(folder: Path, target: dict[str, object]) -> None:
    wanted = contract(**target)
    preprocessor = write_parts(folder, synthetic_rows(wanted, 600), wanted)
    with read_channels(folder, preprocessor, unchanged) as channels:
        report = fit(channels, preprocessor, HYPERPARAMETERS).report
    values = report["history"]["validation"][OBJECTIVES[wanted.task]["eval_metric"]]
    assert min(values) < values[0] / 2
    assert values[report["rounds"] - 1] == min(values)


def test_derived_features_are_made_and_their_errors_shown(
    folder: Path, rows: pl.DataFrame, preprocessor: Preprocessor
) -> None:
    def young(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(young=pl.col("age") < 30)

    def fail(rows: pl.DataFrame) -> pl.DataFrame:
        raise UserError("feature 'bmi' needs a height")

    with read_channels(folder, Preprocessor.fit(young(rows), contract()), young) as channels:
        assert channels.train.num_col() == channels.validation.num_col() == len(preprocessor.feature_names) + 1
    with pytest.raises(UserError, match="needs a height"), read_channels(folder, preprocessor, fail):
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def deal(folder: Path, preprocessor: Preprocessor, shares: Sequence[int]) -> None:
    """Give each host a folder with its share of the files, as ShardedByS3Key does."""
    preprocessor.save(folder)
    for channel in ("train", "validation"):
        files = iter(sorted((folder / channel).iterdir()))
        for host, share in zip(HOSTS, shares, strict=True):
            (folder / host / channel).mkdir(parents=True)
            for _ in range(share):
                file = next(files)
                file.rename(folder / host / channel / file.name)


def start(
    folder: Path,
    hosts: Sequence[str] = HOSTS,
    maximum_cells: int = 10**9,
    wait_seconds: int = 60,
    **changes: float,
) -> list["subprocess.Popen[str]"]:
    port = free_port()
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-c", WORKER, str(folder)),
                json.dumps([host, port, wait_seconds, maximum_cells, HYPERPARAMETERS | changes]),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},  # hosts do not share cores as these do
        )
        for host in hosts
    ]


def outputs(workers: list["subprocess.Popen[str]"]) -> list[str]:
    try:
        return [worker.communicate(timeout=120)[0] for worker in workers]
    finally:
        for worker in workers:
            worker.kill()


# In the second case only the first host has more than the maximum, and both must keep their matrix on disk.
@pytest.mark.parametrize(("maximum_cells", "trials"), [(10**9, 2), (6000, 0)])
def test_two_hosts_agree_with_one(folder: Path, preprocessor: Preprocessor, maximum_cells: int, trials: int) -> None:
    with read_channels(folder, preprocessor, unchanged) as channels:
        alone = fit(channels, preprocessor, HYPERPARAMETERS | {"tuning_trials": 0}).booster
        validation = channels.validation
        deal(folder, preprocessor, [3, 1])
        workers = start(folder, maximum_cells=maximum_cells, tuning_trials=trials)
        said = outputs(workers)
        assert [worker.returncode for worker in workers] == [0, 0], said
        assert [("kept on disk" in text) for text in said] == [maximum_cells == 6000] * 2
        together, other = (xgb.Booster(model_file=folder / f"{host}.ubj") for host in HOSTS)
        assert together.save_raw() == other.save_raw()
        if not trials:
            # Two hosts differ by 0.000 (XGBoost 3.2) or 0.009 (3.4); one that trains on its share alone, by 0.018.
            assert_alike(alone.predict(validation), together.predict(validation), within=0.01)


def test_a_host_that_fails_ends_the_others_with_a_reason(folder: Path, preprocessor: Preprocessor) -> None:
    deal(folder, preprocessor, [2, 2])
    for file in (folder / "second" / "train").iterdir():
        file.write_text("no parquet")
    workers = start(folder)
    first, second = outputs(workers)
    assert [worker.returncode for worker in workers] == [1, 1], (first, second)
    assert "is not a Parquet file" in second
    assert first.splitlines()[-1].startswith("error: localhost lost the other hosts (localhost, second): ")
    assert "Traceback" not in first + second


@pytest.mark.parametrize("killed", [0, 1])
def test_a_host_that_dies_ends_the_others(folder: Path, preprocessor: Preprocessor, killed: int) -> None:
    deal(folder, preprocessor, [2, 2])
    workers = start(folder, num_rounds=100_000, learning_rate=1e-6)  # it learns a little in each round, for hours
    assert workers[0].stdout is not None
    assert any("validation-logloss" in line for line in iter(workers[0].stdout.readline, ""))
    workers[killed].kill()
    said = outputs(workers)
    assert workers[1 - killed].returncode == 1
    assert "lost the other hosts" in said[1 - killed].splitlines()[-1]
    assert "Traceback" not in said[1 - killed]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_never_comes_is_not_waited_for_for_ever(
    folder: Path, preprocessor: Preprocessor, host: str
) -> None:
    deal(folder, preprocessor, [2, 2])
    workers = start(folder, hosts=[host], wait_seconds=3)
    said = outputs(workers)[0]
    assert workers[0].returncode == 1
    assert said.splitlines()[-1].startswith(f"error: {host} lost the other hosts"), said
    assert "Traceback" not in said


def test_a_leader_without_an_address_is_named() -> None:
    cluster = Cluster(["no-such-host.invalid", "second"], "second", wait_seconds=0)
    with pytest.raises(UserError, match=r"second does not find the host 'no-such-host.invalid'"), cluster.connected():
        pass


def test_fewer_files_than_hosts_say_what_to_change(folder: Path, preprocessor: Preprocessor) -> None:
    deal(folder, preprocessor, [3, 0])
    workers = start(folder)
    said = outputs(workers)
    assert [worker.returncode for worker in workers] == [1, 1], said
    assert {text.splitlines()[-1] for text in said} == {
        "error: channel train: 1 of 2 hosts got none of its files (3 in all): set TrainingInstanceCount to 1 at most"
    }


def test_a_channel_without_files_is_named(folder: Path, preprocessor: Preprocessor) -> None:
    for file in (folder / "validation").iterdir():
        file.unlink()
    with (
        pytest.raises(UserError, match="validation: holds no Parquet file"),
        read_channels(folder, preprocessor, unchanged),
    ):
        pass


def test_the_search_is_repeatable_bounded_and_never_worse(
    folder: Path, preprocessor: Preprocessor, capsys: pytest.CaptureFixture[str]
) -> None:
    poor = HYPERPARAMETERS | {"max_depth": 6, "learning_rate": 0.9}
    search = poor | {"tuning_trials": 4, "seed": 2}
    with read_channels(folder, preprocessor, unchanged) as channels:
        plain = fit(channels, preprocessor, poor)
        capsys.readouterr()
        first, second = (fit(channels, preprocessor, search) for _ in range(2))
        lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("trial ")]
        other = fit(channels, preprocessor, search | {"seed": 4})
    trials = first.report["trials"]
    best = min(trials, key=lambda trial: float(trial["value"]))
    assert plain.report["trials"] == []
    assert trials[0]["parameters"] == {"max_depth": 6, "learning_rate": 0.9}
    assert trials[0]["value"] == min(plain.report["history"]["validation"]["logloss"])
    assert len(trials) == 5
    assert best["value"] < trials[0]["value"]
    assert best["value"] == min(first.report["history"]["validation"]["logloss"])
    assert best["parameters"].items() <= first.report["parameters"].items()
    assert best["rounds"] == first.report["rounds"] == first.booster.num_boosted_rounds()
    assert len(lines) == 10
    assert lines[0].startswith("trial 0 of 4: logloss ")
    assert trials == second.report["trials"]
    assert first.booster.save_raw() == second.booster.save_raw()
    assert other.report["trials"][1:] != trials[1:]
    for trial in trials[1:]:
        assert 4 <= trial["parameters"]["max_depth"] <= 9
        assert 0.3 <= trial["parameters"]["learning_rate"] <= 1


def test_the_seed_changes_nothing_where_nothing_is_drawn(folder: Path, preprocessor: Preprocessor) -> None:
    with read_channels(folder, preprocessor, unchanged) as channels:
        one, other = (predictions(channels, preprocessor, seed=seed) for seed in (1, 2))
    assert (one == other).all()


def test_more_of_xgboosts_parameters_are_handed_on(folder: Path, preprocessor: Preprocessor, tmp_path: Path) -> None:
    given = {name: str(value) for name, value in HYPERPARAMETERS.items()} | {"gamma": "1e6"}
    (tmp_path / "hyperparameters.json").write_text(json.dumps(given))
    read = read_hyperparameters(tmp_path, LIMITS | {"gamma": Range(0, math.inf)})
    assert read == HYPERPARAMETERS | {"gamma": 1e6}
    with read_channels(folder, preprocessor, unchanged) as channels:
        trained = fit(channels, preprocessor, read)
    assert trained.report["parameters"]["gamma"] == 1e6
    assert not any("<" in tree for tree in trained.booster.get_dump())  # no split gains that much


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("max_depth", "0", "hyperparameter max_depth: '0' is not a whole number from 1 to 64"),
        ("max_depth", "3.5", "hyperparameter max_depth: '3.5' is not a whole number from 1 to 64"),
        ("num_rounds", "100001", "hyperparameter num_rounds: '100001' is not a whole number from 1 to 100000"),
        ("learning_rate", "2", "hyperparameter learning_rate: '2' is not a number from 1e-06 to 1"),
        ("learning_rate", "nan", "hyperparameter learning_rate: 'nan' is not a number"),
        ("seed", "2147483648", "hyperparameter seed: '2147483648' is not a whole number from 0 to 2147483647"),
        ("tuning_trials", "-1", "hyperparameter tuning_trials: '-1' is not a whole number from 0 to 500"),
        ("tuning_trials", [1], r"hyperparameter tuning_trials: '\[1\]' is not a whole number"),
        ("depth", "3", "hyperparameter depth: is not known; known are num_rounds, max_depth"),
    ],
)
def test_a_wrong_hyperparameter_is_one_line(tmp_path: Path, name: str, value: object, says: str) -> None:
    given: dict[str, object] = {known: str(number) for known, number in HYPERPARAMETERS.items()}
    (tmp_path / "hyperparameters.json").write_text(json.dumps(given | {name: value}))
    with pytest.raises(UserError, match=says):
        read_hyperparameters(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "hyperparameters.json: cannot be read"),
        ("7", "hyperparameters.json: cannot be read"),
        ('{"num_rounds": "5"}', "hyperparameter max_depth: is missing in .*hyperparameters.json"),
    ],
)
def test_wrong_files_of_hyperparameters_are_one_line(tmp_path: Path, content: str, says: str) -> None:
    with pytest.raises(UserError, match=r"hyperparameters\.json: cannot be read"):
        read_hyperparameters(tmp_path)
    (tmp_path / "hyperparameters.json").write_text(content)
    with pytest.raises(UserError, match=says):
        read_hyperparameters(tmp_path)


def test_hosts_are_read_as_sagemaker_writes_them(tmp_path: Path) -> None:
    assert Cluster.read(tmp_path).leader
    content = {"current_host": "algo-2", "hosts": ["algo-2", "algo-1"], "network_interface_name": "eth0"}
    (tmp_path / "resourceconfig.json").write_text(json.dumps(content))
    cluster = Cluster.read(tmp_path)
    assert (cluster.hosts, cluster.leader) == (["algo-1", "algo-2"], False)
    (tmp_path / "resourceconfig.json").write_text("{}")
    with pytest.raises(UserError, match=r"resourceconfig\.json: names no current_host and hosts"):
        Cluster.read(tmp_path)


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
