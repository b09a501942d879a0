"""Fails when a template update left conflict markers or *.rej files behind.

Looks at every file git knows or would add, not only during a merge: a robot that updates the template commits them.
"""

import subprocess
import sys


def git(*arguments: str, empty: int = 0) -> list[str]:
    """Lines printed by git; `empty` is the exit status that means "nothing found"."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode not in (0, empty):
        sys.exit(f"error: git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.splitlines()


def main() -> None:
    """Prints each finding as path:line and exits 1 when there is one."""
    markers = git("grep", "--untracked", "-nIE", "^(<{7}|>{7}) ", empty=1)
    rejected = git("ls-files", "--cached", "--others", "--exclude-standard", "--", "*.rej")
    for marker in markers:
        print(marker)
    for path in rejected:
        print(f"{path}: a change that did not apply: carry it over by hand, then delete the file")
    if markers or rejected:
        sys.exit("error: a template update is not finished: settle the places above")


if __name__ == "__main__":
    main()
