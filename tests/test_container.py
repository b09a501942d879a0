"""container/Dockerfile: lint, what it copies, how it starts."""

import json
import os
import re
import shutil
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

import delivery
from delivery import replace, run, tool

MADE_BY_SETUP = {"uv.lock"}


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For reading only."""
    return delivery.bake(tmp_path_factory.mktemp("own"), container="own")


def dockerfile(project: Path) -> str:
    """The Dockerfile with continued lines joined and comments left out."""
    text = (project / "container/Dockerfile").read_text().replace("\\\n", " ")
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


def copied(project: Path) -> list[str]:
    """Paths that the image takes from the repository."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", dockerfile(project), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_hadolint_finds_nothing(baked: Path) -> None:
    done = run(tool("hadolint"), "container/Dockerfile", cwd=baked)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("FROM ${PYTHON_BASE} AS build", "FROM python:latest AS build", "DL3007"),
        ("WORKDIR /opt/usecase", "WORKDIR usecase", "DL3000"),
        ('["python", "-m", "usecase.mlops.serving"]', "python -m usecase.mlops.serving", "DL3025"),
        ("COPY src src", "ADD src src", "DL3020"),
        ("EXPOSE 8080", "RUN apt-get update && apt-get install curl", "DL3008"),
    ],
)
def test_hadolint_finds_a_planted_fault(old: str, new: str, rule: str, baked: Path, tmp_path: Path) -> None:
    shutil.copytree(baked / "container", tmp_path / "container")
    replace(tmp_path / "container/Dockerfile", old, new)
    done = run(tool("hadolint"), "container/Dockerfile", cwd=tmp_path)
    assert done.returncode != 0
    assert rule in done.stdout


def test_everything_it_copies_exists_and_reaches_the_build(baked: Path) -> None:
    sources = copied(baked)
    assert sources
    missing = [source for source in sources if source not in MADE_BY_SETUP and not (baked / source).exists()]
    assert missing == []
    ignore = (baked / "container/Dockerfile.dockerignore").read_text().splitlines()
    assert ignore[1] == "*"  # nothing is sent but what is named
    named = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert named == set(sources)


def test_data_settings_and_secrets_stay_out_of_the_image(baked: Path) -> None:
    sources = copied(baked)
    for private in ("data/sample.csv", "config/prod.yaml", ".env", ".git/config", "data_contract.yaml"):
        assert not any(fnmatch(private, pattern) for source in sources for pattern in (source, f"{source}/*"))
    assert not re.search(r"^(ARG|ENV).*(TOKEN|PASSWORD|SECRET)", dockerfile(baked), re.MULTILINE)


def test_dependencies_come_from_the_lock_alone(baked: Path) -> None:
    syncs = re.findall(r"uv sync [^\n]+", dockerfile(baked))
    assert syncs
    groups = tomllib.loads((baked / "pyproject.toml").read_text())["dependency-groups"]
    for sync in syncs:
        assert "--frozen" in sync
        assert "--no-default-groups" in sync
        assert set(re.findall(r"--group (\S+)", sync)) == {"mlops", "serving", "onnx"} <= set(groups)
    assert "--no-editable" in syncs[-1]  # the source tree is not in the final image


def test_the_build_backend_comes_from_the_given_index(baked: Path) -> None:
    """It is in no lock, so only this argument, which a RUN sees from there on, keeps it off the default index."""
    stage = dockerfile(baked).split(" AS build\n")[1].split("\nFROM ")[0]
    before, _, after = stage.partition("\nARG UV_DEFAULT_INDEX\n")
    assert "--no-install-project" in before
    assert "--no-editable" in after
    assert "id=netrc,target=/root/.netrc" in after


def test_the_build_knows_the_authorities_of_its_base_image(baked: Path) -> None:
    """uv carries authorities of its own, which know no private index and no proxy that reads TLS."""
    stage = dockerfile(baked).split(" AS build\n")[1].split("\nFROM ")[0]
    environment, _, after = stage.partition("UV_SYSTEM_CERTS=1\n")
    assert "ENV" in environment
    assert "uv sync" not in environment
    assert "uv sync" in after
    assert "[env: UV_SYSTEM_CERTS=]" in " ".join(run(tool("uv"), "sync", "--help", cwd=baked).stdout.split())


def test_a_new_container_compiles_nothing(baked: Path, tmp_path: Path) -> None:
    """The line of the Dockerfile runs here, with a standard library of two files, one of them not to be compiled."""
    build, final = dockerfile(baked).split("\nFROM ")[-2:]
    assert "UV_COMPILE_BYTECODE=1" in build
    line = re.findall(r"^RUN (python3 .*)$", final.partition("\nCOPY ")[0], re.MULTILINE)  # its layer is reused
    library = tmp_path / "lib"
    for name in ("used.py", "test/badsyntax.py"):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text("=" if "bad" in name else "")
    python = tmp_path / "bin/python3"  # says where its library is, else is this Python
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\ncase "$1" in -c) echo "{library}";; *) exec "{sys.executable}" "$@";; esac\n')
    python.chmod(0o755)
    done = run("sh", "-ec", *line, cwd=tmp_path, env={"PATH": f"{python.parent}:{os.environ['PATH']}"})
    assert done.returncode == 0, done.stdout
    assert [file.name.split(".")[0] for file in library.rglob("*.pyc")] == ["used"]


def test_it_starts_the_prediction_service_as_sagemaker_asks(baked: Path) -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (.+)$", dockerfile(baked), re.MULTILINE)
    program, option, module = json.loads(entry)  # the exec form: the service receives SIGTERM itself
    assert (program, option) == ("python", "-m")
    assert (baked / "src" / module.replace(".", "/") / "__main__.py").is_file()
    assert 'CMD ["serve"]' in dockerfile(baked)


def test_the_image_says_what_it_was_built_from(baked: Path) -> None:
    labels = re.findall(r'(org\.opencontainers\.image\.\w+)="([^"]+)"', dockerfile(baked))
    assert {
        "org.opencontainers.image.revision": "${GIT_SHA}",
        "org.opencontainers.image.source": "${SOURCE_URL}",
    }.items() <= dict(labels).items()
    built = (baked / ".gitlab/ci/image.yml").read_text(encoding="utf-8")
    assert all(
        f"build-arg:{name}=" in built
        for name in re.findall(r"^ARG (GIT_SHA|SOURCE_URL)", dockerfile(baked), re.MULTILINE)
    )


def test_every_base_image_can_come_from_a_mirror(baked: Path) -> None:
    text = dockerfile(baked)
    values: dict[str, str] = {}
    for name, value in re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE):
        values[name] = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], value)
    bases = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    for base in bases:
        reference = values[base.removeprefix("${").removesuffix("}")]
        assert re.fullmatch(r"docker\.io/[\w/-]+:\d+\.\d+[\w.-]*", reference)
    assert values["REGISTRY"] == "docker.io"


def test_a_managed_container_leaves_nothing_behind(tmp_path: Path) -> None:
    project = delivery.bake(tmp_path, container="managed")
    assert not (project / "container").exists()
    assert not (project / ".gitlab/ci/image.yml").exists()
    assert not list(project.rglob("*dockerignore*"))
