"""What every registry does, whatever keeps its versions. A back end's tests inherit `RegistrySuite`.

They give the fixtures `registry` and `other`: two empty registries of one kind, `other` that of another environment.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from usecase.mlops.errors import UserError
from usecase.mlops.lineage import lineage, listing, show
from usecase.mlops.promotion import Promotion, prepare
from usecase.mlops.registry import ModelPackage, Registry

RUN = "s3://artifacts/tumours/e-1"
DIGEST = "sha256:" + "d" * 64
IMAGE = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/tumours@{DIGEST}"
EVALUATION = {"binary_classification_metrics": {"auc": {"value": 0.9}, "f1": {"value": 0.8}, "confusion_matrix": {}}}
QUALITY = {
    "failed": 0,
    "reason": "auc 0.9 >= 0.7",
    "checks": [
        {
            "gate": "threshold",
            "metric": "auc",
            "value": 0.9,
            "operator": ">=",
            "threshold": 0.7,
            "passed": True,
            "note": "",
        }
    ],
}

Made = Callable[..., ModelPackage]


class Run:
    """The outputs of a pipeline execution, as files, and the arguments with which it registers them."""

    FILES = (
        "Train/t-1/output/model.tar.gz",
        "Evaluate/evaluation/evaluation.json",
        "Evaluate/evaluation/quality.json",
        "Baseline/baseline/statistics.json",
        "Baseline/baseline/constraints.json",
        "Baseline/baseline/input_schema.json",
        "Baseline/baseline/drift_baseline.json",
        "Baseline/explanation/importance.json",
        "Baseline/model_card/model_card.json",
        "Baseline/model_card/plots/roc.svg",
    )

    def __init__(self, folder: Path, model: str = "a", quality: dict[str, Any] | None = None) -> None:
        self.folder = folder
        contents = {"model.tar.gz": model, "evaluation.json": json.dumps(EVALUATION)}
        contents["quality.json"] = json.dumps(quality or QUALITY)
        for name in self.FILES:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(contents.get(path.name, "{}" if path.suffix == ".json" else "<svg/>"))
        statistics, constraints = self.metric("Baseline/baseline/statistics.json", "Baseline/baseline/constraints.json")
        evaluation, importance = self.metric(
            "Evaluate/evaluation/evaluation.json", "Baseline/explanation/importance.json"
        )
        data_quality = {"Statistics": statistics, "Constraints": constraints}
        self.arguments: dict[str, Any] = {
            "ModelPackageGroupName": "tumours",
            "ModelApprovalStatus": "PendingManualApproval",
            "SkipModelValidation": "None",
            "InferenceSpecification": {
                "Containers": [
                    {
                        "Image": IMAGE,
                        "ModelDataUrl": f"{RUN}/Train/t-1/output/model.tar.gz",
                        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
                    }
                ],
                "SupportedContentTypes": ["text/csv"],
                "SupportedResponseMIMETypes": ["text/csv"],
            },
            "ModelMetrics": {
                "ModelQuality": {"Statistics": evaluation},
                "ModelDataQuality": data_quality,
                "Explainability": {"Report": importance},
            },
            "DriftCheckBaselines": {"ModelDataQuality": data_quality, "ModelQuality": {"Statistics": evaluation}},
            "CustomerMetadataProperties": {
                "GitSha": "0123abc-dirty",
                "ContractHash": "c" * 64,
                "DataHash": "b" * 64,
                "LockHash": "a" * 64,
                "ModelDataSha256": hashlib.sha256(model.encode()).hexdigest(),
                "PipelineExecution": "arn:aws:sagemaker:eu-west-1:111122223333:pipeline/tumours/execution/e-1",
                "ChampionVersion": "none",
                "InputDataUri": "s3://data/tumours/data/f00",
                "ContractUri": "s3://artifacts/contract/c",
                "CodeUri": "s3://artifacts/code/c0de",
                "InputSchemaUri": f"{RUN}/Baseline/baseline/input_schema.json",
                "ModelCardUri": f"{RUN}/Baseline/model_card",
                "QualityReportUri": f"{RUN}/Evaluate/evaluation/quality.json",
                "DriftBaselineUri": f"{RUN}/Baseline/baseline/drift_baseline.json",
            },
        }

    @property
    def metadata(self) -> dict[str, str]:
        """Of the arguments, to change."""
        properties: dict[str, str] = self.arguments["CustomerMetadataProperties"]
        return properties

    def metric(self, *names: str) -> list[dict[str, str]]:
        """MetricsSource of files."""
        return [{"ContentType": "application/json", "S3Uri": f"{RUN}/{name}"} for name in names]

    def resolve(self, uri: str) -> Path:
        """Where the engine keeps it."""
        return self.folder / uri.removeprefix(f"{RUN}/")


class RegistrySuite:
    """Behaviour that all back ends share."""

    @pytest.fixture
    def made(self, registry: Registry, tmp_path: Path) -> Made:
        """Registers a run of which the model's content differs."""

        def make(model: str = "a", quality: dict[str, Any] | None = None) -> ModelPackage:
            run = Run(tmp_path / "run", model, quality)
            return registry.register(run.arguments, run.resolve)

        return make

    def tamper(self, package: ModelPackage, name: str, content: str) -> None:
        """Change a file behind the registry's back."""
        raise NotImplementedError

    def interrupt(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the next registration of a version end before its last step."""
        raise NotImplementedError

    def test_cold_start(self, registry: Registry) -> None:
        assert list(registry.list()) == []
        assert registry.champion() is None
        for decide in (registry.describe, registry.approve, lambda version: registry.reject(version, "why")):
            with pytest.raises(
                UserError, match=r"no version is registered in .*: (run `make run` first|train one with)"
            ):
                decide("1")

    def test_versions_count_up_and_the_same_model_is_not_added_twice(self, registry: Registry, made: Made) -> None:
        assert [made(model).version for model in ("a", "b", "b", "a")] == [1, 2, 2, 3]
        assert [package.version for package in registry.list()] == [1, 2, 3]
        assert registry.describe("latest").version == 3
        assert registry.describe("2").main_metric == ("auc", 0.9)
        assert registry.describe("2").created_by("e-1")
        assert not registry.describe("2").created_by("e-2")

    def test_a_version_keeps_every_file_that_it_names(self, registry: Registry, made: Made, tmp_path: Path) -> None:
        made("content of the model")
        for file in sorted((tmp_path / "run").rglob("*")):
            if file.is_file():
                file.unlink()  # what a run leaves behind goes away; the version does not
        package = registry.describe("1")
        package.verify_evidence()
        assert package.model_data.read_text() == "content of the model"
        assert package.quality == QUALITY
        for name in ("statistics.json", "constraints.json", "importance.json", "input_schema.json"):
            assert json.loads(package.file(name).read_text()) is not None
        assert package.file("model_card/plots/roc.svg").read_text() == "<svg/>"
        assert package.file("model_card").is_dir()
        for name in ("other.json", "model_card/other.html"):
            with pytest.raises(UserError, match="version 1"):
                package.file(name)

    def test_approve_and_reject(self, registry: Registry, made: Made) -> None:
        for model in ("a", "b", "c"):
            made(model)
        assert registry.approve("1").status == "Approved"
        approved = registry.approve("latest", "better on\nall groups")
        assert approved.version == 3
        assert "better on all groups" in approved.reason
        assert registry.latest_approved().version == 3
        rejected = registry.reject("3", "recall too low, 50 % & worse: see #7")
        assert "recall too low, 50 % & worse: see #7" in rejected.reason
        assert rejected.status == "Rejected"
        assert rejected.metadata["GitSha"] == "0123abc-dirty"
        assert registry.latest_approved().version == 1
        champion = registry.champion()
        assert champion
        assert champion.version == 1
        assert [package.status for package in registry.list()] == ["Approved", "PendingManualApproval", "Rejected"]
        assert registry.reject("2", "not needed").status == "Rejected"

    def test_what_is_not_allowed_says_why(self, registry: Registry, made: Made) -> None:
        made()
        with pytest.raises(UserError, match="no version is approved"):
            registry.latest_approved()
        with pytest.raises(UserError, match="version '7' is not registered: use one of 1, or latest"):
            registry.approve("7")
        with pytest.raises(UserError, match="which version"):
            registry.approve("")
        with pytest.raises(UserError, match="needs a reason"):
            registry.reject("1", "  ")
        with pytest.raises(UserError, match="at most 900 are kept"):
            registry.reject("1", "x" * 901)
        registry.approve("1")
        with pytest.raises(UserError, match="version 1 is Approved already: nothing to do"):
            registry.approve("1")
        registry.reject("1", "a fault was found")
        with pytest.raises(UserError, match="version 1 is Rejected already: train and register a new version"):
            registry.approve("1")
        with pytest.raises(UserError, match=r"version 1 is Rejected already: .*a fault was found"):
            registry.reject("1", "again")

    @pytest.mark.parametrize("name", ["model.tar.gz", "quality.json", "statistics.json", "model_card/plots/roc.svg"])
    def test_a_changed_file_is_not_approved(self, registry: Registry, made: Made, name: str) -> None:
        package = made()
        self.tamper(package, name, json.dumps(QUALITY, indent=7))
        with pytest.raises(UserError, match="is not what was registered"):
            registry.approve("1")
        assert registry.describe("1").status == "PendingManualApproval"
        if name == "model.tar.gz":
            with pytest.raises(UserError, match="cannot be trusted"):
                registry.describe("1").verify()

    def test_failed_gates_are_not_approved(self, registry: Registry, made: Made) -> None:
        made("a", {"failed": 1, "reason": "auc 0.6 is not >= 0.7", "checks": []})
        with pytest.raises(UserError, match=r"version 1 has failed gates: auc 0.6 is not >= 0.7"):
            registry.approve("1")

    def test_without_a_quality_report_nothing_is_approved(self, registry: Registry, tmp_path: Path) -> None:
        run = Run(tmp_path)
        del run.metadata["QualityReportUri"]
        registry.register(run.arguments, run.resolve)
        with pytest.raises(UserError, match=r"has no quality.json: no gate was checked"):
            registry.approve("1")

    def test_a_run_that_is_not_complete_is_not_registered(self, registry: Registry, tmp_path: Path) -> None:
        run = Run(tmp_path / "run")
        (tmp_path / "run/Baseline/baseline/drift_baseline.json").unlink()
        with pytest.raises(UserError, match=r"drift_baseline.json: no such file"):
            registry.register(run.arguments, run.resolve)
        run = Run(tmp_path / "run")
        run.metadata["ModelDataSha256"] = "0" * 64
        with pytest.raises(UserError, match="other files than those that were evaluated: ModelDataSha256"):
            registry.register(run.arguments, run.resolve)
        run = Run(tmp_path / "run")
        run.metadata["ReportUri"] = f"{RUN}/Other/quality.json"
        with pytest.raises(UserError, match=r"two files of a version are called quality.json"):
            registry.register(run.arguments, run.resolve)
        with pytest.raises(UserError, match="names no ModelDataUrl"):
            registry.register({}, run.resolve)
        assert list(registry.list()) == []

    def test_an_interrupted_registration_leaves_no_version(
        self, registry: Registry, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            self.interrupt(registry, patch)
            with pytest.raises((UserError, KeyboardInterrupt)):
                made()
        assert list(registry.list()) == []
        assert made().version == 1

    def test_lineage_leads_back_to_data_and_commit(self, registry: Registry, made: Made) -> None:
        made()
        registry.approve("1", "looks right")
        package = registry.describe("1")
        found = json.loads(json.dumps(lineage(package)))
        assert found["status"] == "Approved"
        assert "looks right" in found["decision"]["reason"]
        assert found["decision"]["by"]
        assert found["metrics"] == {"auc": 0.9, "f1": 0.8}
        assert found["image"] == IMAGE
        assert found["model"]["sha256"] == hashlib.sha256(b"a").hexdigest()
        assert found["data"] == {"uri": "s3://data/tumours/data/f00", "sha256": "b" * 64}
        assert found["commit"] == "0123abc-dirty"
        text = "\n".join(show(package))
        for words in (
            "Status        Approved  20",
            "looks right",
            "auc 0.9, f1 0.8",
            "passed  auc 0.9 >= 0.7",
            IMAGE,
            f"s3://data/tumours/data/f00  SHA-256 {'b' * 64}",
            "Commit        0123abc-dirty",
            "execution/e-1",
            "model_card",
        ):
            assert words in text
        assert "auc 0.9000" in listing(package)
        assert listing(package).startswith("   1  Approved")

    def test_promotion_copies_all_of_an_approved_version(self, registry: Registry, other: Registry, made: Made) -> None:
        made("first")
        made("second")
        source = registry.approve("2")
        plan = prepare(registry, "2", other)
        assert plan.existing is None
        assert set(plan.files) >= {"model.tar.gz", "quality.json", "model_card/plots/roc.svg"}
        assert list(other.list()) == []

        copy = plan.apply()
        assert (copy.version, copy.status) == (1, "PendingManualApproval")
        copy.verify_evidence()
        assert copy.model_data.read_text() == "second"
        assert copy.file("model_card/plots/roc.svg").read_text() == "<svg/>"
        assert copy.metadata["SourceModelPackageArn"] == source.arn
        assert {key: copy.metadata[key] for key in ("GitSha", "DataHash", "ModelDataSha256", "InputDataUri")} == {
            key: source.metadata[key] for key in ("GitSha", "DataHash", "ModelDataSha256", "InputDataUri")
        }
        assert copy.image.endswith(f"/tumours@{DIGEST}")
        assert any(line.startswith("Copy of") and source.arn in line for line in show(copy))

    def test_a_second_promotion_finds_the_first_and_finishes_it(
        self, registry: Registry, other: Registry, made: Made
    ) -> None:
        made()
        registry.approve("1")
        assert prepare(registry, "1", other).apply().status == "PendingManualApproval"
        again = prepare(registry, "1", other)
        assert again.existing
        approved = again.apply(approve=True, reason="integration tests passed")
        assert (approved.version, approved.status) == (1, "Approved")
        assert f"copy of {registry.describe('1').arn}: integration tests passed" in approved.reason
        assert prepare(registry, "1", other).apply(approve=True).version == 1
        assert len(other.list()) == 1

    def test_a_copy_of_a_copy_names_the_version_of_record(
        self, registry: Registry, other: Registry, made: Made
    ) -> None:
        made()
        registry.approve("1")
        prepare(registry, "1", other).apply(approve=True)
        made("b")  # so that the copy back is another version than its origin
        back = prepare(other, "1", registry)
        assert back.arguments["CustomerMetadataProperties"]["SourceModelPackageArn"] == registry.describe("1").arn

    def test_only_an_approved_and_intact_version_is_promoted(
        self, registry: Registry, other: Registry, made: Made
    ) -> None:
        package = made()
        with pytest.raises(UserError, match="is PendingManualApproval: only an approved one is promoted"):
            prepare(registry, "1", other)
        with pytest.raises(UserError, match="both source and target"):
            prepare(registry, "1", registry)
        registry.approve("1")
        plan = prepare(registry, "1", other)
        registry.reject("1", "a fault was found")
        with pytest.raises(UserError, match=r"is Rejected \(.*a fault was found\): only an approved one"):
            plan.apply()
        made("b")
        package = registry.approve("2")
        self.tamper(package, "statistics.json", "changed")
        with pytest.raises(UserError, match="evidence of version 2 is not what was registered"):
            prepare(registry, "2", other)
        assert list(other.list()) == []

    def test_a_copy_that_was_revoked_stays_revoked(self, registry: Registry, other: Registry, made: Made) -> None:
        made()
        registry.approve("1")
        prepare(registry, "1", other).apply(approve=True)
        other.reject("1", "wrong in this environment")
        with pytest.raises(UserError, match=r"is Rejected: .*wrong in this environment: promote another one"):
            prepare(registry, "1", other).apply(approve=True)

    def test_an_interrupted_promotion_leaves_no_version(
        self, registry: Registry, other: Registry, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made()
        registry.approve("1")
        plan: Promotion = prepare(registry, "1", other)
        with monkeypatch.context() as patch:
            self.interrupt(other, patch)
            with pytest.raises((UserError, KeyboardInterrupt)):
                plan.apply()
        assert list(other.list()) == []
        assert prepare(registry, "1", other).apply(approve=True).version == 1
