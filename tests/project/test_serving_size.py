"""What the dependency group `serving` weighs: counted from what is installed, so that nothing has to be."""

import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MAX_MB = 350
NOT_FOR_SERVING = {"polars", "scikit-learn", "pandas", "boto3", "sagemaker", "mlflow-skinny", "matplotlib"}


def closure(requirements: list[str]) -> dict[str, Distribution]:
    """The packages that these ask for, on this platform, by name."""
    found: dict[str, Distribution] = {}
    wanted = [Requirement(text) for text in requirements]
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            raise AssertionError(f"{name} is not installed: make setup") from None
        wanted += [Requirement(text) for text in found[name].requires or []]
    return found


def test_the_group_is_small_and_without_the_libraries_of_training() -> None:
    groups = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    packages = closure(groups["serving"])
    assert not NOT_FOR_SERVING & set(packages)
    sizes = {
        name: sum(path.stat().st_size for file in package.files or [] if (path := Path(file.locate())).is_file()) / 1e6
        for name, package in packages.items()
    }
    assert sum(sizes.values()) < MAX_MB, sizes
    assert sizes["onnxruntime"] > 20  # else nothing was counted
