"""The security controls of the generated repository, on real plans: each fails when what it asks for is dropped."""

import copy
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import baking
from delivery import replace
from mutants import MUTANTS, Mutant
from plans import ENVIRONMENTS, Plans, planned

sys.path.append(str(baking.ROOT / baking.PROJECT_FOLDER / "src"))
from usecase.mlops.infrastructure.controls import CONTROLS, examine  # type: ignore[import-not-found]


@pytest.mark.slow
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_control_holds(environment: str, plans: Callable[[str], Plans]) -> None:
    for root, plan in plans(environment).items():
        found = examine(plan, environment)
        assert found.problems == [], root
        assert found.held, root


@pytest.mark.slow
def test_every_control_has_a_subject_where_all_is_switched_on(plans: Callable[[str], Plans]) -> None:
    looked_at = {name for plan in plans("prod").values() for name in examine(plan, "prod").held}
    idle = {f"{control.id} {control.type}: {control.words}" for control in CONTROLS} - looked_at
    assert {name.split()[1].rstrip(":") for name in idle} <= NOT_TOGETHER


# Kinds of resources that exclude others, or that no setting of this test makes.
NOT_TOGETHER = {"aws_sfn_state_machine", "aws_sagemaker_feature_group"}


def test_a_plan_without_resources_holds_nothing() -> None:
    found = examine({"resource_changes": []}, "prod")
    assert (found.problems, found.held) == ([], [])
    assert len(found.without_subject) == len(CONTROLS)


@pytest.mark.slow
@pytest.mark.parametrize(("root", "mutate"), MUTANTS.values(), ids=MUTANTS.keys())
def test_a_dropped_control_is_caught(root: str, mutate: Mutant, plans: Callable[[str], Plans]) -> None:
    plan = copy.deepcopy(plans("prod")[root])
    mutate(plan)
    assert examine(plan, "prod").problems


# Root, file, what stands there, what stands there instead, and what the plan must do then.
IN_THE_CODE = {
    "plain HTTP": ("platform", "modules/bucket/main.tf", '"Deny"', '"Allow"', "refuse plain HTTP (S3.5)"),
    "a key for ever": ("platform", "modules/key/main.tf", "rotation     = true", "rotation = false", "rotate (KMS.4)"),
    "anybody's service": (
        "platform",
        "modules/role/main.tf",
        '{ StringEquals = { "aws:SourceAccount" = var.account } }',
        "{}",
        "be taken only for this account, or by pinned jobs (own)",
    ),
    "a log of refusals": (
        "platform",
        "modules/network/flow_log.tf",
        '"ALL"',
        '"REJECT"',
        "have a flow log of all traffic (EC2.6)",
    ),
    "images are not scanned": (
        "platform",
        "platform/registry.tf",
        "scan_on_push = true",
        "scan_on_push = false",
        "scan images (ECR.1)",
    ),
    "plain messages": (
        "platform",
        "platform/notifications.tf",
        'kms_master_key_id = module.key["logs"].arn',
        "",
        "be encrypted (SNS.1)",
    ),
    "plain volumes": (
        "serving",
        "modules/endpoint/main.tf",
        "local.serverless ? null : var.volume_kms_key_arn",
        "null",
        "encrypt its volumes (own)",
    ),
    "requests alone": (
        "serving",
        "modules/endpoint/main.tf",
        'capture_mode = "Output"',
        'capture_mode = "Input"',
        "capture requests and answers, encrypted (own)",
    ),
    "a model with internet": (
        "serving",
        "modules/model/main.tf",
        "enable_network_isolation = var.isolated",
        "enable_network_isolation = false",
        "be isolated from the network (SageMaker.5)",
    ),
    "no traces": (
        "serving",
        "modules/gateway/main.tf",
        "xray_tracing_enabled = true",
        "xray_tracing_enabled = false",
        "be traced (APIGateway.3)",
    ),
    "any audience": (
        "bootstrap/usecase",
        "bootstrap/usecase/trust.tf",
        '{ "${local.prefix}:aud" = local.audience }',
        "{}",
        "be taken only for this account, or by pinned jobs (own)",
    ),
    "a trail to be forged": (
        "bootstrap/account",
        "bootstrap/account/audit.tf",
        "validation    = true",
        "validation = false",
        "let its files be validated (CloudTrail.4)",
    ),
}


@pytest.fixture(scope="module")
def faulty(
    planned_repository: Path, running_provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], list[str]]:
    """The problems of a root of prod in whose code all controls of IN_THE_CODE are dropped at once."""
    copied = Path(shutil.copytree(planned_repository, tmp_path_factory.mktemp("faulty") / "project"))
    for _, file, old, new, _ in IN_THE_CODE.values():
        replace(copied / "terraform" / file, old, new)

    @cache
    def problems(root: str) -> list[str]:
        return list(examine(planned(copied, root, "prod", running_provider), "prod").problems)

    return problems


@pytest.mark.slow
@pytest.mark.parametrize(("root", "problem"), [(row[0], row[4]) for row in IN_THE_CODE.values()], ids=IN_THE_CODE)
def test_a_control_dropped_in_the_code_is_caught(root: str, problem: str, faulty: Callable[[str], list[str]]) -> None:
    assert [line for line in faulty(root) if line.endswith(f" must {problem}")]
