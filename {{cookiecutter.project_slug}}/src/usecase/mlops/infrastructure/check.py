"""The tests of terraform/ itself, without an account: format, then every root, module and example on its own."""

import os
import time
from pathlib import Path

from usecase.mlops.errors import UserError
from usecase.mlops.infrastructure.roots import DATA, NO_ACCOUNT, TERRAFORM, local_copy
from usecase.mlops.infrastructure.terraform import Say, Terraform

# Providers are fetched once for all folders, from where the user's own configuration of Terraform says.
CACHE = {
    "TF_PLUGIN_CACHE_DIR": os.environ.get("TF_PLUGIN_CACHE_DIR") or str((DATA / "plugins").absolute()),
    "TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE": "true",  # modules have no lock file, and this copy goes
}


def check(only: str, say: Say) -> None:
    """Test all folders, or those below `only`, and say a line for each. Raises UserError when one fails."""
    Terraform(TERRAFORM, DATA).run("fmt", "-check", "-diff", "-recursive")
    say("format: as it should be")
    Path(CACHE["TF_PLUGIN_CACHE_DIR"]).mkdir(parents=True, exist_ok=True)
    with local_copy() as top:
        folders = _folders(top / TERRAFORM, only.removeprefix("terraform/").strip("/"))
        failed = [folder.name for folder in folders if not _passes(folder, top / TERRAFORM, say)]
    if failed:
        raise UserError(f"{len(failed)} of {len(folders)} folders of terraform/ failed: {', '.join(failed)}")


def _folders(root: Path, only: str) -> list[Path]:
    """Every folder with Terraform code, but for what tests bring along."""
    folders = sorted({file.parent.relative_to(root) for file in root.rglob("*.tf")})
    found = [folder for folder in folders if "tests" not in folder.parts and folder.as_posix().startswith(only)]
    if not found:
        raise UserError(f"terraform/{only}: holds no Terraform code: use one of {', '.join(map(str, folders))}")
    return [root / folder for folder in found]


def _passes(folder: Path, root: Path, say: Say) -> bool:
    begun, name = time.monotonic(), folder.relative_to(root).as_posix()
    said: list[str] = []
    terraform = Terraform(folder, folder / ".terraform", NO_ACCOUNT | CACHE)
    tests = list(folder.glob("tests/*.tftest.hcl"))
    try:
        terraform.run("init", "-backend=false")
        terraform.run("validate")
        if tests:
            terraform.run("test", say=said.append)
    except UserError as error:
        for line in said:
            say(line)
        say(f"{name}: FAILED\n{error}")
        return False
    count = said[-1] if said else "no tests of its own"
    say(f"{name}: valid, {count} ({time.monotonic() - begun:.0f} s)")
    return True
