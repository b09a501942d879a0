"""What every test of the template may use: a quiet, hermetic environment and the template at a tag."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import baking
from plans import ROOTS, Plans, planned, repository
from providers import started

GIT_CONFIG = """
[user]
    name = Test
    email = test@example.com
[init]
    defaultBranch = main
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write", action="store_true", help="write pages that tests compare with what they find")


@pytest.fixture(scope="session", autouse=True)
def hermetic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's settings of git, Cookiecutter and Copier out of the tests, and the tests out of theirs."""
    home = tmp_path_factory.mktemp("home")
    (home / "gitconfig").write_text(GIT_CONFIG)
    (home / "copier.yaml").write_text("{}\n")
    (home / "cookiecutter.yaml").write_text(f"replay_dir: {home / 'replay'}\ncookiecutters_dir: {home / 'cloned'}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("COOKIECUTTER_CONFIG", str(home / "cookiecutter.yaml"))
        patch.setenv("COPIER_SETTINGS_PATH", str(home / "copier.yaml"))
        patch.setenv("COPIER_CACHE_DIR", str(home / "copier"))
        patch.setenv("UV_COMPILE_BYTECODE", "0")  # of all libraries: takes longer than what most tests run of them
        # As many tests at once as cores: a thread of XGBoost that spins while it waits takes another's time.
        patch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        # Images of containers often set this. Here it would compile all libraries anew in each of many processes.
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        # A make that a test starts is no part of the make that started the tests, and no token of ours is for a test.
        for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "GITLAB_TOKEN"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a git repository with the working tree as its one commit, released as v1.0.0. Not to be changed."""
    return baking.release(baking.copy_of_working_tree(tmp_path_factory.mktemp("released") / "template"), "1.0.0")


@pytest.fixture(scope="session")
def unversioned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the working tree without git, which both tools render in place. Not to be changed."""
    return baking.copy_of_working_tree(tmp_path_factory.mktemp("unversioned") / "template")


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of Terraform: the provider from a folder where the machine has one, else downloaded by init."""
    mirror = next((path for depth in ("*/", "*/*/") for path in Path("/").glob(f"{depth}registry.terraform.io")), None)
    settings = tmp_path_factory.mktemp("terraform") / "terraform.rc"
    block = f'filesystem_mirror {{\n    path = "{mirror.parent}"\n  }}' if mirror else "direct {}"
    settings.write_text(f"provider_installation {{\n  {block}\n}}\n")
    return {"TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"}


@pytest.fixture(scope="session")
def running_provider(provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`provider`, started once for all commands; for those that need no account."""
    with started(provider, tmp_path_factory.mktemp("provider")) as environment:
        yield environment


@pytest.fixture(scope="session")
def planned_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of `plans`; to be copied before it is changed."""
    return repository(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="session")
def plans(planned_repository: Path, running_provider: dict[str, str]) -> Callable[[str], Plans]:
    """The plans of all roots in an environment, made without an account; each environment is planned once."""

    @cache  # of a failure too: what cannot be planned once is not planned again for each test
    def outcome(environment: str) -> Plans | str:
        try:
            return {root: planned(planned_repository, root, environment, running_provider) for root in ROOTS}
        except AssertionError as error:
            return str(error)

    def plan(environment: str) -> Plans:
        made = outcome(environment)
        if isinstance(made, str):
            pytest.fail(made)
        return made

    return plan


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that answers as AWS would."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = (tmp_path_factory.mktemp("moto") / "log").open("w")
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("moto_aws.py")), "--port", str(port)], stdout=log, stderr=log
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/moto-api/", timeout=1).close()
                break
            except OSError:
                assert server.poll() is None, Path(log.name).read_text()
                time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait(30)
