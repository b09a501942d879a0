"""The security controls of the generated repository, on real plans: each fails when what it asks for is dropped."""

import copy
import sys
from collections.abc import Callable

import pytest

import baking
from mutants import MUTANTS, Mutant
from plans import ENVIRONMENTS, Plans

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
