"""A pipeline definition, checked as a whole before anything runs."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any

from usecase.mlops.engine.expressions import (
    CONDITIONS,
    EXECUTION_VARIABLES,
    Reference,
    references,
    split_path,
)
from usecase.mlops.engine.jobs import processing_job, training_job
from usecase.mlops.engine.transform import check_transform
from usecase.mlops.errors import UserError, meant

STEP_TYPES = ("Processing", "Training", "Model", "Transform", "RegisterModel", "Condition", "Fail")
ParameterValue = str | int | float | bool

_DURATION = re.compile(r"P?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?", re.IGNORECASE)
_DURATION_SECONDS = (604800, 86400, 3600, 60, 1)


@dataclass(frozen=True)
class Branch:
    """The place of a step behind a condition: it runs only when the outcome of `condition` is `outcome`."""

    condition: str
    outcome: bool


@dataclass(frozen=True)
class PropertyFile:
    """A JSON file that a processing step writes and that later steps read values from."""

    output: str
    path: str


@dataclass(frozen=True)
class Step:
    """One step. `needs` holds the names of the steps that must end before it: named, implied, and its condition.

    `cache_seconds` is how long a result may be reused; None means never. `branch` is None for a step at the top level.
    """

    name: str
    type: str
    arguments: Mapping[str, Any]
    needs: frozenset[str]
    property_files: Mapping[str, PropertyFile]
    cache_seconds: float | None
    branch: Branch | None


@dataclass(frozen=True)
class Parameter:
    """A declared parameter; `default` is None when a value must be given."""

    name: str
    type: str
    default: ParameterValue | None
    choices: Sequence[str]

    def convert(self, value: ParameterValue) -> ParameterValue:
        """`value` in this parameter's type; text is read as on a command line. Raises UserError."""
        converted: ParameterValue | None = _CONVERTERS[self.type](value)
        if converted is None:
            raise UserError(f"parameter {self.name}: {value!r} is not {_TYPE_NAMES[self.type]}")
        if self.choices and converted not in self.choices:
            raise UserError(f"parameter {self.name}: {value!r} is not one of: {', '.join(self.choices)}")
        return converted


@dataclass(frozen=True)
class Definition:
    """A checked definition. `steps` holds the steps behind conditions too, flat, in the order of the file."""

    parameters: Mapping[str, Parameter]
    steps: Mapping[str, Step]

    @classmethod
    def parse(cls, content: Mapping[str, Any]) -> "Definition":
        """Reads a definition, as json.load returns it.

        Raises UserError for what cannot run here: an unknown step type, condition or reference, a cycle, a job that
        does not say what it starts.
        """
        try:
            return cls._parse(content)
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(f"not a pipeline definition: {type(error).__name__} {error}") from None

    @classmethod
    def _parse(cls, content: Mapping[str, Any]) -> "Definition":
        parameters: dict[str, Parameter] = {}
        for declared in content.get("Parameters", []):
            parameters[declared["Name"]] = Parameter(
                declared["Name"], declared["Type"], declared.get("DefaultValue"), tuple(declared.get("EnumValues", ()))
            )
            if declared["Type"] not in _CONVERTERS:
                raise UserError(
                    f"parameter {declared['Name']}: the type {declared['Type']} is not supported; "
                    f"supported: {', '.join(_CONVERTERS)}"
                )
        steps: dict[str, Step] = {}
        for raw, branch in _flatten(content.get("Steps", []), None):
            if raw["Name"] in steps:
                raise UserError(f"two steps are called {raw['Name']}")
            steps[raw["Name"]] = _parse_step(raw, branch)
        definition = cls(parameters, steps)
        for step in steps.values():
            definition._check(step)
        try:
            definition.graph().prepare()
        except CycleError as error:
            raise UserError(f"the steps wait for each other: {' -> '.join(reversed(error.args[1]))}") from None
        return definition

    def graph(self) -> "TopologicalSorter[str]":
        """The steps with what each of them needs."""
        return TopologicalSorter({step.name: step.needs for step in self.steps.values()})

    def bind(self, given: Mapping[str, ParameterValue]) -> dict[str, ParameterValue]:
        """The value of every parameter. Raises UserError for an unknown, missing or wrong value."""
        unknown = [name for name in given if name not in self.parameters]
        if unknown:
            raise UserError(f"unknown parameter: {unknown[0]}; {meant(unknown[0], self.parameters)}")
        values = {name: given.get(name, parameter.default) for name, parameter in self.parameters.items()}
        missing = [f"{name} ({self.parameters[name].type})" for name, value in values.items() if value is None]
        if missing:
            raise UserError(f"parameters without a value: {', '.join(missing)}; give each as name=value")
        return {name: self.parameters[name].convert(value) for name, value in values.items() if value is not None}

    def _check(self, step: Step) -> None:
        for name in sorted(step.needs - set(self.steps)):
            raise UserError(f"step {step.name} needs the step {name}, which does not exist")
        for reference in references(_own_arguments(step)):
            self._check_reference(step, reference)
        if step.type == "Condition":
            for condition in step.arguments["Conditions"]:
                _check_condition(step.name, condition)
        outputs = _output_names(step)
        for name, file in step.property_files.items():
            if file.output not in outputs:
                raise UserError(
                    f"step {step.name}: property file {name} lies in the output {file.output}, not declared"
                )
        if step.type in ("Processing", "Training") and not _entrypoint(step):
            raise UserError(
                f"step {step.name} has no ContainerEntrypoint: what its image starts by itself cannot run locally"
            )
        try:
            match step.type:
                case "Processing":
                    processing_job(step.arguments)
                case "Training":
                    training_job(step.arguments, "")
                case "Transform":
                    check_transform(step.arguments)
        except (KeyError, UserError) as error:
            raise UserError(f"step {step.name}: {error}") from None

    def _check_reference(self, step: Step, reference: Reference) -> None:
        known: Mapping[str, Sequence[str]] = {
            "Parameters": list(self.parameters),
            "Execution": EXECUTION_VARIABLES,
            "Steps": list(self.steps),
        }
        if reference.name not in known[reference.kind]:
            raise UserError(
                f"step {step.name} refers to {reference.kind}.{reference.name}, which does not exist; "
                f"there are: {', '.join(known[reference.kind])}"
            )
        if reference.kind != "Steps":
            return
        origin = self.steps[reference.name]
        match split_path(reference.path):
            case ["PropertyFiles", name]:
                names: Sequence[str] = list(origin.property_files)
            case ["ProcessingOutputConfig", "Outputs", name, *_]:
                names = _output_names(origin)
            case _:
                return
        if name not in names:
            raise UserError(
                f"step {step.name} refers to {name} of step {origin.name}, which does not exist; "
                f"there are: {', '.join(names) or 'none'}"
            )


def _flatten(raw_steps: Sequence[Mapping[str, Any]], branch: Branch | None) -> Iterator[tuple[Any, Branch | None]]:
    for raw in raw_steps:
        yield raw, branch
        if raw["Type"] == "Condition":
            for key, outcome in (("IfSteps", True), ("ElseSteps", False)):
                yield from _flatten(raw["Arguments"].get(key, []), Branch(raw["Name"], outcome))


def _parse_step(raw: Mapping[str, Any], branch: Branch | None) -> Step:
    name, type_ = raw["Name"], raw["Type"]
    if type_ not in STEP_TYPES:
        raise UserError(
            f"step {name}: the local engine cannot run the type {type_}; supported: {', '.join(STEP_TYPES)}"
        )
    for needed in raw.get("DependsOn", []):
        if not isinstance(needed, str):
            raise UserError(f"step {name}: the local engine cannot run a step after a failed one (DependsOn {needed})")
    step = Step(
        name=name,
        type=type_,
        arguments=raw["Arguments"],
        needs=frozenset(),
        property_files={
            file["PropertyFileName"]: PropertyFile(file["OutputName"], file["FilePath"])
            for file in raw.get("PropertyFiles", [])
        },
        cache_seconds=_cache_seconds(name, raw.get("CacheConfig", {})),
        branch=branch,
    )
    needs = {reference.name for reference in references(_own_arguments(step)) if reference.kind == "Steps"}
    needs.update(raw.get("DependsOn", []))
    if branch:
        needs.add(branch.condition)
    return Step(**{**vars(step), "needs": frozenset(needs)})


def _own_arguments(step: Step) -> Any:
    """The arguments without the steps behind a condition, which have arguments of their own."""
    return step.arguments.get("Conditions", []) if step.type == "Condition" else dict(step.arguments)


def _check_condition(step: str, condition: Mapping[str, Any]) -> None:
    if condition["Type"] not in CONDITIONS:
        raise UserError(
            f"step {step}: the condition {condition['Type']} is not supported; supported: {', '.join(CONDITIONS)}"
        )
    nested = condition.get("Conditions", [condition["Condition"]] if "Condition" in condition else [])
    for item in nested:
        _check_condition(step, item)


def _output_names(step: Step) -> list[str]:
    outputs = step.arguments.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return [output["OutputName"] for output in outputs]


def _entrypoint(step: Step) -> Any:
    key = "AppSpecification" if step.type == "Processing" else "AlgorithmSpecification"
    return step.arguments.get(key, {}).get("ContainerEntrypoint")


def _cache_seconds(step: str, config: Mapping[str, Any]) -> float | None:
    if not config.get("Enabled"):
        return None
    duration = config.get("ExpireAfter")
    if duration is None:
        return math.inf
    match = _DURATION.fullmatch(duration)
    if not match or not any(match.groups()):
        raise UserError(
            f"step {step}: ExpireAfter {duration!r} is not an ISO 8601 duration of weeks to seconds, as P30D"
        )
    return sum(int(number or 0) * unit for number, unit in zip(match.groups(), _DURATION_SECONDS, strict=True))


def _to_integer(value: ParameterValue) -> int | None:
    if isinstance(value, bool | float):
        return None
    try:
        return int(value)
    except ValueError:
        return None


def _to_float(value: ParameterValue) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _to_boolean(value: ParameterValue) -> bool | None:
    return value if isinstance(value, bool) else {"true": True, "false": False}.get(str(value).lower())


_CONVERTERS: Mapping[str, Any] = {
    "String": lambda value: value if isinstance(value, str) else None,
    "Integer": _to_integer,
    "Float": _to_float,
    "Boolean": _to_boolean,
}
_TYPE_NAMES = {"String": "text", "Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}
