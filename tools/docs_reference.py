"""The reference pages and the pictures of the documentation, made from the code that they are about.

Usage: python tools/docs_reference.py [--check]
"""

from __future__ import annotations

import argparse
import ast
import fnmatch
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import jinja2
import yaml
from typer.main import get_command

import docs_diagrams
import module_tables

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / "{{cookiecutter.project_slug}}"
DOCS = ROOT / "docs"
MADE = "<!-- Made by `python tools/docs_reference.py`: change the code, not this page. -->"
STAGES = ("basic", "automated", "full")
BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
# Where the messages of a part of the code belong, by the beginning of its path; the first that fits.
AREAS = {
    "infrastructure/": "Terraform: plan, deploy, roll back, destroy",
    "delivery/": "Jobs of GitLab: evidence, decision, delivery",
    "gitlab/": "Setting up the GitLab project",
    "aws/": "AWS: data, pipeline, registry, signatures",
    "scans/": "Scans",
    "drift/": "Monitoring, labels, retraining",
    "serving/": "The prediction service and batches",
    "engine/": "The local run of the pipeline",
    "baseline/": "Evidence of a version",
    "update": "Template updates",
    "": "Data, contract, training, registry and the rest",
}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table; line ends in a cell become blanks."""
    cells = [list(head), ["---" for _ in head], *map(list, rows)]
    return "".join(
        f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row)} |\n" for row in cells
    )


def prose(*sentences: str) -> str:
    """A paragraph."""
    return textwrap.fill(" ".join(sentences), 130, break_long_words=False, break_on_hyphens=False) + "\n\n"


def code(value: object) -> str:
    """A value between back ticks; a dash for nothing."""
    return f"`{value}`" if value not in ("", None) else "-"


def stage_of(path: Path) -> str:
    """The first stage whose repositories have a file, by `_exclude` of copier.yml."""
    name = "/" + path.relative_to(TREE).as_posix()
    first = "basic"
    exclude = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["_exclude"]
    for pattern in exclude:
        match = re.match(r"\{% if mlops_stage (==|!=) '(?:basic|full)' %\}(.+)\{% endif %\}", pattern)
        # `**/` matches no folder, too
        if match and (
            fnmatch.fnmatch(name, left_out := match[2].replace("**/", "*")) or fnmatch.fnmatch(name, f"{left_out}/*")
        ):
            first = max(first, "automated" if match[1] == "==" else "full", key=STAGES.index)
    return first


# ---- settings ----------------------------------------------------------------------------------------------------


def defaults(stage: str) -> str:
    """config/defaults.yaml as a repository of a stage has it."""
    answers = {"project_slug": "churn", "description": "", "owner_email": "", "container": "own"}
    answers |= {"aws_region": "eu-west-1", "mlops_stage": stage}
    text = (TREE / "config/defaults.yaml").read_text(encoding="utf-8")
    environment = jinja2.Environment(keep_trailing_newline=True, autoescape=False)
    return environment.from_string(text).render(cookiecutter=answers)


def comments(text: str) -> Iterator[tuple[str, str]]:
    """Each key of a YAML text, as a path, with the comment on its line."""
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        match = re.match(r"( *)([\w.-]+):(?: (.*))?$", line)
        if not match:
            continue
        indent = len(match[1])
        path = [*(entry for entry in path if entry[0] < indent), (indent, match[2])]
        yield ".".join(name for _, name in path), (match[3] or "").partition("# ")[2]


def kind(schema: dict[str, Any], models: dict[str, Any]) -> str:
    """What a value may be, in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(kind(part, models) for part in schema["anyOf"] if part.get("const") != ""))
    if "$ref" in schema:
        return "mapping"
    if "const" in schema or "enum" in schema:
        return ", ".join(code(value) for value in schema.get("enum", [schema.get("const")]))
    words = {"array": "list", "object": "mapping", "string": "text", "boolean": "true, false", "number": "number"}
    words |= {"integer": "whole number", "null": "nothing"}
    found = words.get(schema.get("type", ""), "any")
    if schema.get("type") == "array":
        found = f"list of {kind(schema['items'], models)}"
    if "pattern" in schema:
        found += f" like `{schema['pattern']}`"
    bounds = [f"{word} {schema[name]}" for name, word in BOUNDS.items() if name in schema]
    return " ".join([found, *bounds])


def settings() -> str:
    """Every setting: type, default, meaning, and the stage from which on config/defaults.yaml has it."""
    schema = import_module("usecase.mlops.settings").Settings.model_json_schema()
    models = schema["$defs"]
    texts = {stage: defaults(stage) for stage in STAGES}
    said = dict(comments(texts["full"]))
    since = {name: stage for stage in reversed(STAGES) for name, _ in comments(texts[stage])}
    given = yaml.safe_load(texts["full"])
    plain, parts = [], []
    for name, field in schema["properties"].items():
        if name == "environment":
            continue
        model = _model(field, models)
        if model is None:
            default = given.get(name, field.get("default", ""))
            shown = "an answer of the birth" if "{{" in _line(name) else _shown(default)
            plain.append((code(name), kind(field, models), shown, said.get(name, ""), since.get(name, "basic")))
            continue
        stage = since.get(name, "basic")
        rows = list(_rows(name, model, models, given.get(name) or {}, said))
        rows = [
            (*row, "" if since.get(row[0].strip("`"), stage) == stage else since[row[0].strip("`")]) for row in rows
        ]
        about = " ".join(model.get("description", "").split())
        parts.append(f"\n## {name}\n{about}\n" + (f"\nFrom stage {stage}.\n" if stage != "basic" else "") + "\n")
        if any(row[-1] for row in rows):
            parts.append(table(("setting", "may be", "default", "what", "from stage"), rows))
        else:
            parts.append(table(("setting", "may be", "default", "what"), (row[:-1] for row in rows)))
    intro = prose(
        "`config/defaults.yaml` has the values of the template. Repeat a key in `config/local.yaml`,",
        "`config/dev.yaml`, `config/qa.yaml` or `config/prod.yaml` to change it there: mappings are merged,",
        "everything else is replaced. `config/organisation.yaml` stands between the two.",
        "Python and Terraform read the same files; a wrong key or value is refused with its place.",
    )
    head = ("setting", "may be", "default", "what", "from stage")
    return f"# Settings\n{MADE}\n{intro}{table(head, plain)}" + "".join(parts)


def _line(name: str) -> str:
    text = (TREE / "config/defaults.yaml").read_text(encoding="utf-8")
    found = re.search(rf"^{name}:.*$", text, re.MULTILINE)
    return found[0] if found else ""


def _model(field: dict[str, Any], models: dict[str, Any]) -> dict[str, Any] | None:
    """The section that a field holds; none for a plain value."""
    refs = [part["$ref"] for part in [field, *field.get("anyOf", []), *field.get("allOf", [])] if "$ref" in part]
    model: dict[str, Any] | None = models[refs[0].rpartition("/")[2]] if refs else None
    return model


def _shown(value: object) -> str:
    if value == "" or value is None:
        return "blank"
    if value is ...:
        return "needed"
    if value in ([], {}):
        return "none"
    return code(value if isinstance(value, str) else json.dumps(value))


def _rows(
    path: str, model: dict[str, Any], models: dict[str, Any], given: dict[str, Any], said: dict[str, str]
) -> Iterator[tuple[str, ...]]:
    for name, field in model.get("properties", {}).items():
        inner = _model(field, models)
        key = f"{path}.{name}"
        if inner is not None:
            yield from _rows(key, inner, models, given.get(name) or {}, said)
            continue
        value = given.get(name, field.get("default", ... if name in model.get("required", []) else ""))
        about = said.get(key, said.get(path, ""))
        about = "" if " | " in about and ":" not in about else about  # the choices once more
        yield code(key), kind(field, models), _shown(value), about


# ---- verbs -------------------------------------------------------------------------------------------------------


def verbs() -> str:
    """The targets of the Makefile, and every command of the program `usecase` with its options."""
    app = get_command(import_module("usecase.mlops.cli").app)
    text = (TREE / "Makefile").read_text(encoding="utf-8")
    stage, targets = "basic", []
    for line in text.splitlines():
        if match := re.match(r"# From stage (\w+) on", line):
            stage = match[1]
        elif match := re.match(r"([a-z-]+):.*## (.*)", line):
            targets.append((code(f"make {match[1]}"), match[2], stage))
    commands = sorted(_commands(app, ("usecase",)))
    intro = prose(
        "`make` alone prints the first table. Each target is a command of the program `usecase` too, which works",
        'without make: `uv run usecase VERB`. Values with blanks are quoted: `make run data="my file.csv"`.',
    )
    return (
        f"# Verbs\n{MADE}\n{intro}{table(('target', 'does', 'from stage'), targets)}\n## Commands of `usecase`\n"
        f"{table(('command', 'does', 'arguments and options', 'from stage'), commands)}"
    )


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, str, str, str]]:
    if command.callback is not None and not command.hidden:
        function = inspect.unwrap(command.callback)
        file = Path(inspect.getsourcefile(function) or "").resolve()
        about = (command.help or "").partition("\n\n")[0]
        yield code(" ".join(words)), about, _options(command), stage_of(file)
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from _commands(inner, (*words, name))


def _options(command: Any) -> str:
    found = []
    for parameter in command.params:
        words = parameter.name.upper() if parameter.param_type_name == "argument" else parameter.opts[-1]
        help_text = (getattr(parameter, "help", "") or "").rstrip(".")
        if words != "--help":
            found.append(f"{code(words)} {help_text}".strip())
    return "; ".join(found) or "-"


# ---- pipeline ----------------------------------------------------------------------------------------------------


def pipeline() -> str:
    """Parameters and steps of pipeline.json."""
    definition = json.loads((TREE / "pipeline.json").read_text(encoding="utf-8"))
    given = yaml.safe_load(defaults("full"))["pipeline"]["parameters"]
    rows = []
    for parameter in definition["Parameters"]:
        default = parameter.get("DefaultValue")
        kinds = ", ".join(code(value) for value in parameter.get("EnumValues", [])) or parameter["Type"]
        shown = "filled in at the start" if default is None else code(default)
        rows.append((code(parameter["Name"]), kinds, shown, code(given.get(parameter["Name"]))))
    steps = [(code(step["Name"]), step["Type"], does) for step, does in _steps(definition["Steps"])]
    intro = prose(
        "`pipeline.json` is compiled from `src/usecase/pipeline.py` by `make pipeline` and runs here and in AWS as it",
        'is. A value for one run: `make run params="MaxDepth=6"`; for an environment: `pipeline.parameters` in',
        "`config/`.",
    )
    return (
        f"# Pipeline\n{MADE}\n{intro}![The steps of the pipeline](../assets/pipeline.svg)\n\n## Parameters\n"
        f"{table(('parameter', 'type', 'default in the definition', 'in config/defaults.yaml'), rows)}\n## Steps\n"
        f"{table(('step', 'type', 'runs'), steps)}"
    )


def _steps(steps: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    for step in steps:
        arguments = step["Arguments"]
        words = arguments.get("AppSpecification", arguments.get("AlgorithmSpecification", {}))
        entry = words.get("ContainerEntrypoint", [])
        yield step, code(" ".join(str(word) for word in entry[:3])) if entry else "-"
        yield from _steps(arguments.get("IfSteps", []) + arguments.get("ElseSteps", []))


# ---- metrics -----------------------------------------------------------------------------------------------------


def metrics() -> str:
    """Metrics of models, of the service, of the monitor, and alarms."""
    namespace, service = _service_metrics()
    quality = [
        (task.replace("_", " "), code(name), "less" if error else "more") for task, name, error in _model_metrics()
    ]
    text = (TREE / "terraform/modules/alarms/main.tf").read_text(encoding="utf-8")
    rule = r'^    ([\w-]+) = \[.*?metric = "?([\w.]+)"?.*?about += "([^"]+)"'
    alarms = [
        (code(name), code(metric if "local." not in metric else "Invocations"), re.sub(r"\$\{[^}]+\}", "...", about))
        for name, metric, about in re.findall(rule, text, re.MULTILINE | re.DOTALL)
    ]
    requests = (TREE / "terraform/modules/request_alarms/main.tf").read_text(encoding="utf-8")
    alarms += [
        (code(name), code(metric), "More requests than `alarms.errors_percent` get this answer")
        for name, metric in re.findall(r'"(errors-\w+)" = "(\w+)"', requests)
    ]
    alarms += [
        (code(f"latency-{name}"), code("ModelLatency"), f"The model takes longer than `alarms.{setting}`")
        for name, setting in re.findall(r"(p\d+) = var.thresholds.(\w+)", requests)
    ]
    about_models = prose(
        "On the test rows, in `evaluation.json`; a threshold names one under `quality.<kind of problem>` in `config/`.",
        "Fairness also knows `selection_rate` (how often a group gets the positive class).",
    )
    about_service = prose(
        "`GET /metrics` for Prometheus; in AWS lines of the log that CloudWatch reads, in the namespace",
        f"`{namespace}`.",
    )
    about_monitor = prose(
        "Lines of `metrics.jsonl` in CloudWatch's Embedded Metric Format, in the namespace `usecase/monitor`.",
        "From stage full.",
    )
    about_alarms = prose(
        "CloudWatch alarms of an endpoint or of batch runs; limits are `alarms` in the [settings](settings.md#alarms).",
        "From stage automated.",
    )
    return (
        f"# Metrics\n{MADE}\n"
        f"## Of a model\n{about_models}{table(('kind of problem', 'metric', 'better is'), quality)}\n"
        f"## Of the prediction service\n{about_service}"
        f"{table(('Prometheus', 'CloudWatch', 'kind', 'what', 'by'), service)}\n"
        f"## Of the drift monitor\n{about_monitor}{table(('metric', 'of'), _monitor_metrics())}\n"
        f"## Alarms\n{about_alarms}{table(('alarm', 'metric', 'goes off when'), alarms)}"
    )


def _service_metrics() -> tuple[str, list[tuple[str, ...]]]:
    """The namespace, and name, name in CloudWatch, kind, help and label of each metric of serving/metrics.py.

    Read, since what it imports is too heavy for a page.
    """
    tree = ast.parse((TREE / "src/usecase/mlops/serving/metrics.py").read_text(encoding="utf-8"))
    rows: list[tuple[str, ...]] = []
    namespace = ""
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        value = node.value
        if node.targets[0].id == "NAMESPACE":
            namespace = ast.literal_eval(value)
        elif isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "Metric":
            name, kind_of, _, about, *label = map(ast.literal_eval, value.args)
            # as `Metric.cloudwatch` says it
            cloudwatch = "".join(word.title() for word in name.removesuffix("_total").split("_"))
            rows.append((code(f"usecase_{name}"), code(cloudwatch), kind_of, about, code("".join(label))))
    return namespace, rows


def _model_metrics() -> Iterator[tuple[str, str, bool]]:
    """Task, name and whether it is an error, as METRICS of metrics.py says; its imports are too heavy for a page."""
    tree = ast.parse((TREE / "src/usecase/mlops/metrics.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "METRICS":
            tasks: Any = node.value
            for task, names in zip(tasks.keys, tasks.values, strict=True):
                for name, call in zip(names.keys, names.values, strict=True):
                    yield task.value, name.value, any(word.arg == "is_error" for word in call.keywords)


def _monitor_metrics() -> Iterator[tuple[str, str]]:
    text = (TREE / "src/usecase/mlops/drift/report.py").read_text(encoding="utf-8")
    written = text.partition("def metrics(")[2].partition("\ndef ")[0]
    names = dict.fromkeys(re.findall(r'"([A-Z]\w+)":', written))
    of = re.findall(r'"(\w+)":', written.partition("where = {")[2].partition("}")[0])
    for name in names:
        if name not in (*of, "Column"):
            yield code(name), ", ".join(map(code, [*of, "Column"] if name == "Effect" else of))


# ---- Terraform ---------------------------------------------------------------------------------------------------


def terraform() -> str:
    """Variables and outputs of the roots, and the list of modules, whose pages hold theirs."""
    folder = TREE / "terraform"
    parts = []
    for root in ("bootstrap/account", "bootstrap/usecase", "platform", "serving"):
        files = {name: folder / root / f"{name}.tf" for name in ("variables", "outputs")}
        made = [
            module_tables.table("inputs" if name == "variables" else "outputs", file.read_text(encoding="utf-8"))
            for name, file in files.items()
        ]
        parts.append(f"\n## Root `{root}`\n" + "\n".join(made))
    rows = []
    for readme in sorted(folder.glob("modules/*/README.md")):
        lines = [line for line in readme.read_text(encoding="utf-8").splitlines() if line and line[0].isalnum()]
        name = readme.parent.name
        link = f"../../{TREE.name}/terraform/modules/{name}/README.md"
        rows.append((f"[{name}]({link})", lines[0].split(". ")[0].rstrip("."), stage_of(readme)))
    intro = (
        "From stage automated, `terraform/` has four roots over small modules; what varies between environments are\n"
        "[settings](settings.md), so a root has few variables. `make plan` and `make deploy` fill them in.\n"
    )
    return (
        f"# Terraform\n{MADE}\n{intro}{''.join(parts)}\n## Modules\n"
        f"The page of a module has its inputs and outputs.\n\n{table(('module', 'what', 'from stage'), rows)}"
    )


# ---- messages ----------------------------------------------------------------------------------------------------


def messages() -> str:
    """Every message of UserError in the managed code, by area."""
    found: dict[str, set[str]] = {name: set() for name in AREAS.values()}
    folder = TREE / "src/usecase/mlops"
    for file in sorted(folder.rglob("*.py")):
        name = file.relative_to(folder).as_posix()
        area = next(words for start, words in AREAS.items() if name.startswith(start))
        found[area] |= set(raised(file.read_text(encoding="utf-8")))
    intro = prose(
        "What a command says after `error:` before it ends with status 1, from A to Z by area. `...` stands for",
        "a name, number or path of yours; most messages end with what to do.",
        "[Troubleshooting](../troubleshooting.md) begins with what you see instead.",
    )
    parts = [f"\n## {area}\n" + "".join(f"- {code(text)}\n" for text in sorted(texts)) for area, texts in found.items()]
    return f"# Messages\n{MADE}\n{intro.rstrip()}\n{''.join(parts)}"


def raised(text: str) -> Iterator[str]:
    """The messages that a module raises as UserError, with ... where a value is filled in."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "UserError" and node.args:
            words = _said(node.args[0])
            if re.search(r"\w{2,} \w{2,}", words):
                yield words


def said(text: str) -> Iterator[str]:
    """Everything that a module may say, in the same form."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp) and re.search(r"[a-z]{3}", words := _said(node)):
            yield words


def _said(node: ast.expr) -> str:
    return re.sub(r"(\.\.\.)+", "...", " ".join(_words(node).split())).replace("`", "'")


def _words(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(value) if isinstance(value, ast.Constant) else "..." for value in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left) + _words(node.right)
    return "..."


MADE_OF = {
    "reference/settings.md": settings,
    "reference/verbs.md": verbs,
    "reference/pipeline.md": pipeline,
    "reference/metrics.md": metrics,
    "reference/terraform.md": terraform,
    "assets/pipeline.svg": docs_diagrams.pipeline,
    "assets/life-cycle.svg": docs_diagrams.life_cycle,
    "assets/trust.svg": docs_diagrams.trust,
}


def main() -> None:
    """Write the pages, or say which are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is out of date")
    check = parser.parse_args().check
    sys.dont_write_bytecode = True  # the template's folder is rendered as it lies there
    sys.path.insert(0, str(TREE / "src"))
    stale = []
    for name, make in MADE_OF.items():
        page, wanted = DOCS / name, make()
        if not page.exists() or page.read_text(encoding="utf-8") != wanted:
            stale.append(name)
            if not check:
                page.write_text(wanted, encoding="utf-8")
    if check and stale:
        sys.exit(f"error: docs: {', '.join(stale)} are out of date: python tools/docs_reference.py")


if __name__ == "__main__":
    main()
