"""The maturity check: fresh repositories rise with their stage, and each advice, done as it says, raises the score.

The check itself runs in this process, which has none of the libraries of data science: it needs none.
"""

import csv
import importlib
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

import baking
import delivery
import gitlab_fake
from baking import PROJECT_FOLDER, ROOT, STAGES, commit, git
from delivery import replace
from gitlab_contract import PREMIUM
from gitlab_fake import GROUP, TOKEN, FakeGitLab
from updating import born

TREE = ROOT / PROJECT_FOLDER
TODAY = date(2026, 11, 21)
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/people/decides"
LOCAL, DEV, PROD = "config/local.yaml", "config/dev.yaml", "config/prod.yaml"
CARD = "docs/model_card.md"


@pytest.fixture(scope="module", autouse=True)
def source() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TREE / "src"))
        yield


def part(name: str) -> Any:
    """A module of the generated repository."""
    return importlib.import_module(f"usecase.mlops.{name}")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A repository of each stage, as it is born with nobody's address. Not to be changed."""
    folder = tmp_path_factory.mktemp("fresh")
    nobody = {"owner_email": "team@example.com"}
    return {stage: delivery.bake(folder / stage, mlops_stage=stage, **nobody) for stage in STAGES}


@pytest.fixture
def full(fresh: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of the one of stage full."""
    return Path(shutil.copytree(fresh["full"], tmp_path / "full"))


class WorkedIn:
    """A repository in which one advice after the other is followed, in any order; `verdict` is of what it is now."""

    def __init__(self, project: Path) -> None:
        self.project, self.verdict = project, judged(project)

    def work(self, work: "Work") -> Any:
        """Do something, and return the new verdict."""
        work(self.project)
        self.verdict = judged(self.project)
        return self.verdict


@pytest.fixture(scope="module")
def worked_in(fresh: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> WorkedIn:
    """A copy of the one of stage full."""
    return WorkedIn(Path(shutil.copytree(fresh["full"], tmp_path_factory.mktemp("worked") / "full")))


def judged(project: Path, account: Any = None, gitlab: Any = None, in_ci: bool = False) -> Any:
    """The verdict on a repository; AWS and GitLab are not asked unless a test says what they answered."""
    evidence = part("maturity.evidence")
    nobody = evidence.Unseen("not asked")
    seen = evidence.Evidence(project, TODAY, account or nobody, gitlab or nobody, in_ci)
    return part("maturity.score").examine(seen)


def states(verdict: Any) -> dict[str, str]:
    return {result.check.name: result.finding.state for result in verdict.results}


def test_a_stage_brings_what_it_says_and_nothing_that_people_must_do(fresh: dict[str, Path]) -> None:
    verdicts = {stage: judged(fresh[stage]) for stage in STAGES}
    assert [verdict.stage for verdict in verdicts.values()] == STAGES
    gained = [verdict.points.gained for verdict in verdicts.values()]
    assert gained == sorted(set(gained))
    assert len({verdict.points.possible for verdict in verdicts.values()}) == 1
    for number, stage in enumerate(STAGES):
        verdict = verdicts[stage]
        for result in verdict.results:
            check, state = result.check, result.finding.state
            if check.outside:
                assert state == "not seen", check.name
            elif STAGES.index(check.stage) > number:
                assert state == "no", check.name
                assert f"mlops_stage={check.stage}" in result.finding.advice
            elif check.stage != "basic":
                assert state == ("yes" if check.arrives else "no"), check.name
        assert verdict.level == "manual"
        if number + 1 < len(STAGES):
            growing = [step for step in verdict.steps if step.grows]
            assert [step.points for step in growing] == [gained[number + 1] - gained[number]]


@pytest.mark.slow
def test_growing_and_naming_an_owner_are_worth_what_was_promised(template: Path, tmp_path: Path) -> None:
    project = born("cookiecutter", template, tmp_path)
    for word, value in (("owner_email", "people@acme.org"), ("mlops_stage=automated", "")):
        before = judged(project)
        step = next(step for step in before.steps if word in step.advice)
        words = step.advice.replace("ADDRESS", value).strip("`").split()
        done = baking.run_script(*words[1:], cwd=project)
        assert done.returncode == 0, done.stderr
        commit(project, "Follow")
        assert judged(project).points.gained - before.points.gained == step.points


def write_traffic(project: Path) -> None:
    """What was asked and answered, what really was, and data of one's own: each some rows of the sample."""
    with (project / "data/sample.csv").open() as file:
        rows = [row | {"inference_id": f"id-{number}"} for number, row in enumerate(csv.DictReader(file))]
    own = {name: [row[name] for row in rows] for name in rows[0]}
    answered = own | {"prediction": own["diagnosis"], "row": ["1"] * len(rows)}
    del answered["diagnosis"]
    told = {"inference_id": own.pop("inference_id"), "label": own["diagnosis"]}
    for name, table in (("own", own), ("answered", answered), ("labels", told)):
        with (project / f"data/{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([list(table), *list(zip(*table.values(), strict=True))[:-1]])


@pytest.mark.slow
def test_commands_are_worth_what_was_promised(template: Path, tmp_path: Path) -> None:
    project = baking.bake("cookiecutter", template, tmp_path, {"mlops_stage": "full"})
    write_traffic(project)
    said = {
        **{f"`make {verb}`": f"make {verb}" for verb in ("setup", "run", "approve version=latest")},
        "`make monitor data=FOLDER`": "make monitor data=data/answered.csv",
        "`make feedback data=FOLDER labels=FILE`": "make feedback data=data/answered.csv labels=data/labels.csv",
        "`make contract data=FILE target=COLUMN`": "make contract data=data/own.csv target=diagnosis",
    }
    for advice, command in said.items():
        before = judged(project)
        step = next(step for step in before.steps if step.advice == advice)
        ended = subprocess.run(command.split(), cwd=project, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        after = judged(project)
        assert after.points.gained - before.points.gained == step.points, advice
    assert COMMANDS - {name for name, state in states(judged(project)).items() if state == "yes"} == set()
    done = delivery.run("make", "maturity", "at_least=full", "offline=1", "output=m.md", cwd=project)
    assert done.returncode != 0
    assert done.stdout.startswith("tumour-diagnosis: level manual, ")
    assert (project / "m.md").exists()


# What advice says, done in a repository.
Work = Callable[[Path], object]


def setting(file: str, path: str, value: Any) -> Work:
    """State a value in a settings file, where nothing else in it changes."""

    def work(project: Path) -> None:
        content = yaml.safe_load((project / file).read_text(encoding="utf-8")) or {}
        inner = content
        *parents, name = path.split(".")
        for parent in parents:
            inner[parent] = inner.get(parent) or {}
            inner = inner[parent]
        inner[name] = value
        (project / file).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    return work


def column(**properties: Any) -> Work:
    """Change the first column of the contract."""

    def work(project: Path) -> None:
        file = project / "data_contract.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        content["schema"]["fields"][0] |= properties
        file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    return work


def edit(file: str, old: str, new: str) -> Work:
    return lambda project: replace(project / file, old, new)


def text(file: str, content: str) -> Work:
    return lambda project: (project / file).write_text(content, encoding="utf-8")


def gone(file: str) -> Work:
    """Take a file away, and keep it for `back`."""
    return lambda project: (project / file).rename((project / file).with_suffix(".kept"))


def back(file: str) -> Work:
    """What `make update` does: the template's file is there again."""
    return lambda project: (project / file).with_suffix(".kept").rename(project / file)


def all_of(*works: Work) -> Work:
    def work(project: Path) -> None:
        for each in works:
            each(project)

    return work


def describe_all(project: Path) -> None:
    file = project / "data_contract.yaml"
    file.write_text(re.sub(r"description: ''", "description: What it is", file.read_text(encoding="utf-8")))


def write_card(project: Path) -> None:
    file = project / CARD
    file.write_text(re.sub(r"<!-- (?!Low).*? -->", "Words of the team.", file.read_text(encoding="utf-8")))


def own_owners(project: Path) -> None:
    file = project / ".gitlab/CODEOWNERS"
    lines = file.read_text(encoding="utf-8").replace(
        "[Infrastructure and pipeline] team@example.com", "[I] @acme/platform"
    )
    file.write_text(lines.replace("team@example.com", "@acme/churn"))


def committed(project: Path) -> None:
    git(project, "init", "--quiet")
    commit(project, "Work")


def signing(project: Path) -> None:
    setting(PROD, "signing", {"enabled": True, "key": "", "public_key": "config/signing.pub"})(project)
    (project / "config/signing.pub").write_text("-----BEGIN PUBLIC KEY-----\n")


def waiver(expires: str) -> str:
    entry = {
        "scan": "sast",
        "id": "B101",
        "reason": "Asserts are wanted there.",
        "expires": date.fromisoformat(expires),
    }
    return yaml.safe_dump({"waivers": [entry]})


OWN_DATA = all_of(
    text("data/people.csv", "a,b\n1,2\n"), edit("data_contract.yaml", "path: data/sample.csv", "path: data/people.csv")
)


@dataclass(frozen=True)
class Case:
    """A check, what its advice names, and that done; `fault` first makes it fail where it holds already."""

    check: str
    advice: str
    follow: Work
    fault: Work | None = None


CASES = [
    Case("described", "`description` of mean radius", describe_all),
    Case("limited", "`constraints`", column(constraints={"minimum": 0, "maximum": 30}), column(constraints={})),
    Case(
        "documented", "people.csv into data/README.md", text("data/README.md", "people.csv: ours, of 2026\n"), OWN_DATA
    ),
    Case(
        "access_recorded",
        "governance.data_events: true",
        setting(DEV, "governance.data_events", True),
        setting(DEV, "governance.data_events", False),
    ),
    Case(
        "derived",
        "add_features",
        edit("src/usecase/preprocessing.py", "    return rows\n", "    return rows.with_row_index()\n"),
    ),
    Case(
        "features_tested",
        "add_features",
        text("tests/test_preprocessing.py", "from usecase.preprocessing import add_features\n"),
        text("tests/test_preprocessing.py", ""),
    ),
    Case("compared", "make update", back(".gitlab/ci/dev.yml"), gone(".gitlab/ci/dev.yml")),
    Case(
        "feature_store",
        "feature_store: {",
        setting(DEV, "feature_store", {"group": "people", "record_id": "id", "event_time": "at"}),
    ),
    Case("pushed", "make update", back("src/usecase/mlops/aws/data.py"), gone("src/usecase/mlops/aws/data.py")),
    Case("checked", "`make pipeline`", back("pipeline.json"), gone("pipeline.json")),
    Case("tuned", "pipeline.parameters", setting(LOCAL, "pipeline.parameters.MaxDepth", 6)),
    Case("shared", "tracking.uri", setting(DEV, "tracking.uri", "https://mlflow.example.org")),
    Case("studio", "studio.enabled: true", setting(DEV, "studio.enabled", True)),
    Case("compiled", "`make pipeline`", back("pipeline.json"), gone("pipeline.json")),
    Case(
        "tested",
        "test usecase.extra in tests/test_extra.py",
        text("tests/test_extra.py", "from usecase import extra\n"),
        text("src/usecase/extra.py", ""),
    ),
    Case("in_aws", "make update", back(".gitlab/ci/train.yml"), gone(".gitlab/ci/train.yml")),
    Case("training_account", "config/dev.yaml: its 12 digits", setting(DEV, "aws_account", ACCOUNT)),
    Case("retrained", "retraining.schedule", setting(DEV, "retraining.schedule", "cron(0 3 1 * ? *)")),
    Case(
        "retrained",
        "retraining.enabled: true",
        setting(DEV, "retraining.enabled", True),
        setting(DEV, "retraining", {"enabled": False, "schedule": "cron(0 3 1 * ? *)"}),
    ),
    Case(
        "thresholds",
        "quality.binary_classification.auc.minimum",
        setting(LOCAL, "quality.binary_classification.auc.minimum", 0.9),
    ),
    Case("groups", "accountability.about", setting(LOCAL, "accountability.about", "things")),
    Case("groups", "protected: true", column(protected=True), setting(LOCAL, "accountability.about", "people")),
    Case("decided", "make update", back(".gitlab/ci/approve.yml"), gone(".gitlab/ci/approve.yml")),
    Case("signed", "signing: {", signing),
    Case(
        "signed",
        "signing: {",
        signing,
        setting(PROD, "signing", {"enabled": True, "public_key": "config/lost.pub"}),
    ),
    Case("grouped", "`group` in gitlab.yml", setting("gitlab.yml", "group", GROUP)),
    Case("delivered", "make update", back(".gitlab/ci/ops.yml"), gone(".gitlab/ci/ops.yml")),
    Case(
        "accounts",
        "config/qa.yaml and config/prod.yaml",
        all_of(setting("config/qa.yaml", "aws_account", ACCOUNT), setting(PROD, "aws_account", ACCOUNT)),
    ),
    Case(
        "gradual",
        "rollout.type: canary",
        setting(PROD, "rollout.type", "canary"),
        setting(PROD, "rollout.type", "all_at_once"),
    ),
    Case(
        "approvers",
        "protected_environments.prod.approvers",
        setting("gitlab.yml", "protected_environments.prod.approvers", ["acme/release"]),
    ),
    Case(
        "handlers",
        "import predict_fn",
        edit(
            "src/usecase/inference.py",
            "import input_fn, model_fn, output_fn",
            "import predict_fn, input_fn, model_fn, output_fn",
        ),
        edit("src/usecase/inference.py", "output_fn, predict_fn\n\n", "output_fn\n\n"),
    ),
    Case("defined", "make update", back("terraform/serving/main.tf"), gone("terraform/serving/main.tf")),
    Case(
        "redundant",
        "serving.instance_count",
        setting(PROD, "serving.instance_count", 2),
        setting(PROD, "serving.instance_count", 1),
    ),
    Case("service_level", "alarms.latency_p99_ms", setting(PROD, "alarms.latency_p99_ms", 200)),
    Case("gateway", "gateway.enabled: true", setting(PROD, "gateway.enabled", True)),
    Case("alarmed", "make update", back("terraform/modules/alarms/main.tf"), gone("terraform/modules/alarms/main.tf")),
    Case(
        "captured",
        "capture.percentage",
        setting(PROD, "capture.percentage", 50),
        setting(PROD, "capture.percentage", 0),
    ),
    Case(
        "drift",
        "monitoring.enabled: true",
        setting(PROD, "monitoring.enabled", True),
        setting(PROD, "monitoring.enabled", False),
    ),
    Case("drift_limits", "monitoring.minimum_effect", setting(PROD, "monitoring.minimum_effect", 0.1)),
    Case("retraining_rules", "retraining.violated", setting(LOCAL, "retraining.violated", 2)),
    Case(
        "classified",
        "accountability.data_classification",
        setting(LOCAL, "accountability.data_classification", "internal"),
    ),
    Case(
        "classified",
        "`pii` of mean radius",
        column(pii="no"),
        all_of(column(pii="suspected"), setting(LOCAL, "accountability.data_classification", "internal")),
    ),
    Case(
        "classified",
        "confidential or restricted",
        setting(LOCAL, "accountability.data_classification", "restricted"),
        all_of(column(pii="yes"), setting(LOCAL, "accountability.data_classification", "public")),
    ),
    Case("scanned", "make update", back(".gitlab/ci/security.yml"), gone(".gitlab/ci/security.yml")),
    Case(
        "waived",
        "take the entry out",
        text("config/waivers.yaml", "waivers: []\n"),
        text("config/waivers.yaml", waiver("2026-11-20")),
    ),
    Case(
        "waived",
        "set a new `expires`",
        text("config/waivers.yaml", waiver("2027-01-20")),
        text("config/waivers.yaml", waiver("2026-11-20")),
    ),
    Case(
        "controlled", "make update", back("terraform/platform/encryption.tf"), gone("terraform/platform/encryption.tf")
    ),
    Case(
        "access_reviewed", "access_review.last", setting(LOCAL, "accountability.access_review.last", date(2026, 11, 1))
    ),
    Case(
        "access_reviewed",
        "access_review.last",
        setting(LOCAL, "accountability.access_review.last", date(2026, 11, 1)),
        setting(LOCAL, "accountability.access_review.last", date(2026, 5, 1)),
    ),
    Case(
        "access_reviewed",
        "access_review.last",
        setting(LOCAL, "accountability.access_review.last", date(2026, 11, 1)),
        setting(LOCAL, "accountability.access_review.last", date(2026, 12, 1)),
    ),
    Case(
        "governed",
        "governance.config_rules: true",
        setting(DEV, "governance.config_rules", True),
        setting(DEV, "governance.config_rules", False),
    ),
    Case("governed", "budget.monthly_usd", setting(PROD, "budget.monthly_usd", 500), setting(PROD, "budget", None)),
    Case("backed_up", "governance.backup: true", setting(PROD, "governance.backup", True)),
    Case("ownership", "accountability.ownership", setting(LOCAL, "accountability.ownership", "hybrid")),
    Case("code_owners", "@company/platform", own_owners),
    Case("model_card", "write Purpose", write_card),
    Case("risk_rated", "`Risk rating:`", edit(CARD, "Risk rating: Unknown", "Risk rating: Low")),
    Case(
        "updated",
        "schedules.template_update.active: true",
        setting("gitlab.yml", "schedules.template_update.active", True),
    ),
    Case("stewards", "people.stewards", setting(DEV, "people.stewards", [ROLE])),
    Case("data_scientists", "people.data_scientists", setting(DEV, "people.data_scientists", [ROLE])),
    Case("tagged", "git tag v0.1.0", lambda project: git(project, "tag", "v0.1.0"), committed),
    Case(
        "keyless",
        "take AWS_SECRET_ACCESS_KEY out",
        setting("gitlab.yml", "variables", []),
        setting("gitlab.yml", "variables", [{"key": "AWS_SECRET_ACCESS_KEY", "from_env": "KEY", "masked": True}]),
    ),
]


# Advice that is a command, which the slow tests follow.
COMMANDS = {
    "own_data",
    "locked",
    "committed",
    "hooked",
    "logged",
    "registered",
    "approved",
    "baseline",
    "watched",
    "labelled",
}


def test_every_advice_is_followed_by_a_test() -> None:
    inside = {check.name for check in part("maturity.score").CHECKS.values() if not check.outside}
    assert inside == {case.check for case in CASES} | COMMANDS | {"owned"}


@pytest.mark.parametrize("case", CASES, ids=[f"{case.check}-{number}" for number, case in enumerate(CASES)])
def test_advice_that_is_followed_raises_the_score(case: Case, worked_in: WorkedIn) -> None:
    before = worked_in.work(case.fault) if case.fault else worked_in.verdict
    result = next(result for result in before.results if result.check.name == case.check)
    assert result.finding.state == "no"
    assert case.advice in result.finding.advice
    after = worked_in.work(case.follow)
    assert states(after)[case.check] == "yes"
    step = next(step for step in before.steps if step.advice == result.finding.advice)
    assert result.check in step.checks
    assert after.points.gained == before.points.gained + step.points
    assert after.points.possible == before.points.possible


def test_a_check_that_is_not_needed_counts_neither_way(full: Path) -> None:
    before = judged(full)
    setting(LOCAL, "accountability.not_needed.gateway", "Only a nightly job asks, by IAM.")(full)
    after = judged(full)
    assert states(after)["gateway"] == "not needed"
    assert (after.points.gained, after.points.possible) == (before.points.gained, before.points.possible - 2)


def test_what_only_a_machine_of_people_has_is_not_seen_in_ci(full: Path) -> None:
    here, in_ci = states(judged(full)), states(judged(full, in_ci=True))
    assert {name for name in here if here[name] != in_ci[name]} == {
        *("hooked", "logged", "registered", "approved"),
        *("baseline", "watched", "labelled"),
    }


def test_all_that_can_be_followed_reaches_a_level(full: Path) -> None:
    """As far as it is seen in CI: what AWS and GitLab would say stays open."""
    for case in CASES:
        if not case.fault:
            case.follow(full)
    committed(full)
    git(full, "tag", "v0.1.0")
    (full / "uv.lock").write_text("[[package]]\n")
    replace(full / "config/defaults.yaml", "team@example.com", "people@acme.org")
    OWN_DATA(full)
    (full / "data/README.md").write_text("people.csv: ours, of 2026\n")
    verdict = judged(full, in_ci=True)
    assert [name for name, state in states(verdict).items() if state == "no"] == []
    levels = {result.check.area: result.check.stage for result in verdict.results if result.finding.state == "yes"}
    assert verdict.steps == []
    assert verdict.level == "full", levels


BROKEN: dict[str, tuple[Work, str]] = {
    "settings that are no YAML": (text(LOCAL, "quality: [\n"), "config/local.yaml"),
    "settings of another type": (text(LOCAL, "accountability: 5\n"), "accountability"),
    "a class that there is none": (setting(LOCAL, "accountability.data_classification", "hush"), "data_classification"),
    "a day that is none": (setting(LOCAL, "accountability.access_review.last", "lately"), "access_review.last"),
    "a check that there is none": (
        setting(LOCAL, "accountability.not_needed.gatway", "Nobody asks it."),
        "mean gateway",
    ),
    "a reason that is none": (setting(LOCAL, "accountability.not_needed.gateway", "no"), "not_needed.gateway"),
    "no contract": (gone("data_contract.yaml"), "data_contract.yaml: no such file"),
    "a contract that is none": (text("data_contract.yaml", "- a\n"), "data_contract.yaml"),
    "no settings": (gone("config/defaults.yaml"), "config/defaults.yaml: no such file"),
    "no gitlab.yml": (gone("gitlab.yml"), "gitlab.yml: no such file"),
    "a schedule that is none": (setting("gitlab.yml", "schedules", 5), "gitlab.yml"),
    "a pipeline that is no JSON": (text("pipeline.json", "{"), "pipeline.json"),
    "a pipeline without its steps": (text("pipeline.json", '{"Steps": [1]}'), "pipeline.json"),
    "no model card": (gone(CARD), CARD),
    "a model card twice": (text(CARD, "## Purpose\na\n## Purpose\nb\n"), "same heading"),
    "code that is none": (text("src/usecase/train.py", "def (:\n"), "src/usecase/train.py:1"),
    "a test that is none": (text("tests/test_train.py", "def (:\n"), "tests/test_train.py:1"),
    "owners in another encoding": (
        lambda project: (project / ".gitlab/CODEOWNERS").write_bytes(b"\xff"),
        "CODEOWNERS",
    ),
    "waivers without a date": (text("config/waivers.yaml", "waivers: [{scan: sast}]\n"), "config/waivers.yaml"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_repository_is_one_line(name: str, fresh: dict[str, Path], tmp_path: Path) -> None:
    work, words = BROKEN[name]
    project = Path(shutil.copytree(fresh["basic"], tmp_path / "basic"))
    work(project)
    with pytest.raises(part("errors").UserError) as told:
        judged(project)
    assert words in str(told.value)
    assert "\n" not in str(told.value)


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


def maturity(project: Path, *words: str, **environment: str) -> Done:
    """`usecase maturity`, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in ("CI", "GITLAB_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.chdir(project)
        patch.setattr(sys, "argv", ["usecase", "maturity", *words])
        main = part("cli").main

        status: Any = 0
        try:
            main()
        except SystemExit as ended:
            status = ended.code
            if isinstance(status, str):
                err.write(status)
                status = 1
    return Done(int(status or 0), out.getvalue(), err.getvalue())


def test_the_table_fits_a_terminal_and_the_page_holds_everything(full: Path) -> None:
    score = part("maturity.score")
    setting(LOCAL, "accountability.not_needed.gateway", "A pipe | and a <b>tag</b> are text.")(full)
    done = maturity(full)
    assert done.status == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 100
    assert done.out.isascii()
    page = (full / ".local/maturity.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| [✔✘?-] \|", line)]
    assert len(rows) == len(score.CHECKS)
    for row in rows:
        assert len(re.split(r"(?<!\\)\|", row)) == 8, row
        if row.startswith("| ✘"):
            assert row.split("|")[-2].strip(), row
    assert r"A pipe \| and a &lt;b>tag" in page
    for area in score.AREAS:
        assert f"](#{area.title.replace(' ', '-')})" in page
        assert f"\n## {area.title.capitalize()}\n" in page
    for number, step in enumerate(judged(full).steps[:5], 1):
        assert f"{number}. **+{step.points}** {step.advice}: " in page
        assert step.advice.replace("`", "")[:60] in done.out


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--at-least", "basic"], 3, ""),
        (["--offline", "--env", "dev"], 1, "error: an environment is looked at in AWS"),
        (["--output", "nowhere/page.md"], 1, "error: nowhere/page.md: the folder nowhere does not exist"),
        (["--output", "config"], 1, "error: config: cannot be written: Is a directory"),
        (["--env", "local"], 2, "'local'"),
    ],
)
def test_how_the_command_ends(words: list[str], status: int, said: str, worked_in: WorkedIn) -> None:
    done = maturity(worked_in.project, *words)
    assert done.status == status, done
    assert said in done.err
    assert status != 1 or "\n" not in done.err.strip()


def test_an_environment_comes_with_stage_automated(fresh: dict[str, Path], tmp_path: Path) -> None:
    project = Path(shutil.copytree(fresh["basic"], tmp_path / "basic"))
    modules = "usecase.mlops.infrastructure"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("importlib.util.find_spec", lambda name: None if name == modules else True)
        done = maturity(project, "--env", "dev")
    assert (done.status, done.out) == (1, "")
    assert "dev has an account from stage automated on: to grow, `uvx copier update" in done.err


@pytest.fixture
def gitlab() -> Iterator[FakeGitLab]:
    with gitlab_fake.running() as fake:
        yield fake


def asked(project: Path, *words: str) -> Any:
    """What the set-up says of the project, and what the check reads from it."""
    main = part("gitlab.cli").main
    read = part("maturity.project").read

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name, value in {"GITLAB_TOKEN": TOKEN, "NO_PROXY": "127.0.0.1", "AWS_CONFIG_FILE": "/dev/null"}.items():
            patch.setenv(name, value)
        patch.chdir(project)
        status = main(list(words) or ["verify"])
    return read(out.getvalue(), err.getvalue(), status)


ON_GITLAB = {"branch_protected", "nightly", "environments_protected", "ci_valid"}


def test_gitlab_is_compared_by_the_set_up_and_its_advice_helps(gitlab: FakeGitLab, tmp_path: Path) -> None:
    gitlab.tier = PREMIUM
    project = delivery.bake(tmp_path, mlops_stage="automated", gitlab_url=gitlab.url, gitlab_group=GROUP)
    committed(project)
    before = judged(project, gitlab=asked(project))
    told = {name: state for name, state in states(before).items() if name in ON_GITLAB}
    assert told == {**dict.fromkeys(ON_GITLAB, "no"), "ci_valid": "not seen"}
    advice = {result.check.name: result.finding.advice for result in before.results if result.finding.state == "no"}
    assert {advice[name] for name in ON_GITLAB - {"ci_valid"}} == {"`make gitlab`"}
    asked(project, "apply", "--yes")
    after = judged(project, gitlab=asked(project))
    assert {states(after)[name] for name in ON_GITLAB} == {"yes"}
    assert after.points.gained == before.points.gained + 1 + 2 + 1 + 2


def test_what_gitlab_free_lacks_is_not_seen(fresh: dict[str, Path]) -> None:
    note = "note: needs Premium: protected environments and approval of deployments; instead: prod waits for a click"
    found = states(judged(fresh["automated"], gitlab=part("maturity.project").read(note, "", 0)))
    assert found["environments_protected"] == "not seen"
    assert found["branch_protected"] == "yes"


@pytest.mark.parametrize(
    ("out", "err", "status", "reason"),
    [
        ("", "error: GITLAB_TOKEN is wrong", 1, "GitLab: GITLAB_TOKEN is wrong"),
        ("", "Traceback", 1, "GitLab: the set-up ended with status 1"),
    ],
)
def test_a_gitlab_that_does_not_answer_is_not_seen(out: str, err: str, status: int, reason: str) -> None:
    read = part("maturity.project").read

    assert read(out, err, status).reason == reason


def test_a_configuration_that_gitlab_refuses_is_told() -> None:
    read = part("maturity.project").read

    found = read("ok", "error: GitLab takes .gitlab-ci.yml for invalid: jobs:x is no job", 1)
    assert found.ci is False


def test_the_page_of_the_repository_lists_every_check(request: pytest.FixtureRequest) -> None:
    page = TREE / "docs/maturity.md"
    words, heading, _ = page.read_text(encoding="utf-8").partition("\n## Checks\n")
    rows = [
        f"| {area.title} | `{check.name}` | {check.title} | {check.stage} | {check.points} |"
        for area in part("maturity.score").AREAS
        for check in area.checks
    ]
    head = "| area | name | what holds | stage | points |\n| --- | --- | --- | --- | --- |\n"
    wanted = words + heading + head + "\n".join(rows) + "\n"
    if request.config.getoption("--write"):
        page.write_text(wanted, encoding="utf-8")
    assert page.read_text(encoding="utf-8") == wanted, "pytest tests/test_maturity.py --write"


def test_the_sample_is_known_by_its_content() -> None:
    assert part("files").file_sha256(TREE / "data/sample.csv") == part("maturity.development").SAMPLE_SHA256
