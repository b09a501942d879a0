"""A version tag becomes a release of the project: what has changed, with what it consists of."""

import shutil
from collections.abc import Callable
from pathlib import Path

import gitlab as api

from usecase.mlops.delivery import gitlab
from usecase.mlops.errors import UserError
from usecase.mlops.programs import git
from usecase.mlops.run import MODEL_CARD

BILLS_OF_MATERIALS = "*.cdx.json"  # CycloneDX, from the jobs of stages security and build
MAXIMUM_CHANGES = 200
Say = Callable[[str], None]


def release(output: Path, say: Say) -> None:
    """Make the release of the job's tag, with links to the files that are put into `output`. Raises UserError.

    A release that is there already is left as it is.
    """
    tag = gitlab.needed("CI_COMMIT_TAG")
    files = [MODEL_CARD, *sorted(Path().glob(BILLS_OF_MATERIALS))]
    if not MODEL_CARD.is_file():
        raise UserError(f"{MODEL_CARD}: is missing: take it back from git")
    output.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copy(file, output / file.name)
    folder = gitlab.below_project(output)
    at = f"{gitlab.needed('CI_PROJECT_URL')}/-/jobs/{gitlab.needed('CI_JOB_ID')}/artifacts/file"
    links = [{"name": file.name, "url": f"{at}/{folder}/{file.name}"} for file in files]
    where = gitlab.project("release", job_token=True)
    content = {"tag_name": tag, "name": tag, "description": _changes(tag), "assets": {"links": links}}
    with gitlab.explained(f"release {tag}"):
        try:
            where.releases.create(content)
        except api.exceptions.GitlabCreateError as error:
            if error.response_code != 409:
                raise
            say(f"release {tag} is there already: nothing to do")
            return
    say(f"release {tag} with {', '.join(link['name'] for link in links)}")


def _changes(tag: str) -> str:
    """Commits since the version tag before, a line each."""
    here = Path()
    try:
        before = git(here, "describe", "--tags", "--abbrev=0", "--match", "v*", f"{tag}^")
    except UserError:  # there is none
        before = ""
    commits = f"{before}..{tag}" if before else tag
    log = git(here, "log", "--no-merges", "--format=- %s (%h)", f"--max-count={MAXIMUM_CHANGES}", commits)
    return f"Changes since {before}:\n\n{log}" if before else f"First release:\n\n{log}"
