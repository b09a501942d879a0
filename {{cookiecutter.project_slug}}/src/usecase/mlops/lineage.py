"""From a version back to what it was made of: decision, metrics, gates, image, model, data, contract, code, commit."""

from collections.abc import Iterator, Mapping
from typing import Any

from usecase.mlops.errors import UserError
from usecase.mlops.registry import EVIDENCE_SHA256, MODEL_DATA, MODEL_SHA256, QUALITY, SOURCE_ARN, ModelPackage
from usecase.mlops.run import describe_check

WIDTH = 14


def lineage(package: ModelPackage) -> dict[str, Any]:
    """All of it, as JSON can hold it. A value that the version does not carry is blank. Raises UserError."""
    about, metadata = package.description, package.metadata
    quality = package.quality if QUALITY in package.sources else {}
    return {
        "version": package.version,
        "group": str(about.get("ModelPackageGroupName", "")),
        "arn": package.arn,
        "status": package.status,
        "decision": {
            "by": _who(about.get("LastModifiedBy")),
            "at": str(about.get("LastModifiedTime", "")),
            "reason": package.reason,
        },
        "registered": {"by": _who(about.get("CreatedBy")), "at": str(about.get("CreationTime", ""))},
        "metrics": package.metrics,
        "gates": quality.get("checks", []),
        "champion": metadata.get("ChampionVersion", ""),
        "challenger": {
            "result": metadata.get("ChallengerResult", ""),
            "report_sha256": metadata.get("ChallengerReportSha256", ""),
        },
        "image": package.image,
        "model": {"uri": package.place(MODEL_DATA), "sha256": metadata.get(MODEL_SHA256, "")},
        "data": {"uri": metadata.get("InputDataUri", ""), "sha256": metadata.get("DataHash", "")},
        "contract": {"uri": metadata.get("ContractUri", ""), "sha256": metadata.get("ContractHash", "")},
        "code": {"uri": metadata.get("CodeUri", ""), "lock_sha256": metadata.get("LockHash", "")},
        "commit": metadata.get("GitSha", ""),
        "execution": metadata.get("PipelineExecution", ""),
        "copy_of": metadata.get(SOURCE_ARN, ""),
        "evidence": {
            "sha256": metadata.get(EVIDENCE_SHA256, ""),
            "files": {name: package.place(name) for name in package.sources if name != MODEL_DATA},
        },
    }


def show(package: ModelPackage) -> Iterator[str]:
    """The lineage as aligned lines. Raises UserError."""
    found = lineage(package)
    yield _line("Version", f"{found['version']} of {found['group']}", found["arn"])
    yield _line("Status", found["status"], _happened(found["decision"]) if found["decision"]["at"] else "")
    if found["decision"]["reason"]:
        yield _line("Reason", found["decision"]["reason"])
    yield _line("Registered", _happened(found["registered"]))
    if found["copy_of"]:
        yield _line("Copy of", found["copy_of"])
    yield _line("Metrics", ", ".join(f"{name} {value:.4g}" for name, value in found["metrics"].items()))
    for check in found["gates"]:
        yield _line("Gate", describe_check(check))
    yield _line("Champion", f"version {found['champion']}" if found["champion"] not in ("", "none") else "none")
    if found["challenger"]["result"]:
        yield _line("Challenger", found["challenger"]["result"], f"SHA-256 {found['challenger']['report_sha256']}")
    yield _line("Image", found["image"])
    for name, key in (("Model", "model"), ("Data", "data"), ("Contract", "contract")):
        yield _line(name, found[key]["uri"], f"SHA-256 {found[key]['sha256'] or 'unknown'}")
    yield _line("Code", found["code"]["uri"], f"uv.lock SHA-256 {found['code']['lock_sha256'] or 'unknown'}")
    yield _line("Commit", found["commit"])
    yield _line("Execution", found["execution"])
    for name, place in found["evidence"]["files"].items():
        yield _line("Evidence", f"{name:<24}  {place}")


def listing(package: ModelPackage) -> str:
    """The version in a line: number, status, main metric, time, reason."""
    try:
        name, value = package.main_metric
        metric = f"{name} {value:.4f}"
    except UserError:  # registered by hand, or its files are gone: it is there all the same
        metric = "no metrics"
    created = package.summary["CreationTime"]
    return f"{package.version:>4}  {package.status:<21}  {metric}  {created}  {package.reason}".rstrip()


def _line(name: str, *values: str) -> str:
    return f"{name:<{WIDTH}}{'  '.join(value for value in values if value) or 'unknown'}"


def _who(context: Mapping[str, Any] | None) -> str:
    """The name in SageMaker's UserContext: a Studio profile, else the role that called."""
    context = context or {}
    return str(context.get("UserProfileName") or (context.get("IamIdentity") or {}).get("Arn") or "")


def _happened(event: Mapping[str, str]) -> str:
    return f"{event['at']} by {event['by']}" if event["by"] else event["at"]
