"""Building the own container with each builder: what it is told. No image is built."""

from pathlib import Path

import pytest

from usecase.mlops import image
from usecase.mlops.errors import UserError

DEFAULTS = "project: churn\nowner_email: a@example.org\ncontainer: own\naws_region: eu-central-1\nquality: {}\n"
FILES = {
    "container/Dockerfile": "FROM scratch\n",
    "uv.lock": "",
    "config/defaults.yaml": DEFAULTS,
    "config/local.yaml": "",
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a build needs, on a machine without a builder."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    for name in ("IMAGE_REGISTRY", "UV_DEFAULT_INDEX", "NETRC_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(image, "git_sha", lambda: "0123456789abcdef-dirty")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def install(repository: Path, builder: str, status: int = 0) -> None:
    program = repository / "bin" / builder
    told = 'for word; do echo "$word"; done > told; echo "$BUILDX_NO_DEFAULT_ATTESTATIONS" > setting'
    program.write_text(f"#!/bin/sh\n{told}\nexit {status}\n")
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("builder", "own"),
    [
        ("docker", ["--file=container/Dockerfile", "--tag=churn:0123456789ab"]),
        ("podman", ["--file=container/Dockerfile", "--tag=churn:0123456789ab", "--format=docker"]),
        ("buildah", ["--file=container/Dockerfile", "--tag=churn:0123456789ab", "--format=docker"]),
    ],
)
def test_the_image_bears_the_commit_and_has_docker_s_format(builder: str, own: list[str], repository: Path) -> None:
    install(repository, builder)
    said: list[str] = []
    image.build(said.append)
    told = (repository / "told").read_text().splitlines()
    assert told == ["build", *own, "--build-arg=GIT_SHA=0123456789abcdef-dirty", "."]
    assert (repository / "setting").read_text() == "1\n"
    assert said == [f"{builder} builds churn:0123456789ab", "Built churn:0123456789ab"]


def test_buildctl_writes_a_file(repository: Path) -> None:
    install(repository, "buildctl")
    said: list[str] = []
    image.build(said.append)
    told = (repository / "told").read_text().splitlines()
    assert "--output=type=docker,name=churn:0123456789ab,dest=.local/image.tar" in told
    assert {"--local=context=.", "--local=dockerfile=container"} <= set(told)
    assert "docker load --input .local/image.tar" in said[-1]


@pytest.mark.parametrize(("builder", "option"), [("podman", "--build-arg="), ("buildctl", "--opt=build-arg:")])
def test_mirrors_and_credentials_are_those_of_ci(
    builder: str, option: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(repository, builder)
    given = {
        "IMAGE_REGISTRY": "mirror.example.com",
        "UV_DEFAULT_INDEX": "https://i.example.com",
        "NETRC_FILE": "/netrc",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    image.build(lambda _: None)
    told = set((repository / "told").read_text().splitlines())
    assert {f"{option}REGISTRY=mirror.example.com", f"{option}UV_DEFAULT_INDEX=https://i.example.com"} <= told
    assert "--secret=id=netrc,src=/netrc" in told


def test_another_builder_is_taken_by_name(repository: Path) -> None:
    install(repository, "docker", status=1)  # a client without its engine is often there
    with pytest.raises(UserError, match=r"docker ended with status 1: what it says stands above$"):
        image.build(lambda _: None)
    with pytest.raises(UserError, match="podman is not on PATH; what is: docker"):
        image.build(lambda _: None, "podman")
    install(repository, "podman")
    with pytest.raises(UserError, match=r"stands above; make image builder=NAME takes another: podman$"):
        image.build(lambda _: None)
    said: list[str] = []
    image.build(said.append, "podman")
    assert said == ["podman builds churn:0123456789ab", "Built churn:0123456789ab"]


def test_what_cannot_be_built_is_one_clear_line(repository: Path) -> None:
    with pytest.raises(UserError, match="nothing here builds images: install one of docker, podman, buildah, buildctl"):
        image.build(lambda _: None)
    install(repository, "docker", status=3)
    with pytest.raises(UserError, match="docker ended with status 3: what it says stands above"):
        image.build(lambda _: None)
    (repository / "uv.lock").unlink()
    with pytest.raises(UserError, match=r"uv\.lock: no such file: make setup writes it"):
        image.build(lambda _: None)
    (repository / "config/defaults.yaml").write_text(DEFAULTS.replace(": own", ": managed"))
    with pytest.raises(UserError, match="container: managed is AWS's image"):
        image.build(lambda _: None)
