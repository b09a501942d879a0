"""The pipeline of an environment in SageMaker: pipeline.json with the environment's facts, compared and deployed."""

import difflib
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from usecase.mlops.aws.errors import explained
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.aws.upload import Artifact, ArtifactStore
from usecase.mlops.engine.definition import Definition
from usecase.mlops.errors import UserError
from usecase.mlops.policy import check_security
from usecase.mlops.render import Facts, render_definition
from usecase.mlops.run import read_definition
from usecase.mlops.settings import Settings

INLINE_CHARACTERS = 100_000  # a longer definition goes through S3; the request as a whole is limited


@dataclass(frozen=True)
class Pipeline:
    """What is deployed under a name, or would be. Of the tags only those that we set are known here."""

    name: str
    role_arn: str
    tags: Mapping[str, str]
    definition: Mapping[str, Any]

    @property
    def text(self) -> str:
        """All of it, for people and for comparison."""
        return json.dumps({"role": self.role_arn, "tags": self.tags, "definition": self.definition}, indent=1) + "\n"


def pipeline_name(settings: Settings) -> str:
    """The name of an environment's pipeline."""
    return f"{settings.project}-{settings.environment}"


def tags(settings: Settings) -> dict[str, str]:
    """Tags of every resource and job of an environment, by key."""
    ours = {"project": settings.project, "environment": settings.environment, "owner": settings.owner_email}
    return dict(sorted((settings.tags | ours).items()))


def artifact_store(connection: boto3.Session, settings: Settings, facts: PlatformFacts) -> ArtifactStore:
    """Where an environment keeps what its executions are given."""
    return ArtifactStore(
        connection.client("s3"),
        facts.artifact_bucket,
        facts.artifact_kms_key_arn,
        settings.aws_account,
        settings.project,
    )


def wanted_pipeline(settings: Settings, facts: PlatformFacts) -> Pipeline:
    """The pipeline that pipeline.json and the settings say. Raises UserError when it may not be deployed."""
    definition = render_definition(
        read_definition(),
        Facts(
            processing_role_arn=facts.processing_role_arn,
            training_role_arn=facts.training_role_arn,
            inference_role_arn=facts.inference_role_arn,
            default_bucket=facts.artifact_bucket,
            model_package_group_name=facts.model_package_group,
            volume_kms_key_arn=facts.volume_kms_key_arn,
            output_kms_key_arn=facts.artifact_kms_key_arn,
            subnet_ids=facts.subnet_ids,
            security_group_ids=facts.security_group_ids,
            tags=tags(settings),
            parameters=settings.pipeline.parameters,
        ),
    )
    if problems := check_security(definition):
        raise UserError(f"pipeline.json may not be deployed: {'; '.join(problems)}")
    return Pipeline(pipeline_name(settings), facts.pipeline_role_arn, tags(settings), definition)


def deployed_pipeline(connection: boto3.Session, wanted: Pipeline) -> Pipeline | None:
    """What is deployed under the name of `wanted`; None when nothing is. Raises UserError."""
    client = connection.client("sagemaker")
    with explained(f"pipeline {wanted.name}"):
        try:
            found = client.describe_pipeline(PipelineName=wanted.name)
        except client.exceptions.ResourceNotFound:
            return None
        pages = client.get_paginator("list_tags").paginate(ResourceArn=found["PipelineArn"])
        kept = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    ours = {key: kept[key] for key in wanted.tags if key in kept}
    return Pipeline(wanted.name, found["RoleArn"], ours, json.loads(found["PipelineDefinition"]))


def difference(deployed: Pipeline | None, wanted: Pipeline) -> list[str]:
    """Lines of a unified diff from what is deployed to what is wanted; an outline of it when nothing is deployed."""
    if deployed is None:
        return _outline(wanted)
    names = (f"deployed/{wanted.name}", f"pipeline.json for {wanted.name}")
    return list(difflib.unified_diff(deployed.text.splitlines(), wanted.text.splitlines(), *names, lineterm=""))


def _outline(pipeline: Pipeline) -> list[str]:
    parameters = [
        f"{parameter['Name']}={parameter['DefaultValue']}"
        for parameter in pipeline.definition["Parameters"]
        if "DefaultValue" in parameter
    ]
    steps = [f"{step.name} ({step.type})" for step in Definition.parse(pipeline.definition).steps.values()]
    return [
        f"new pipeline {pipeline.name}",
        f"{'role':<12} {pipeline.role_arn}",
        *(f"{'tag':<12} {key}={value}" for key, value in pipeline.tags.items()),
        *(f"{'parameter':<12} {parameter}" for parameter in parameters),
        *(f"{'step':<12} {step}" for step in steps),
    ]


def apply(connection: boto3.Session, store: ArtifactStore, deployed: Pipeline | None, wanted: Pipeline) -> str:
    """Create or update the pipeline; returns its ARN. Raises UserError."""
    client = connection.client("sagemaker")
    text = json.dumps(wanted.definition, separators=(",", ":"))
    request: dict[str, Any] = {"PipelineName": wanted.name, "RoleArn": wanted.role_arn}
    if len(text) <= INLINE_CHARACTERS:
        request["PipelineDefinition"] = text
    else:
        request["PipelineDefinitionS3Location"] = _in_s3(text, store)
    as_list = [{"Key": key, "Value": value} for key, value in wanted.tags.items()]
    with explained(f"pipeline {wanted.name}"):
        if deployed is None:
            return str(client.create_pipeline(**request, Tags=as_list)["PipelineArn"])
        arn = str(client.update_pipeline(**request)["PipelineArn"])
        if deployed.tags != wanted.tags:
            client.add_tags(ResourceArn=arn, Tags=as_list)
    return arn


def _in_s3(text: str, store: ArtifactStore) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="usecase-pipeline-") as folder:
        file = Path(folder) / "pipeline.json"
        file.write_text(text, encoding="utf-8")
        artifact = Artifact("pipeline", {file.name: file})
        store.put(artifact)
        return {"Bucket": store.bucket, "ObjectKey": store.key(artifact, file.name)}
