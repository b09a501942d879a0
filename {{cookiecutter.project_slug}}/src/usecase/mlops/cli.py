"""The command line `usecase`. Modules are imported inside the commands: a rerun must not wait for polars or XGBoost."""

import gc
import importlib.util
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from usecase.mlops.errors import UserError

if TYPE_CHECKING:
    from usecase.mlops.registry import Registry

CONTRACT_FILE = Path("data_contract.yaml")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train, register, approve, serve and ask the model of this repository.",
)

registry_app = typer.Typer(invoke_without_command=True, help="List the registered versions; `show` tells all of one.")
app.add_typer(registry_app, name="registry")
pipeline_app = typer.Typer(
    invoke_without_command=True,
    help="Compile src/usecase/pipeline.py to pipeline.json, offline. Needs the dependency group `sagemaker`.",
)
app.add_typer(pipeline_app, name="pipeline")

Data = Annotated[Path | None, typer.Option(help="CSV or Parquet file, or a folder of such files.")]
Port = Annotated[
    int | None, typer.Option(help="Port on this machine. Default: serving.port of the settings.", min=1, max=65535)
]
Version = Annotated[str, typer.Option(help="Number of the version, or latest. Needed.")]
Environment = Annotated[
    Literal["local", "dev", "qa", "prod"], typer.Option("--env", help="Whose registry. Default: the one here.")
]


def main() -> None:
    """Entry point of the console script: an error that a person can mend is one line and exit 1."""
    in_repository = CONTRACT_FILE.parent.joinpath("pyproject.toml").exists() and Path("config").is_dir()
    if not in_repository and "--help" not in sys.argv:
        sys.exit("error: this folder is not the repository: cd to the one with pyproject.toml and config/")
    try:
        app()
    except UserError as error:
        sys.exit(f"error: {error}")
    finally:
        gc.freeze()  # else all that was imported is searched for garbage at the end: a tenth of a second


@app.command()
def setup() -> None:
    """Make the first commit and install the git hooks; `make setup` has made the environment before."""
    from usecase.mlops import start

    start.set_up(typer.echo)


@app.command()
def doctor(port: Port = None) -> None:
    """Check tools, versions, settings, contract, port and credentials, and say what to do about each."""
    from usecase.mlops.doctor import examine

    findings = examine(port)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        fix = f" -> {finding.fix}" if finding.fix and finding.state != "ok" else ""
        typer.echo(f"{finding.state:<5} {finding.name:<{width}}  {finding.detail}{fix}")
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


@app.command()
def contract(
    data: Annotated[Path | None, typer.Option(help="CSV or Parquet file with a header. Needed.")] = None,
    target: Annotated[str, typer.Option(help="The column to predict. Needed.")] = "",
    task: Annotated[
        Literal["classification", "regression"] | None, typer.Option(help="Default: inferred from the target.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option("--id", help="The column that names a row. Default: inferred.")
    ] = None,
) -> None:
    """Infer data_contract.yaml from a file and say what a person should check. Replaces the contract that is there."""
    from usecase.mlops.files import table_or_folder
    from usecase.mlops.infer import infer

    if data is None or not target:
        raise UserError("contract needs a file and the column to predict: data=FILE target=COLUMN")
    draft = infer(table_or_folder(data), target, task, id_column, root=Path())
    if CONTRACT_FILE.exists() and CONTRACT_FILE.read_text(encoding="utf-8") != draft.text:
        kept = Path(".local/contracts") / f"{time.strftime('%Y%m%dT%H%M%S')}.yaml"
        kept.parent.mkdir(parents=True, exist_ok=True)
        CONTRACT_FILE.rename(kept)
        typer.echo(f"The contract before is kept as {kept}\n")
    CONTRACT_FILE.write_text(draft.text, encoding="utf-8")
    columns = draft.contract.columns.values()
    width = min(40, max(len(column.name) for column in columns))
    for column in columns:
        kind = "category" if column.type == "string" and column.constraints.enum else column.type
        typer.echo(f"{column.name:<{width}}  {kind:<8}  {column.role:<7}  {column.reason}")
    kind_of_problem = draft.contract.task.replace("_", " ")
    typer.echo(f"\n{CONTRACT_FILE}: {len(draft.contract.features)} features, {kind_of_problem} of {target!r}")
    if draft.checks:
        typer.echo("Please check:")
    for check in draft.checks:
        typer.echo(f"  - {check}")
    typer.echo("Next: make run")


@app.command()
def run(
    data: Data = None,
    params: Annotated[str, typer.Option(help='Pipeline parameters: "MaxDepth=6 LearningRate=0.05".')] = "",
) -> None:
    """Run pipeline.json here: preprocess, train, evaluate, check the quality, register."""
    from usecase.mlops.run import LOCAL, parse_overrides, record_of, run_pipeline, summarize
    from usecase.mlops.settings import load_settings
    from usecase.mlops.tracking import Tracker

    settings = load_settings()
    with Tracker(settings.tracking.uri, LOCAL, typer.echo) as tracker:
        # MLflow takes seconds to import: it does so while the later jobs run, and not at all when nothing is new
        done = run_pipeline(settings, data, parse_overrides(params), on_job=tracker.start)
        try:
            summarize(done.execution, settings.model_package_group, typer.echo)
        finally:
            if done.is_news and (place := tracker.log(record_of(done, settings.model_package_group))):
                typer.echo(f"{'Logged':<11}{place} (make ui)")
    if done.execution.status == "Stopped":
        raise typer.Exit(130)


@registry_app.callback()
def registry(context: typer.Context, env: Environment = "local") -> None:
    """List the registered versions: number, status, main metric, time. `show` tells all of one."""
    if context.invoked_subcommand:
        if env != "local":
            raise UserError(f"put the environment last: usecase registry {context.invoked_subcommand} ... --env {env}")
        return
    from usecase.mlops.lineage import listing

    opened = _registry(env)
    packages = opened.list()
    if not packages:
        typer.echo(f"no version is registered yet in {opened.place}: {opened.first}")
    for package in packages:
        typer.echo(listing(package))


@registry_app.command()
def show(
    version: Annotated[str, typer.Argument(help="Number of the version, or latest.")],
    env: Environment = "local",
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Lead from a version back to its decision, metrics, gates, image, model, data, contract, code and commit."""
    from usecase.mlops import lineage

    package = _registry(env).describe(version)
    if as_json:
        typer.echo(json.dumps(lineage.lineage(package), indent=1))
        return
    for line in lineage.show(package):
        typer.echo(line)


@app.command()
def approve(
    version: Version = "",
    reason: Annotated[str, typer.Option(help="Why, for the people who read the registry.")] = "",
    env: Environment = "local",
) -> None:
    """Approve a pending version, so that it may be served. Its model, evidence and gates are checked first."""
    package = _registry(env).approve(version, reason)
    typer.echo(f"version {package.version} is {package.status}")
    if env == "local":
        typer.echo("Next: make serve")


@app.command()
def reject(
    version: Version = "",
    reason: Annotated[str, typer.Option(help="Why, for the people who read the registry. Needed.")] = "",
    env: Environment = "local",
) -> None:
    """Reject a pending version, or revoke an approved one."""
    package = _registry(env).reject(version, reason)
    typer.echo(f"version {package.version} is {package.status}: {package.reason}")


@app.command()
def serve(
    port: Port = None,
    capture: Annotated[
        Path | None, typer.Option(help="Keep requests and answers in this folder, as SageMaker captures them.")
    ] = None,
) -> None:
    """Serve the latest approved version on this machine: POST /invocations, GET /ping, /docs and /metrics."""
    from usecase.mlops.files import output_folder
    from usecase.mlops.model import unpack
    from usecase.mlops.settings import load_settings

    if capture is not None:
        output_folder(capture)
    package = _registry().latest_approved()
    package.verify()

    settings = load_settings().serving
    with tempfile.TemporaryDirectory(prefix="usecase-model-") as folder:
        unpack(package.model_data, Path(folder))
        typer.echo(f"version {package.version} of {package.description['ModelPackageGroupName']}")
        options = {"model-dir": folder, "port": port or settings.port, "max-payload-mb": settings.max_payload_mb}
        options |= {"model-version": package.version, "workers": 1, "metrics": "prometheus"}
        options |= {"capture-dir": capture} if capture else {}
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        command = [sys.executable, "-m", "usecase.mlops.serving", "serve", "--host", "127.0.0.1", *words]
        service = subprocess.Popen(command)
        for number in (signal.SIGINT, signal.SIGTERM):  # the service ends in order, then this does
            signal.signal(number, lambda number, _: service.send_signal(number))
        if status := service.wait():
            raise typer.Exit(status)


@app.command()
def predict(
    data: Data = None,
    port: Port = None,
    output: Annotated[Path | None, typer.Option(help="Write the predictions to this CSV file as well.")] = None,
) -> None:
    """Ask the running service for predictions and print them as a table."""
    import polars as pl

    from usecase.mlops.contract import Contract
    from usecase.mlops.predict import ask_service, read_rows
    from usecase.mlops.settings import load_settings

    if output is not None and not output.absolute().parent.is_dir():
        raise UserError(f"{output}: the folder {output.parent} does not exist")
    if output is not None and output.is_dir():
        raise UserError(f"{output}: is a folder: give a file for the predictions")
    agreed = Contract.load(CONTRACT_FILE)
    table = ask_service(read_rows(data, agreed), agreed, port or load_settings().serving.port)
    with pl.Config(
        tbl_rows=50,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="ASCII_BORDERS_ONLY_CONDENSED",
    ):
        typer.echo(table)
    if output is not None:
        table.write_csv(output)
        typer.echo(f"{table.height} predictions written to {output}")


@app.command()
def batch(
    source: Annotated[
        Path | None, typer.Option("--input", help="Folder of CSV, JSON Lines or Parquet files. Needed.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the answers, <file>.out each. Needed.")] = None,
) -> None:
    """Answer the rows of files with the latest approved version; what is there already is not made again."""
    if source is None or output is None:
        raise UserError("batch needs two folders: input=DIR output=DIR")
    if not source.is_dir():
        raise UserError(f"{source}: is no folder: give the one that holds the files")

    from usecase.mlops.files import output_folder
    from usecase.mlops.model import unpack

    output_folder(output)
    package = _registry().latest_approved()
    package.verify()
    with tempfile.TemporaryDirectory(prefix="usecase-model-") as folder:
        unpack(package.model_data, Path(folder))
        typer.echo(f"version {package.version} of {package.description['ModelPackageGroupName']}")
        words = ["--model-dir", folder, "--input-dir", str(source), "--output-dir", str(output)]
        _tool("usecase.mlops.serving.batch", *words)


@app.command()
def test() -> None:
    """Run the tests of this repository."""
    _tool("pytest")


@app.command()
def lint() -> None:
    """Check style, security rules (ruff S), formatting and types; change nothing."""
    _tool("ruff", "check", ".")
    _tool("ruff", "format", "--check", ".")
    typer.echo("types ...")  # the first look at all libraries takes half a minute
    _tool("mypy")


@app.command()
def scan(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="secrets, sast, dependencies, licences, sbom, iac, dockerfile, image. Default: all."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Read this JSON report of gitleaks or trivy instead of running a tool.")
    ] = None,
) -> None:
    """Look for secrets, insecure code and infrastructure, vulnerable packages, licences; write reports for GitLab."""
    from usecase.mlops.scans.run import scan as run_scans

    run_scans(names or [], report, typer.echo)


@app.command(name="format")
def format_code() -> None:
    """Format the code and mend what ruff can mend."""
    _tool("ruff", "check", "--fix", ".")
    _tool("ruff", "format", ".")


@pipeline_app.callback()
def pipeline(
    context: typer.Context,
    check: Annotated[
        bool,
        typer.Option("--check", help="Change nothing; fail when pipeline.json is not what pipeline.py compiles to."),
    ] = False,
) -> None:
    """Compile src/usecase/pipeline.py to pipeline.json, offline. Needs the dependency group `sagemaker`."""
    if not context.invoked_subcommand:
        _tool("usecase.mlops.compile", *(["--check"] if check else []))


@app.command()
def image(
    builder: Annotated[
        Literal["docker", "podman", "buildah", "buildctl"] | None,
        typer.Option(help="Default: the first of them that is here."),
    ] = None,
) -> None:
    """Build the own container here, with docker, podman, buildah or buildctl."""
    from usecase.mlops.image import build

    build(typer.echo, builder)


@app.command()
def update(
    stage: Annotated[
        Literal["basic", "automated", "full"] | None,
        typer.Option(help="Another stage of the same version, instead of a newer version."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the version and the files that would change; change nothing.")
    ] = False,
    push: Annotated[
        bool, typer.Option("--push", help="Leave this folder alone and open a merge request: for the CI job.")
    ] = False,
) -> None:
    """Bring the newest version of the template into this folder: merged files, then uv.lock and pipeline.json."""
    from usecase.mlops.update import propose
    from usecase.mlops.update import update as update_here

    if push:
        if dry_run or stage:
            raise UserError(
                "--push opens a merge request with the newest version: give it without --dry-run and --stage"
            )
        propose(typer.echo)
    else:
        update_here(typer.echo, stage=stage or "", dry_run=dry_run)


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
def gitlab(context: typer.Context) -> None:
    """Make the project on GitLab what gitlab.yml says: plan, apply, verify or destroy, with tools/gitlab_setup.py."""
    from usecase.mlops.programs import uv_command

    command = [uv_command(), "run", "--quiet", "--script", "tools/gitlab_setup.py", *context.args]
    try:
        finished = subprocess.run(command, check=False)
    except OSError:
        raise UserError("uv is not installed: `make setup` brings it") from None
    if finished.returncode:
        raise typer.Exit(finished.returncode)


@app.command()
def maturity(
    env: Annotated[
        Literal["dev", "qa", "prod"] | None, typer.Option("--env", help="Look into the account of this one, too.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The page. Default: .local/maturity.md")] = None,
    at_least: Annotated[
        Literal["basic", "automated", "full"] | None, typer.Option(help="Exit 3 below this level: for CI.")
    ] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask neither AWS nor GitLab.")] = False,
) -> None:
    """Score this repository against the stages of MLOps maturity, and say what would add most."""
    from usecase.mlops.maturity.checks import LEVELS
    from usecase.mlops.maturity.commands import report

    found = report(env or "", output, offline, typer.echo)
    if at_least and LEVELS.index(found.level) < LEVELS.index(at_least):
        raise typer.Exit(3)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="Port on this machine.", min=1, max=65535)] = 5000,
) -> None:
    """Look at the runs of this repository in MLflow. Needs the dependency group `ui`."""
    _tool("usecase.mlops.ui", "--port", str(port))


def _registry(environment: str = "local") -> "Registry":
    from usecase.mlops.registry import open_registry

    return open_registry(environment)


def _tool(module: str, *arguments: str) -> None:
    """Run a Python tool of this environment; its exit status becomes ours when it fails."""
    finished = subprocess.run([sys.executable, "-m", module, *arguments], check=False)
    if finished.returncode:
        raise typer.Exit(finished.returncode)


def _comes_with(stage: str, *verbs: str, group: typer.Typer = app) -> None:
    """Add commands that only say from which stage on they are there, whatever the rest of the command line is."""

    def say(context: typer.Context) -> None:
        raise UserError(
            f"`{context.command_path}` comes with stage {stage}: to grow,"
            f" uvx copier update --vcs-ref=:current: -d mlops_stage={stage}"
        )

    for verb in verbs:
        any_words = {"ignore_unknown_options": True, "allow_extra_args": True}
        group.command(verb, hidden=True, context_settings=any_words)(say)


# What needs AWS comes with stage automated, and adds its commands itself.
if importlib.util.find_spec("usecase.mlops.aws"):
    for _group in ("pipeline", "registry", "signing", "data", "bundle"):
        importlib.import_module(f"usecase.mlops.aws.{_group}_commands").add_to(app, registry_app, pipeline_app)
else:
    _comes_with("automated", "data", "bundle")
    _comes_with("automated", "deploy", "start", "status", group=pipeline_app)
    _comes_with("automated", "promote", "sign", "verify", "public-key", group=registry_app)
if importlib.util.find_spec("usecase.mlops.infrastructure"):
    importlib.import_module("usecase.mlops.infrastructure.commands").add_to(app)
    importlib.import_module("usecase.mlops.delivery.commands").add_to(app)
else:
    _comes_with("automated", "plan", "deploy", "destroy", "bootstrap", "test-terraform")
if importlib.util.find_spec("usecase.mlops.feature_store"):
    importlib.import_module("usecase.mlops.feature_store_commands").add_to(app)
else:
    _comes_with("full", "features")
if importlib.util.find_spec("usecase.mlops.drift"):
    importlib.import_module("usecase.mlops.drift.commands").add_to(app)
    importlib.import_module("usecase.mlops.monitoring.commands").add_to(app)
else:
    _comes_with("full", "monitor", "monitor-bundle", "feedback", "challenge", "retrain")
