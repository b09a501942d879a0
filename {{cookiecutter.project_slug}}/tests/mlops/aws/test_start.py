"""Starting an execution: decided and checked as a whole before anything is sent, and started once."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.run import APPROVAL_STATUS

from .conftest import put_image

Usecase = Callable[..., tuple[int, str, str]]
DATA = "s3://churn-dev-data/churn/data/0123/"
ARN = re.compile(r"arn:aws:sagemaker:eu-central-1:123456789012:pipeline/churn-dev/execution/[a-z0-9]+")


def commit() -> str:
    return subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def ready(repository: Path, facts: PlatformFacts, aws: boto3.Session, usecase: Usecase) -> str:
    """The pipeline is deployed, data are there, and the commit has its image, of which this is the digest."""
    assert usecase("pipeline", "deploy", "--apply")[0] == 0
    aws.client("s3").put_object(Bucket=facts.data_bucket, Key="churn/data/0123/people.csv", Body=b"age,churned\n")
    return put_image(aws, commit())


def parameters(aws: boto3.Session, arn: str) -> dict[str, str]:
    listed = aws.client("sagemaker").list_pipeline_parameters_for_execution(PipelineExecutionArn=arn)
    return {item["Name"]: item["Value"] for item in listed["PipelineParameters"]}


def body(aws: boto3.Session, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    content: bytes = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def written(aws: boto3.Session, facts: PlatformFacts) -> list[Any]:
    """What a start that is refused must leave as it was: objects and executions."""
    objects = aws.client("s3").list_objects_v2(Bucket=facts.artifact_bucket).get("Contents", [])
    executions = aws.client("sagemaker").list_pipeline_executions(PipelineName="churn-dev")
    return [*(item["Key"] for item in objects), *executions["PipelineExecutionSummaries"]]


def test_a_start_sends_what_it_needs_and_says_all_that_a_version_must_know(
    ready: str, usecase: Usecase, aws: boto3.Session, facts: PlatformFacts, repository: Path
) -> None:
    status, out, err = usecase("pipeline", "start", "--data", DATA, "--params", "MaxDepth=6 LearningRate=0.05")
    assert (status, err.count(" sent: s3://")) == (0, 4)
    arn, console, following = out.splitlines()
    assert ARN.fullmatch(arn)
    assert console.startswith(
        "Console: https://eu-central-1.console.aws.amazon.com/sagemaker/home?region=eu-central-1#"
    )
    assert following == f"Next: usecase pipeline status --env dev --execution {arn.rpartition('/')[2]} --wait"

    given = parameters(aws, arn)
    assert (given["MaxDepth"], given["LearningRate"]) == ("6", "0.05")
    assert not {"Seed", "ModelPackageGroupName", "DefaultBucket", "TrainingRoleArn"} & set(given)  # as deployed
    assert given["InputDataUri"] == DATA
    assert given["ImageUri"] == f"{facts.image_repository_url}@{ready}"
    assert (given["GitSha"], given["ChampionVersion"]) == (commit(), "none")
    assert json.loads(given["QualityThresholds"]) == {"auc": {"minimum": 0.7}}
    assert (given["ChampionMetric"], given["ChampionTolerance"]) == ("auc", "0.02")
    assert len(given["ContractHash"]) == len(given["LockHash"]) == 64
    assert body(aws, f"{given['CodeUri']}usecase/train.py") == b"print('training')\n"
    assert body(aws, f"{given['ContractUri']}data_contract.yaml") == Path("data_contract.yaml").read_bytes()
    assert body(aws, f"{given['ModelCardUri']}model_card.md") == b"# Purpose\n"
    assert body(aws, f"{given['ChampionUri']}no-champion") == b"no version is approved yet\n"
    described = aws.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineExecutionDisplayName"] == f"git-{commit()[:8]}"


def test_the_champion_is_the_newest_approved_version(
    ready: str, usecase: Usecase, aws: boto3.Session, facts: PlatformFacts
) -> None:
    sagemaker = aws.client("sagemaker")
    arns = []
    for number, decision in enumerate(("Approved", "Approved", "PendingManualApproval"), 1):
        container = {"Image": "i", "ModelDataUrl": f"s3://churn-dev-artifacts/{number}/model.tar.gz"}
        arns.append(
            sagemaker.create_model_package(
                ModelPackageGroupName=facts.model_package_group,
                ModelApprovalStatus=decision,
                InferenceSpecification={"Containers": [container], "SupportedContentTypes": ["text/csv"]},
                CustomerMetadataProperties={"GitSha": "abc"},
            )["ModelPackageArn"]
        )
    _, out, err = usecase("pipeline", "start", "--data", DATA)
    given = parameters(aws, out.splitlines()[0])
    assert given["ChampionVersion"] == arns[1]
    assert given["ChampionUri"] == "s3://churn-dev-artifacts/2/model.tar.gz"
    assert "champion:" not in err


def test_a_second_start_sends_nothing_again(ready: str, usecase: Usecase) -> None:
    first = usecase("pipeline", "start", "--data", DATA)
    second = usecase("pipeline", "start", "--data", DATA)
    assert second[2].count("all there already: s3://") == 4
    assert first[1] != second[1]  # two wishes are two executions


def test_the_same_start_in_one_ci_pipeline_is_one_execution(
    ready: str, usecase: Usecase, aws: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(pipeline: str, *words: str) -> str:
        for name, value in (("CI_SERVER_URL", "https://x"), ("CI_PROJECT_ID", "5"), ("CI_PIPELINE_ID", pipeline)):
            monkeypatch.setenv(name, value)
        return usecase("pipeline", "start", "--data", DATA, *words)[1].splitlines()[0]

    first = start("77")
    assert start("77") == first
    assert len({first, start("78"), start("77", "--params", "Seed=1")}) == 3
    described = aws.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=first)
    assert described["PipelineExecutionDisplayName"] == f"git-{commit()[:8]}-ci-77"


def test_a_dry_run_shows_all_and_changes_nothing(
    ready: str, usecase: Usecase, aws: boto3.Session, facts: PlatformFacts
) -> None:
    status, out, _ = usecase("pipeline", "start", "--data", DATA, "--dry-run")
    assert status == 0
    assert out.count("would send ") == 4
    assert f"{'InputDataUri':<24} {DATA}" in out
    assert written(aws, facts) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data", ""], "which data? --data s3://"),
        (["--data", "people.csv"], "--data people.csv: is no S3 location of at most 256 letters"),
        (["--data", "s3://churn-dev-data/churn/data/" + "x" * 256], "is no S3 location of at most 256 letters"),
        (["--data", "s3://churn-dev-data/churn/data/9999/"], "there is nothing: `usecase data push FILE` puts data"),
        (["--data", "s3://not-there/x"], "s3://not-there/x: The specified bucket does not exist"),
        (["--data", DATA, "--params", "MaxDept=6"], "unknown parameter: MaxDept; did you mean MaxDepth?"),
        (["--data", DATA, "--params", "MaxDepth=deep"], "parameter MaxDepth: 'deep' is not a whole number"),
        (["--data", DATA, "--params", "MaxDepth"], "params: 'MaxDepth' is no Name=value"),
        (["--data", DATA, "--params", "GitSha=abc"], "parameter GitSha is filled in at the start: take it out"),
        (["--data", DATA, "--params", "ChampionTolerance=1"], "parameter ChampionTolerance is filled in at the start"),
        (["--data", DATA, "--params", "TrainingRoleArn=x"], "parameter TrainingRoleArn is filled in at the start"),
        (["--data", DATA, "--params", f"{APPROVAL_STATUS}=Approved"], "a person approves or rejects"),
        (["--data", DATA, "--image-tag", "other"], "churn:other: there is no such image"),
    ],
)
def test_a_start_that_is_wrong_is_one_line_and_leaves_nothing(
    words: list[str], says: str, ready: str, usecase: Usecase, aws: boto3.Session, facts: PlatformFacts
) -> None:
    status, out, err = usecase("pipeline", "start", *words)
    assert (status, out) == (1, "")
    assert says in err
    assert err.count("\n") == 1
    assert written(aws, facts) == []


def test_a_value_that_sagemaker_does_not_take_is_refused(
    ready: str, usecase: Usecase, aws: boto3.Session, facts: PlatformFacts, repository: Path
) -> None:
    many = {f"metric_{number}": {"minimum": 0.5} for number in range(60)}
    settings = {"quality": {"binary_classification": many}}
    (repository / "config" / "dev.yaml").write_text(json.dumps(settings))
    status, _, err = usecase("pipeline", "start", "--data", DATA)
    assert (status, written(aws, facts)) == (1, [])
    assert "parameter QualityThresholds has more than 1024 characters" in err


@pytest.mark.parametrize("missing", ["docs/model_card.md", "data_contract.yaml"])
def test_a_file_that_is_missing_is_named(missing: str, ready: str, usecase: Usecase, repository: Path) -> None:
    (repository / missing).unlink()
    status, _, err = usecase("pipeline", "start", "--data", DATA)
    assert status == 1
    assert err == f"error: {missing}: No such file or directory: take it back from git\n"


def test_a_dirty_tree_is_refused_unless_the_version_may_say_so(
    ready: str, usecase: Usecase, aws: boto3.Session, facts: PlatformFacts, repository: Path
) -> None:
    (repository / "src" / "usecase" / "train.py").write_text("print('changed')\n")
    status, _, err = usecase("pipeline", "start", "--data", DATA)
    assert (status, written(aws, facts)) == (1, [])
    assert "have changes that are not committed" in err
    status, out, _ = usecase("pipeline", "start", "--data", DATA, "--allow-dirty")
    arn = out.splitlines()[0]
    assert parameters(aws, arn)["GitSha"] == f"{commit()}-dirty"
    described = aws.client("sagemaker").describe_pipeline_execution(PipelineExecutionArn=arn)
    assert described["PipelineExecutionDisplayName"] == f"git-{commit()[:8]}-dirty"


def test_a_pipeline_that_is_not_deployed_or_another_one_is_refused(
    facts: PlatformFacts, repository: Path, usecase: Usecase, aws: boto3.Session
) -> None:
    status, _, err = usecase("pipeline", "start", "--data", DATA)
    assert status == 1
    assert err == "error: pipeline churn-dev is not deployed yet: usecase pipeline deploy --env dev --apply\n"
    usecase("pipeline", "deploy", "--apply")
    (repository / "config" / "dev.yaml").write_text("pipeline: {parameters: {MaxDepth: 9}}\n")
    status, _, err = usecase("pipeline", "start", "--data", DATA)
    assert status == 1
    assert "is not what pipeline.json and config/ say here" in err
    assert written(aws, facts) == []
