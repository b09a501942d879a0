"""A second writer of a state is refused while a first one works, in each way of locking that the settings offer.

Terraform's own backend on moto, told by the generated repository's code where the state lies and what locks it.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest

import baking
import delivery
from delivery import run, tool

ACCOUNT = "123456789012"  # moto's
REGION = "eu-central-1"
LOCKED = "Error acquiring the state lock"
# A root that works until it is told to end. What the real roots say of their backend, and that it is not AWS.
WAITING = """
terraform {
  backend "s3" {
    use_path_style              = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
  }
}

variable "environment" {
  type = string
}

resource "terraform_data" "waiting" {
  triggers_replace = timestamp()

  provisioner "local-exec" {
    command = "touch begun; until [ -e end ]; do sleep 0.1; done"
  }
}
"""
# Plans and applies as `usecase deploy` does; what the command line names is left out of the backend's configuration.
WRITER = """
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.roots import Root, backend, environment_settings

settings = environment_settings("dev")
arguments = [item for item in backend(settings, "waiting") if not any(name in item for name in sys.argv[1:])]
try:
    root = Root("waiting", settings, print, arguments)
    with TemporaryDirectory() as folder:
        root.apply(root.plan(Path(folder), {}))
except UserError as error:
    sys.exit(f"error: {error}")
"""


class Writer:
    """A checkout of the repository, whose state is shared with others of the same name."""

    def __init__(self, repository: Path, folder: Path, lock: str, state: str, environment: dict[str, str]) -> None:
        self.top, self._environment = folder, environment
        shutil.copytree(repository / "config", folder / "config")
        for name in ("gitlab.yml", "data_contract.yaml"):
            shutil.copy(repository / name, folder)
        settings = f"state: {{ lock: {lock}, bucket: {state}-states, table: {state}-locks }}\n"
        with (folder / "config/dev.yaml").open("a") as stream:
            stream.write(settings)
        self.root = folder / "terraform/waiting"
        self.root.mkdir(parents=True)
        (self.root / "main.tf").write_text(WAITING)

    def may_end(self) -> None:
        (self.root / "end").touch()

    def write(self, *without: str) -> subprocess.CompletedProcess[str]:
        self.may_end()
        return run(sys.executable, "-c", WRITER, *without, cwd=self.top, env=self._environment)

    @contextmanager
    def writing(self, *without: str) -> Iterator[None]:
        """While the block runs, this one writes; at its end it has written."""
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, *without],
            cwd=self.top,
            env=os.environ | self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            while not (self.root / "begun").exists():
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.1)
            yield
        finally:
            self.may_end()
            said = process.communicate(timeout=300)[0]
        assert process.returncode == 0, said


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tool("terraform")
    return delivery.bake(
        tmp_path_factory.mktemp("locks"), mlops_stage="automated", aws_region=REGION, aws_account_dev=ACCOUNT
    )


@pytest.fixture
def outside(aws: str, provider: dict[str, str]) -> dict[str, str]:
    """The environment of a writer: AWS is moto."""
    keys = {"AWS_ENDPOINT_URL": aws, "AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nobody"}
    source = {"PYTHONPATH": str(baking.ROOT / baking.PROJECT_FOLDER / "src")}
    return provider | keys | source | {"AWS_CA_BUNDLE": "", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture
def state(request: pytest.FixtureRequest, aws: str) -> str:
    """What the names of bucket and table begin with, which are there."""
    name = "".join(letter for letter in request.node.name if letter.isalnum())[-30:].lower()
    client = {"endpoint_url": aws, "region_name": REGION, "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    boto3.client("s3", **client).create_bucket(
        Bucket=f"{name}-states", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    boto3.client("dynamodb", **client).create_table(
        TableName=f"{name}-locks",
        KeySchema=[{"AttributeName": "LockID", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "LockID", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "second"),
    [("s3", "s3"), ("dynamodb", "dynamodb"), ("both", "both"), ("both", "s3"), ("both", "dynamodb")],
)
def test_a_second_writer_is_refused_until_the_first_is_done(
    first: str, second: str, repository: Path, state: str, outside: dict[str, str], tmp_path: Path
) -> None:
    """`both` is the way from one to the other: it must stop writers of either kind."""
    ours = Writer(repository, tmp_path / "ours", first, state, outside)
    theirs = Writer(repository, tmp_path / "theirs", second, state, outside)
    with ours.writing():
        refused = theirs.write()
        assert refused.returncode == 1, refused.stdout
        assert LOCKED in refused.stderr
        assert not (theirs.root / "begun").exists()
    done = theirs.write()
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("lock", "forgotten"), [("s3", "use_lockfile"), ("dynamodb", "dynamodb_table")])
def test_it_is_the_backend_configuration_that_refuses(
    lock: str, forgotten: str, repository: Path, state: str, outside: dict[str, str], tmp_path: Path
) -> None:
    ours = Writer(repository, tmp_path / "ours", lock, state, outside)
    theirs = Writer(repository, tmp_path / "theirs", lock, state, outside)
    with ours.writing(forgotten):
        done = theirs.write(forgotten)
    assert done.returncode == 0, done.stderr
    assert (theirs.root / "begun").exists()
