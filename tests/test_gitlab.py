"""tools/gitlab_setup.py of the generated repository, run as a user runs it, against a GitLab that keeps state."""

import re
import ssl
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path
from subprocess import CompletedProcess

import pytest
import trustme
import yaml

import baking
import delivery
import gitlab_fake
from delivery import replace, run
from gitlab_fake import TOKEN, FakeGitLab

GROUP = "data-science/models"
ENVIRONMENT = {"HTTP_PROXY": "", "HTTPS_PROXY": "", "http_proxy": "", "https_proxy": "", "NO_PROXY": "127.0.0.1"}


@pytest.fixture
def gitlab() -> Iterator[FakeGitLab]:
    with gitlab_fake.running() as fake:
        yield fake


@pytest.fixture
def project(gitlab: FakeGitLab, tmp_path: Path) -> Path:
    """A baked repository, in git, that wants a project on the fake."""
    folder = delivery.bake(tmp_path, gitlab_url=gitlab.url, gitlab_group=GROUP, description='"quoted" & <b> äé')
    baking.git(folder, "init", "--quiet")
    return folder


def setup(project: Path, *arguments: str, token: str = TOKEN, **env: str) -> CompletedProcess[str]:
    """Runs the script; whatever happens, no traceback and no token may appear."""
    script = project / "tools/gitlab_setup.py"
    done = run(sys.executable, script, *arguments, cwd=project, env={**ENVIRONMENT, "GITLAB_TOKEN": token, **env})
    assert "Traceback" not in done.stderr
    assert not token or token not in done.stdout + done.stderr
    if done.returncode == 1:
        assert re.fullmatch(r"error: [^\n]+\n", done.stderr)
    return done


def remote(project: Path) -> str:
    return run("git", "remote", "get-url", "origin", cwd=project).stdout.strip()


def test_plan_writes_nothing_and_says_what_apply_would_do(gitlab: FakeGitLab, project: Path) -> None:
    done = setup(project)
    assert done.returncode == 3
    assert f"plan: create project {GROUP}/churn\n" in done.stdout
    assert "plan: protect branch main\n" in done.stdout
    assert gitlab.writes == []
    assert remote(project) == ""


def test_apply_makes_the_project_and_a_second_apply_writes_nothing(gitlab: FakeGitLab, project: Path) -> None:
    assert setup(project, "apply").returncode == 0
    (made,) = gitlab.projects.values()
    wanted = yaml.safe_load((project / "gitlab.yml").read_text())
    assert {key: made[key] for key in wanted["settings"]} == wanted["settings"]
    assert made["description"] == '"quoted" & <b> äé'
    assert gitlab.branches[1]["main"]["push_access_levels"] == [{"access_level": 40}]
    assert gitlab.branches[1]["main"]["merge_access_levels"] == [{"access_level": 30}]
    assert remote(project) == f"{gitlab.url}/{GROUP}/churn.git"
    assert TOKEN not in (project / ".git/config").read_text()

    writes = list(gitlab.writes)
    done = setup(project, "apply")
    assert (done.returncode, gitlab.writes) == (0, writes)
    assert done.stdout == f"{gitlab.url}/{GROUP}/churn is as gitlab.yml says\n"
    assert setup(project, "plan").returncode == 0


def test_an_existing_project_is_adopted_and_what_was_changed_by_hand_is_put_right(
    gitlab: FakeGitLab, project: Path
) -> None:
    gitlab.add_project(f"{GROUP}/churn", name="Customer Churn", empty_repo=False, default_branch="master")
    gitlab.protect(1, "main", push=30, merge=30)
    gitlab.protect(1, "release", push=0, merge=0)
    assert "create project" not in setup(project).stdout
    assert setup(project, "apply").returncode == 0
    assert gitlab.projects[1]["default_branch"] == "main"
    assert gitlab.branches[1]["main"]["push_access_levels"] == [{"access_level": 40}]
    assert "release" in gitlab.branches[1]
    assert setup(project).returncode == 0


@pytest.mark.parametrize("failure", ["fail_before", "die_after"])
@pytest.mark.parametrize("fresh", [True, False])
def test_apply_converges_when_stopped_at_any_write(
    failure: str, fresh: bool, gitlab: FakeGitLab, project: Path
) -> None:
    def start() -> None:
        gitlab.projects.clear()
        gitlab.branches.clear()
        gitlab.writes.clear()
        run("git", "remote", "remove", "origin", cwd=project)
        if not fresh:
            gitlab.add_project(f"{GROUP}/churn", name="Other")
            gitlab.protect(1, "main", push=40, merge=40)

    start()
    assert setup(project, "apply").returncode == 0
    wanted, count = gitlab.state(), len(gitlab.writes)
    assert count == 3  # fresh: create, settings, protect; adopted: settings, unprotect, protect
    for number in range(1, count + 1):
        start()
        setattr(gitlab, failure, number)
        assert setup(project, "apply").returncode == 1
        assert len(gitlab.writes) == number
        setattr(gitlab, failure, None)
        assert setup(project).returncode == 3  # at least the remote is missing
        assert setup(project, "apply").returncode == 0
        assert gitlab.state() == wanted
        assert remote(project).endswith("churn.git")


def test_a_remote_that_is_there_is_left_alone(project: Path) -> None:
    run("git", "remote", "add", "origin", "git@example.com:other.git", cwd=project)
    done = setup(project, "apply")
    assert done.returncode == 0
    assert "note: the remote origin is left as it is" in done.stdout
    assert remote(project) == "git@example.com:other.git"


def test_without_a_repository_the_remote_waits(gitlab: FakeGitLab, tmp_path: Path) -> None:
    folder = delivery.bake(tmp_path, gitlab_url=gitlab.url, gitlab_group=GROUP)
    done = setup(folder, "apply", GIT_CEILING_DIRECTORIES=str(tmp_path))
    assert done.returncode == 0
    assert "is no git repository yet" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f'group: "{GROUP}"', 'group: ""', "group is blank"),
        (f'group: "{GROUP}"', "group: # later", "group is blank"),
        (f'group: "{GROUP}"', "group: nobody", "no group nobody that the token may see"),
        (f'group: "{GROUP}"', "group: 7", "no group 7 that the token may see"),
        ("http://127.0.0.1", "http://gitlab.example.com", "must start with https://"),
        ("http://127.0.0.1", "http://user:pass@127.0.0.1", "must not hold a user or token"),
        ("http://127.0.0.1", "127.0.0.1", "must look like https://gitlab.com"),
        ("squash_option", "squash_options", "have no squash_options"),
        ("push: maintainers", "push: everyone", "default_branch.push: use one of no_one"),
        ("visibility: private", "visible: private", "project needs exactly the keys"),
        ("settings:", "setings:", "needs exactly the keys"),
        ("settings:", "settings: [", "not valid YAML"),
    ],
)
def test_a_wrong_gitlab_yml_is_refused_with_one_line(
    old: str, new: str, message: str, gitlab: FakeGitLab, project: Path
) -> None:
    gitlab.add_project(f"{GROUP}/churn")
    replace(project / "gitlab.yml", old, new)
    done = setup(project, "apply")
    assert done.returncode == 1
    assert message in done.stderr
    assert gitlab.writes == []


@pytest.mark.parametrize(
    ("always", "message"),
    [
        ((401, "{}"), "401: GITLAB_TOKEN is wrong or has expired"),
        ((403, "{}"), "403: the token needs the scope `api` and the role Maintainer"),
        ((404, "{}"), f"no group {GROUP} that the token may see"),
        ((500, "{}"), "500"),
        ((200, "<html>a portal</html>"), "does not answer like GitLab"),
    ],
)
def test_a_refusal_is_explained(always: tuple[int, str], message: str, gitlab: FakeGitLab, project: Path) -> None:
    gitlab.always = always
    done = setup(project, "apply")
    assert done.returncode == 1
    assert message in done.stderr


def test_a_missing_or_wrong_token_is_explained(project: Path) -> None:
    assert "GITLAB_TOKEN is not set" in setup(project, token="").stderr
    assert "401" in setup(project, token="glpat-of-somebody-else").stderr


def test_a_host_out_of_reach_is_explained(gitlab: FakeGitLab, project: Path) -> None:
    replace(project / "gitlab.yml", gitlab.url, "http://127.0.0.1:9")
    done = setup(project)
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr


def test_a_certificate_of_ones_own_needs_its_authority_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with gitlab_fake.running(context) as fake:
        folder = delivery.bake(tmp_path, gitlab_url=fake.url, gitlab_group=GROUP)
        done = setup(folder)
        assert done.returncode == 1
        assert "certificate is not trusted: name your CA file in REQUESTS_CA_BUNDLE" in done.stderr
        assert setup(folder, REQUESTS_CA_BUNDLE=str(tmp_path / "ca.pem")).returncode == 3


def test_help_names_the_actions_and_exit_codes(project: Path) -> None:
    done = setup(project, "--help")
    assert done.returncode == 0
    assert "GITLAB_TOKEN" in done.stdout
    assert "3 plan found differences" in done.stdout
    assert setup(project, "destroy").returncode == 2


def test_the_script_brings_exactly_what_was_tested(project: Path) -> None:
    text = (project / "tools/gitlab_setup.py").read_text()
    block = re.search(r"^# /// script\n(.*?)^# ///$", text, re.DOTALL | re.MULTILINE)
    assert block
    metadata = tomllib.loads(re.sub(r"^# ?", "", block[1], flags=re.MULTILINE))
    assert f"python-gitlab=={version('python-gitlab')}" in metadata["dependencies"]
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in metadata["dependencies"])
    declared = {pin.partition("==")[0] for pin in metadata["dependencies"]}
    imported = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    providers = {name: set(packages_distributions()[name]) for name in imported if name not in sys.stdlib_module_names}
    assert [name for name, found in providers.items() if not {each.lower() for each in found} & declared] == []
