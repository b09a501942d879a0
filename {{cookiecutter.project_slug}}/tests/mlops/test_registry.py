"""The local registry: complete versions, SageMaker's statuses, and no way around them."""

import json
from pathlib import Path

import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.registry import LocalRegistry

EVALUATION = {"binary_classification_metrics": {"auc": {"value": 0.9, "standard_deviation": 0.01}}}


@pytest.fixture
def registry(tmp_path: Path) -> LocalRegistry:
    return LocalRegistry(tmp_path / "registry", "group")


def register(registry: LocalRegistry, content: str) -> int:
    folder = registry.folder.parent.parent
    (folder / "model.tar.gz").write_text(content)
    (folder / "evaluation.json").write_text(json.dumps(EVALUATION))
    arguments = {"ModelApprovalStatus": "PendingManualApproval", "CustomerMetadataProperties": {"ContractHash": "c"}}
    return registry.register(arguments, folder / "model.tar.gz", folder / "evaluation.json").version


def test_versions_count_up_and_the_same_model_is_not_added_twice(registry: LocalRegistry) -> None:
    assert [register(registry, content) for content in ("a", "b", "b", "a")] == [1, 2, 2, 3]
    assert [package.version for package in registry.list()] == [1, 2, 3]
    assert registry.describe("latest").version == 3
    assert registry.describe("2").main_metric == ("auc", 0.9)


def test_approve_and_reject(registry: LocalRegistry) -> None:
    for content in ("a", "b", "c"):
        register(registry, content)
    assert registry.approve("1").status == "Approved"
    assert registry.approve("latest").version == 3
    assert registry.latest_approved().version == 3
    assert registry.reject("3", "recall too low").description["ApprovalDescription"] == "recall too low"
    assert registry.latest_approved().version == 1


def test_what_is_not_allowed_says_why(registry: LocalRegistry) -> None:
    with pytest.raises(UserError, match="run `make run` first"):
        registry.approve("1")
    register(registry, "a")
    with pytest.raises(UserError, match="no version is approved"):
        registry.latest_approved()
    with pytest.raises(UserError, match="version '7' is not registered: use one of 1, or latest"):
        registry.approve("7")
    with pytest.raises(UserError, match="needs a reason"):
        registry.reject("1", "  ")
    registry.approve("1")
    with pytest.raises(UserError, match="version 1 is Approved already"):
        registry.approve("1")
    registry.reject("1", "a fault was found")
    with pytest.raises(UserError, match="version 1 is Rejected already: train and register a new version"):
        registry.approve("1")
    with pytest.raises(UserError, match="version 1 is Rejected already: a fault was found"):
        registry.reject("1", "again")


def test_a_changed_model_is_neither_approved_nor_served(registry: LocalRegistry) -> None:
    register(registry, "a")
    (registry.folder / "1" / "model.tar.gz").write_text("tampered")
    with pytest.raises(UserError, match="not what was registered"):
        registry.approve("1")
    with pytest.raises(UserError, match="not what was registered"):
        registry.describe("1").verify()


def test_a_failed_registration_leaves_nothing(registry: LocalRegistry) -> None:
    missing = registry.folder / "missing"
    with pytest.raises(OSError, match="missing"):
        registry.register({}, Path(__file__), missing)
    assert list(registry.folder.iterdir()) == []


def test_a_draft_of_a_killed_run_is_no_version(registry: LocalRegistry) -> None:
    (registry.folder / ".draft-1").mkdir(parents=True)
    (registry.folder / "5").mkdir()
    assert registry.list() == []
    assert register(registry, "a") == 6
