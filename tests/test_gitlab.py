"""The set-up of the project on GitLab, against one that keeps state and git; the scenario also runs on a real one."""

import importlib
import io
import os
import re
import shutil
import ssl
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import packages_distributions, requires, version
from pathlib import Path
from typing import Any

import boto3
import pytest
import trustme
import yaml
from moto import mock_aws

import baking
import delivery
import gitlab_fake
from delivery import replace, run
from gitlab_contract import FREE, PREMIUM
from gitlab_fake import GROUP, TOKEN, FakeGitLab
from plans import planned
from test_code import imported

ACCOUNT = "123456789012"  # of moto
ACCOUNTS = {f"aws_account_{name}": ACCOUNT for name in ("dev", "qa", "prod")}
NO_PROXY = {"HTTP_PROXY": "", "HTTPS_PROXY": "", "http_proxy": "", "https_proxy": "", "NO_PROXY": "127.0.0.1"}
NO_AWS = {
    **dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull),
    "AWS_EC2_METADATA_DISABLED": "true",
}
SOURCE = baking.ROOT / baking.PROJECT_FOLDER / "src"
PATH = f"{GROUP}/churn"
ROLES = "aws_iam_role.job["


@dataclass
class Done:
    """How the command ended, and what it said."""

    status: int
    out: str
    err: str


def setup(project: Path, *arguments: str, token: str = TOKEN, **env: str) -> Done:
    """Runs the command in this process; whatever happens, the token may not appear, and an error is one line."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.delenv(name, raising=False)
        for name, value in {**NO_PROXY, **NO_AWS, "GITLAB_TOKEN": token, **env}.items():
            patch.setenv(name, value)
        patch.chdir(project)
        patch.syspath_prepend(str(SOURCE))
        try:
            status = importlib.import_module("usecase.mlops.gitlab.cli").main(list(arguments))
        except SystemExit as error:
            status = int(error.code or 0)
    done = Done(status, out.getvalue(), err.getvalue())
    assert not token or token not in done.out + done.err
    assert done.status == 1 or not done.err, done
    assert re.fullmatch(r"(error: [^\n]+\n)?", done.err), done.err
    return done


@pytest.fixture
def gitlab() -> Iterator[FakeGitLab]:
    with gitlab_fake.running() as fake:
        yield fake


@pytest.fixture(scope="session")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A repository of a stage, in git with one commit, for a GitLab at GITLAB_URL. Not to be changed."""
    made: dict[str, Path] = {}

    def bake(stage: str) -> Path:
        if stage not in made:
            answers = {**ACCOUNTS, "gitlab_group": GROUP, "description": '"quoted" & <b> äé', "mlops_stage": stage}
            made[stage] = delivery.bake(tmp_path_factory.mktemp("baked"), **answers)
            baking.git(made[stage], "init", "--quiet")
            baking.commit(made[stage], "Start")
        return made[stage]

    return bake


def project_of(gitlab: FakeGitLab, source: Path, folder: Path) -> Path:
    """A copy of a repository that wants its project on the fake."""
    project = shutil.copytree(source, folder / "churn", symlinks=True)
    replace(project / "gitlab.yml", "https://gitlab.com", gitlab.url)
    baking.commit(project, "Our GitLab")
    return project


@pytest.fixture
def project(gitlab: FakeGitLab, baked: Callable[[str], Path], tmp_path: Path) -> Path:
    """A repository of stage full."""
    return project_of(gitlab, baked("full"), tmp_path)


def remote(project: Path) -> str:
    return run("git", "remote", "get-url", "origin", cwd=project).stdout.strip()


def wanted_of(project: Path) -> dict[str, Any]:
    """What the files of the project want, merged as a reader would."""
    merged: dict[str, Any] = {}
    for name in (".gitlab/project.yaml", ".gitlab/project-aws.yaml", "gitlab.yml"):
        if (project / name).exists():
            for key, value in yaml.safe_load((project / name).read_text()).items():
                merged[key] = {**merged[key], **value} if isinstance(merged.get(key), dict) else value
    return merged


# the scenario: also of a real GitLab


def assert_is_wanted(project: Path, made: dict[str, Any], items: Callable[[str], list[dict[str, Any]]]) -> None:
    """The project has what its files want; `made` are its attributes, `items` answers the lists of its API."""
    wanted = wanted_of(project)
    assert {key: made[key] for key in wanted["settings"]} == wanted["settings"]
    assert made["ci_id_token_sub_claim_components"][3:] == [
        "ref_protected",
        "environment_protected",
        "deployment_tier",
    ]
    assert made["default_branch"] == "main"
    assert made["description"] == '"quoted" & <b> äé'
    assert {item["name"] for item in items("labels")} >= set(wanted["labels"])
    assert {item["name"]: item["tier"] for item in items("environments")} == {
        name: item["tier"] for name, item in wanted["environments"].items()
    }
    (branch,) = (item for item in items("protected_branches") if item["name"] == "main")
    assert [level["access_level"] for level in branch["push_access_levels"]] == [40]
    assert [level["access_level"] for level in branch["merge_access_levels"]] == [30]
    assert {item["name"] for item in items("protected_tags")} == {"v*"}
    schedules = {item["description"]: item for item in items("pipeline_schedules")}
    assert {name: item["active"] for name, item in schedules.items()} == {
        item["description"]: item["active"] for item in wanted["schedules"].values()
    }
    assert [item["description"] for item in items("triggers")] == ["EventBridge"]
    variables = {(item["key"], item["environment_scope"]): item for item in items("variables")}
    for name in ("dev", "qa", "prod"):
        role = variables["AWS_ROLE_ARN", name]
        assert role["value"] == f"arn:aws:iam::{ACCOUNT}:role/churn/churn-{name}-deploy"
        assert role["protected"]
    assert ("AWS_PLAN_ROLE_ARN", "*") not in variables


@pytest.mark.parametrize("tier", [FREE, PREMIUM])
def test_apply_makes_the_project_and_a_second_apply_writes_nothing(
    tier: str, gitlab: FakeGitLab, project: Path
) -> None:
    gitlab.tier = tier
    first = setup(project, "apply")
    assert first.status == 0, first.err
    (number,) = gitlab.projects
    assert_is_wanted(project, gitlab.projects[number], lambda name: gitlab.collections[number][name])
    assert gitlab.git(number, "rev-parse", "main") == baking.git(project, "rev-parse", "main")
    assert (gitlab.repository(number) / "push-option").read_text() == "ci.skip\n"
    assert remote(project) == f"{gitlab.url}/{PATH}.git"
    assert run("grep", "--recursive", "--files-with-matches", TOKEN, ".", cwd=project).stdout == ""
    assert baking.git(project, "status", "--porcelain") == ""

    protected = {item["name"]: item for item in gitlab.collections[number]["protected_environments"]}
    (branch,) = gitlab.collections[number]["protected_branches"]
    if tier == PREMIUM:
        assert set(protected) == {"dev", "qa", "prod", "model-approval"}
        assert protected["prod"]["approval_rules"][0]["required_approvals"] == 1
        assert branch["code_owner_approval_required"]
        assert gitlab.singles[number]["push_rule"] == {"prevent_secrets": True, "deny_delete_tag": True}
        assert gitlab.collections[number]["approval_rules"][0]["approvals_required"] == 1
    else:
        assert protected == {}
        assert "note: needs Premium: protected environments" in first.out
        assert "aws_access.sub_claims: ref" in first.out

    writes = list(gitlab.writes)
    again = setup(project, "apply")
    assert (again.status, gitlab.writes) == (0, writes)
    assert "done: " not in again.out + again.err
    assert setup(project, "plan").status == 0
    assert setup(project, "verify").status == 0
    assert gitlab.writes == writes


@pytest.mark.live
@pytest.mark.skipif(
    "GITLAB_TEST_URL" not in os.environ, reason="GITLAB_TEST_URL, _TOKEN and _GROUP name no real GitLab"
)
def test_the_same_on_a_real_gitlab(baked: Callable[[str], Path], tmp_path: Path) -> None:
    """Makes a project, sets it up twice, changes something by hand, mends it and deletes the project."""
    client = importlib.import_module("gitlab").Gitlab(
        os.environ["GITLAB_TEST_URL"], private_token=os.environ["GITLAB_TEST_TOKEN"]
    )
    folder = shutil.copytree(baked("full"), tmp_path / "churn", symlinks=True)
    name = f"churn-{os.getpid()}"
    replace(folder / "gitlab.yml", "https://gitlab.com", os.environ["GITLAB_TEST_URL"])
    replace(folder / "gitlab.yml", f'group: "{GROUP}"', f"group: {os.environ['GITLAB_TEST_GROUP']}")
    replace(folder / "gitlab.yml", 'path: "churn"', f"path: {name}")
    replace(folder / "gitlab.yml", 'name: "Customer Churn"', f"name: {name}")
    baking.commit(folder, "A real GitLab")
    path = f"{os.environ['GITLAB_TEST_GROUP']}/{name}"

    def live(*arguments: str) -> Done:
        return setup(folder, *arguments, token=os.environ["GITLAB_TEST_TOKEN"])

    try:
        assert live("plan").status == 2
        assert live("apply").status == 0
        made = client.projects.get(path)
        address = f"/projects/{made.id}"
        assert_is_wanted(folder, made.attributes, lambda kind: client.http_list(f"{address}/{kind}", get_all=True))
        assert "done: " not in live("apply").out
        client.http_put(address, post_data={"merge_method": "ff"})
        client.http_delete(f"{address}/protected_tags/v%2A")
        assert live("plan").status == 2
        assert live("apply").status == 0
        assert live("verify").status == 0
    finally:
        assert live("destroy", "--confirm", path).status == 0


# plan, drift, crashes


def test_plan_writes_nothing_and_says_what_apply_would_do(gitlab: FakeGitLab, project: Path) -> None:
    done = setup(project)
    assert done.status == 2
    for line in (f"create project {PATH}", "create environment prod", "create schedule Retraining", "and push main"):
        assert f"{line}\n" in done.out
    assert gitlab.writes == []
    assert remote(project) == ""


def test_at_stage_basic_nothing_is_of_aws(gitlab: FakeGitLab, baked: Callable[[str], Path], tmp_path: Path) -> None:
    project = project_of(gitlab, baked("basic"), tmp_path)
    assert setup(project, "apply").status == 0
    (number,) = gitlab.projects
    found = gitlab.collections[number]
    assert [name for name in ("environments", "variables", "triggers") if found[name]] == []
    assert len(found["pipeline_schedules"]) == 2
    assert gitlab.projects[number]["ci_id_token_sub_claim_components"] == ["project_path", "ref_type", "ref"]
    assert len(found["labels"]) == len(wanted_of(project)["labels"])


Change = Callable[[FakeGitLab, dict[str, list[dict[str, Any]]]], Any]
DRIFT: dict[str, Change] = {
    "merge_method: ff -> merge": lambda g, _: g.projects[1].update(merge_method="ff"),
    "sub_claim_components": lambda g, _: g.projects[1].update(ci_id_token_sub_claim_components=["project_path"]),
    "label incident: color": lambda _, c: named(c["labels"], "incident").update(color="#000000"),
    "create label data-change": lambda _, c: c["labels"].remove(named(c["labels"], "data-change")),
    "environment qa: tier: testing -> staging": lambda _, c: named(c["environments"], "qa").update(tier="testing"),
    "variable AWS_ROLE_ARN of qa: value": lambda _, c: c["variables"][5].update(value="arn:of:another"),
    "variable AWS_ROLE_ARN of prod: protected": lambda _, c: c["variables"][6].update(protected=False),
    "protected branch main: push_access_level": lambda _, c: c["protected_branches"][0]["push_access_levels"].append(
        {"access_level": 30}
    ),
    "; allow_force_push: True -> False": lambda _, c: c["protected_branches"][0].update(allow_force_push=True),
    "create protected tag v*": lambda _, c: c["protected_tags"].clear(),
    "protected environment prod: approval_rules": lambda _, c: named(c["protected_environments"], "prod").update(
        approval_rules=[]
    ),
    "protected environment qa: deploy_access_levels": lambda _, c: named(c["protected_environments"], "qa").update(
        deploy_access_levels=[{"access_level": 40, "group_id": 8, "user_id": None}]
    ),
    "approval rule any_approver: approvals_required: 0 -> 1": lambda _, c: c["approval_rules"][0].update(
        approvals_required=0
    ),
    "approvals: reset_approvals_on_push": lambda g, _: g.singles[1]["approvals"].update(reset_approvals_on_push=False),
    "push rules: prevent_secrets": lambda g, _: g.singles[1]["push_rule"].update(prevent_secrets=False),
    "schedule Retraining: active: True -> False": lambda _, c: c["pipeline_schedules"][2].update(active=True),
    "schedule Weekly template update: inputs": lambda _, c: c["pipeline_schedules"][1]["inputs"].append(
        {"name": "a", "value": "b"}
    ),
    "create schedule Nightly scans": lambda _, c: c["pipeline_schedules"].pop(0),
    "resource group prod: process_mode": lambda _, c: c["resource_groups"][2].update(process_mode="unordered"),
    "create pipeline trigger EventBridge": lambda _, c: c["triggers"].clear(),
}


def named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def test_what_was_changed_by_hand_is_found_and_mended(gitlab: FakeGitLab, project: Path) -> None:
    gitlab.tier = PREMIUM
    assert setup(project, "apply").status == 0
    gitlab.run_pipeline(1, "dev", "qa", "prod")
    assert setup(project, "apply").status == 0  # resource groups come with the first pipeline
    wanted = gitlab.state()
    for told, change in DRIFT.items():
        before = gitlab.state()
        change(gitlab, gitlab.collections[1])
        assert gitlab.state() != before, told
    plan = setup(project)
    assert plan.status == 2
    assert [told for told in DRIFT if told not in plan.out.replace("ci_id_token_", "")] == []
    assert plan.out.count("plan: ") == len(DRIFT) - 2  # two of the settings and two of the branch share a line
    assert setup(project, "verify").status == 1
    assert setup(project, "apply").status == 0
    assert gitlab.state() == wanted
    assert setup(project).status == 0


def test_what_is_not_ours_is_left_alone(gitlab: FakeGitLab, project: Path) -> None:
    assert setup(project, "apply").status == 0
    gitlab.protect(1, "release", push=0, merge=0)
    gitlab.add(1, "labels", name="theirs", color="#111111")
    gitlab.add(1, "variables", key="THEIRS", value="x", environment_scope="*")
    before = gitlab.state()
    assert setup(project, "apply").status == 0
    assert gitlab.state() == before


@pytest.mark.slow
@pytest.mark.parametrize(("tier", "adopted"), [(FREE, False), (PREMIUM, True)])
def test_apply_converges_when_killed_after_any_write(
    tier: str, adopted: bool, gitlab: FakeGitLab, project: Path
) -> None:
    """The write is done, and nobody hears of it: the state that is left is that of a kill before the next one, too."""
    gitlab.tier, gitlab.page_size = tier, 100

    def start() -> None:
        gitlab.forget()
        run("git", "remote", "remove", "origin", cwd=project)
        if adopted:
            number = gitlab.add_project(PATH, name="Other")["id"]
            gitlab.add(number, "labels", name="incident", color="#000000")
            gitlab.add(number, "environments", name="prod", tier="other")
            gitlab.protect(number, "main", push=40, merge=40)
            gitlab.add(number, "variables", key="AWS_ROLE_ARN", environment_scope="prod", value="x", protected=False)

    start()
    assert setup(project, "apply").status == 0
    wanted, count = gitlab.state(), len(gitlab.writes)
    assert count > 20
    for number in range(1, count + 1):
        start()
        gitlab.die_after = number
        assert setup(project, "apply").status == 1
        assert len(gitlab.writes) == number
        gitlab.die_after = None
        done = setup(project, "apply")
        assert done.status == 0, (number, done.err)
        assert gitlab.state() == wanted, number
        assert remote(project).endswith("churn.git")


def test_a_write_that_gitlab_refuses_ends_with_one_line(gitlab: FakeGitLab, project: Path) -> None:
    gitlab.page_size = 100
    for number in (1, 4, 9):  # the project, a label, the push
        gitlab.forget()
        run("git", "remote", "remove", "origin", cwd=project)
        gitlab.fail_before = number
        done = setup(project, "apply")
        assert done.status == 1
        assert "500" in done.err
        assert number == 9 or "nothing was deleted; to continue: uv run --script" in done.err
    assert gitlab.writes[-1].endswith("git-receive-pack")


# whose project it is


def filled(gitlab: FakeGitLab, folder: Path) -> int:
    """A project at our path with somebody else's commit."""
    number = gitlab.add_project(PATH, default_branch="master")["id"]
    baking.git(folder, "init", "--quiet", "--initial-branch=master")
    (folder / "theirs").touch()
    baking.commit(folder, "Theirs")
    baking.git(folder, "push", "--quiet", str(gitlab.repository(number)), "master")
    return int(number)


def test_a_project_of_somebody_else_is_refused_unless_adopted(
    gitlab: FakeGitLab, project: Path, tmp_path: Path
) -> None:
    (tmp_path / "theirs").mkdir()
    number = filled(gitlab, tmp_path / "theirs")
    before = gitlab.state()
    for action in ("plan", "apply"):
        done = setup(project, action)
        assert done.status == 1
        assert "holds commits that are not of this folder" in done.err
        assert gitlab.state() == before
    assert setup(project, "destroy", "--confirm", PATH).status == 1
    assert gitlab.state() == before
    baking.git(tmp_path / "theirs", "push", "--quiet", str(gitlab.repository(number)), "master:main")
    assert setup(project, "apply", "--adopt").status == 0
    assert gitlab.projects[number]["default_branch"] == "main"
    assert baking.git(tmp_path / "theirs", "rev-parse", "master") == gitlab.git(number, "rev-parse", "main")


def test_a_project_whose_commits_are_here_is_ours_whatever_origin_says(project: Path) -> None:
    run("git", "remote", "add", "origin", "git@example.com:other.git", cwd=project)
    for _ in range(2):
        done = setup(project, "apply")
        assert done.status == 0
        assert "note: the remote origin is left as it is" in done.out
    assert remote(project) == "git@example.com:other.git"


def test_destroy_only_by_its_name_and_only_ours(gitlab: FakeGitLab, project: Path) -> None:
    assert "nothing to delete" in setup(project, "destroy").out
    assert setup(project, "apply").status == 0
    writes = len(gitlab.writes)
    done = setup(project, "destroy")
    assert done.status == 0
    assert f"destroy --confirm {PATH}\n" in done.out
    assert setup(project, "destroy", "--confirm", "churn").status == 1
    assert len(gitlab.writes) == writes
    assert setup(project, "destroy", "--confirm", PATH).status == 0
    assert gitlab.projects == {}
    assert (project / "gitlab.yml").exists()


# the state of git


def test_no_commit_yet_says_what_to_do_and_the_next_apply_goes_on(project: Path, tmp_path: Path) -> None:
    shutil.rmtree(project / ".git")
    ceiling = {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    done = setup(project, "apply", **ceiling)
    assert (done.status, "this folder is no git repository: run `make setup`" in done.err) == (1, True)
    baking.git(project, "init", "--quiet", "--initial-branch=main")
    assert "the git repository has no commit" in setup(project, "apply").err
    baking.commit(project, "Start")
    (project / "new.txt").touch()
    done = setup(project, "apply")
    assert done.status == 0
    assert "note: changes that are not committed are not pushed" in done.out


def test_a_folder_inside_another_repository_never_pushes_that_one(
    gitlab: FakeGitLab, project: Path, tmp_path: Path
) -> None:
    shutil.rmtree(project / ".git")
    baking.git(tmp_path, "init", "--quiet", "--initial-branch=main")
    baking.commit(tmp_path, "Outer")
    for more in ([], ["--first-commit"]):
        done = setup(project, "apply", *more)
        assert done.status == 1
        assert "is part of another git repository" in done.err
    assert run("git", "remote", cwd=tmp_path).stdout == ""
    assert gitlab.git(1, "for-each-ref") == ""


def test_without_the_default_branch_nothing_is_pushed(project: Path) -> None:
    baking.git(project, "branch", "--move", "master")
    done = setup(project, "apply")
    assert done.status == 1
    assert "there is no local branch main: `git branch main master`" in done.err


# what a person gets wrong


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f'group: "{GROUP}"', 'group: ""', "group: is blank"),
        (f'group: "{GROUP}"', "group: # later", "group: is blank"),
        (f'group: "{GROUP}"', "group: nobody", "no group nobody that the token may see"),
        ("http://127.0.0.1", "http://gitlab.example.com", "must start with https://"),
        ("http://127.0.0.1", "http://user:pass@127.0.0.1", "must not hold a user or token"),
        ("http://127.0.0.1", "127.0.0.1", "must look like https://gitlab.com"),
        ("squash_option", "squash_options", "show no squash_options"),
        ("push: maintainers", "push: everyone", "default_branch.push"),
        ("visibility: private", "visible: private", "project.visibility: Field required"),
        ("settings:", "setings:", "setings: unknown key"),
        ("settings:", "settings: [", "not valid YAML"),
        ("settings:", "variables: [{key: A, value: b, masked: true}]\nsettings:", "use from_env"),
        ("settings:", "variables: [{key: A}]\nsettings:", "give either value, or from_env"),
        ("settings:", "labels: {x: {color: red}}\nsettings:", "labels.x.color"),
        ("settings:", "environments: {qa: {tier: qa}}\nsettings:", "environments.qa.tier"),
        ("settings:", "schedules: {poll: {cron: hourly}}\nsettings:", "schedules.poll.cron"),
    ],
)
def test_a_wrong_gitlab_yml_is_refused_with_one_line(
    old: str, new: str, message: str, gitlab: FakeGitLab, project: Path
) -> None:
    gitlab.add_project(PATH) if message.startswith("show") else None
    replace(project / "gitlab.yml", old, new)
    done = setup(project, "apply")
    assert done.status == 1
    assert message in done.err
    assert gitlab.writes == []


def test_settings_of_aws_that_differ_by_environment_are_refused(project: Path) -> None:
    with (project / "config/qa.yaml").open("a") as file:
        file.write("aws_access: { sub_claims: ref }\n")
    assert "aws_access.sub_claims differs between" in setup(project).err


def test_the_form_of_the_tokens_follows_config(gitlab: FakeGitLab, project: Path) -> None:
    for name in ("dev", "qa", "prod"):
        with (project / f"config/{name}.yaml").open("a") as file:
            file.write("aws_access: { sub_claims: ref, plan_role: true }\n")
    gitlab.version = "17.11.0"
    done = setup(project, "apply")
    assert done.status == 0
    assert "sub_claims: ref" not in done.out
    assert gitlab.projects[1]["ci_id_token_sub_claim_components"] == ["project_path", "ref_type", "ref"]
    variables = {item["key"]: item for item in gitlab.collections[1]["variables"]}
    assert variables["AWS_SUB_CLAIMS"]["value"] == "ref"
    assert not variables["AWS_PLAN_ROLE_ARN"]["protected"]


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"always": (401, "{}")}, "401: GITLAB_TOKEN is wrong, revoked or expired"),
    ({"always": (403, '{"message": "403 Forbidden"}')}, "403: the token needs the scope `api` and the role Maintainer"),
    ({"always": (500, "{}")}, "GitLab fails with 500"),
    ({"always": (200, "<html>a portal</html>")}, "does not answer like GitLab"),
    ({"always": (404, "<html>no such page</html>")}, "404"),
    ({"scopes": ("read_api",)}, "has the scopes read_api: it needs the scope `api`"),
    ({"access_level": 30}, "is no Maintainer of the group"),
    ({"access_level": 0}, "is no Maintainer of the group"),
    ({"version": "18.6.2-ee"}, "GitLab 18.6 cannot put the tier into the tokens of jobs, 18.7 can"),
    ({"groups": {}}, f"no group {GROUP} that the token may see"),
    ({"hidden": PATH}, "the path is taken by a project that the token may not see"),
]


@pytest.mark.parametrize(("how", "message"), REFUSALS, ids=[message[:30] for _, message in REFUSALS])
def test_a_refusal_is_explained(how: dict[str, Any], message: str, gitlab: FakeGitLab, project: Path) -> None:
    for name, value in how.items():
        setattr(gitlab, name, value)
    done = setup(project, "apply")
    assert done.status == 1
    assert message in done.err
    assert gitlab.projects == {}


def test_a_project_on_its_way_out_is_refused(gitlab: FakeGitLab, project: Path) -> None:
    made = gitlab.add_project(PATH, marked_for_deletion_on="2026-01-01")
    assert "waits for its deletion" in setup(project, "apply").err
    made.update(marked_for_deletion_on=None, archived=True)
    assert "is archived" in setup(project, "apply").err
    assert gitlab.writes == []


def test_a_role_that_ends_at_developer_stops_at_the_first_write(gitlab: FakeGitLab, project: Path) -> None:
    gitlab.add_project(PATH)
    gitlab.access_level = 30
    assert "403: the token needs the scope `api` and the role Maintainer" in setup(project, "apply").err


def test_a_missing_or_wrong_token_is_explained(project: Path) -> None:
    assert "GITLAB_TOKEN is not set" in setup(project, token="").err
    assert "401" in setup(project, token="glpat-of-somebody-else").err


def test_a_wrong_command_line_is_no_plan_with_differences(project: Path) -> None:
    done = setup(project, "aply")
    assert done.status == 1
    assert "invalid choice: 'aply'" in done.err


def test_a_host_or_proxy_out_of_reach_is_explained(gitlab: FakeGitLab, project: Path) -> None:
    replace(project / "gitlab.yml", gitlab.url, "http://localhost:9")
    assert "cannot be reached" in setup(project).err
    proxied = setup(project, HTTP_PROXY="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9", NO_PROXY="", no_proxy="")
    assert "the proxy did not let the request through" in proxied.err


def test_a_rate_limit_is_waited_for_and_told(gitlab: FakeGitLab, project: Path) -> None:
    gitlab.limited = 2
    done = setup(project)
    assert done.status == 2
    assert done.out.count("GitLab limits the rate of requests: waiting 1 s\n") == 2


def test_a_certificate_of_ones_own_needs_its_authority_named(baked: Callable[[str], Path], tmp_path: Path) -> None:
    """For the API and for git alike."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with gitlab_fake.running(context) as fake:
        project = project_of(fake, baked("basic"), tmp_path)
        assert "certificate is not trusted: name your CA file in REQUESTS_CA_BUNDLE" in setup(project).err
        done = setup(project, "apply", REQUESTS_CA_BUNDLE=str(tmp_path / "ca.pem"))
        assert done.status == 0, done.err
        assert fake.git(1, "rev-parse", "main") == baking.git(project, "rev-parse", "main")


def test_an_invalid_ci_configuration_is_told_at_the_end(gitlab: FakeGitLab, project: Path) -> None:
    gitlab.lint_errors = ["jobs:test config contains unknown keys: scritp"]
    done = setup(project, "apply")
    assert done.status == 1
    assert "GitLab takes .gitlab-ci.yml for invalid: jobs:test" in done.err
    assert "CI configuration  invalid" in done.out


# Premium, variables, AWS


def test_premium_may_be_required(gitlab: FakeGitLab, project: Path) -> None:
    assert "has no GitLab Premium" in setup(project, "apply", "--require-premium").err
    gitlab.tier = PREMIUM
    assert setup(project, "apply", "--require-premium").status == 0


def test_approvers_get_access_first_and_are_seen_to_be_kept(gitlab: FakeGitLab, project: Path) -> None:
    gitlab.tier = PREMIUM
    with (project / "gitlab.yml").open("a") as file:
        file.write("protected_environments:\n  prod: { approvers: [data-science/approvers] }\n")
    assert setup(project, "apply").status == 0
    prod = named(gitlab.collections[1]["protected_environments"], "prod")
    assert [rule["group_id"] for rule in prod["approval_rules"]] == [8]
    assert setup(project).status == 0
    gitlab.drops_groups = True
    gitlab.collections[1]["protected_environments"].remove(prod)
    assert "took protected environment prod otherwise than asked" in setup(project, "apply").err
    replace(project / "gitlab.yml", "data-science/approvers", "nobody")
    assert "no group nobody" in setup(project, "apply").err


def test_secret_variables_come_from_the_environment_and_are_not_shown(gitlab: FakeGitLab, project: Path) -> None:
    with (project / "gitlab.yml").open("a") as file:
        file.write("variables:\n  - { key: SONAR_TOKEN, from_env: MY_SONAR, masked: true }\n")
    done = setup(project, "apply")
    assert done.status == 0
    assert "values are not set here are left alone: TEMPLATE_UPDATE_TOKEN, GITLAB_API_TOKEN, MY_SONAR\n" in done.out
    assert "GitLab masks only values of 8 characters" in setup(project, "apply", MY_SONAR="short").err
    for secret in ("squ_0123456789", "squ_9876543210"):
        done = setup(project, "apply", MY_SONAR=secret)
        assert done.status == 0
        assert secret not in done.out
        made = next(item for item in gitlab.collections[1]["variables"] if item["key"] == "SONAR_TOKEN")
        assert (made["value"], made["masked"], made["protected"]) == (secret, True, True)
    made.update(hidden=True, value=None)
    assert "variable SONAR_TOKEN is hidden" in setup(project, "apply", MY_SONAR=secret).out


@pytest.mark.slow
def test_variables_name_the_roles_that_terraform_makes(
    planned_repository: Path, running_provider: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(planned_repository, "bootstrap/usecase", "prod", running_provider)  # trains there, with every role
    roles = [item for item in plan["planned_values"]["root_module"]["resources"] if item["address"].startswith(ROLES)]
    made = {
        item["index"]: f"arn:aws:iam::333333333333:role{item['values']['path']}{item['values']['name']}"
        for item in roles
    }
    assert made.keys() == {"approve", "deploy", "plan", "promote", "train"}
    monkeypatch.syspath_prepend(str(SOURCE))
    settings = importlib.import_module("usecase.mlops.settings").load_settings("prod", planned_repository)
    role_arn = importlib.import_module("usecase.mlops.gitlab.wanted").role_arn
    assert {role: role_arn(settings, role) for role in made} == made


def test_accounts_that_are_not_known_yet_have_no_roles(gitlab: FakeGitLab, project: Path) -> None:
    replace(project / "config/qa.yaml", ACCOUNT, "")
    assert setup(project, "apply").status == 0
    scopes = [item["environment_scope"] for item in gitlab.collections[1]["variables"] if item["key"] == "AWS_ROLE_ARN"]
    assert scopes == ["dev", "prod"]


AWS_KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "eu-west-1"}


def connection_of(token: str) -> dict[str, Any]:
    """The connection as Terraform makes it."""
    body = [{"Key": "token", "Value": token, "IsValueSecret": True}]
    return {
        "Name": "churn-dev-gitlab",
        "AuthorizationType": "API_KEY",
        "AuthParameters": {
            "ApiKeyAuthParameters": {"ApiKeyName": "X-Sender", "ApiKeyValue": "EventBridge"},
            "InvocationHttpParameters": {"BodyParameters": body},
        },
    }


def test_the_trigger_token_reaches_aws_and_nothing_else(gitlab: FakeGitLab, project: Path) -> None:
    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        for name, value in AWS_KEYS.items():
            patch.setenv(name, value)
        done = setup(project, "apply", **AWS_KEYS)
        assert done.status == 0
        assert "the trigger token waits for AWS" in done.out

        events = boto3.client("events", region_name="eu-west-1")
        events.create_connection(**connection_of("put in after the first apply"))
        (trigger,) = gitlab.collections[1]["triggers"]
        assert "plan: hand the trigger token to AWS" in setup(project, **AWS_KEYS).out
        done = setup(project, "apply", **AWS_KEYS)
        assert done.status == 0, done.err
        assert trigger["token"] not in done.out
        held = events.describe_connection(Name="churn-dev-gitlab")["AuthParameters"]["InvocationHttpParameters"]
        assert held["HeaderParameters"][0]["Value"] == str(trigger["id"])
        assert held["BodyParameters"][0]["Key"] == "token"
        assert "hand the trigger" not in setup(project, "apply", **AWS_KEYS).out

        # the token of a trigger that somebody else made is not shown: a new one takes its place
        gitlab.user = 12
        events.update_connection(**connection_of("lost"))
        assert setup(project, "apply", **AWS_KEYS).status == 0
        assert len(gitlab.collections[1]["triggers"]) == 2
        assert setup(project, **AWS_KEYS).status == 0


def test_the_script_brings_every_library_that_is_imported(project: Path) -> None:
    text = (project / "tools/gitlab_setup.py").read_text()
    block = re.search(r"^# /// script\n(.*?)^# ///$", text, re.DOTALL | re.MULTILINE)
    assert block
    pins = tomllib.loads(re.sub(r"^# ?", "", block[1], flags=re.MULTILINE))["dependencies"]
    assert f"python-gitlab=={version('python-gitlab')}" in pins
    assert all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)
    brought = {pin.partition("==")[0] for pin in pins}
    brought |= {re.split(r"[^\w.-]", need)[0].lower() for name in set(brought) for need in requires(name) or []}
    listing = (
        "import sys; sys.path.insert(0, 'src');"
        " import usecase.mlops.gitlab.cli, usecase.mlops.aws.event_connection;"
        " print(*{m.__file__ for name, m in sys.modules.items() if name.startswith('usecase.')}, sep='\\n')"
    )
    sources = [Path(line) for line in run(sys.executable, "-c", listing, cwd=project).stdout.splitlines()]
    assert len(sources) > 10
    imports = set().union(*(imported(source.read_text()) for source in sources)) - sys.stdlib_module_names - {"usecase"}
    assert imports >= {"gitlab", "requests", "pydantic", "yaml", "boto3"}
    providers = packages_distributions()
    assert {name for name in imports if not {each.lower() for each in providers[name]} & brought} == set()
