"""What the documentation says exists: questions, make targets, their values, paths, tests and the targets of links."""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import baking
import delivery
import docs_pages
import docs_reference
import docs_site
from baking import PROJECT_FOLDER, ROOT

TREE = ROOT / PROJECT_FOLDER
# Pages whose commands run in a repository that the template made.
OF_THE_PROJECT = {"data-scientist.md", "ml-engineer.md", "platform-team.md", "model-steward.md"}
FOLDERS_OF_THE_PROJECT = {"tutorials", "how-to", "cookbook"}
# The READMEs and pages of a new repository say nothing of the template's tests: what runs their commands, by form.
RUN_ELSEWHERE = {
    "make update dry_run=0": "tests/test_update_job.py",
    "make update": "tests/test_update_job.py",
    "git diff": "tests/test_update_job.py",
    "uv run usecase data query queries/train.sql --env dev --database crm --push": "AWS",
}
PAGES_ELSEWHERE = {
    "docs/adopt.md": "tests/test_adopt.py, tests/test_bake_run.py",
    f"{PROJECT_FOLDER}/docs/maturity.md": "tests/test_maturity.py",
    f"{PROJECT_FOLDER}/terraform/platform/README.md": "AWS",
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
# A path below one of the folders that a repository is known by; what a run makes (.local/) exists later.
PATH = re.compile(
    r"(?:src|config|tests|tools|docs|container|terraform|notebooks|hooks|benchmarks|\.gitlab|\.ci)(?:/[\w.<>*-]*)+"
)


@dataclass(frozen=True)
class Page:
    """A Markdown file: where it lies and what it says."""

    path: Path
    text: str

    @property
    def in_project(self) -> bool:
        """Whether its commands are those of a repository that the template made."""
        of_the_project = self.path.name in OF_THE_PROJECT or self.path.parent.name in FOLDERS_OF_THE_PROJECT
        return TREE in self.path.parents or of_the_project or self.path.name in ("adopt.md", "troubleshooting.md")


def pages() -> list[Page]:
    """Return every Markdown file of the template, with the tree's own."""
    return [Page(path, path.read_text(encoding="utf-8")) for path in baking.working_tree() if path.suffix == ".md"]


def page(name: str) -> Page:
    """Return one page by its path from the root."""
    return Page(ROOT / name, (ROOT / name).read_text(encoding="utf-8"))


@cache
def makefile(folder: Path) -> str:
    """Return the text of the folder's Makefile."""
    return (folder / "Makefile").read_text(encoding="utf-8")


def command_fault(command: str, folders: list[Path]) -> str | None:
    """Return what is wrong with `make TARGET name=value ...`, or None when one of the folders has it all."""
    typed = re.sub(r"[][]", "", command.split("#")[0])  # brackets: what may be left out
    given = re.findall(r"""(?:[^\s"']|"[^"]*"|'[^']*')+""", typed)[1:]
    words = [word for word in given if "=" not in word]
    names = [word.partition("=")[0] for word in given if "=" in word]
    fault = None
    for folder in folders:
        text = makefile(folder)
        targets = re.findall(r"^([a-z-]+):", text, re.MULTILINE)
        missing = [word for word in words if word not in targets]
        # A value stands in the recipe of the target, as "$name" or $(name), or at the top: NAME ?=.
        read = "".join(re.findall(rf"^(?:{'|'.join(words)}):.*\n(?:\t.*\n)*|^\w+ \?=.*\n", text, re.MULTILINE))
        unknown = [name for name in names if not re.search(rf"\$[({{]?{name}\b|^{name} \?=", read, re.MULTILINE)]
        fault = f"{command.strip()!r}: no target or value {', '.join(missing + unknown)}"
        if not missing + unknown:
            return None
    return fault


def command_faults(page: Page) -> Iterator[str]:
    """Yield each `make ...` that is not there. In a block of the template, `cd NAME` enters the new repository."""
    for _, block in FENCE.findall(page.text):
        folder = TREE if page.in_project else ROOT
        for line in block.splitlines():
            folder = TREE if line.startswith("cd ") else folder
            # A platform team works on its fork of the template, too.
            folders = [folder, ROOT] if page.path.name == "platform-team.md" else [folder]
            if line.startswith("make ") and (fault := command_fault(line, folders)):
                yield fault
    for command in INLINE.findall(FENCE.sub("", page.text)):
        folders = [TREE] if TREE in page.path.parents or page.path.name in OF_THE_PROJECT else [ROOT, TREE]
        if re.match(r"make [a-z]", command) and (fault := command_fault(command, folders)):
            yield fault


def anchors(text: str) -> set[str]:
    """Return the names that GitLab gives to the headings."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles}


def link_faults(page: Page) -> Iterator[str]:
    """Yield each relative link whose file or heading is not there, or that leaves the repository it belongs to."""
    top = TREE if TREE in page.path.parents else ROOT
    for link in LINK.findall(INLINE.sub("", FENCE.sub("", page.text))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        if not target.exists() or not target.is_relative_to(top):
            yield f"{link}: no such file"
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{link}: no such heading"


def path_faults(page: Page) -> Iterator[str]:
    """Yield each path in the text that neither the template nor a repository that it makes has."""
    tops = [TREE] if TREE in page.path.parents else [ROOT, TREE]
    for code in INLINE.findall(FENCE.sub("", page.text)):
        if PATH.fullmatch(code):
            pattern = re.sub(r"<[^>]*>", "*", code).rstrip("/")
            if not any(list(top.glob(pattern)) for top in tops):
                yield f"{code}: no such path"


@cache
def known_tests() -> frozenset[str]:
    """Return the names of all tests, of the template and of the repositories that it makes."""
    files = [path for path in baking.working_tree() if "tests" in path.parts and path.suffix == ".py"]
    found = (re.findall(r"^ *def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE) for path in files)
    return frozenset(name for names in found for name in names)


def named_test_faults(page: Page) -> Iterator[str]:
    """Yield each test that the page names and nobody wrote."""
    for name in re.findall(r"`(test_\w+)`", page.text):
        if name not in known_tests():
            yield f"{name}: no such test"


@cache
def questions() -> dict[str, dict[str, Any]]:
    """Return the questions of copier.yml."""
    spec = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
    return {name: details for name, details in spec.items() if not name.startswith("_") and name != "cookiecutter"}


def question_faults(page: Page) -> Iterator[str]:
    """Yield where docs/questions.md and copier.yml differ in questions, order, defaults or choices."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page.text, re.MULTILINE | re.DOTALL))
    if list(sections) != list(questions()):
        yield f"questions: {', '.join(sections)}"
    for name, section in sections.items():
        details = questions().get(name, {})
        default = str(details.get("default", ""))
        said = re.search(r"^- Default: (.+)$", section, re.MULTILINE)
        expected = [f"`{default}`" if default else "blank"]
        if "{%" in default:  # computed from other answers, which the page must name
            expected = [f"`{other}`" for other in questions() if re.search(rf"\b{other}\b", default)]
        if said is None or not all(word in said[1] for word in expected):
            yield f"{name}: the default is {' '.join(expected)}"
        choices = list(details.get("choices", {}).values())
        if re.findall(r"^  - `(\w+)`:", section, re.MULTILINE) != choices:
            yield f"{name}: the choices are {choices}"
        for part in ("Accepted", "Later"):
            if not re.search(rf"^- {part}:", section, re.MULTILINE):
                yield f"{name}: has no line {part!r}"


@cache
def executed() -> frozenset[str]:
    """Return the forms of the commands that the tutorials and the cookbook run."""
    return frozenset(docs_pages.executed())


def unexecuted_faults(page: Page) -> Iterator[str]:
    """Yield each command that no test runs and that does not say what it needs."""
    by = PAGES_ELSEWHERE.get(page.path.relative_to(ROOT).as_posix(), "")
    yield from docs_pages.command_faults(page.text, executed(), RUN_ELSEWHERE, by)


@cache
def verbs() -> dict[str, str]:
    """Return every command of `usecase` with its line in the reference, which has the options."""
    rows = page("docs/reference/verbs.md").text.splitlines()
    return {match[1]: row for row in rows if (match := re.match(r"\| `usecase ([a-z -]+)` ", row))}


def verb_faults(page: Page) -> Iterator[str]:
    """Yield each command of `usecase` in a block or a sentence that is not there, or has no such option."""
    for command in re.findall(r"(?:^|`| )usecase ([a-z][^`\n|#]*)", page.text, re.MULTILINE):
        words = re.match(r"[a-z-]+(?: [a-z-]+)?", command)
        verb = next((name for name in (words[0], words[0].partition(" ")[0]) if name in verbs()), "") if words else ""
        if not verb:
            yield f"usecase {command}: no such command"
        else:
            for option in re.findall(r" (--[a-z-]+)", command):
                if f"`{option}`" not in verbs()[verb]:
                    yield f"usecase {verb}: has no option {option}"


# Keys at the top whose names other things have, too; and what makes a name with a dot that of a file.
FREE = frozenset({"project", "description", "pipeline"})
FILE = re.compile(r".*\.(json|md|py|tf|tfstate|yaml)")


@cache
def settings() -> frozenset[str]:
    """Return every key of the settings, with those above it, as the reference has them."""
    keys = re.findall(r"^\| `([a-z_.0-9]+)` \|", page("docs/reference/settings.md").text, re.MULTILINE)
    parts = [key.split(".") for key in keys]
    return frozenset(".".join(names[:length]) for names in parts for length in range(1, len(names) + 1))


def setting_faults(page: Page) -> Iterator[str]:
    """Yield each key of a section of the settings, in a sentence or a block of YAML, that is not there.

    A decision may speak of what was not taken.
    """
    if page.path.parent.name == "decisions":
        return
    named = [code for code in INLINE.findall(FENCE.sub("", page.text)) if re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)+", code)]
    for block in docs_pages.blocks(page.text):
        content = yaml.safe_load(block.text) if block.kind == "yaml" else None
        if isinstance(content, dict) and set(content) <= settings():
            named += list(_keys(content))
    for key in named:
        first = key.partition(".")[0]
        leaf = any(not any(known.startswith(f"{above}.") for known in settings()) for above in _above(key))
        if first in settings() - FREE and key not in settings() and not leaf and not FILE.fullmatch(key):
            yield f"{key}: no such setting"


def _keys(content: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in content.items():
        yield f"{path}{name}"
        if isinstance(value, dict):
            yield from _keys(value, f"{path}{name}.")


def _above(key: str) -> list[str]:
    """Return the known keys above one; where nothing is known below such a key, it holds names of the user's own."""
    names = key.split(".")
    above = (".".join(names[:length]) for length in range(1, len(names)))
    return [name for name in above if name in settings()]


# What an example fills in: numbers, names of steps, columns, metrics, files and errors.
VALUES = r"\.\.\.|: |>=|\d[\d.]*|'x'|Preprocess|Train|QualityGateFailed|SomeError|auc|model\.tar\.gz|below"


@cache
def said() -> tuple[str, ...]:
    """Return everything that the code of a repository may say, with ... where a value is filled in."""
    files = [path for path in baking.working_tree() if TREE in path.parents and path.suffix == ".py"]
    written = [path.read_text(encoding="utf-8") for path in files if "tests" not in path.parts]
    return (*(words for text in written for words in docs_reference.said(text)), " ".join(makefile(TREE).split()))


def message_faults(page: Page) -> Iterator[str]:
    """Yield each message in the first column of a page of symptoms that the code does not say."""
    if page.path.name not in ("troubleshooting.md", "runbook.md"):
        return
    for doubled, single in re.findall(r"^\| (?:`` (.+?) ``|`([^`]+)`) \|", page.text, re.MULTILINE):
        message = (doubled or single).removeprefix("error: ").replace("`", "'")
        pieces = re.split(VALUES, message)
        wanted = [piece.strip(" :,.") for piece in pieces if re.search(r"[a-z]{3}", piece)]
        if not all(any(piece in words for words in said()) for piece in wanted):
            yield f"{doubled or single}: nothing says so"


CHECKS = [command_faults, link_faults, path_faults, named_test_faults, unexecuted_faults, message_faults]
CHECKS += [verb_faults, setting_faults]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.path.relative_to(ROOT).as_posix())
def test_what_a_page_names_exists(page: Page) -> None:
    assert [fault for check in CHECKS for fault in check(page)] == []


def test_every_page_names_the_versions_of_python_that_make_takes() -> None:
    bounds = re.search(r"not \((\d+), (\d+), (\d+)\) <= .* < \((\d+), (\d+)\)", makefile(ROOT))
    assert bounds
    *floor, major, minor = map(int, bounds.groups())
    expected = f"{'.'.join(map(str, floor))} to {major}.{minor - 1}"
    said = [
        (page.path.name, found) for page in pages() for found in re.findall(r"Python (3[\d.]+ to 3[\d.]*\d)", page.text)
    ]
    assert len(said) >= 3
    assert [(name, found) for name, found in said if found != expected] == []
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={'.'.join(map(str, floor))}"


@pytest.mark.parametrize(
    ("version", "taken"), [("3.11.2", False), ("3.11.4", True), ("3.13.9", True), ("3.14.0", False)]
)
def test_make_refuses_other_versions_of_python(version: str, taken: bool, tmp_path: Path) -> None:
    python = tmp_path / "python"
    pretend = f"import sys; sys.version_info = (*map(int, '{version}'.split('.')), 'final', 0)"
    python.write_text(f"""#!/bin/sh
[ "$1" = -c ] && exec '{sys.executable}' -c "{pretend}
$2"
[ "$1" = --version ] && echo 'Python {version}' || touch went-on
exit 9
""")
    python.chmod(0o755)
    for path in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("requirements-*.txt")):
        shutil.copy(path, tmp_path)
    done = delivery.run("make", f"PYTHON={python}", ".venv/ready", cwd=tmp_path)
    assert (tmp_path / "went-on").exists() == taken
    assert (f"error: Python {version}: 3.11.4 to 3.13 is needed" in done.stderr) != taken


def test_the_reference_is_what_the_code_says(tmp_path: Path) -> None:
    """All pages in one process; a page that was changed by hand is named."""
    check = [sys.executable, str(ROOT / "tools/docs_reference.py"), "--check"]
    done = delivery.run(*check, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_every_page_has_its_place_in_the_site() -> None:
    """Each entry of the navigation is a page; each page is in it, or reached from one that lists its kind."""
    places = set(docs_site.places().values())
    entries = set(re.findall(r": ([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE))
    assert entries <= places | set(docs_site.MADE)
    listed = {place for place in places if re.match(r"decisions/|terraform/|project/", place)}
    assert places - entries - listed == set()


def test_links_of_the_site_lead_to_places_in_it(tmp_path: Path) -> None:
    """A link to a page, to its heading, to a folder with a page, to a file that is no page, and to the outside."""
    known = docs_site.places()
    source = tmp_path / "page.md"
    tree = ROOT / PROJECT_FOLDER
    links = {
        f"[a]({ROOT}/README.md#staying-current)": "[a](../index.md#staying-current)",
        f"[docs/maintainer.md]({ROOT}/docs/maintainer.md)": "[For maintainers of the template](../maintainer.md)",
        f"[b]({tree}/docs/aws.md)": "[b](../repository/aws.md)",
        f"[c]({ROOT}/docs/decisions)": "[c](../decisions/README.md)",
        f"[d]({ROOT}/LICENSE)": "d",
        "[e](https://example.com)": "[e](https://example.com)",
        "`[f](nowhere.md)`": "`[f](nowhere.md)`",
        "\n```sh\n[g](nowhere.md)\n```\n": "\n```sh\n[g](nowhere.md)\n```\n",
    }
    source.write_text("".join(links))
    assert docs_site.page(source, "how-to/page.md", known) == "".join(links.values())
    source.write_text("See [this](nowhere.md).\n")
    with pytest.raises(docs_site.DeadLinkError, match=r"page.md: the link nowhere.md leads nowhere"):
        docs_site.page(source, "how-to/page.md", known)


def test_a_page_that_takes_something_from_another_host_is_found(tmp_path: Path) -> None:
    """Networks without internet: scripts, styles, fonts and pictures must lie in the site; links may lead out."""
    page = tmp_path / "page.html"
    page.write_text('<a href="https://example.com">x</a><script src="assets/a.js"></script><img src="data:x">')
    assert list(docs_site.outside(tmp_path)) == []
    page.write_text('<link rel=stylesheet href="https://fonts.example.com/a.css"><script src=//cdn.example.com/b.js>')
    (tmp_path / "a.css").write_text("@font-face { src: url(https://fonts.example.com/a.woff) }")
    found = list(docs_site.outside(tmp_path))
    assert [fault.partition(": ")[2] for fault in found] == [
        "https://fonts.example.com/a.woff",
        "https://fonts.example.com/a.css",
        "//cdn.example.com/b.js",
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "missing"),
    [
        ("...\nauc 0.93\n", "begin\nauc   0.871\nend\n", []),
        ("b\na\n", "a\nb\n", ["a"]),
        ("version 1 is Approved\n", "version 1 is Rejected\n", ["version 1 is Approved"]),
    ],
)
def test_what_a_page_shows_is_compared_with_what_was_printed(shown: str, printed: str, missing: list[str]) -> None:
    assert list(docs_pages.unlike(shown, printed)) == missing


def test_make_bakes_a_repository_to_keep(tmp_path: Path) -> None:
    """The target that CONTRIBUTING names, with the tools of this environment; `make` alone lists it."""
    make = ["make", "--old-file", ".venv/ready", f"BIN={Path(sys.executable).parent}"]
    done = delivery.run(*make, "bake", f"into={tmp_path}", "answers=mlops_stage=basic", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "tumour-diagnosis/Makefile").is_file()
    assert "make bake" in delivery.run("make", cwd=ROOT).stdout


def test_the_demonstration_types_what_a_page_types() -> None:
    """`make demo` runs the verbs of the first tutorial, in which a test runs them."""
    text = (ROOT / "tools/demo.py").read_text(encoding="utf-8")
    verbs = set(re.findall(r'"make", "(\w+)"', text))
    assert verbs == {"setup", "run", "approve", "serve", "predict"}
    assert {f"make {verb}" for verb in verbs} <= {command.partition(" version")[0] for command in executed()}


def test_every_question_is_described() -> None:
    assert list(question_faults(page("docs/questions.md"))) == []


def test_every_kind_of_reader_has_a_page_that_readme_links() -> None:
    linked = set(LINK.findall(page("README.md").text))
    assert {f"docs/{name}" for name in OF_THE_PROJECT | {"maintainer.md", "questions.md"}} <= linked


def test_readme_shows_the_first_verbs_of_a_new_repository() -> None:
    """The steps that both tools print after a birth, in README and in the new repository's own README."""
    message = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["_message_after_copy"]
    steps = re.findall(r"^ +(make [^#\n]+?) *(?:#|$)", message, re.MULTILINE)
    assert len(steps) == 5
    for text in (page("README.md").text, page(f"{PROJECT_FOLDER}/README.md").text):
        assert [step for step in steps if not re.search(rf"^{step}\b", text, re.MULTILINE)] == []


FAULTS = {
    "a target that is not there": ("README.md", "```sh\nmake nothing\n```\n", "no target or value nothing"),
    "a verb of the new repository": ("README.md", "```sh\nmake predict\n```\n", "no target or value predict"),
    "a target of the template": ("docs/data-scientist.md", "```sh\nmake demo\n```\n", "no target or value demo"),
    "a verb in the new repository": ("README.md", "```sh\ncd new\nmake demo\n```\n", "no target or value demo"),
    "a verb in its README": (f"{PROJECT_FOLDER}/README.md", "```sh\nmake ru\n```\n", "no target or value ru"),
    "a value that is not read": ("docs/model-steward.md", "```sh\nmake run dta=x.csv\n```\n", "no target or value dta"),
    "a value of another verb": ("docs/model-steward.md", "```sh\nmake run port=1\n```\n", "no target or value port"),
    "a verb in a sentence": ("docs/ml-engineer.md", "Then `make release`.\n", "no target or value release"),
    "a missing file": ("docs/maintainer.md", "[here](nowhere.md)\n", "nowhere.md: no such file"),
    "a missing heading": ("docs/maintainer.md", "[here](../README.md#nowhere)\n", "no such heading"),
    "a link out of its repository": (f"{PROJECT_FOLDER}/README.md", "[x](../LICENSE)\n", "../LICENSE: no such file"),
    "a missing path": ("SECURITY.md", "See `src/usecase/mlops/nothing.py`.\n", "nothing.py: no such path"),
    "a command that nobody runs": ("docs/ml-engineer.md", "```sh\nls src\n```\n", "ls src: no test runs it"),
    "a command that only a verb tells from one that is run": (
        "docs/how-to/rollback.md",
        "```sh\nmake registry env=dev\n```\n",
        "make registry env=dev: no test runs it",
    ),
    "a need that is none": (
        "docs/ml-engineer.md",
        "<!-- needs: patience -->\n```sh\nls src\n```\n",
        "needs: patience: is none of AWS, Docker, GitLab",
    ),
    "a test that runs something else": (
        "docs/ml-engineer.md",
        "<!-- run by: tests/test_plan.py -->\n```sh\nmake image\n```\n",
        "make image: tests/test_plan.py does not run 'image'",
    ),
    "a test that is not there": (
        "docs/ml-engineer.md",
        "<!-- run by: tests/nothing.py -->\n```sh\nmake image\n```\n",
        "run by: nothing.py: no such file",
    ),
    "a command of the program": (
        "docs/model-steward.md",
        "```sh\nuv run usecase shw 3\n```\n",
        "usecase shw 3: no such",
    ),
    "an option that it has not": (
        "docs/model-steward.md",
        "Say `uv run usecase approve --because`.\n",
        "usecase approve: has no option --because",
    ),
    "a setting in a sentence": ("docs/how-to/costs.md", "Or `serving.size`.\n", "serving.size: no such setting"),
    "a setting in a block": (
        "docs/how-to/batch.md",
        "```yaml\nbatch: { instances: 3 }\n```\n",
        "batch.instances: no such setting",
    ),
    "a message that nothing says": (
        "docs/troubleshooting.md",
        "| `the moon is in the wrong ...` | why | do |\n",
        "the moon is in the wrong ...: nothing says so",
    ),
    "a missing test": ("SECURITY.md", "See `test_nothing_at_all`.\n", "test_nothing_at_all: no such test"),
}


@pytest.mark.parametrize(("name", "addition", "complaint"), FAULTS.values(), ids=FAULTS.keys())
def test_a_planted_fault_is_found(name: str, addition: str, complaint: str) -> None:
    sound = page(name)
    broken = Page(sound.path, f"{sound.text}\n{addition}")
    found = [fault for check in CHECKS for fault in set(check(broken)) - set(check(sound))]
    assert len([fault for fault in found if complaint in fault]) == 1, found


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("## aws_region\n", "## aws_regions\n", "questions: "),
        ("- Default: `eu-west-1`", "- Default: `eu-west-2`", "aws_region: the default is `eu-west-1`"),
        ("- Default: blank", "- Default: `1`", "aws_account_dev: the default is blank"),
        ("made from `project_name`", "made", "project_slug: the default is `project_name`"),
        ("  - `full`: ", "  - `fuller`: ", "mlops_stage: the choices are"),
        ("  - `managed`: ", "  - managed: ", "container: the choices are"),
        ("- Later: yes. Changing", "Yes. Changing", "container: has no line 'Later'"),
        ("- Accepted: an e-mail", "- An e-mail", "owner_email: has no line 'Accepted'"),
    ],
)
def test_a_wrong_description_is_found(old: str, new: str, complaint: str) -> None:
    sound = page("docs/questions.md")
    assert old in sound.text
    faults = list(question_faults(Page(sound.path, sound.text.replace(old, new, 1))))
    assert any(complaint in fault for fault in faults), faults
