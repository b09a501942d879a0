"""The whole way of a data scientist, through the command line: contract, run, approve, serve, predict."""

import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from service import free_port

ROOT = Path.cwd()  # a fresh project, whose starter code nobody has changed
PROGRAM = [sys.executable, "-c", "from usecase.mlops.cli import main; main()"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of this repository with nothing in it but what a run reads, and data of its own."""
    folder = tmp_path / "a repository"
    for name in ("src", "config", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "pipeline.json"):
        shutil.copy(ROOT / name, folder)
    write_churn(folder / "my data.csv")
    return folder


def write_churn(file: Path, rows: int = 400) -> None:
    generator = random.Random(1)
    lines = ["customer,age,plan,since,churned"]
    for number in range(rows):
        age, plan = generator.randint(18, 90), generator.choice(["basic", "pro", ""])
        chance = 1 / (1 + math.exp((age - 50) / 8 - (plan == "basic")))
        churned = "yes" if generator.random() < chance else "no"
        lines.append(f"C{number},{age},{plan},20{generator.randint(10, 24)}-0{generator.randint(1, 9)}-11,{churned}")
    file.write_text("\n".join(lines) + "\n")


def usecase(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=120
    )


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder / "src"), "NO_COLOR": "1"}


def succeed(folder: Path, *arguments: str) -> str:
    finished = usecase(folder, *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def fail(folder: Path, *arguments: str, code: int = 1) -> str:
    """The last line of a command that must end with one clear line."""
    finished = usecase(folder, *arguments)
    assert finished.returncode == code, finished.stdout + finished.stderr
    assert "Traceback" not in finished.stdout + finished.stderr
    lines = finished.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_from_a_csv_to_predictions(repository: Path) -> None:
    assert "3 features" in succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")

    first = succeed(repository, "run")
    assert "Data       400 rows, 3 features" in first
    assert "auc" in first
    assert "Registered version 1, PendingManualApproval" in first
    assert "Logged" in first
    assert "not compared: no version is approved yet" in first
    assert "make approve version=1" in first

    again = succeed(repository, "run")
    assert again.count("Cached") == 4
    assert "Logged" not in again
    assert "Unchanged  version 1" in again

    other = succeed(repository, "run", "--params", "MaxDepth=2 NumRounds=10")
    assert other.count("Cached") == 1
    assert "version 2" in other

    assert "no version is approved" in fail(repository, "serve")
    assert "version 1 is Approved" in succeed(repository, "approve", "--version", "1")
    assert "is Approved already" in fail(repository, "approve", "--version", "1")
    succeed(repository, "reject", "--version", "2", "--reason", "too shallow")
    listed = succeed(repository, "registry").splitlines()
    assert [line.split()[:2] for line in listed] == [["1", "Approved"], ["2", "Rejected"]]

    port = free_port()
    command = [*PROGRAM, "serve", "--port", str(port)]
    service = subprocess.Popen(command, cwd=repository, env=environment(repository), stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            asked = usecase(repository, "predict", "--port", str(port), "--output", "answers.csv")
            if asked.returncode == 0:
                break
            time.sleep(0.2)
        assert asked.returncode == 0, asked.stderr
        assert "probability" in asked.stdout
        assert "actual churned" in asked.stdout
        assert len((repository / "answers.csv").read_text().splitlines()) == 11
        succeed(repository, "predict", "--port", str(port), "--data", "my data.csv")
    finally:
        service.send_signal(signal.SIGINT)
        assert service.wait(30) == 0


def test_a_new_contract_keeps_the_one_before(repository: Path) -> None:
    own = "# edited by a person\n"
    (repository / "data_contract.yaml").write_text(own)
    assert "kept as .local/contracts/" in succeed(
        repository, "contract", "--data", "my data.csv", "--target", "churned"
    )
    (kept,) = (repository / ".local" / "contracts").iterdir()
    assert kept.read_text() == own
    again = succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    assert "kept as" not in again


def test_a_quality_gate_that_is_missed_stops_the_registration(repository: Path) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    local = repository / "config" / "local.yaml"
    local.write_text("quality: {binary_classification: {auc: {minimum: 0.999}}}\n")
    line = fail(repository, "run")
    assert line.startswith("error: step QualityGateFailed failed: ")
    assert "is not >= 0.999" in line
    assert "no version is registered" in succeed(repository, "registry")
    local.write_text("quality: {binary_classification: {roc: {minimum: 0.9}}}\n")
    assert "quality.binary_classification.roc: no such metric: use one of auc" in fail(repository, "run")


def gates(output: str) -> dict[str, str]:
    """Verdict by gate, as the summary of a run says."""
    words = [line.split() for line in output.splitlines() if line.startswith("Gate ")]
    return {line[1]: line[2] for line in words}


def test_a_model_worse_than_the_champion_is_not_registered(repository: Path) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    succeed(repository, "run")
    succeed(repository, "approve", "--version", "1")
    again = succeed(repository, "run")
    assert gates(again)["champion"] == "passed"  # it is as good as itself
    weak = usecase(repository, "run", "--params", "NumRounds=1 MaxDepth=1 LearningRate=0.001")
    assert weak.returncode == 1
    assert gates(weak.stdout)["champion"] == "FAILED"
    assert re.search(r"champion: auc 0\.\d+ .* 0\.\d+ of version 1 .*more than 0\.02", weak.stderr), weak.stderr
    assert len(succeed(repository, "registry").splitlines()) == 1


def test_the_champion_answers_with_its_own_code(repository: Path) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    succeed(repository, "run")
    succeed(repository, "approve", "--version", "1")
    measured = json.loads(next(repository.glob(".local/registry/*/1/evaluation.json")).read_text())
    code = repository / "src" / "usecase" / "preprocessing.py"
    code.write_text(
        code.read_text().replace("    return rows\n", "    return rows.with_columns(age=-pl.col('age'))\n", 1)
    )
    succeed(repository, "run")
    quality = json.loads(next(repository.glob(".local/registry/*/2/quality.json")).read_text())
    (check,) = (check for check in quality["checks"] if check["gate"] == "champion")
    champion = measured["binary_classification_metrics"]["auc"]["value"]
    assert check["threshold"] == pytest.approx(champion - 0.02)


def test_an_unfair_model_is_not_registered(repository: Path) -> None:
    write_churn(repository / "my data.csv", rows=2000)  # of a small group a metric says little, and nothing is judged
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    contract = repository / "data_contract.yaml"
    contract.write_text(contract.read_text().replace("- name: plan\n", "- name: plan\n    protected: true\n"))
    (repository / "config" / "local.yaml").write_text(
        "quality: {fairness: {metric: selection_rate, maximum_gap: 0.01}}\n"
    )
    unfair = usecase(repository, "run")
    assert unfair.returncode == 1
    assert gates(unfair.stdout)["fairness"] == "FAILED"
    assert re.search(r"fairness: selection_rate of plan=\S+ 0\.\d+ .* differ by 0\.\d+, more than 0\.01", unfair.stderr)
    assert "no version is registered" in succeed(repository, "registry")


def test_data_beyond_the_contract_is_not_registered(repository: Path) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    contract = repository / "data_contract.yaml"
    contract.write_text(
        re.sub(r"(name: age\n(?:.*\n)*?.*)maximum: \d+", r"\1maximum: 60", contract.read_text(), count=1)
    )
    beyond = usecase(repository, "run")
    assert beyond.returncode == 1
    assert gates(beyond.stdout)["contract"] == "FAILED"
    assert re.search(r"contract: \d+\.?\d* % of the rows \(\d+ of 400\) .*, more than 10 %", beyond.stderr)


def test_the_error_of_a_job_is_the_last_line(repository: Path) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    bad = repository / "bad.csv"
    bad.write_text((repository / "my data.csv").read_text().replace(",pro,", ",gold,", 1).replace("C5,", "C5,old", 1))
    line = fail(repository, "run", "--data", "bad.csv")
    assert line.startswith("error: step Preprocess failed: the data breaks the contract: column 'age', row 6: 'old")
    assert not list((repository / ".local").rglob("train.parquet"))


def test_ctrl_c_leaves_nothing_half_done_and_the_next_run_goes_on(repository: Path) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    train = repository / "src" / "usecase" / "train.py"
    original = train.read_text()
    train.write_text("import time\nprint('here', flush=True)\ntime.sleep(60)\n")
    running = subprocess.Popen(
        [*PROGRAM, "run"], cwd=repository, env=environment(repository), stderr=subprocess.PIPE, text=True
    )
    for _ in range(300):
        logs = list((repository / ".local").glob("executions/*/Train/log.txt"))
        if logs and "here" in logs[0].read_text():
            break
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert not (repository / ".local" / "registry").exists()
    train.write_text(original)
    assert "Registered version 1" in succeed(repository, "run")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "--data", "missing.csv"], "missing.csv: no such file"),
        (["run", "--params", "Depth=3"], "Depth"),
        (["run", "--params", "MaxDepth=deep"], "MaxDepth"),
        (["run", "--params", "ModelApprovalStatus=Maybe"], "ModelApprovalStatus"),
        (["run", "--params", "LockHash=forged"], "parameter LockHash is filled in at the start"),
        (["run", "--params", "ModelApprovalStatus=Approved"], "parameter ModelApprovalStatus: a person approves"),
        (["predict", "--output", "no/such.csv"], "no/such.csv: the folder no does not exist"),
        (["run", "--params", "MaxDepth"], "params: 'MaxDepth' is no Name=value"),
        (["contract", "--data", "missing.csv", "--target", "x"], "missing.csv: no such file"),
        (["contract", "--data", "my data.csv", "--target", "x"], "no column 'x'"),
        (["contract"], "contract needs a file and the column to predict: data=FILE target=COLUMN"),
        (["approve", "--version", "1"], "no version is registered"),
        (["predict", "--port", "1"], "no service answers at http://127.0.0.1:1"),
    ],
)
def test_bad_input_is_one_line(repository: Path, arguments: list[str], says: str) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    before = (repository / "data_contract.yaml").read_bytes()
    assert says in fail(repository, *arguments)
    assert (repository / "data_contract.yaml").read_bytes() == before


def test_a_metric_of_ones_own_can_be_a_threshold(repository: Path) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    code = repository / "src" / "usecase" / "evaluate.py"
    own = '    evaluation["binary_classification_metrics"]["cost"] = dict(value=7.0, standard_deviation=0.0)\n'
    marker = "    quality = judge("
    code.write_text(code.read_text().replace(marker, own + marker))
    (repository / "config" / "local.yaml").write_text("quality: {binary_classification: {cost: {maximum: 5}}}\n")
    assert "cost 7 is not <= 5" in fail(repository, "run")


def test_lineage_tells_changed_code(repository: Path) -> None:
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    for command in (["init", "-q"], ["add", "src", "pipeline.json"], ["commit", "-q", "-m", "x"]):
        name = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(["git", *name, *command], cwd=repository, check=True)
    (repository / "src" / "usecase" / "helper.py").write_text("")
    succeed(repository, "run")
    package = json.loads(next((repository / ".local" / "registry").glob("*/1/package.json")).read_text())
    assert package["CustomerMetadataProperties"]["GitSha"].endswith("-dirty")


@pytest.mark.parametrize("damage", ["{}", "{"])
def test_doctor_names_every_fault(repository: Path, damage: str) -> None:
    (repository / "pipeline.json").write_text(damage)
    (repository / "config" / "local.yaml").write_text("servng: {port: 1}\n")
    finished = usecase(repository, "doctor")
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    states = {line.split()[1]: line.split()[0] for line in finished.stdout.splitlines()}
    assert {states[name] for name in ("settings", "contract", "pipeline")} == {"fail"}
    assert states["port"] == "warn"


def test_without_a_contract_the_way_to_one_is_named(repository: Path) -> None:
    assert "make contract data=FILE target=COLUMN" in fail(repository, "run")


def test_outside_of_a_repository(tmp_path: Path) -> None:
    finished = subprocess.run(
        [*PROGRAM, "run"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert (finished.returncode, finished.stderr.count("\n")) == (1, 1)
    assert "this folder is not the repository" in finished.stderr


def test_help_names_every_verb(repository: Path) -> None:
    text = succeed(repository, "--help")
    for verb in ("setup", "doctor", "contract", "run", "registry", "approve", "reject", "serve", "predict"):
        assert f"  {verb} " in text
    for verb in ("test", "lint", "format", "pipeline", "image", "update"):
        assert f"  {verb} " in text


def later(stage: str) -> set[str]:
    """The commands below the heading of a stage in the Makefile."""
    _, _, below = (ROOT / "Makefile").read_text().partition(f"\n# From stage {stage} on.\n")
    return set(re.findall(r"\$\(USECASE\) ([a-z-]+)", below.partition("\n# From stage ")[0]))


@pytest.mark.parametrize(
    ("stage", "brings", "command"),
    [
        *(("automated", "terraform", verb) for verb in sorted(later("automated"))),
        *(("automated", "terraform", verb) for verb in ("data", "pipeline start", "registry promote")),
        *(("full", "docs/feature_store.md", verb) for verb in ("features", *sorted(later("full")))),
    ],
)
def test_a_verb_of_a_later_stage_says_which(stage: str, brings: str, command: str, repository: Path) -> None:
    *group, verb = command.split()
    if (ROOT / brings).exists():
        assert f"  {verb} " in succeed(repository, *group, "--help")
    else:
        line = fail(repository, *group, verb, "--env", "dev")
        grow = f"uvx copier update --vcs-ref=:current: -d mlops_stage={stage}"
        assert f"comes with stage {stage}: to grow, {grow}" in line


def test_every_step_of_the_definition_is_recorded(repository: Path) -> None:
    """The registered package carries the hashes that lead back to data, contract and code."""
    succeed(repository, "contract", "--data", "my data.csv", "--target", "churned")
    succeed(repository, "run")
    package = json.loads(next((repository / ".local" / "registry").glob("*/1/package.json")).read_text())
    properties = package["CustomerMetadataProperties"]
    assert {"GitSha", "ContractHash", "LockHash", "DataHash", "ModelDataSha256"} <= set(properties)
    assert all(len(properties[name]) == 64 for name in ("ContractHash", "DataHash", "ModelDataSha256"))
