"""A version of people's model, with what the monitor reads of it."""

import tarfile
from pathlib import Path

import pytest
import xgboost as xgb
import yaml

import usecase
from drift.people import GROUPED, PROTECTED, baseline, leaves, rows
from usecase.mlops import contract, model
from usecase.mlops.baseline import drift, explain
from usecase.mlops.features import Preprocessor
from usecase.mlops.files import write_json
from usecase.mlops.model import Model

SETTINGS = {
    "project": "people",
    "owner_email": "team@example.com",
    "container": "own",
    "aws_region": "eu-west-1",
    "model_package_group": "people",
}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version: archive with its code, importance, quality by group, drift baseline."""
    folder, parts = tmp_path_factory.mktemp("version"), tmp_path_factory.mktemp("parts")
    learned = rows(1500, 99).with_columns(left=leaves(rows(1500, 99)))
    preprocessor = Preprocessor.fit(learned, GROUPED)
    matrix = xgb.DMatrix(preprocessor.transform(learned), label=preprocessor.labels(learned))
    booster = xgb.train(model.OBJECTIVES[GROUPED.task], matrix, num_boost_round=8)
    preprocessor.save(parts)
    (parts / contract.FILE_NAME).write_text(yaml.safe_dump({"name": "people", "schema": {"fields": PROTECTED}}))
    model.save_model(booster, parts, Path(usecase.__file__).parents[1], parts / "model")
    with tarfile.open(folder / model.ARCHIVE, "w:gz", compresslevel=1) as archive:
        archive.add(parts / "model", ".")
    found = explain.contributions(Model(booster, preprocessor, GROUPED), learned)
    write_json(folder / explain.FILE_NAME, explain.analysis(found))
    groups = [("plan", "basic", 0.3), ("plan", "plus", 0.25), ("plan", "pro", 0.2)]
    fairness = [
        {"column": c, "group": g, "rows": 99, "metrics": {"selection_rate": v, "accuracy": 0.9}} for c, g, v in groups
    ]
    write_json(folder / "quality.json", {"failed": 0, "checks": [], "fairness": fairness})
    baseline().save(folder / drift.FILE_NAME)
    return folder


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings and contract, in which commands run."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config/defaults.yaml").write_text(yaml.safe_dump(SETTINGS))
    (tmp_path / "config/local.yaml").write_text("")
    (tmp_path / "data_contract.yaml").write_text(yaml.safe_dump({"name": "people", "schema": {"fields": PROTECTED}}))
    baseline().save(tmp_path / "baseline" / drift.FILE_NAME)
    monkeypatch.chdir(tmp_path)
    return tmp_path
