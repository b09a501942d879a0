"""Values of a pipeline definition that are known only while it runs: Get, Std:Join, Std:JsonGet and conditions."""

import json
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usecase.mlops.errors import UserError

EXECUTION_VARIABLES = (
    "PipelineName",
    "PipelineArn",
    "PipelineExecutionId",
    "PipelineExecutionArn",
    "StartDateTime",
    "CurrentDateTime",
)
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "Equals": operator.eq,
    "GreaterThan": operator.gt,
    "GreaterThanOrEqualTo": operator.ge,
    "LessThan": operator.lt,
    "LessThanOrEqualTo": operator.le,
}
CONDITIONS = (*COMPARISONS, "In", "Not", "Or")

_PATH_PART = re.compile(r"""\[(?:'([^']*)'|"([^"]*)"|(\d+))\]|\.?([^.\[\]]+)""")


@dataclass(frozen=True)
class Reference:
    """What a `Get` names: ("Parameters", "X"), ("Execution", "X") or ("Steps", "X", "Outputs['a'].S3Uri")."""

    kind: str
    name: str
    path: str = ""


@dataclass
class Scope:
    """What expressions can see: `properties` and `property_files` grow as steps end."""

    parameters: Mapping[str, Any]
    execution: Mapping[str, str]
    resolve: Callable[[str], Path]
    properties: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    property_files: dict[str, Mapping[str, Path]] = field(default_factory=dict)


def parse_reference(text: str) -> Reference:
    """Splits the text of a `Get`. Raises UserError when it is none of the known kinds."""
    kind, _, rest = text.partition(".")
    if kind in ("Parameters", "Execution") and rest:
        return Reference(kind, rest)
    match = re.fullmatch(r"([A-Za-z0-9_-]+)[.]?(.*)", rest)
    if kind == "Steps" and match and match[2]:
        return Reference(kind, match[1], match[2])
    raise UserError(f"`Get: {text}` is none of Parameters.<name>, Execution.<name>, Steps.<step>.<property>")


def references(node: Any) -> Iterator[Reference]:
    """All references in `node`, at any depth."""
    if isinstance(node, list):
        for item in node:
            yield from references(item)
    elif isinstance(node, dict):
        if set(node) == {"Get"}:
            yield parse_reference(node["Get"])
        else:
            for value in node.values():
                yield from references(value)


def split_path(path: str) -> list[str | int]:
    """["Outputs", "a", 0] of `Outputs['a'][0]`. Raises UserError when `path` cannot be read."""
    parts: list[str | int] = []
    position = 0
    while position < len(path):
        match = _PATH_PART.match(path, position)
        if not match:
            raise UserError(f"the path {path!r} cannot be read; write it like a.b['c'][0]")
        quoted, double_quoted, index, name = match.groups()
        parts.append(
            int(index) if index is not None else next(p for p in (quoted, double_quoted, name) if p is not None)
        )
        position = match.end()
    return parts


def walk(value: Any, path: str, origin: str) -> Any:
    """The value at `path` in nested mappings and lists. Raises UserError naming `origin` and what there is instead."""
    for part in split_path(path):
        if isinstance(value, Mapping) and str(part) in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            there = ", ".join(map(str, value)) if isinstance(value, Mapping) else f"a {type(value).__name__}"
            raise UserError(f"{origin} has no {path}: no {part!r} in: {there}")
    return value


def evaluate(node: Any, scope: Scope) -> Any:
    """`node` with every expression replaced by its value. Raises UserError when a value cannot be found."""
    if isinstance(node, list):
        return [evaluate(item, scope) for item in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        (function, argument), *_ = node.items()
        if function == "Get":
            return _get(parse_reference(argument), scope)
        if function == "Std:Join":
            return argument.get("On", "").join(_text(evaluate(value, scope)) for value in argument["Values"])
        if function == "Std:JsonGet":
            return _json_get(argument, scope)
    return {key: evaluate(value, scope) for key, value in node.items()}


def holds(condition: Mapping[str, Any], scope: Scope) -> bool:
    """Whether `condition` holds. Raises UserError when its two sides cannot be compared."""
    kind = condition["Type"]
    if kind == "Not":
        return not holds(condition["Condition"], scope)
    if kind == "Or":
        return any(holds(item, scope) for item in condition["Conditions"])
    if kind == "In":
        return evaluate(condition["QueryValue"], scope) in evaluate(condition["Values"], scope)
    left, right = evaluate(condition["LeftValue"], scope), evaluate(condition["RightValue"], scope)
    try:
        return COMPARISONS[kind](left, right)
    except TypeError:
        raise UserError(f"{kind} cannot compare {left!r} with {right!r}") from None


def _get(reference: Reference, scope: Scope) -> Any:
    if reference.kind == "Parameters":
        return scope.parameters[reference.name]
    if reference.kind == "Execution":
        return scope.execution[reference.name]
    return walk(scope.properties[reference.name], reference.path, f"step {reference.name}")


def _json_get(argument: Mapping[str, Any], scope: Scope) -> Any:
    if "PropertyFile" in argument:
        reference = parse_reference(argument["PropertyFile"]["Get"])
        file = scope.property_files[reference.name][reference.path.removeprefix("PropertyFiles.")]
    else:
        file = scope.resolve(evaluate(argument["S3Uri"], scope))
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error})") from None
    return walk(content, argument["Path"], str(file))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
