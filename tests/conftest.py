"""What every test of the template may use: a quiet, hermetic environment and the template at a tag."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import baking

GIT_CONFIG = """
[user]
    name = Test
    email = test@example.com
[init]
    defaultBranch = main
"""


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
