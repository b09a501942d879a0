"""The champion, the newest approved version, asked about today's test rows: by its own code, in its own process.

A model archive carries the code that it was trained with. So what the champion answers does not change when features
are edited, and a champion that cannot answer any more is told from one that answers badly.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from usecase.mlops import encoding
from usecase.mlops.errors import UserError
from usecase.mlops.metrics import Answers
from usecase.mlops.model import ARCHIVE, CODE, unpack
from usecase.mlops.scored import Scored

NONE = "none"
MAX_SECONDS = 3600
MAX_NOTE = 300


@dataclass(frozen=True)
class Champion:
    """A version and its answers for the test rows; None, with a note in words, when there is nothing to compare."""

    version: str
    answers: Answers | None = None
    note: str = ""


class NotComparableError(Exception):
    """Why a champion and today's model cannot be measured on the same rows."""


def ask_champion(
    champion_dir: Path,
    version: str,
    contract_sha256: str,
    input_dir: Path,
    scored: Scored,
    seconds: float = MAX_SECONDS,
) -> Champion:
    """What the model.tar.gz in `champion_dir` answers for the rows in `input_dir`, which `scored` holds.

    A champion that cannot be asked is no error: it would forbid all models to come. The note says why.
    """
    archive = champion_dir / ARCHIVE
    if not archive.exists():
        lost = f"version {version} is not comparable: {ARCHIVE} is missing"
        return Champion(version, note="no version is approved yet" if version == NONE else lost)
    with tempfile.TemporaryDirectory() as folder:
        try:
            frame = ask(archive, Path(folder), contract_sha256, input_dir, seconds)
            if frame.height != scored.frame.height:
                raise NotComparableError(f"it answers {frame.height} of {scored.frame.height} rows")
            return Champion(version, scored.answers_of(frame))
        except (UserError, NotComparableError) as error:
            return Champion(version, note=f"version {version} is not comparable: {error}")
        except pl.exceptions.PolarsError as error:
            line = str(error).splitlines()[0]
            return Champion(version, note=f"version {version} is not comparable: its answers cannot be read ({line})")


def ask(
    archive: Path,
    folder: Path,
    contract_sha256: str,
    input_dir: Path,
    seconds: float = MAX_SECONDS,
    module: str = "usecase.mlops.score",
) -> pl.DataFrame:
    """What the code in a model.tar.gz, its `module`, writes about the typed rows in `input_dir`; in the empty `folder`.

    Raises NotComparableError, and UserError for an archive that cannot be unpacked.
    """
    model, output, log = folder / "model", folder / "answers.parquet", folder / "log"
    unpack(archive, model)
    if _contract_sha256(model) != contract_sha256:
        raise NotComparableError("the contract has changed since")
    if not (model / CODE / "usecase").is_dir():
        raise NotComparableError("its archive holds no code")
    paths = [str(model / CODE), *filter(None, [os.environ.get("PYTHONPATH")])]
    options = ["--model-dir", str(model), "--input", str(input_dir.resolve()), "--output", str(output)]
    try:
        with log.open("wb") as stream:
            finished = subprocess.run(
                [sys.executable, "-P", "-m", module, *options],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                stdout=stream,
                stderr=subprocess.STDOUT,
                timeout=seconds,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise NotComparableError(f"its code took longer than {seconds:g} seconds") from None
    if finished.returncode or not output.exists():
        raise NotComparableError(f"its code fails ({_last_line(log) or f'exit status {finished.returncode}'})")
    return pl.read_parquet(output)


def _contract_sha256(model: Path) -> str:
    """Of preprocessor.json, whatever else an older version wrote into it."""
    try:
        return str(json.loads((model / encoding.FILE_NAME).read_text(encoding="utf-8"))["contract_sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        raise NotComparableError(f"its {encoding.FILE_NAME} cannot be read") from None


def _last_line(log: Path) -> str:
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - 64 * 1024))
        lines = stream.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return last.removeprefix("error: ")[:MAX_NOTE]
