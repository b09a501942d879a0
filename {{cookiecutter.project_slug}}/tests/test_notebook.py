"""Your test of the notebooks: each runs to its end, on rows made from the contract, in a folder of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from usecase.mlops.contract import FILE_NAME, Contract
from usecase.mlops.synthetic import synthetic_rows

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("notebook", sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")))
def test_a_notebook_runs_to_its_end(notebook: str, tmp_path: Path) -> None:
    contract = yaml.safe_load((ROOT / FILE_NAME).read_text(encoding="utf-8"))
    (tmp_path / FILE_NAME).write_text(yaml.safe_dump({**contract, "path": "rows.parquet"}))
    synthetic_rows(Contract.load(ROOT)).write_parquet(tmp_path / "rows.parquet")
    shutil.copytree(ROOT / "config", tmp_path / "config")
    file = shutil.copy(ROOT / "notebooks" / notebook, tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    environment |= {"PYTHONPATH": str(ROOT / "src"), "IPYTHONDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "-p", "no:cacheprovider", "--nbmake", file]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
