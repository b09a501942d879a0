"""The oldest and the newest version of both tools, on each Python that the template supports; and what older ones say.

Other systems are looked at in files alone, without running there: names, paths, line ends and shell.
"""

import collections
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import baking
from baking import PROJECT_FOLDER, bake, files
from delivery import run, tool

TREE = baking.ROOT / PROJECT_FOLDER
OLDEST = {"cookiecutter": "2.6.0", "copier": "9.17.2"}
PYTHONS = ["3.11", "3.12", "3.13"]
STAGE = {"mlops_stage": "full"}


def interpreter(version: str) -> str | None:
    """Return a Python of that version on this machine."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for found in [shutil.which(f"python{version}"), *sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]:
        if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
            return str(found)
    return None


def birth(name: str, version: str, python: str, template: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """Make a project by the tool of a version, installed for this run alone; blank: the newest."""
    into.mkdir(parents=True)
    package = f"{name}=={version}" if version else name
    answers = [f"{key}={value}" for key, value in STAGE.items()]
    command = ["--no-input", "--output-dir", str(into), str(template), *answers]
    if name == "copier":
        command = ["copy", "--defaults", *(word for pair in answers for word in ("--data", pair)), str(template)]
        command.append(str(into / "project"))
    uv = [tool("uv"), "tool", "run", "--quiet", "--no-config", "--python", python, "--from", package, name]
    return run(*uv, *command, cwd=into)


@pytest.fixture(scope="module")
def expected(template: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[bytes, bool]]:
    """The files of a project by the tools of this environment, without the answers file: it tells the tools apart."""
    made = files(bake("cookiecutter", template, tmp_path_factory.mktemp("expected"), STAGE))
    del made[".copier-answers.yml"]
    return made


@pytest.mark.slow
@pytest.mark.parametrize("age", ["oldest", "newest"])
@pytest.mark.parametrize("name", baking.TOOLS)
def test_oldest_and_newest_make_the_same_project(
    name: str, age: str, template: Path, expected: dict[str, tuple[bytes, bool]], tmp_path: Path
) -> None:
    """The oldest with the oldest Python that this machine has, the newest with the newest."""
    present = [python for python in map(interpreter, PYTHONS) if python]
    version, python = (OLDEST[name], present[0]) if age == "oldest" else ("", present[-1])
    done = birth(name, version, python, template, tmp_path / "a folder")
    assert done.returncode == 0, done.stderr
    made = files(next((tmp_path / "a folder").iterdir()))
    del made[".copier-answers.yml"]
    assert made == expected


@pytest.mark.slow
def test_each_python_makes_the_same_project(
    template: Path, expected: dict[str, tuple[bytes, bool]], tmp_path: Path
) -> None:
    """As far as they are on this machine; the pipeline runs the fast tests on each of them."""
    present = {version: python for version in PYTHONS if (python := interpreter(version))}
    assert present
    for version, python in list(present.items())[1:-1]:
        done = birth("cookiecutter", "", python, template, tmp_path / version)
        assert done.returncode == 0, done.stderr
        made = files(next((tmp_path / version).iterdir()))
        del made[".copier-answers.yml"]
        assert made == expected, version


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "version", "words"),
    [
        ("cookiecutter", "2.5.0", "Error: Cookiecutter 2.5.0 is too old: 2.6 or newer is needed"),
        ("copier", "9.16.0", "requires Copier version >= 9.17.2, while your version of Copier is 9.16.0"),
    ],
)
def test_an_older_tool_is_refused_with_one_line(
    name: str, version: str, words: str, template: Path, tmp_path: Path
) -> None:
    done = birth(name, version, interpreter("3.11") or "3.11", template, tmp_path / "out")
    assert done.returncode != 0
    assert words in done.stderr.splitlines()[-1]
    assert list((tmp_path / "out").iterdir()) == []


def test_the_oldest_versions_stand_where_they_are_checked() -> None:
    assert f'_min_copier_version: "{OLDEST["copier"]}"' in (baking.ROOT / "copier.yml").read_text(encoding="utf-8")
    own = (baking.ROOT / "local_extensions.py").read_text(encoding="utf-8")
    assert f"OLDEST = ({', '.join(OLDEST['cookiecutter'].split('.')[:2])})" in own


# What follows holds for Windows and macOS as far as files can show it.


def names() -> list[str]:
    """Return the paths of the template's files, those of the generated repository without the folder of their own."""
    paths = [path.relative_to(baking.ROOT).as_posix() for path in baking.working_tree()]
    return [path.removeprefix(f"{PROJECT_FOLDER}/") for path in paths]


def unfit(paths: list[str]) -> list[str]:
    """Return paths that Windows or macOS cannot have, or cannot have together."""
    found = [path for path in paths if re.search(r'[<>:"|?*\\\x00-\x1f]|[. ](/|$)', path)]
    found += [path for path in paths if re.search(r"(?i)(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)", path)]
    found += [path for path in paths if len(path) > 140 or not path.isascii()]
    spellings: dict[str, set[str]] = collections.defaultdict(set)
    for path in paths:
        for part in [path, *(str(parent) for parent in Path(path).parents)]:
            spellings[part.lower()].add(part)
    return found + [" and ".join(sorted(same)) for same in spellings.values() if len(same) > 1]


def test_names_fit_other_systems() -> None:
    assert unfit(names()) == []


@pytest.mark.parametrize("path", ["a:b", "a./b", "docs/aux.md", "x" * 141, "ä.md", "docs/README.MD", "Docs/a.md"])
def test_a_name_that_does_not_fit_is_found(path: str) -> None:
    assert unfit(["docs/README.md", path])


def test_line_ends_are_those_of_unix_and_git_keeps_them() -> None:
    binary = (".png", ".parquet", ".ubj")
    crlf = [path for path in baking.working_tree() if path.suffix not in binary and b"\r\n" in path.read_bytes()]
    assert crlf == []
    for folder in (baking.ROOT, TREE):
        assert "* text=auto eol=lf" in (folder / ".gitattributes").read_text(encoding="utf-8")


# Options and programs that GNU has and macOS has not, or has otherwise.
GNU = {
    r"\bsed\b[^|\n]* (-i\b|-r\b|--in-place|--regexp-extended|--expression)": "sed -i and long options",
    r"\bsed\b[^|\n]*\\[tn+?|]": "escapes of GNU sed",
    r"\bgrep\b[^|\n]* (-\w*P|--perl-regexp)": "grep -P",
    r"\bxargs\b[^|\n]* (-r\b|-d\b|--no-run-if-empty|--delimiter)": "xargs -r, -d",
    r"\bdate\b[^|\n]* (-d\b|--date|-I\b)": "date -d, -I",
    r"\breadlink +-f\b|\bmktemp +--|\bstat +-c\b|\bsort +-V\b|\bbase64 +-w": "readlink -f and others",
    r"(^|[|;&(`@] *)(realpath|timeout|nproc|sha256sum|tac|seq)\b ": "programs of GNU coreutils",
}


def commands() -> Iterator[tuple[str, str]]:
    """Place and text of each line of shell that a person runs on their own machine."""
    for path in (baking.ROOT / "Makefile", TREE / "Makefile", *sorted((TREE / "tools").glob("*.sh"))):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            yield f"{path.name}:{number}", line if line.startswith("\t") else line.partition("## ")[0]


def only_gnu(lines: list[tuple[str, str]]) -> list[str]:
    """Return the lines that a machine with macOS would not run."""
    return [f"{place}: {what}" for place, line in lines for pattern, what in GNU.items() if re.search(pattern, line)]


def test_shell_of_the_repository_runs_on_macos() -> None:
    assert only_gnu(list(commands())) == []


@pytest.mark.parametrize(
    "line",
    [
        "sed -i s/a/b/ file",
        r"sed 's/a\+/b/' file",
        "grep -oP 'a(?=b)' file",
        "ls | xargs -r rm",
        "date -d yesterday",
        "readlink -f .",
        "timeout 5 make",
    ],
)
def test_a_line_for_gnu_alone_is_found(line: str) -> None:
    assert only_gnu([("Makefile:1", line)])


def posix(folder: Path, script: Path) -> str:
    """Return what stands in the way of a script in the smallest shell that machines have."""
    words = ["--shell=sh", "--severity=warning", "--exclude=SC1090,SC1091,SC2154"]  # what is sourced; variables of make
    return run(tool("shellcheck"), *words, script, cwd=folder).stdout


def test_shell_of_the_repository_is_that_of_posix(tmp_path: Path) -> None:
    """Each script, and each recipe as make would give it to the shell."""
    makefile = (TREE / "Makefile").read_text(encoding="utf-8")
    assert "\nSHELL := /bin/sh\n" in makefile
    verbs = [verb for verb in re.findall(r"(?m)^([a-z][a-z-]*):", makefile) if verb != "help"]
    recipes = run("make", "--dry-run", *verbs, cwd=TREE)
    assert recipes.returncode == 0, recipes.stderr
    (tmp_path / "recipes.sh").write_text("#!/bin/sh\n" + recipes.stdout)
    for script in (tmp_path / "recipes.sh", *sorted((TREE / "tools").glob("*.sh"))):
        assert posix(tmp_path, script) == "", script.name


def test_what_is_no_posix_shell_is_found(tmp_path: Path) -> None:
    (tmp_path / "script.sh").write_text("#!/bin/sh\nif [[ $1 == a* ]]; then echo a; fi\n")
    assert "SC3010" in posix(tmp_path, tmp_path / "script.sh")
