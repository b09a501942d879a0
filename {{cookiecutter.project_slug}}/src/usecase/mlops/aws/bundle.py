"""The code that a job imports, as one folder: src/, and for AWS's own image the locked libraries that it lacks.

In the own container the libraries are part of the image. AWS's XGBoost image brings its own, of other versions; what
it lacks travels with the code, unpacked: a job installs nothing and needs no network (PYTHONPATH names the folder).
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from usecase.mlops.aws.upload import Artifact
from usecase.mlops.errors import UserError
from usecase.mlops.model import LEFT_OUT
from usecase.mlops.settings import Settings

KIND = "code"
# What AWS's image 3.2-0 brings of what we may need: docker/xgboost/pyproject.toml and uv.lock of
# github.com/aws/deep-learning-containers (xgboost 3.2.0, numpy 2.1.0, pandas 2.2.3, scipy 1.15.0, scikit-learn 1.8.0,
# matplotlib 3.10.9, Python 3.12). Compiled libraries that pass arrays to each other must come from one place. PyYAML is
# there too, but older than what we ask for.
IMAGE_PACKAGES = (
    *("numpy", "pandas", "scipy", "scikit-learn", "xgboost", "xgboost-cpu", "joblib", "threadpoolctl"),
    *("matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "packaging", "pillow", "pyparsing"),
    *("python-dateutil", "six"),
)
PLATFORM = "x86_64-manylinux_2_28"  # the image is Ubuntu 22.04 (glibc 2.35); every wheel of our lock has this or older
# Written by the installer for itself; they differ from one machine to the next.
INSTALLER_FILES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")


def code_bundle(settings: Settings, folder: Path, root: Path = Path()) -> Artifact:
    """The bundle of the repository at `root`, made in the empty `folder`. The same input gives the same bytes.

    Raises UserError.
    """
    source = root / "src"
    if not (source / "usecase").is_dir():
        raise UserError(f"{source}: holds no package `usecase`")
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*LEFT_OUT), dirs_exist_ok=True)
    if settings.container == "managed":
        _add_libraries(folder, settings.managed_image.python, root)
    return Artifact.folder(KIND, folder)


def _add_libraries(folder: Path, python: str, root: Path) -> None:
    """Unpack the locked wheels that the image lacks."""
    left_out = [word for name in IMAGE_PACKAGES for word in ("--no-emit-package", name)]
    libraries = folder.with_name(f"{folder.name}-libraries")
    locked_libraries(libraries, python, root, "--no-default-groups", "--group", "mlops", *left_out)
    unwanted = shutil.ignore_patterns(*LEFT_OUT, *INSTALLER_FILES)
    for item in sorted(libraries.iterdir()):
        if (folder / item.name).exists():
            raise UserError(f"src/{item.name}: a locked library brings the same name: rename yours")
    shutil.copytree(libraries, folder, ignore=unwanted, dirs_exist_ok=True)


def locked_libraries(target: Path, python: str, root: Path, *chosen: str) -> None:
    """Unpack wheels of the lock into `target`, for `python` on Linux x86_64, hashes checked. Raises UserError.

    `chosen` are the words by which `uv export` knows which.
    """
    if not (root / "uv.lock").exists():
        raise UserError("uv.lock: no such file: `make setup` makes it")
    requirements = target.with_name(f"{target.name}-requirements.txt")
    _uv(
        "export",
        *("--frozen", "--no-emit-project", "--no-header", "--no-annotate", *chosen),
        *("--output-file", str(requirements.absolute())),
        root=root,
    )
    _uv(
        "pip install",
        *("--target", str(target.absolute()), "--python", sys.executable),
        *("--python-version", python, "--python-platform", PLATFORM, "--only-binary", ":all:", "--no-deps"),
        *("--require-hashes", "--requirements", str(requirements.absolute())),
        root=root,
    )
    shutil.rmtree(target / "bin", ignore_errors=True)  # scripts that name the Python of this machine


def _uv(command: str, *arguments: str, root: Path) -> None:
    # `uv run` names itself in UV; `make setup` may have put one into .uv
    uv = os.environ.get("UV") or shutil.which("uv") or shutil.which("uv", path=str(root / ".uv" / "bin"))
    if uv is None:
        raise UserError("uv is not installed: `make setup` brings it")
    # The same bytes each time; as a variable, since uv refuses the option beside a variable of the user's.
    env = {**os.environ, "UV_COMPILE_BYTECODE": "0"}
    finished = subprocess.run(
        [uv, "--quiet", *command.split(), *arguments], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        words = " ".join(re.sub(r"[^ -~]+", " ", finished.stderr).split())  # without the tree that uv draws
        raise UserError(f"uv {command}: {words or f'exit status {finished.returncode}'}")
