"""Both tools make the same project, byte for byte, and nothing of the template's own machinery is left in it."""

import re
import shutil
import tomllib
from itertools import product
from pathlib import Path

import pytest
import yaml

import baking
from baking import PROJECT_FOLDER, STAGES, TOOLS, bake, commit, files, git

ANSWERS_FILE = ".copier-answers.yml"
ACCOUNTS = {"aws_account_dev": "111111111111", "aws_account_qa": "222222222222", "aws_account_prod": "222222222222"}
COMBINATIONS = {
    f"{stage}-{container}": {"mlops_stage": stage, "container": container}
    for stage, container in product(STAGES, ["own", "managed"])
} | {
    "accounts-and-gitlab": ACCOUNTS | {"gitlab_group": "company/ml", "create_gitlab_project": "yes"},
    "china": {"mlops_stage": "full", "aws_region": "cn-north-1", "gitlab_url": "https://git.example.com:8443/gitlab"},
}


def answers(project: Path) -> dict[str, str]:
    """Return the project's answers file."""
    content: dict[str, str] = yaml.safe_load((project / ANSWERS_FILE).read_text(encoding="utf-8"))
    return content


def test_code_holds_no_jinja() -> None:
    """Jinja stands only where answers are text; elsewhere a brace before a brace, % or # would be eaten by it."""
    code = {".py", ".tf", ".hcl", ".sh", ".ipynb", ".json"}
    ci = f"{PROJECT_FOLDER}/.gitlab-ci.yml", f"{PROJECT_FOLDER}/.gitlab/ci/"
    found = [
        f"{path.name}:{number}"
        for path in baking.working_tree()
        if PROJECT_FOLDER in path.parts
        if path.suffix in code or path.relative_to(baking.ROOT).as_posix().startswith(ci)
        for number, line in enumerate(path.read_bytes().splitlines(), start=1)
        if baking.JINJA.search(line)
    ]
    assert found == []


@pytest.fixture(scope="module", params=list(COMBINATIONS.values()), ids=list(COMBINATIONS))
def pair(request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the projects that Cookiecutter and Copier make of the same answers."""
    folder = tmp_path_factory.mktemp("pair")
    return [bake(tool, template, folder / tool, request.param) for tool in TOOLS]


def test_same_files(pair: list[Path]) -> None:
    ours, theirs = (files(project) for project in pair)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if name != ANSWERS_FILE and ours[name] != theirs[name]] == []
    assert answers(pair[0]) == answers(pair[1])


def test_no_empty_folder(pair: list[Path]) -> None:
    assert [folder for project in pair for folder in project.rglob("*/") if not any(folder.iterdir())] == []


def test_everything_is_rendered(pair: list[Path]) -> None:
    project = pair[0]
    for path in (path for path in project.rglob("*") if path.is_file()):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # not text
        assert not re.search(r"\{\{-? *(cookiecutter|_copier)|\{%-? *(if|for|set|endif|endfor|raw)\b", text), path


def test_answers_come_through_as_given(pair: list[Path]) -> None:
    given = answers(pair[0])
    project = tomllib.loads((pair[0] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == given["project_slug"]
    assert project["description"] == given["description"]


def test_names_are_legal_on_windows(pair: list[Path]) -> None:
    for name in files(pair[0]):
        assert not re.search(r'[<>:"|?*\\\x00-\x1f]|[. ](/|$)', name), name
        assert not re.search(r"(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)", name.lower()), name
        assert len(name) <= 150, name


def test_stage_and_container_leave_out_what_they_should(template: Path, tmp_path: Path) -> None:
    """The design's list, written once more: an exclusion that matches nothing would go unnoticed otherwise."""
    have = {stage: files(bake("copier", template, tmp_path / stage, {"mlops_stage": stage})).keys() for stage in STAGES}
    grown = have["automated"] - have["basic"]
    of_aws = ("aws", "delivery", "infrastructure")
    packages = [f"{top}/mlops/{name}/" for top in ("src/usecase", "tests") for name in of_aws]
    folders = ("terraform/", *packages)
    jobs = ("approve", "aws", "dev", "iac", "monitor", "ops", "prod", "qa", "release", "terraform", "train")
    assert {name for name in grown if not name.startswith(folders)} == {
        *(f".gitlab/ci/{job}.yml" for job in jobs),
        *(f"docs/{page}.md" for page in ("aws", "costs", "delivery")),
        ".gitlab/project-aws.yaml",
        "tools/aws_config.sh",
    }
    assert {name.partition("/")[0] for name in grown if name.startswith(folders)} == {"terraform", "src", "tests"}
    assert have["full"] - have["automated"] >= {
        "terraform/bootstrap/account/audit.tf",
        "terraform/platform/governance.tf",
        "terraform/platform/studio.tf",
        "src/usecase/mlops/feature_store.py",
        "src/usecase/mlops/drift/monitor.py",
    }
    only_full = {
        *("governance", "feature_store", "studio", "gateway", "audit", "mlops/drift/", "monitor", "retrain"),
        *("log_shipping", "grafana_cloudwatch"),
    }
    assert all(any(word in name for word in only_full) for name in have["full"] - have["automated"])
    assert have["basic"] < have["automated"] < have["full"]
    managed = files(bake("copier", template, tmp_path / "managed", {"container": "managed"})).keys()
    assert have["basic"] - managed >= {"container/Dockerfile", ".gitlab/ci/image.yml"}
    assert all(name.startswith(("container/", ".gitlab/ci/image.yml")) for name in have["basic"] - managed)


JUNK = [
    ".hypothesis/x",
    ".local/s3/x.json",
    ".ruff_cache/x",
    ".venv/lib/x.py",
    "src/.mypy_cache/x.json",
    "src/gone/__pycache__/x.pyc",
    "terraform/platform/.terraform/x",
    "tests/.pytest_cache/x.md",
]


@pytest.mark.parametrize("has_git", [True, False])
@pytest.mark.parametrize("tool", TOOLS)
def test_junk_of_a_working_tree_stays_out(tool: str, has_git: bool, template: Path, tmp_path: Path) -> None:
    dirty = tmp_path / "dirty"
    shutil.copytree(template, dirty, ignore=None if has_git else shutil.ignore_patterns(".git"))
    for name in JUNK:
        (dirty / PROJECT_FOLDER / name).parent.mkdir(parents=True, exist_ok=True)
        (dirty / PROJECT_FOLDER / name).write_text("{{ not.a.template }} {% nor this %}")
    answers = {"mlops_stage": "full"}
    project = bake(tool, dirty, tmp_path / "out", answers)
    clean = bake(tool, template, tmp_path / "clean", answers)
    assert files(project).keys() == files(clean).keys()
    if tool == "cookiecutter":
        assert not [folder for folder in project.rglob("*/") if not any(folder.iterdir())]


@pytest.mark.parametrize("tool", TOOLS)
def test_line_ends_are_those_of_unix(tool: str, unversioned: Path, tmp_path: Path) -> None:
    windows = tmp_path / "windows"
    shutil.copytree(unversioned, windows)
    makefile = windows / PROJECT_FOLDER / "Makefile"
    makefile.write_bytes(makefile.read_bytes().replace(b"\n", b"\r\n"))
    assert b"\r" not in (bake(tool, windows, tmp_path / "out") / "Makefile").read_bytes()


@pytest.mark.parametrize("tool", TOOLS)
def test_birth_from_a_release(tool: str, template: Path, tmp_path: Path) -> None:
    origin = answers(bake(tool, template, tmp_path))
    assert (origin["_commit"], origin["_src_path"]) == ("v1.0.0", str(template))


def test_birth_from_a_relative_path(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(template.parent)
    monkeypatch.delenv("PWD", raising=False)
    assert answers(bake("cookiecutter", Path(template.name), tmp_path))["_src_path"] == str(template)


@pytest.fixture(scope="module")
def ahead(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template one commit after its release."""
    folder = tmp_path_factory.mktemp("ahead") / "template"
    git(template, "clone", "--quiet", str(template), str(folder))
    (folder / "note.txt").write_text("later\n")
    commit(folder, "After the release")
    return folder


def test_birth_from_a_commit_that_is_no_release(ahead: Path, tmp_path: Path) -> None:
    for tool, more in (("cookiecutter", []), ("copier", ["--vcs-ref", "HEAD"])):
        (tmp_path / tool).mkdir()
        done = baking.run_tool(tool, ahead, tmp_path / tool, {}, *more)
        assert done.returncode == 0, done.stderr
        assert answers(next((tmp_path / tool).iterdir()))["_commit"] == git(ahead, "describe", "--tags")
        if tool == "cookiecutter":
            assert re.search("warning: .* is not a release; give Cookiecutter --checkout vX.Y.Z", done.stderr)


def test_birth_from_an_address(ahead: Path, tmp_path: Path) -> None:
    """Cookiecutter clones, and the template still finds its rules, its list and its tag."""
    address = f"git+file://{ahead}"
    done = baking.run_tool("cookiecutter", address, tmp_path, {"mlops_stage": "basic"}, "--checkout", "v1.0.0")
    assert done.returncode == 0, done.stderr
    project = next(tmp_path.iterdir())
    assert not (project / "terraform").exists()
    assert (answers(project)["_commit"], answers(project)["_src_path"]) == ("v1.0.0", address)
    assert "warning" not in done.stderr
    git(project, "init", "--quiet")
    commit(project, "Birth")
    updated = baking.run_script("copier", "update", "--defaults", cwd=project)
    assert updated.returncode == 0, updated.stderr
    refused = baking.run_tool("cookiecutter", address, tmp_path, {"project_slug": "a/b"})
    assert refused.returncode == 1
    assert "project_slug: must be" in refused.stderr


def test_both_print_the_same_next_steps(template: Path, tmp_path: Path) -> None:
    messages = []
    for tool in TOOLS:
        (tmp_path / tool).mkdir()
        done = baking.run_tool(tool, template, tmp_path / tool, {})
        text = done.stdout if tool == "cookiecutter" else done.stderr[done.stderr.index("Tumour Diagnosis is ready") :]
        messages.append(text.replace(str(next((tmp_path / tool).iterdir())), "PROJECT").strip())
    assert messages[0] == messages[1]
    assert [
        verb
        for verb in ("setup", "run", "approve version=latest", "serve", "predict")
        if f"make {verb}" not in messages[0]
    ] == []
