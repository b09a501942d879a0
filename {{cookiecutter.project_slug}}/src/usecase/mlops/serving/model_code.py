"""The code that a model was trained with, before anything else of this package is imported."""

import os
import sys
from pathlib import Path


def use_code_of(model_dir: Path, module: str) -> None:
    """Start `module` again with the code in the model folder, when it holds some.

    A feature that changed since then must not change the answers of a model that is already approved.
    """
    code = (model_dir / "code").absolute()
    if (code / "usecase").is_dir() and not code_is_that_of(model_dir):
        environment = {**os.environ, "PYTHONPATH": str(code)}
        os.execve(sys.executable, [sys.executable, "-m", module, *sys.argv[1:]], environment)  # noqa: S606


def code_is_that_of(model_dir: Path) -> bool:
    """Whether this very code lies in the model folder."""
    return Path(__file__).is_relative_to((model_dir / "code").absolute())
