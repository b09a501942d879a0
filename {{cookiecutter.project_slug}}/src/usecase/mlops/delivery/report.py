"""The evidence of a version that waits for a decision: files for the page of the job, and a note for people."""

import shutil
from collections.abc import Callable
from pathlib import Path

from usecase.mlops import lineage
from usecase.mlops.aws.status import studio_link
from usecase.mlops.delivery import gitlab
from usecase.mlops.delivery.version import open_version, record_settings, write_links
from usecase.mlops.errors import UserError
from usecase.mlops.registry import PENDING, ModelPackage

CARD = "model_card"
LABEL = "model-approval"
Say = Callable[[str], None]


def report(arn: str, output: Path, say: Say) -> None:
    """Write the evidence into the folder `output`, and a note on the merge request of the version's commit.

    Without such a merge request it is an issue. The evidence must be what was registered. Raises UserError.
    """
    if output.exists() and any(output.iterdir()):
        raise UserError(f"{output}: is not empty: give another --output")
    _, _, package = open_version(arn)
    package.verify_evidence()
    output.mkdir(parents=True, exist_ok=True)
    if CARD in package.sources:
        shutil.copytree(package.file(CARD), output / CARD)
    lines = list(lineage.show(package))
    (output / "lineage.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    links = _links(package, output)
    write_links(output / "links.json", f"Version {package.version}", links)
    for line in lines:
        say(line)
    if package.status != PENDING:
        say(f"version {package.version} is {package.status} already: nobody is asked")
        return
    text = _note(package, lines, links)
    where = gitlab.project("note that a version waits")
    commit = package.metadata.get("GitSha", "").removesuffix("-dirty")
    address = gitlab.note_on_merge_request(where, commit, arn, text) if commit not in ("", "none") else ""
    if not address:
        title = f"Version {package.version} of {package.description['ModelPackageGroupName']} waits for a decision"
        address, _ = gitlab.open_issue(where, LABEL, arn, title, text)
    say(f"the steward finds it here: {address}")


def _links(package: ModelPackage, output: Path) -> dict[str, str]:
    execution = package.metadata.get("PipelineExecution", "")
    card = next(iter(sorted((output / CARD).glob("*.html"))), None)
    return {
        "Model card": f"{gitlab.needed('CI_JOB_URL')}/artifacts/file/{gitlab.below_project(card)}" if card else "",
        "Execution": studio_link(execution) if execution.startswith("arn:") else "",
        "Pipeline": gitlab.pipeline_url(),
    }


def _note(package: ModelPackage, lines: list[str], links: dict[str, str]) -> str:
    environment = record_settings().environment
    listed = "\n".join(f"- [{label}]({url})" for label, url in links.items() if url)
    table = "\n".join(lines)
    return (
        f"**Version {package.version} waits for a decision**: `{package.arn}`\n\n{listed}\n\n```\n{table}\n```\n\n"
        f'`usecase approve --env {environment} --version {package.version}` or `usecase reject ... --reason "..."`,'
        " or the jobs `approve-model` and `reject-model` of the pipeline, where they are set up.\n"
    )
