"""Deploying the pipeline: what would change is shown, and done only when it is asked for."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from usecase.mlops.aws import pipeline
from usecase.mlops.aws.pipeline import deployed_pipeline, difference, wanted_pipeline
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings

pytestmark = pytest.mark.usefixtures("repository", "facts")
Usecase = Callable[..., tuple[int, str, str]]
NAME = "churn-dev"


def deployed(aws: boto3.Session) -> dict[str, Any]:
    described: dict[str, Any] = aws.client("sagemaker").describe_pipeline(PipelineName=NAME)
    return described


def test_nothing_is_deployed_unless_asked_for(usecase: Usecase, aws: boto3.Session) -> None:
    status, out, _ = usecase("pipeline", "deploy")
    assert status == 0
    assert out.startswith("new pipeline churn-dev\n")
    for words in ("tag          owner=team@example.com", "parameter    NumRounds=20", "step         Train (Training)"):
        assert words in out
    assert out.endswith("Nothing was done. To deploy: usecase pipeline deploy --env dev --apply\n")
    assert aws.client("sagemaker").list_pipelines()["PipelineSummaries"] == []


def test_a_pipeline_is_created_then_unchanged_then_updated(
    usecase: Usecase, aws: boto3.Session, facts: PlatformFacts, repository: Path
) -> None:
    status, out, _ = usecase("pipeline", "deploy", "--apply")
    assert status == 0
    assert "pipeline/churn-dev created" in out
    first = deployed(aws)
    assert first["RoleArn"] == facts.pipeline_role_arn
    definition = json.loads(first["PipelineDefinition"])
    values = {parameter["Name"]: parameter.get("DefaultValue") for parameter in definition["Parameters"]}
    assert values["ProcessingRoleArn"] == facts.processing_role_arn
    assert values["ModelPackageGroupName"] == facts.model_package_group
    assert values["NumRounds"] == 20
    network = definition["Steps"][0]["Arguments"]["NetworkConfig"]["VpcConfig"]
    assert network == {"Subnets": facts.subnet_ids, "SecurityGroupIds": facts.security_group_ids}
    kept = aws.client("sagemaker").list_tags(ResourceArn=first["PipelineArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in kept} == {
        "cost-center": "42",
        "environment": "dev",
        "owner": "team@example.com",
        "project": "churn",
    }

    assert usecase("pipeline", "deploy", "--apply") == (0, "pipeline churn-dev: no change\n", "")
    assert deployed(aws)["LastModifiedTime"] == first["LastModifiedTime"]

    (repository / "config" / "dev.yaml").write_text(
        "pipeline: {parameters: {MaxDepth: 9}}\ntags: {cost-center: '43'}\n"
    )
    status, out, _ = usecase("pipeline", "deploy")
    changes = {
        line[0] + line[1:].strip(" ,") for line in out.splitlines() if line[:1] in "+-" and line[:3] not in "+++---"
    }
    assert changes == {
        *('-"DefaultValue": 3', '+"DefaultValue": 9'),
        *('-"cost-center": "42"', '+"cost-center": "43"', '-"Value": "42"', '+"Value": "43"'),  # pipeline and its jobs
    }
    assert '"Name": "MaxDepth"' in out
    assert json.loads(deployed(aws)["PipelineDefinition"]) == definition
    status, out, _ = usecase("pipeline", "deploy", "--apply")
    assert "pipeline/churn-dev updated" in out
    assert usecase("pipeline", "deploy")[1] == "pipeline churn-dev: no change\n"


def test_a_role_or_a_step_that_someone_changed_is_shown(
    settings: Settings, facts: PlatformFacts, aws: boto3.Session, usecase: Usecase
) -> None:
    usecase("pipeline", "deploy", "--apply")
    definition = json.loads(deployed(aws)["PipelineDefinition"])
    definition["Steps"][0]["Arguments"]["NetworkConfig"]["EnableNetworkIsolation"] = False
    aws.client("sagemaker").update_pipeline(
        PipelineName=NAME,
        PipelineDefinition=json.dumps(definition),
        RoleArn="arn:aws:iam::123456789012:role/other",
    )
    wanted = wanted_pipeline(settings, facts)
    changed = [line.strip(" ,") for line in difference(deployed_pipeline(aws, wanted), wanted)]
    for line in ('- "role": "arn:aws:iam::123456789012:role/other"', f'+ "role": "{facts.pipeline_role_arn}"'):
        assert line in changed
    assert any(line.startswith("-") and "EnableNetworkIsolation" in line for line in changed)


def test_a_long_definition_goes_through_s3(
    usecase: Usecase, aws: boto3.Session, facts: PlatformFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "INLINE_CHARACTERS", 1000)
    assert usecase("pipeline", "deploy", "--apply")[0] == 0
    (item,) = aws.client("s3").list_objects_v2(Bucket=facts.artifact_bucket)["Contents"]
    assert item["Key"].startswith("churn/pipeline/")
    assert usecase("pipeline", "deploy")[1] == "pipeline churn-dev: no change\n"


def test_a_definition_that_is_not_safe_is_refused(usecase: Usecase, repository: Path, aws: boto3.Session) -> None:
    definition = json.loads((repository / "pipeline.json").read_text())
    bad = copy.deepcopy(definition)
    del bad["Steps"][0]["Arguments"]["NetworkConfig"]
    (repository / "pipeline.json").write_text(json.dumps(bad))
    status, out, err = usecase("pipeline", "deploy", "--apply")
    assert (status, out) == (1, "")
    assert err.startswith("error: pipeline.json may not be deployed: step Preprocess: ")
    assert err.count("\n") == 1
    assert aws.client("sagemaker").list_pipelines()["PipelineSummaries"] == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("aws_account: '999999999999'", "the credentials are of account 123456789012"),
        ("aws_account: ''", "config/dev.yaml: aws_account is blank"),
        ("pipeline: {parameters: {MaxDept: 9}}", "unknown parameter: MaxDept"),
        ("pipeline: {parameters: {ModelApprovalStatus: Approved}}", "must be PendingManualApproval"),
        ("owner_email: ''", "tags is missing"),
    ],
)
def test_settings_that_are_wrong_are_one_line(
    line: str, says: str, usecase: Usecase, repository: Path, aws: boto3.Session
) -> None:
    (repository / "config" / "dev.yaml").write_text(line + "\n")
    status, _, err = usecase("pipeline", "deploy", "--apply")
    assert status == 1
    assert says in err
    assert err.count("\n") == 1
    assert aws.client("sagemaker").list_pipelines()["PipelineSummaries"] == []


def test_environments_have_pipelines_of_their_own(settings: Settings, facts: PlatformFacts) -> None:
    production = settings.model_copy(update={"environment": "prod"})
    wanted = wanted_pipeline(production, facts)
    assert (wanted.name, wanted.tags["environment"]) == ("churn-prod", "prod")


def test_our_tags_win_over_those_of_the_settings(settings: Settings) -> None:
    assert pipeline.tags(settings.model_copy(update={"tags": {"owner": "nobody"}}))["owner"] == "team@example.com"


def test_help_reads_well(usecase: Usecase) -> None:
    status, out, _ = usecase("pipeline", "deploy", "--help")
    assert status == 0
    assert "--apply" in out
    status, out, _ = usecase("pipeline", "--help")
    assert all(word in out for word in ("deploy", "start", "status"))


def test_an_unknown_environment_is_wrong_usage(usecase: Usecase) -> None:
    assert usecase("pipeline", "deploy", "--env", "moon")[0] == 2


def test_errors_of_deploying_are_raised_before_anything_is_written(
    settings: Settings, facts: PlatformFacts, repository: Path
) -> None:
    (repository / "pipeline.json").write_text('{"Steps": []}')
    with pytest.raises(UserError, match=r"pipeline.json: holds no steps"):
        wanted_pipeline(settings, facts)
