"""Your tests of Evaluate: what it measures and writes, and that a model is no worse than itself."""

import json
import tarfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from usecase.evaluate import evaluate
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.gates import Limits
from usecase.mlops.metrics import METRICS
from usecase.mlops.synthetic import synthetic_rows
from usecase.preprocessing import preprocess
from usecase.train import train

ROOT = Path(__file__).parents[1]
CONTRACT = Contract.load(ROOT)
HYPERPARAMETERS = {"num_rounds": 20, "max_depth": 3, "learning_rate": 0.3, "seed": 1}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders that the steps before Evaluate leave behind."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "data").mkdir()
    synthetic_rows(CONTRACT).write_parquet(folder / "data" / "rows.parquet")
    preprocess(folder / "data", ROOT, folder)
    train(folder, ROOT / "src", folder / "trained", folder / "training", HYPERPARAMETERS)
    (folder / "model").mkdir()
    with tarfile.open(folder / "model" / "model.tar.gz", "w:gz") as tar:
        for path in sorted((folder / "trained").iterdir()):
            tar.add(path, path.name)
    return folder


def run(job: Path, champion: str, output: Path, **limits: Any) -> dict[str, Any]:
    """Run Evaluate; quality.json."""
    evaluate(job / "model", job / "test", job / "report", job / champion, output, Limits(**limits))
    quality: dict[str, Any] = json.loads((output / "quality.json").read_text())
    return quality


def test_what_is_written(job: Path, tmp_path: Path) -> None:
    run(job, "nothing", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "data_report.json",
        "evaluation.json",
        "predictions.parquet",
        "quality.json",
    ]
    found = json.loads((tmp_path / "evaluation.json").read_text())[f"{CONTRACT.task}_metrics"]
    for metric in METRICS[CONTRACT.task]:
        assert set(found[metric]) == {"value", "standard_deviation"}
    predictions = pl.read_parquet(tmp_path / "predictions.parquet")
    report = json.loads((tmp_path / "data_report.json").read_text())
    assert predictions.height == report["splits"]["test"]
    probabilities = [f"probability_{i}" for i in range(len(CONTRACT.classes))]
    groups = [f"group:{column.name}" for column in CONTRACT.protected]
    assert predictions.columns == ["actual", "predicted", *probabilities, *groups]


def test_a_model_is_not_worse_than_itself(job: Path, tmp_path: Path) -> None:
    metric = next(iter(METRICS[CONTRACT.task]))
    quality = run(job, "model", tmp_path, champion_version="1", champion_metric=metric)
    assert quality["failed"] == 0
    assert quality["champion"]["value"] == quality["champion"]["champion_value"]


def test_a_threshold_that_no_model_reaches(job: Path, tmp_path: Path) -> None:
    metric = next(iter(METRICS[CONTRACT.task]))
    quality = run(job, "nothing", tmp_path, thresholds={metric: {"minimum": 1.5}})
    assert quality["failed"] == 1
    assert quality["reason"].startswith(f"threshold: {metric} ")
    assert quality["reason"].endswith(" is not >= 1.5")


def test_a_model_that_is_missing_leaves_nothing_behind(job: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"model\.tar\.gz"):
        evaluate(job / "nothing", job / "test", job / "report", job / "nothing", tmp_path / "out", Limits())
    assert not (tmp_path / "out").exists()
