"""Which jobs of GitLab may take a role in AWS: `usecase doctor` says so, since GitLab Free has not every way."""

from pathlib import Path

import pytest
from aws.conftest import ACCOUNT

from usecase.mlops.doctor import examine

RUNNER = f"""
  auth: runner_role
  runner_role_arn: arn:aws:iam::{ACCOUNT}:role/runner"""


@pytest.mark.parametrize(
    ("stated", "state", "says"),
    [
        ({}, "ok", "GitLab Premium, 18.7 or newer; on Free set sub_claims: ref"),
        (dict.fromkeys(("dev", "qa", "prod"), "{sub_claims: ref}"), "ok", "that of prod jobs on tags v*"),
        (dict.fromkeys(("dev", "qa", "prod"), RUNNER), "ok", "roles trust the runner's role"),
        ({"prod": "{sub_claims: ref}"}, "fail", "differ between environments: ref, tier: choose one in config/"),
    ],
)
def test_doctor_says_whom_the_roles_trust(stated: dict[str, str], state: str, says: str, repository: Path) -> None:
    for environment, access in stated.items():
        text = f'aws_account: "{ACCOUNT}"\naws_access: {access}\n'
        (repository / f"config/{environment}.yaml").write_text(text)
    (found,) = [finding for finding in examine(None) if finding.name == "aws_access"]
    assert (found.state, says in found.detail) == (state, True), found.detail
