"""The demonstration: `make demo` bakes a use case, trains it on real data, serves it and asks it for a prediction."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN = 60.0  # seconds


def run(title: str, *command: str, cwd: Path) -> None:
    """Announce a step and run it. Raises CalledProcessError when it fails."""
    print(f"\n=== {title}\n$ {' '.join(command)}", flush=True)
    subprocess.run(command, cwd=cwd, check=True)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(url: str, service: subprocess.Popen[bytes]) -> None:
    """Return when the service answers 200. Raises RuntimeError when it ends before that or takes too long."""
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline:
        if service.poll() is not None:
            raise RuntimeError(f"the service ended with exit code {service.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310  our own service, on this machine
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"the service was not ready within {READY_WITHIN:.0f} s")


def demonstrate(folder: Path) -> None:
    """Go from nothing to a prediction in `folder`."""
    python = Path(sys.executable)
    bake = [str(python.with_name("cookiecutter")), "--no-input", "--output-dir", str(folder), str(ROOT)]
    run("1. Bake a use case with the default answers", *bake, cwd=folder)
    project = next(folder.iterdir())
    run("2. Set it up: environment and git", "make", "setup", cwd=project)
    run("3. Train, evaluate and register a model", "make", "run", cwd=project)
    run("4. Approve it", "make", "approve", "version=latest", cwd=project)
    port = free_port()
    command = ["make", "serve", f"port={port}"]
    print(f"\n=== 5. Serve it\n$ {' '.join(command)} &", flush=True)
    log = folder / "service.log"
    with log.open("wb") as output:
        service = subprocess.Popen(command, cwd=project, start_new_session=True, stdout=output, stderr=output)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}/ping", service)
        run("6. Ask it for a prediction", "make", "predict", f"port={port}", cwd=project)
    except RuntimeError:
        print(log.read_text(encoding="utf-8", errors="replace"), file=sys.stderr)
        raise
    finally:
        if service.poll() is None:
            os.killpg(service.pid, signal.SIGINT)  # what Ctrl-C does
            service.wait(timeout=30)


def main() -> int:
    """Run the demonstration in a folder that is gone afterwards; return the exit status."""
    # Beside this Python stands uv, which the new project's Makefile looks for; and its make is not a part of ours.
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "VIRTUAL_ENV"):
        os.environ.pop(name, None)
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        try:
            demonstrate(Path(folder))
        except (RuntimeError, subprocess.CalledProcessError) as error:
            print(f"error: the demonstration stopped: {error}", file=sys.stderr)
            return 1
    print("\n=== Done: nothing is left of it. `make bake` makes a repository to keep.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
