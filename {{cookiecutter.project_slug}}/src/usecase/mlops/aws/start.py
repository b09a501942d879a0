"""Start an execution of the deployed pipeline: everything is decided and checked before anything is sent."""

import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3

from usecase.mlops.aws.bundle import code_bundle
from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.images import Image, find_image
from usecase.mlops.aws.pipeline import artifact_store, deployed_pipeline, wanted_pipeline
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.aws.registry import SageMakerRegistry
from usecase.mlops.aws.upload import Artifact, ArtifactStore
from usecase.mlops.contract import FILE_NAME as CONTRACT_FILE
from usecase.mlops.contract import Contract
from usecase.mlops.engine.definition import Definition, ParameterValue
from usecase.mlops.errors import UserError
from usecase.mlops.registry import MODEL_DATA
from usecase.mlops.render import FACT_PARAMETERS
from usecase.mlops.run import CAUSE, MODEL_CARD, NO_CHAMPION, refuse_evidence, start_parameters
from usecase.mlops.settings import Settings

MAXIMUM_VALUE = 1024  # characters of a parameter's value (PipelineParameter, API reference)
MAXIMUM_URI = 256  # characters of what a registered version keeps (CustomerMetadataValue), and which they may be
URI = re.compile(r"s3://(?P<bucket>[a-z0-9.-]+)/(?P<key>[\w.:/=+@ -]+)")


@dataclass(frozen=True)
class Cause:
    """Why a model is trained again: `kind` and `reason` go with the version. All starts for one `key` are one."""

    kind: str
    reason: str
    key: str


@dataclass(frozen=True)
class Start:
    """What an execution is started with. `artifacts` are to be sent to `store` before."""

    pipeline: str
    display_name: str
    parameters: Mapping[str, ParameterValue]
    artifacts: list[Artifact]
    store: ArtifactStore
    image: Image
    cause: Cause | None = None

    @property
    def request(self) -> dict[str, Any]:
        """StartPipelineExecution. Within one CI pipeline the same start has the same token: it is one execution.

        So has a start for the same cause, whatever has changed meanwhile.
        """
        parameters = {name: _text(value) for name, value in self.parameters.items()}
        run = [os.environ.get(name, "") for name in ("CI_SERVER_URL", "CI_PROJECT_ID", "CI_PIPELINE_ID")]
        words: list[Any] = [self.pipeline, run if all(run) else uuid.uuid4().hex, parameters]
        if self.cause:
            words = [self.pipeline, self.cause.key]
        about = {"PipelineExecutionDescription": json.dumps(asdict(self.cause))} if self.cause else {}
        return {
            **about,
            "PipelineName": self.pipeline,
            "PipelineExecutionDisplayName": self.display_name,
            "PipelineParameters": [{"Name": name, "Value": value} for name, value in parameters.items()],
            "ClientRequestToken": hashlib.sha256(json.dumps(words, sort_keys=True).encode()).hexdigest(),
        }


def prepare(
    connection: boto3.Session,
    settings: Settings,
    facts: PlatformFacts,
    data_uri: str,
    overrides: Mapping[str, str],
    folder: Path,
    allow_dirty: bool = False,
    image_tag: str = "",
    cause: Cause | None = None,
) -> Start:
    """Decide and check all that an execution on `data_uri` needs; copies of what is to be sent go into empty `folder`.

    `overrides` are values of pipeline parameters by name. `image_tag` is of the own container; blank means the commit.
    Raises UserError; nothing is sent or changed.
    """
    name, definition = _deployed(connection, settings, facts)
    artifacts = {
        "contract": _copy("contract", Path(CONTRACT_FILE), folder),
        "card": _copy("card", MODEL_CARD, folder),
    }
    shared = start_parameters(settings, Contract.load(folder / "contract"))
    shared = {name: value for name, value in shared.items() if name not in FACT_PARAMETERS}  # those are deployed
    git_sha = str(shared["GitSha"])
    commit = _commit(git_sha, allow_dirty)
    _check_data(connection, data_uri)
    registry = SageMakerRegistry(
        connection,
        facts.model_package_group,
        settings.environment,
        facts.artifact_bucket,
        facts.artifact_kms_key_arn,
    )
    champion = registry.champion()
    if champion is None:
        artifacts["champion"] = _marker(folder)
    image = find_image(connection, settings, facts, image_tag or commit)
    artifacts["code"] = code_bundle(settings, folder / "code")
    store = artifact_store(connection, settings, facts)
    evidence = shared | {
        "InputDataUri": data_uri,
        "ContractUri": store.uri(artifacts["contract"]),
        "ModelCardUri": store.uri(artifacts["card"]),
        "CodeUri": store.uri(artifacts["code"]),
        "ChampionUri": champion.sources[MODEL_DATA] if champion else store.uri(artifacts["champion"]),
        "ChampionVersion": champion.arn if champion else NO_CHAMPION,
        "ImageUri": image.uri,
    }
    if cause:
        evidence |= dict(zip(CAUSE, (cause.reason, cause.kind), strict=True))
    parameters = _bind(definition, evidence, overrides)
    return Start(name, _display_name(git_sha), parameters, list(artifacts.values()), store, image, cause)


def send(connection: boto3.Session, start: Start, say: Callable[[str], None]) -> str:
    """Send what the execution needs, then start it; returns its ARN at once. Raises UserError."""
    for artifact in start.artifacts:
        sent = start.store.put(artifact, say)
        say(f"{artifact}: {f'{sent} sent' if sent else 'all there already'}: {start.store.uri(artifact)}")
    with explained(f"pipeline {start.pipeline}"):
        answer = connection.client("sagemaker").start_pipeline_execution(**start.request)
    return str(answer["PipelineExecutionArn"])


def _deployed(connection: boto3.Session, settings: Settings, facts: PlatformFacts) -> tuple[str, Definition]:
    """Name and definition of the deployed pipeline, which must be the one of this working tree."""
    wanted = wanted_pipeline(settings, facts)
    deployed = deployed_pipeline(connection, wanted)
    advice = f"usecase pipeline deploy --env {settings.environment}"
    if deployed is None:
        raise UserError(f"pipeline {wanted.name} is not deployed yet: {advice} --apply")
    if deployed.definition != wanted.definition:
        raise UserError(
            f"pipeline {wanted.name} is not what pipeline.json and config/ say here: a version would not be what its"
            f" commit says: {advice} shows the difference"
        )
    return wanted.name, Definition.parse(deployed.definition)


def _commit(git_sha: str, allow_dirty: bool) -> str:
    """The commit whose image is used."""
    commit = git_sha.removesuffix("-dirty")
    if git_sha != commit and not allow_dirty:
        raise UserError("src/, pipeline.json or uv.lock have changes that are not committed: commit, or --allow-dirty")
    if commit == "none" and not allow_dirty:
        raise UserError("there is no git commit here, so that a version could not say its code: or --allow-dirty")
    return commit


def _check_data(connection: boto3.Session, uri: str) -> None:
    match = URI.fullmatch(uri)
    if match is None or len(uri) > MAXIMUM_URI:
        raise UserError(
            f"--data {uri}: is no S3 location of at most {MAXIMUM_URI} letters, digits, blanks and _.:/=+-@, as a"
            " registered version keeps it: `usecase data push FILE` prints one"
        )
    with explained(uri):
        listed = connection.client("s3").list_objects_v2(Bucket=match["bucket"], Prefix=match["key"], MaxKeys=1)
    if not listed.get("Contents"):
        raise UserError(f"--data {uri}: there is nothing: `usecase data push FILE` puts data there and prints where")


def _bind(
    definition: Definition, evidence: Mapping[str, ParameterValue], overrides: Mapping[str, str]
) -> dict[str, ParameterValue]:
    """The parameters to start with, in their types; what is not given keeps the default of the deployed pipeline."""
    refuse_evidence(overrides, {*evidence, *FACT_PARAMETERS})
    given = {**{name: value for name, value in evidence.items() if name in definition.parameters}, **overrides}
    bound = definition.bind(given)
    for name in given:
        if len(_text(bound[name])) > MAXIMUM_VALUE:
            raise UserError(f"parameter {name} has more than {MAXIMUM_VALUE} characters, which SageMaker refuses")
    return {name: bound[name] for name in given}


def _copy(kind: str, file: Path, folder: Path) -> Artifact:
    """A copy of one file, so that what is read, hashed and sent is the same."""
    copy = folder / kind / file.name
    copy.parent.mkdir(parents=True)
    try:
        shutil.copyfile(file, copy)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}: take it back from git") from None
    return Artifact.folder(kind, copy.parent)


def _marker(folder: Path) -> Artifact:
    """What lies at the champion's place as long as no version is approved: a job must find a file there."""
    marker = folder / "champion" / "no-champion"
    marker.parent.mkdir(parents=True)
    marker.write_text("no version is approved yet\n")
    return Artifact.folder("champion", marker.parent)


def _display_name(git_sha: str) -> str:
    """Letters, digits and single hyphens: `git-1a2b3c4d-dirty-ci-77`."""
    commit, dirty, _ = git_sha.partition("-dirty")
    run = os.environ.get("CI_PIPELINE_ID", "")
    return "-".join(["git", commit[:8], *(["dirty"] if dirty else []), *(["ci", run] if run.isalnum() else [])])


def _text(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
