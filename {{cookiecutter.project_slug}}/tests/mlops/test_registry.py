"""The registry in a folder: what all registries do, and one decision at a time between processes."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from registry_suite import Made, RegistrySuite, Run
from typer.testing import CliRunner

from usecase.mlops import registry as registry_module
from usecase.mlops.cli import app
from usecase.mlops.errors import UserError
from usecase.mlops.locks import exclusive
from usecase.mlops.registry import LocalRegistry, ModelPackage, Registry, open_registry

PROCESSES, ROUNDS = 3, 8


class TestLocalRegistry(RegistrySuite):
    @pytest.fixture
    def registry(self, tmp_path: Path) -> LocalRegistry:
        return LocalRegistry(tmp_path / "registry", "tumours")

    @pytest.fixture
    def other(self, tmp_path: Path) -> LocalRegistry:
        return LocalRegistry(tmp_path / "other", "tumours")

    def tamper(self, package: ModelPackage, name: str, content: str) -> None:
        package.file(name).write_text(content)

    def interrupt(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        def stop(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(registry_module, "write_json", stop)

    def test_a_version_that_is_not_complete_says_so(self, registry: LocalRegistry, made: Made) -> None:
        made()
        (registry.folder / "1" / "model.tar.gz").unlink()
        with pytest.raises(UserError, match=r"model.tar.gz: is missing: version 1 is not complete"):
            registry.approve("1")

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "{}", '{"ModelPackageVersion": 7, "ModelApprovalStatus": "Approved"}', "\ud800"]
    )
    def test_a_damaged_description_is_named(self, registry: LocalRegistry, made: Made, content: str) -> None:
        made()
        path = registry.folder / "1" / "package.json"
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
        with pytest.raises(UserError, match=r"package.json: is damaged: remove the folder .*/1 and run again"):
            registry.list()

    def test_a_status_that_sagemaker_does_not_know_is_damage(self, registry: LocalRegistry, made: Made) -> None:
        made()
        path = registry.folder / "1" / "package.json"
        path.write_text(path.read_text().replace("PendingManualApproval", "approved"))
        with pytest.raises(UserError, match="is damaged"):
            registry.approve("1")

    def test_a_file_that_changes_while_it_is_copied(
        self, registry: LocalRegistry, made: Made, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def copy(source: Path, target: Path) -> None:
            target.write_bytes(source.read_bytes() + b" ")

        monkeypatch.setattr(shutil, "copyfile", copy)
        with pytest.raises(UserError, match="a file changed while it was copied"):
            made()
        assert list(registry.list()) == []

    def test_what_a_killed_run_leaves_is_no_version_and_goes_away(
        self, registry: LocalRegistry, made: Made, tmp_path: Path
    ) -> None:
        program = (
            "import os, shutil, sys; from pathlib import Path; from registry_suite import Run;"
            "from usecase.mlops.registry import LocalRegistry;"
            "shutil.copyfile = lambda *_: os._exit(9);"  # nothing is cleaned up, as after SIGKILL
            "run = Run(Path(sys.argv[1]) / 'run');"
            "LocalRegistry(Path(sys.argv[1]) / 'registry', 'tumours').register(run.arguments, run.resolve)"
        )
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        command = [sys.executable, "-c", program, str(tmp_path)]
        assert subprocess.run(command, env={**os.environ, "PYTHONPATH": path}).returncode == 9
        assert [folder.name[:7] for folder in registry.folder.iterdir()] == [".draft-"]
        assert list(registry.list()) == []
        (registry.folder / "5").mkdir()  # a number without a version is left alone
        assert made().version == 6
        assert sorted(folder.name for folder in registry.folder.iterdir()) == ["5", "6"]

    @pytest.mark.parametrize("decisions", [["approve"] * PROCESSES, ["reject"] * PROCESSES])
    def test_of_decisions_at_once_one_wins(
        self, registry: LocalRegistry, made: Made, tmp_path: Path, decisions: list[str]
    ) -> None:
        for number in range(ROUNDS):
            made(str(number))
        outcomes = decide_at_once(tmp_path / "registry", decisions)
        for version in range(1, ROUNDS + 1):
            won = [line for line in outcomes if line == f"{version} done"]
            lost = [line for line in outcomes if line.startswith(f"{version} version {version} is ")]
            assert (len(won), len(lost)) == (1, PROCESSES - 1)

    def test_a_rejection_holds_whatever_comes_at_the_same_time(
        self, registry: LocalRegistry, made: Made, tmp_path: Path
    ) -> None:
        for number in range(ROUNDS):
            made(str(number))
        decide_at_once(tmp_path / "registry", ["approve", "reject"])
        assert {package.status for package in registry.list()} == {"Rejected"}
        assert {package.reason for package in registry.list()} == {"together"}

    def test_runs_at_once_get_a_version_each(self, registry: LocalRegistry, tmp_path: Path) -> None:
        decide_at_once(tmp_path / "registry", ["register"] * PROCESSES)
        assert [package.version for package in registry.list()] == list(range(1, PROCESSES * ROUNDS + 1))
        for package in registry.list():
            package.verify_evidence()


def decide_at_once(root: Path, verbs: list[str]) -> list[str]:
    """Outcomes of the verbs, each in a process of its own, on every version at the same moment."""
    context = multiprocessing.get_context("spawn")
    barrier, outcomes = context.Barrier(len(verbs)), context.Queue()
    processes = [context.Process(target=decide, args=(root, verb, barrier, outcomes)) for verb in verbs]
    for process in processes:
        process.start()
    lines = [outcomes.get(timeout=60) for _ in range(len(verbs) * ROUNDS)]
    for process in processes:
        process.join()
    outcomes.close()
    return lines


def decide(root: Path, verb: str, barrier: Any, outcomes: Any) -> None:
    registry = LocalRegistry(root, "tumours")
    for version in range(1, ROUNDS + 1):
        run = Run(root.parent / f"run-{os.getpid()}", f"{os.getpid()} {version}")
        barrier.wait(60)
        try:
            if verb == "register":
                registry.register(run.arguments, run.resolve)
            elif verb == "approve":
                registry.approve(str(version), "together")
            else:
                registry.reject(str(version), "together")
            outcomes.put(f"{version} done")
        except UserError as error:
            outcomes.put(f"{version} {error}")


def test_a_lock_that_is_held_too_long_is_named(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        exclusive(path),
        pytest.raises(UserError, match=r"lock: another command has held this lock for 0.1 s"),
        exclusive(path, wait_seconds=0.1),
    ):
        pass
    with exclusive(path, wait_seconds=0.1):  # free again
        pass


def test_commands_and_environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"project": "tumours", "owner_email": "a@example.com", "container": "own", "aws_region": "eu-west-1"}
    (tmp_path / "config").mkdir()
    (tmp_path / "config/defaults.yaml").write_text(json.dumps(facts | {"model_package_group": "tumours"}))
    for environment in ("local", "dev"):
        (tmp_path / f"config/{environment}.yaml").write_text("{}")
    monkeypatch.chdir(tmp_path)

    def usecase(*words: str) -> str:
        finished = CliRunner().invoke(app, words, catch_exceptions=False)
        assert finished.exit_code == 0
        return finished.output

    assert usecase("registry") == "no version is registered yet in .local/registry/tumours: run `make run` first\n"
    run = Run(tmp_path / "run")
    open_registry().register(run.arguments, run.resolve)
    assert usecase("approve", "--version", "1", "--reason", "fair") == "version 1 is Approved\nNext: make serve\n"
    assert usecase("registry").split()[:4] == ["1", "Approved", "auc", "0.9000"]
    assert "Reason        fair" in usecase("registry", "show", "1")
    assert json.loads(usecase("registry", "show", "latest", "--json"))["decision"]["reason"] == "fair"
    assert usecase("reject", "--version", "1", "--reason", "no longer") == "version 1 is Rejected: no longer\n"
    (tmp_path / ".local/registry/tumours/1/evaluation.json").write_text("{}")
    assert usecase("registry").split()[:4] == ["1", "Rejected", "no", "metrics"]

    assert open_registry().place == str(Path(".local/registry/tumours"))
    with pytest.raises(UserError, match="unknown environment 'test'"):
        open_registry("test")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UserError, match="dev has a registry from stage automated on"):
        open_registry("dev")
