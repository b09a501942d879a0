"""`usecase image`: the own container from container/Dockerfile, by whatever builds images on this machine.

CI builds and publishes the images that are deployed; this one is to look at, and to find out why a build fails.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from usecase.mlops.errors import UserError
from usecase.mlops.run import git_sha
from usecase.mlops.settings import load_settings

DOCKERFILE = Path("container/Dockerfile")
ARCHIVE = Path(".local/image.tar")  # buildctl has no images of its own: it writes a file that `docker load` reads
BUILDERS = ("docker", "podman", "buildah", "buildctl")  # in the order in which they are looked for
# The Dockerfile needs BuildKit. Without attestations an image has Docker's media types: SageMaker takes no OCI's.
DOCKER_SETTINGS = {"DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


def build(say: Callable[[str], None], builder: str | None = None) -> None:
    """Build the image with the given builder, else the first that is here, and say its name. Raises UserError."""
    settings = load_settings()
    if settings.container == "managed":
        raise UserError("container: managed is AWS's image: there is none to build")
    for needed, fix in ((DOCKERFILE, "take it back from git"), (Path("uv.lock"), "make setup writes it")):
        if not needed.exists():
            raise UserError(f"{needed}: no such file: {fix}")
    here = [name for name in BUILDERS if shutil.which(name)]
    if not here:
        raise UserError(f"nothing here builds images: install one of {', '.join(BUILDERS)}; CI needs none of them")
    builder = builder or here[0]
    if builder not in here:
        raise UserError(f"{builder} is not on PATH; what is: {', '.join(here)}")
    name = f"{settings.project}:{git_sha()[:12]}"
    say(f"{builder} builds {name}")
    if builder == "buildctl":
        ARCHIVE.parent.mkdir(exist_ok=True)
    finished = subprocess.run([builder, *_words(builder, name)], env={**os.environ, **DOCKER_SETTINGS}, check=False)
    if finished.returncode:
        others = ", ".join(name for name in here if name != builder)
        raise UserError(
            f"{builder} ended with status {finished.returncode}: what it says stands above"
            + (f"; make image builder=NAME takes another: {others}" if others else "")
        )
    say(f"Built {name}" + (f"; docker load --input {ARCHIVE}" if builder == "buildctl" else ""))


def _words(builder: str, name: str) -> Iterator[str]:
    """The command line: mirrors and credentials are those of the environment, as in CI."""
    if builder == "buildctl":
        yield from ("build", "--frontend=dockerfile.v0", "--local=context=.", f"--local=dockerfile={DOCKERFILE.parent}")
        yield f"--output=type=docker,name={name},dest={ARCHIVE}"
    else:
        yield from ("build", f"--file={DOCKERFILE}", f"--tag={name}")
        if builder != "docker":
            yield "--format=docker"
    given = {
        "GIT_SHA": git_sha(),
        "REGISTRY": os.environ.get("IMAGE_REGISTRY"),
        "UV_DEFAULT_INDEX": os.environ.get("UV_DEFAULT_INDEX"),
    }
    for key, value in given.items():
        if value:
            yield f"--opt=build-arg:{key}={value}" if builder == "buildctl" else f"--build-arg={key}={value}"
    if netrc := os.environ.get("NETRC_FILE"):
        yield f"--secret=id=netrc,src={netrc}"
    if builder != "buildctl":
        yield "."
