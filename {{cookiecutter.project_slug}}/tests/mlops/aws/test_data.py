"""Data on its way to AWS: checked, encrypted, below the hash of its content, and from queries within bounds."""

import hashlib
import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import ANY, Stubber
from typer.testing import CliRunner

from usecase.mlops.aws import athena as athena_module
from usecase.mlops.aws.athena import Bounds, read_query, run_query
from usecase.mlops.aws.data import DataPlace, check_data, push
from usecase.mlops.aws.data_commands import data_app
from usecase.mlops.aws.platform import PlatformFacts
from usecase.mlops.contract import FILE_NAME, Contract
from usecase.mlops.errors import UserError
from usecase.mlops.settings import Settings

ACCOUNT = "123456789012"  # of every caller in moto
KEY = f"arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
PLACE = DataPlace("data", KEY, "churn", ACCOUNT)
DESCRIPTOR = {
    "name": "churn",
    "schema": {
        "fields": [
            {"name": "email", "type": "string", "role": "id", "pii": "yes"},
            {"name": "age", "type": "integer", "role": "feature", "constraints": {"minimum": 0}},
            {"name": "phone", "type": "string", "role": "ignored", "pii": "suspected"},
            {"name": "left", "type": "boolean", "role": "target"},
        ]
    },
}
CONTRACT = Contract.model_validate(DESCRIPTOR)
ROWS = "email,age,phone,left\na@example.com,30,1,true\nb@example.com,-1,2,false\n"


@pytest.fixture
def session(aws: boto3.Session) -> boto3.Session:
    aws.client("s3").create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": aws.region_name})
    return aws


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my rows.csv"
    path.write_text(ROWS)
    return path


def objects(session: boto3.Session) -> dict[str, Any]:
    found = session.client("s3").list_objects_v2(Bucket="data").get("Contents", [])
    return {item["Key"]: item["LastModified"] for item in found}


def test_a_file_lies_encrypted_below_the_hash_of_its_bytes_once(session: boto3.Session, file: Path) -> None:
    sha256 = hashlib.sha256(ROWS.encode()).hexdigest()
    data = check_data(file, CONTRACT)
    sent: list[int] = []
    s3 = session.client("s3")
    assert push(data, PLACE, s3, {"athena-query": "q"}, sent.append) == f"s3://data/churn/data/{sha256}/"
    assert sum(sent) == len(ROWS) == data.size
    key = f"churn/data/{sha256}/my rows.csv"
    stored = s3.get_object(Bucket="data", Key=key)
    assert stored["Body"].read() == ROWS.encode()
    assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", KEY)
    assert stored["Metadata"] == {"sha256": sha256, "rows": "2", "athena-query": "q"}
    before = objects(session)
    assert push(data, PLACE, s3, progress=sent.append) == f"s3://data/churn/data/{sha256}/"
    assert objects(session) == before
    assert sum(sent) == 2 * len(ROWS)


def test_a_folder_has_a_hash_that_sha256sum_gives_too(session: boto3.Session, tmp_path: Path) -> None:
    for number in (2, 1):
        (tmp_path / f"part-{number}.csv").write_text(ROWS.replace("@", f"+{number}@"))
    data = check_data(tmp_path, CONTRACT)
    lines = "".join(
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("part-1.csv", "part-2.csv")
    )
    assert data.sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert data.rows == 4
    push(data, PLACE, session.client("s3"))
    assert list(objects(session)) == [f"churn/data/{data.sha256}/part-{number}.csv" for number in (1, 2)]


def test_what_is_flagged_and_what_is_personal_is_said(file: Path) -> None:
    data = check_data(file, CONTRACT)
    assert data.personal == ["email (yes)", "phone (suspected)"]
    assert len(data.warnings) == 1
    assert data.warnings[0].startswith("column 'age', row 2")


def test_what_breaks_the_contract_is_refused_without_showing_personal_data(file: Path) -> None:
    file.write_text(ROWS.replace("30", "old") + "a@example.com,7,3,perhaps\n")
    with pytest.raises(UserError) as error:
        check_data(file, CONTRACT)
    said = str(error.value)
    assert "breaks the contract: " in said
    for part in ("'age', row 1", "'old' is no integer", "'left', row 3", "'email', row 3"):
        assert part in said
    assert "example.com" not in said
    assert "\n" not in said


def test_a_file_that_changes_on_the_way_is_taken_back(session: boto3.Session, file: Path) -> None:
    data = check_data(file, CONTRACT)
    file.write_text(ROWS.replace("30", "31"))
    with pytest.raises(UserError, match="was changed after it was checked"):
        push(data, PLACE, session.client("s3"))
    (spoilt,) = objects(session)
    assert session.client("s3").get_object(Bucket=PLACE.bucket, Key=spoilt)["Body"].read() == b""
    file.write_text(ROWS)
    push(data, PLACE, session.client("s3"))  # it is not taken for what was to be sent
    assert session.client("s3").get_object(Bucket=PLACE.bucket, Key=spoilt)["Body"].read() == ROWS.encode()


def test_a_bucket_that_refuses_is_one_line(session: boto3.Session, file: Path) -> None:
    place = DataPlace("another", KEY, "churn", ACCOUNT)
    with pytest.raises(UserError, match=r"^s3://another/churn/data/[0-9a-f]{64}/my rows.csv: .*bucket"):
        push(check_data(file, CONTRACT), place, session.client("s3"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must begin with SELECT or WITH"),
        ("drop table people", "must begin with SELECT or WITH"),
        ("-- select\ninsert into a select 1", "must begin with SELECT or WITH"),
        ("select 1; select 2", "holds several statements"),
    ],
)
def test_a_query_that_is_no_single_select_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text(text)
    with pytest.raises(UserError, match=says):
        read_query(tmp_path / "query.sql")


@pytest.mark.parametrize(
    "text", ["select ';' as a", "/* ; */ WITH t AS (select 1) select * from t", 'select 1 as "a;b" -- ; no']
)
def test_a_semicolon_in_text_or_a_comment_ends_no_query(text: str, tmp_path: Path) -> None:
    (tmp_path / "query.sql").write_text(f"{text}\n;\n" if "--" not in text else text)
    assert read_query(tmp_path / "query.sql") == text


def test_rows_of_a_query_can_be_pushed(session: boto3.Session, tmp_path: Path) -> None:
    athena, s3 = session.client("athena"), session.client("s3")
    started: list[dict[str, Any]] = []

    # moto runs no query: the result lies where Athena would have put it
    def write_result(parsed: dict[str, Any], **_: object) -> None:
        s3.put_object(Bucket="data", Key=f"churn/data/athena/{parsed['QueryExecutionId']}.csv", Body=ROWS.encode())

    def note(params: dict[str, Any], **_: object) -> None:
        started.append(dict(params))

    athena.create_work_group(Name="analysts")
    athena.meta.events.register("after-call.athena.StartQueryExecution", write_result)
    athena.meta.events.register("provide-client-params.athena.StartQueryExecution", note)
    output = tmp_path / "rows" / "people.csv"
    result = run_query("select * from people", output, PLACE, athena, s3, "analysts", "crm")
    assert started[0]["QueryExecutionContext"] == {"Database": "crm"}
    assert started[0]["WorkGroup"] == "analysts"
    assert started[0]["ResultConfiguration"] == {
        "OutputLocation": "s3://data/churn/data/athena/",
        "EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": KEY},
        "ExpectedBucketOwner": ACCOUNT,
    }
    assert output.read_text() == ROWS
    uri = push(check_data(output, CONTRACT), PLACE, s3, result.metadata)
    stored = s3.head_object(Bucket="data", Key=uri.removeprefix("s3://data/") + "people.csv")
    assert stored["Metadata"]["athena-query"] == result.execution
    assert stored["Metadata"]["athena-query-sha256"] == hashlib.sha256(b"select * from people").hexdigest()


STARTED = ("QueryString", "WorkGroup", "QueryExecutionContext", "ResultConfiguration")


def described(state: str, scanned: int = 0, reason: str | None = None) -> dict[str, Any]:
    status = {"State": state} | ({"StateChangeReason": reason} if reason else {})
    return {"QueryExecution": {"Status": status, "Statistics": {"DataScannedInBytes": scanned}}}


@pytest.mark.parametrize(
    ("answers", "seconds", "says"),
    [
        ([described("QUEUED"), described("RUNNING", 2 * 2**30)], 60, "query q read more than 1 GiB and was stopped"),
        ([described("QUEUED")], 0, "query q took more than 0 s and was stopped"),
        ([described("FAILED", reason="line 1:8: 'x'\ncannot be resolved")], 60, "q is FAILED: line 1:8: 'x' cannot be"),
        ([described("CANCELLED")], 60, "query q is CANCELLED: no reason given"),
    ],
)
def test_a_query_that_does_not_end_well_is_stopped_and_explained(
    answers: list[dict[str, Any]],
    seconds: float,
    says: str,
    session: boto3.Session,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(athena_module, "POLL_SECONDS", 0)
    athena = session.client("athena")
    with Stubber(athena) as stub:
        stub.add_response("start_query_execution", {"QueryExecutionId": "q"}, dict.fromkeys(STARTED, ANY))
        for answer in answers:
            stub.add_response("get_query_execution", answer, {"QueryExecutionId": "q"})
        if says.endswith("was stopped"):
            stub.add_response("stop_query_execution", {}, {"QueryExecutionId": "q"})
        with pytest.raises(UserError) as error:
            run_query("select x", tmp_path / "x.csv", PLACE, athena, session.client("s3"), bounds=Bounds(1, seconds))
        stub.assert_no_pending_responses()
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.csv").exists()


def test_a_workgroup_that_is_not_there_is_one_line(session: boto3.Session, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^Athena: WorkGroup does not exist"):
        run_query("select 1", tmp_path / "x.csv", PLACE, session.client("athena"), session.client("s3"), "nowhere")


@pytest.fixture
def repository(tmp_path: Path, file: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that commands run in, with the settings of dev and a contract; JSON is YAML too."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "defaults.yaml").write_text(settings.model_dump_json(exclude={"environment"}))
    (tmp_path / "config" / "dev.yaml").touch()
    (tmp_path / FILE_NAME).write_text(json.dumps(DESCRIPTOR))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_command_says_what_it_sends_where_and_what_comes_next(
    aws: boto3.Session, facts: PlatformFacts, repository: Path
) -> None:
    uri = f"s3://{facts.data_bucket}/churn/data/{hashlib.sha256(ROWS.encode()).hexdigest()}/"
    stored = {"Bucket": facts.data_bucket, "Key": uri.removeprefix(f"s3://{facts.data_bucket}/") + "my rows.csv"}
    dry = CliRunner().invoke(data_app, ["push", "my rows.csv", "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert f"would send {len(ROWS)} bytes to {uri}" in dry.stdout
    with pytest.raises(ClientError):
        aws.client("s3").head_object(**stored)
    done = CliRunner().invoke(data_app, ["push", "my rows.csv"])
    assert done.exit_code == 0, done.output
    assert "personal data, which is deleted after 365 days: email (yes), phone (suspected)" in done.stdout
    assert done.stdout.splitlines()[-1] == f"Next: usecase pipeline start --env dev --data {uri}"
    assert aws.client("s3").head_object(**stored)["SSEKMSKeyId"] == facts.data_kms_key_arn
