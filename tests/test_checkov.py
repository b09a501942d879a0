"""checkov, a scanner that others maintain, beside the controls of the generated repository.

docs/controls.md is made here: `pytest tests/test_checkov.py --write`.
"""

import copy
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import baking
import delivery
from delivery import replace, run, tool
from mutants import MUTANTS
from plans import ROOTS, Plan, Plans

sys.path.append(str(baking.ROOT / baking.PROJECT_FOLDER / "src"))
from usecase.mlops.infrastructure.controls import CONTROLS, examine  # type: ignore[import-not-found]
from usecase.mlops.scans.iac import find  # type: ignore[import-not-found]
from usecase.mlops.scans.tools import CHECKOV  # type: ignore[import-not-found]

SOURCE = baking.ROOT / baking.PROJECT_FOLDER / "terraform"
PAGE = baking.ROOT / "docs/controls.md"
SKIP = re.compile(r"#checkov:skip=(?P<check>CKV2?_AWS_\d+)(?::(?P<reason>.*))?")


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Folder whose terraform/ is looked at."""
    monkeypatch.setenv("UV", tool("uv"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_nothing_fails_in_the_rendered_tree(scanned: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    project = delivery.bake(tmp_path_factory.mktemp("scanned"), mlops_stage="full")
    shutil.copytree(project / "terraform", scanned / "terraform")
    found = find()
    print(*found.notes)
    assert found.findings == []


@pytest.mark.slow
def test_a_planted_fault_is_found(scanned: Path) -> None:
    shutil.copytree(SOURCE / "modules/key", scanned / "terraform")
    replace(scanned / "terraform/main.tf", "enable_key_rotation     = true", "enable_key_rotation     = false")
    assert [finding.id for finding in find().findings] == ["CKV_AWS_7"]


def skips() -> list[tuple[str, str, str]]:
    """The comments that tell checkov to leave a check out: file, check, reason."""
    return [
        (path.relative_to(SOURCE.parent).as_posix(), found["check"], (found["reason"] or "").strip())
        for path in sorted(SOURCE.rglob("*.tf"))
        for found in SKIP.finditer(path.read_text())
    ]


def test_every_skip_says_why() -> None:
    """Their number stands in docs/controls.md, so that one more is seen in a review."""
    found = skips()
    print(f"{len(found)} checks are skipped")
    assert [skip for skip in found if len(skip[2].split()) < 4] == []
    rows = [f"| `{file}` | {check} | {reason} |" for file, check, reason in found]
    page = PAGE.read_text()
    assert f"## {len(found)} checks are left out" in page
    assert page.split("| file | check | why |\n| --- | --- | --- |\n")[1].splitlines() == rows


@pytest.mark.slow
@pytest.mark.xdist_group("plans")
def test_the_page_says_what_each_catches(
    plans: Callable[[str], Plans], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    of_prod = plans("prod")
    for root, plan in of_prod.items():
        (tmp_path / f"{root.replace('/', '-')}.json").write_text(json.dumps(plan))
    ours = {}
    for number, (name, (root, mutate)) in enumerate(MUTANTS.items()):
        plan = copy.deepcopy(of_prod[root])
        mutate(plan)
        ours[name] = examine(plan, "prod").problems
        (tmp_path / f"{number}.json").write_text(json.dumps(told_twice(plan)))
    theirs = checkov(tmp_path)
    before = {root: theirs[root.replace("/", "-")] for root in ROOTS}
    new = {
        name: {check for check, _ in theirs[str(number)] - before[root]}
        for number, (name, (root, _)) in enumerate(MUTANTS.items())
    }
    text = page({name: (ours[name], new[name]) for name in MUTANTS})
    if pytestconfig.getoption("--write"):
        PAGE.write_text(text)
    assert PAGE.read_text() == text


def told_twice(plan: Plan) -> Plan:
    """A changed plan whose planned values say what its changes of resources say: checkov reads both."""
    after = {item["address"]: item["change"]["after"] for item in plan["resource_changes"]}

    def module(part: dict[str, Any]) -> dict[str, Any]:
        kept = [resource for resource in part.get("resources", []) if resource["address"] in after]
        return part | {
            "resources": [resource | {"values": after[resource["address"]]} for resource in kept],
            "child_modules": [module(child) for child in part.get("child_modules", [])],
        }

    values = plan["planned_values"]
    return plan | {"planned_values": values | {"root_module": module(values["root_module"])}}


def checkov(folder: Path) -> dict[str, set[tuple[str, str]]]:
    """Failed checks and their resources, by the name of the plan."""
    script = Path(__file__).with_name("checkov_plans.py")
    words = ["run", "--quiet", "--no-project", "--python", sys.executable, "--with", CHECKOV, "python", script, folder]
    done = run(tool("uv"), *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return {name: {(check, address) for check, address in found} for name, found in json.loads(done.stdout).items()}


def page(caught: dict[str, tuple[list[str], set[str]]]) -> str:
    """The text of docs/controls.md, of the problems and checks that each dropped control leads to."""
    controls = {f"{control.words} ({control.id})": control.id for control in CONTROLS}
    rows = []
    for name, (problems, checks) in caught.items():
        ids = sorted({controls[words] for problem in problems for words in controls if problem.endswith(f" {words}")})
        rows.append(f"| {MUTANTS[name][0]} | {name} | {', '.join(ids)} | {', '.join(sorted(checks)) or '-'} |")
    ours, theirs = (sum(bool(pair[side]) for pair in caught.values()) for side in (0, 1))
    left_out = skips()
    return "\n".join(
        [
            "# Controls of a plan, ours and checkov's",
            "<!-- Made by `pytest tests/test_checkov.py --write`. -->",
            "Each row drops one control from the plans of prod with everything switched on. The",
            f"{len(CONTROLS)} controls of `usecase.mlops.infrastructure.controls` catch **{ours} of {len(caught)}**;",
            f"{CHECKOV.replace('==', ' ')} on the same plans catches **{theirs} of {len(caught)}**: a check counts",
            "that held before and fails now. It has many checks that we have not, and `usecase scan` runs it as well.",
            "Why both: [decision 13](decisions/0013-controls-of-our-own.md).",
            "",
            "| root | what was dropped | our controls | checkov |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            f"## {len(left_out)} checks are left out",
            "By a comment beside the resource. checkov counts each once for every use of a module.",
            "",
            "| file | check | why |",
            "| --- | --- | --- |",
            *[f"| `{file}` | {check} | {reason} |" for file, check, reason in left_out],
            "",
        ]
    )
