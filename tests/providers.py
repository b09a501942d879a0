"""One process of Terraform's provider for many commands: to start its 700 MB anew takes each of them seconds."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import baking
from delivery import run, tool

# The keys of nobody, so that the provider starts; nobody is asked what they are good for.
OFFLINE = {"AWS_ACCESS_KEY_ID": "offline", "AWS_SECRET_ACCESS_KEY": "offline", "AWS_EC2_METADATA_DISABLED": "true"}
QUIET = {"TF_LOG_PROVIDER": "off", "TF_LOG_SDK": "off"}


@contextmanager
def started(provider: dict[str, str], folder: Path, **settings: str) -> Iterator[dict[str, str]]:
    """The environment of commands that use a provider started in `folder` and stopped at the end of the block.

    `settings` of AWS are for it alone: what a command's own environment says of AWS does not reach it.
    https://developer.hashicorp.com/terraform/plugin/debugging#starting-a-provider-in-debug-mode
    """
    shutil.copy(baking.ROOT / baking.PROJECT_FOLDER / "terraform/modules/key/versions.tf", folder)
    made = run(tool("terraform"), "init", cwd=folder, env=provider)
    assert made.returncode == 0, made.stderr
    program = next(folder.glob(".terraform/providers/*/*/*/*/*/terraform-provider-aws*"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    log = folder / "log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [program, "-debug"], stdout=stream, stderr=stream, env=environment | OFFLINE | QUIET | settings
        )
    try:
        for _ in range(1200):
            if found := re.search(r"TF_REATTACH_PROVIDERS='(.+)'", log.read_text()):
                break
            assert process.poll() is None, log.read_text()
            time.sleep(0.1)
        assert found, log.read_text()
        yield provider | OFFLINE | {"TF_REATTACH_PROVIDERS": found[1]}
    finally:
        process.terminate()
        process.wait(30)
