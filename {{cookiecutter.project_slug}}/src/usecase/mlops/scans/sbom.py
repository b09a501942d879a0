"""Software bill of materials of uv.lock, in CycloneDX, with the licences of what is installed here."""

from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, Final

from usecase.mlops.files import write_json
from usecase.mlops.scans.findings import Found
from usecase.mlops.scans.licences import UNKNOWN, licence_of
from usecase.mlops.scans.tools import json_of, uv

NAME: Final = "sbom"
SBOM = Path("gl-sbom-lock.cdx.json")


def find() -> Found:
    """Writes gl-sbom-lock.cdx.json; finds nothing. Raises UserError when uv.lock is outgrown."""
    options = ["--quiet", "--locked", "--all-groups", "--preview-features=sbom-export", "--format=cyclonedx1.5"]
    finished = uv("export", *options)
    bill = json_of(finished.stdout, finished, "uv export")
    for component in bill["components"]:
        _add_licence(component)
    write_json(SBOM, bill)
    return Found([], [f"{len(bill['components'])} components in {SBOM}"])


def _add_licence(component: dict[str, Any]) -> None:
    try:
        licence = licence_of(metadata(component["name"]))
    except PackageNotFoundError:  # for another platform
        return
    if licence != UNKNOWN:
        component["licenses"] = [{"license": {"name": licence}}]
