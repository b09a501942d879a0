"""Stage full: what terraform/serving needs to look for drift: the monitor's code, and the baseline of the version."""

import base64
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usecase.mlops.aws.pipeline import artifact_store
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.aws.upload import Artifact
from usecase.mlops.baseline.drift import FILE_NAME
from usecase.mlops.infrastructure.deploy import Place
from usecase.mlops.monitoring import package
from usecase.mlops.registry import ModelPackage
from usecase.mlops.settings import Settings


@dataclass(frozen=True)
class Monitor:
    """Variables of terraform/serving, and the code that they name, on this machine; None: no monitor is made."""

    variables: dict[str, Any] = field(default_factory=dict)
    archive: Path | None = None

    def send(self, place: Place, facts: PlatformFacts) -> None:
        """Put the code where the variables say, unless it is there. Raises UserError."""
        if self.archive:
            package.upload(place.connection, place.settings, facts, self.archive, place.say)


def monitor_of(place: Place, facts: PlatformFacts, version: ModelPackage, folder: Path) -> Monitor:
    """The monitor of a version; its code is built in the empty `folder`, and not sent yet. Raises UserError."""
    if reason := _missing(place.settings):
        place.say(f"no monitor: {reason}")
        return Monitor()
    baseline = version.sources.get(FILE_NAME)
    if baseline is None:
        place.say(f"no monitor: version {version.version} keeps no {FILE_NAME}: train a new one")
        return Monitor()
    variables: dict[str, Any] = {"baseline_uri": baseline.rpartition("/")[0]}
    if not place.settings.monitoring.enabled:
        return Monitor(variables)
    place.say("monitor: its code is built ...")
    archive = package.build(folder)
    store = artifact_store(place.connection, place.settings, facts)
    key = store.key(Artifact("monitor", {package.FILE: archive}), package.FILE)
    sha256 = base64.b64encode(hashlib.sha256(archive.read_bytes()).digest()).decode()  # as Lambda tells it
    return Monitor({**variables, "monitor_package": {"bucket": store.bucket, "key": key, "sha256": sha256}}, archive)


def offline_variables(settings: Settings, facts: PlatformFacts) -> dict[str, Any]:
    """Variables of a plan without an account: of a version and of code that are nowhere."""
    if _missing(settings):
        return {}
    code = {"bucket": facts.artifact_bucket, "key": f"{settings.project}/monitor/offline/{package.FILE}"}
    return {
        "baseline_uri": f"s3://{facts.artifact_bucket}/registry/offline",
        "monitor_package": code if settings.monitoring.enabled else None,
    }


def _missing(settings: Settings) -> str:
    """Why there is nothing to look at; blank when there is."""
    kinds = ("data_quality", "model_quality", "bias", "explainability")
    if not settings.monitoring.enabled and not any(getattr(settings.monitoring.model_monitor, kind) for kind in kinds):
        return "monitoring.enabled is false"
    if settings.serving.mode != "realtime":
        return f"serving.mode is {settings.serving.mode}, and only real-time endpoints capture what they are asked"
    return "" if settings.capture.percentage else "capture.percentage is 0"
