"""The champion's answers for rows of today: by its own code, in a process of its own.

A model archive carries the code that it was trained with (`code/`), so that a feature that was edited since then does
not change what the champion answers. `python -m usecase.mlops.score` is what runs there.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from usecase.mlops import metrics
from usecase.mlops.contract import Contract
from usecase.mlops.errors import UserError
from usecase.mlops.job import run_job
from usecase.mlops.model import ARCHIVE, CODE, unpack

TIMEOUT_SECONDS = 3600
BATCH_ROWS = 100_000


@dataclass(frozen=True)
class Champion:
    """What the champion predicted for the test rows (n, or n x classes); None with a note when it cannot be compared."""

    version: str
    predicted: npt.NDArray[np.float32] | None
    note: str = ""

    def compared(self, actual: npt.NDArray[np.float64], task: str, metric: str) -> dict[str, Any] | None:
        """For quality.json: its version and its metric on the same rows."""
        if self.predicted is None:
            return None
        return {"version": self.version, "metric": metric, "value": metrics.point(task, metric, actual, self.predicted)}


def score_champion(folder: Path, version: str, contract: Contract, tests: Path) -> Champion:
    """Answers of the model.tar.gz in `folder` for the Parquet parts in `tests`; without the archive there is none."""
    archive = folder / ARCHIVE
    if not archive.exists():
        return Champion(version, None, "there is no champion yet")
    with tempfile.TemporaryDirectory(prefix="usecase-champion-") as name:
        model_dir, output = Path(name) / "model", Path(name) / "answers.npy"
        unpack(archive, model_dir)
        if Contract.load(model_dir).sha256 != contract.sha256:
            return Champion(version, None, f"version {version} is not comparable: the contract has changed")
        if not (model_dir / CODE / "usecase").is_dir():
            return Champion(version, None, f"version {version} is not comparable: its archive holds no code")
        command = [sys.executable, "-m", "usecase.mlops.score", "--model-dir", model_dir, "--input-dir", tests]
        finished = subprocess.run(
            [*command, "--output", output],
            env={**os.environ, "PYTHONPATH": str(model_dir / CODE)},
            cwd=name,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        if finished.returncode:
            last = (finished.stderr.strip().splitlines() or ["it says nothing"])[-1]
            return Champion(version, None, f"version {version} is not comparable: its code fails: {last[:200]}")
        return Champion(version, np.load(output, allow_pickle=False))


def answer(model_dir: Path, input_dir: Path, output: Path) -> None:
    """Write the predictions for all rows in `input_dir` (Parquet parts in order of name) as one .npy array."""
    from usecase.inference import model_fn, predict_fn

    model = model_fn(str(model_dir))
    answers = []
    for file in sorted(input_dir.glob("*.parquet")):
        for rows in pl.read_parquet(file).iter_slices(BATCH_ROWS):
            predictions = predict_fn(rows, model)
            probabilities = predictions.probabilities
            answers.append(np.array(predictions.values) if probabilities is None else probabilities)
    if not answers:
        raise UserError(f"{input_dir}: holds no Parquet file")
    np.save(output, np.concatenate(answers).astype(np.float32))


def main() -> None:
    """Command line of the champion's process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model-dir", type=Path, required=True)
    parser.add_argument("--input-dir", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    answer(arguments.model_dir, arguments.input_dir, arguments.output)


if __name__ == "__main__":
    run_job(main)
