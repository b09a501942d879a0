"""The maturity check: what this repository's own verdict is made of, how levels and steps follow, what it costs."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.maturity import page
from usecase.mlops.maturity.checks import LEVELS, STAGES, Finding
from usecase.mlops.maturity.evidence import Evidence, Unseen
from usecase.mlops.maturity.score import AREAS, CHECKS, Maturity, Points, Result, examine

ROOT = Path(__file__).parents[3]
NOBODY = Unseen("not asked")
HEAVY = {"polars", "numpy", "xgboost", "sklearn", "boto3", "mlflow"}
YES, NO, NOT_SEEN = Finding("yes", "e"), Finding("no", "e", "`make it`"), Finding("not seen", "e")


def verdict(**findings: Finding) -> Maturity:
    """All checks say yes, but for some."""
    results = [Result(check, findings.get(check.name, YES)) for check in CHECKS.values()]
    return Maturity("churn", "full", "", results)


def test_this_repository_has_a_verdict() -> None:
    found = examine(Evidence(ROOT, date(2026, 11, 21), NOBODY, NOBODY))
    assert len(found.results) == len(CHECKS)
    for result in found.results:
        assert result.finding.evidence, result.check.name
        assert bool(result.finding.advice) == (result.finding.state == "no"), result.check.name
    assert found.level in LEVELS
    assert f"**Level {found.level}**" in page.page(found, "2026-11-21")


def test_names_of_checks_are_their_own_and_what_comes_before_is_one() -> None:
    assert len(CHECKS) == sum(len(area.checks) for area in AREAS)
    assert all(check.after in CHECKS for check in CHECKS.values() if check.after)
    assert {stage for area in AREAS for stage in STAGES if not any(c.stage == stage for c in area.checks)} == set()


def test_a_level_wants_all_below_it_in_every_area() -> None:
    assert verdict().level == "full"
    assert verdict(gateway=NO).level == "automated"
    assert verdict(service_level=NO).level == "basic"
    assert verdict(own_data=NO, gateway=NO).level == "manual"
    assert verdict(own_data=NOT_SEEN, gateway=NOT_SEEN).level == "full"


def test_points_count_what_was_judged() -> None:
    some = [Result(CHECKS["own_data"], YES), Result(CHECKS["described"], NO), Result(CHECKS["limited"], NOT_SEEN)]
    assert Points.of(some) == Points(3, 5)
    assert Points.of([]).share == 0


def test_what_others_wait_for_comes_first_and_higher_stages_last() -> None:
    names = {"locked": "setup", "logged": "run", "registered": "run", "approved": "approve", "own_data": "contract"}
    names |= {"feature_store": "store", "model_card": "write"}
    steps = verdict(**{name: Finding("no", "e", advice) for name, advice in names.items()}).steps
    assert [step.advice for step in steps] == ["setup", "run", "contract", "approve", "write", "store"]
    assert [step.points for step in steps] == [2, 4, 3, 3, 3, 3]


@pytest.mark.parametrize(("status", "state"), [("Approved", "yes"), ("PendingManualApproval", "no")])
def test_versions_of_this_machine(status: str, state: str, tmp_path: Path) -> None:
    seen = Evidence(tmp_path, date(2026, 11, 21), NOBODY, NOBODY, in_ci=False)
    (tmp_path / "config").mkdir()
    settings = {"project": "churn", "owner_email": "a@example.org", "container": "own", "aws_region": "eu-west-1"}
    (tmp_path / "config/defaults.yaml").write_text(json.dumps(settings))
    for name in ("local", "dev", "qa", "prod"):
        (tmp_path / f"config/{name}.yaml").write_text("")
    folder = tmp_path / ".local/registry/churn/1"
    folder.mkdir(parents=True)
    described = {
        "ModelPackageVersion": 1,
        "ModelPackageArn": "local:model-package/churn/1",
        "ModelApprovalStatus": status,
        "InferenceSpecification": {"Containers": [{"ModelDataUrl": "s3://local/model.tar.gz"}]},
        "CustomerMetadataProperties": {"DriftBaselineUri": "s3://local/drift_baseline.json"},
    }
    (folder / "package.json").write_text(json.dumps(described))
    found = {name: CHECKS[name].look(seen).state for name in ("registered", "baseline", "approved")}
    assert found == {"registered": "yes", "baseline": "yes", "approved": state}
    (folder / "package.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        _ = Evidence(tmp_path, date(2026, 11, 21), NOBODY, NOBODY, in_ci=False).versions


def test_a_database_that_is_none_has_no_runs(tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    (tmp_path / ".local/mlflow.db").write_text("no database")
    assert Evidence(tmp_path, date(2026, 11, 21), NOBODY, NOBODY).runs == 0


def test_it_needs_no_library_of_data_science_or_aws() -> None:
    code = "import sys, usecase.mlops.maturity.commands; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(said.split()) == set()
