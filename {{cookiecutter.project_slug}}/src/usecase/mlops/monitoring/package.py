"""The monitor's code as the zip of a Lambda function: managed modules and locked libraries.

Nothing is installed where it runs. The same lock and modules give the same bytes, so that a deployment
without a change has nothing to send and nothing to replace.
"""

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import boto3

from usecase.mlops.aws.bundle import INSTALLER_FILES, locked_libraries
from usecase.mlops.aws.pipeline import artifact_store
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.aws.upload import Artifact
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings

FILE = "monitor.zip"
PYTHON = "3.12"  # of the function's runtime
GROUP = "monitoring"  # of dependencies, in pyproject.toml
# Of usecase.mlops: what the function imports, with its neighbours.
MODULES = ("*.py", "aws/__init__.py", "aws/errors.py", "baseline/*", "drift/*.py", "monitoring/*.py")
MAX_BYTES = 262_144_000  # of the unpacked files, layers included ("Lambda quotas", AWS Lambda Developer Guide)
# Of the libraries: what is for tests, type checkers and compilers, and the models of AWS's other services.
UNUSED = (".*", "tests", "*.pyi", "*.pxd", "*.h", "*.a", "examples-1.json", *INSTALLER_FILES)
SERVICE_MODELS, SERVICES = ("botocore", "data"), ("s3",)
MOMENT = (1980, 1, 1, 0, 0, 0)  # of every file in the zip: the first that the format knows


@dataclass(frozen=True)
class Code:
    """Where the zip lies: its key follows from its content."""

    bucket: str
    key: str


def build(folder: Path, root: Path = Path(), python: str = PYTHON) -> Path:
    """Make the zip of the repository at `root` in the empty `folder`; returns its path. Raises UserError.

    `python` is the version that will run it, on Linux x86_64.
    """
    content = folder / "content"
    libraries = folder / "libraries"
    locked_libraries(libraries, python, root, "--only-group", GROUP)
    shutil.copytree(libraries, content, ignore=_unused)
    source, package = root / "src/usecase/mlops", content / "usecase/mlops"
    for file in (file for pattern in MODULES for file in source.glob(pattern) if file.is_file()):
        copy = package / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    # the team's own modules stay away: what they import is not here
    (content / "usecase/__init__.py").touch()
    files = sorted(path for path in content.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    if size > MAX_BYTES:
        largest = max(libraries.iterdir(), key=_size)
        raise UserError(
            f"the monitor's code has {size:,} bytes, a Lambda function may have {MAX_BYTES:,}: lock an older version of"
            f" what is largest, {largest.name} ({_size(largest):,} bytes): `uv lock --upgrade-package NAME==VERSION`"
        )
    archive = folder / FILE
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(content).as_posix(), MOMENT)
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o100644 << 16
            writer.writestr(entry, path.read_bytes())
    return archive


def upload(
    connection: boto3.Session,
    settings: Settings,
    facts: PlatformFacts,
    archive: Path,
    say: Callable[[str], None] = lambda _: None,
) -> Code:
    """Send the zip to the environment's artifact bucket, unless it is there already. Raises UserError."""
    artifact, store = Artifact("monitor", {FILE: archive}), artifact_store(connection, settings, facts)
    sent = store.put(artifact, say)
    say(f"{artifact}: {'sent' if sent else 'there already'}: {store.uri(artifact, FILE)}")
    return Code(store.bucket, store.key(artifact, FILE))


def unpacked_bytes(archive: Path) -> int:
    """What the files of a zip take when it is unpacked."""
    with zipfile.ZipFile(archive) as reader:
        return sum(entry.file_size for entry in reader.infolist())


def _unused(folder: str, names: list[str]) -> set[str]:
    """Which of `names` in a folder of libraries the monitor never reads."""
    unused = {name for name in names if any(fnmatch(name, pattern) for pattern in UNUSED)}
    if Path(folder).parts[-2:] == SERVICE_MODELS:
        unused |= {name for name in names if Path(folder, name).is_dir() and name not in SERVICES}
    return unused


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else 0
