"""Which jobs GitLab would create for an event, worked out from .gitlab-ci.yml: rules, extends, includes and needs.

Follows https://docs.gitlab.com/ci/yaml/ for the keywords this template uses; an unknown construct raises ValueError.
"""

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

NOT_JOBS = {"include", "stages", "workflow", "variables", "default", "spec"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<op>==|!=|=~|!~|&&|\|\||[()])|\$(?P<var>\w+)|"(?P<text>[^"]*)"|/(?P<regex>(?:\\.|[^/])+)/|(?P<null>null\b))"""
)


@dataclass(frozen=True)
class Event:
    """What starts a pipeline: its predefined variables, and the files that changed where GitLab knows them."""

    variables: dict[str, str]
    changed: tuple[str, ...] | None = None


def event(source: str, *, ref: str = "", changed: tuple[str, ...] = ()) -> Event:
    """An event by the value of CI_PIPELINE_SOURCE, or "tag"; `ref` is the branch or tag."""
    common = {"CI_DEFAULT_BRANCH": "main"}
    if source == "merge_request_event":
        return Event({**common, "CI_PIPELINE_SOURCE": source, "CI_MERGE_REQUEST_IID": "7"}, changed)
    if source == "tag":
        return Event({**common, "CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": ref})
    branch = {**common, "CI_PIPELINE_SOURCE": source, "CI_COMMIT_BRANCH": ref or "main"}
    return Event(branch, changed if source == "push" else None)


@dataclass
class Config:
    """The configuration with includes and extends resolved."""

    root: dict[str, Any]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def variables(self, job: dict[str, Any]) -> dict[str, str]:
        """Variables of `job` over the global ones."""
        return {**self.root.get("variables", {}), **job.get("variables", {})}


def load(project: Path, project_dir: str = "") -> Config:
    """Configuration of the repository whose use case lies in `project` / `project_dir`."""
    header, body = split_header((project / project_dir / ".gitlab-ci.yml").read_text(encoding="utf-8"))
    pattern = header["spec"]["inputs"]["project_dir"]["regex"]
    if not re.search(pattern, project_dir):
        raise ValueError(f"project_dir {project_dir!r} does not match {pattern}")
    root = yaml.safe_load(body.replace("$[[ inputs.project_dir ]]", project_dir))
    merged: dict[str, Any] = {}
    for include in root.get("include", []):
        for path in sorted(project.glob(include["local"].lstrip("/"))):
            merged = merge(merged, yaml.safe_load(path.read_text(encoding="utf-8")))
    merged = merge(merged, root)
    templates = {name: value for name, value in merged.items() if name not in NOT_JOBS}
    jobs = {
        name: _extended(name, templates, merged.get("default", {})) for name in templates if not name.startswith(".")
    }
    return Config(merged, jobs)


def split_header(text: str) -> tuple[dict[str, Any], str]:
    """The `spec:` document in front of the configuration, and the configuration itself."""
    header, separator, body = text.partition("\n---\n")
    if not separator:
        raise ValueError("no spec: header")
    return yaml.safe_load(header), body


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`; mappings are merged, lists replaced, as GitLab does."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], value) if both else copy.deepcopy(value)
    return result


def _extended(name: str, templates: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    def resolve(part: str, seen: tuple[str, ...]) -> dict[str, Any]:
        if part in seen or part not in templates:
            raise ValueError(f"{name}: extends {part}, which is {'a circle' if part in seen else 'missing'}")
        own = templates[part]
        parents = own.get("extends", [])
        result: dict[str, Any] = {}
        for parent in [parents] if isinstance(parents, str) else parents:
            result = merge(result, resolve(parent, (*seen, part)))
        return merge(result, {key: value for key, value in own.items() if key != "extends"})

    return {**default, **resolve(name, ())}


def pipeline(config: Config, what: Event) -> dict[str, dict[str, Any]]:
    """Jobs of the pipeline that `what` starts, by name; {} when there is none."""
    workflow = config.root.get("workflow", {}).get("rules")
    if workflow is not None and _decide(workflow, config.root.get("variables", {}), what) is None:
        return {}
    chosen = {}
    for name, job in config.jobs.items():
        when = _decide(job["rules"], config.variables(job), what) if "rules" in job else "on_success"
        if when is not None:
            chosen[name] = job
    return chosen


def _decide(rules: list[dict[str, Any]], variables: dict[str, str], what: Event) -> str | None:
    """`when` of the first rule that fits; None for never."""
    for rule in rules:
        unknown = set(rule) - {"if", "changes", "when", "auto_cancel"}
        if unknown:
            raise ValueError(f"rules: cannot judge {', '.join(sorted(unknown))}")
        if "if" in rule and not holds(rule["if"], {**variables, **what.variables}):
            continue
        # Without a push or a merge request GitLab knows no changed files and takes the condition for true.
        if "changes" in rule and what.changed is not None:
            patterns = [expand(pattern, variables) for pattern in rule["changes"]]
            if not any(_glob(pattern).fullmatch(path) for pattern in patterns for path in what.changed):
                continue
        when = rule.get("when", "on_success")
        return None if when == "never" else when
    return None


def expand(text: str, variables: dict[str, str]) -> str:
    """`text` with $NAME and ${NAME} replaced, nested ones too; what is unknown stays: the runner may know it."""
    for _ in range(5):
        text = re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda m: str(variables.get(m[1] or m[2], m[0])), text)
    return text


def _glob(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*)", pattern)
    return re.compile("".join({"**/": "(?:.*/)?", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts))


def holds(condition: str, variables: dict[str, str]) -> bool:
    """Value of a `rules:if` expression."""
    parser = _Condition(condition, variables)
    value = parser.either()
    if parser.tokens:
        raise ValueError(f"rules:if: cannot read the end of {condition!r}")
    return value


class _Condition:
    """Reads `||` over `&&` over comparisons, from left to right; each method takes its tokens off the front."""

    def __init__(self, text: str, variables: dict[str, str]) -> None:
        self.tokens: list[tuple[str, str | None]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise ValueError(f"rules:if: cannot read {text[position:]!r}")
            kind = str(match.lastgroup)
            value = {"var": variables.get(match[kind]), "null": None}.get(kind, match[kind])
            self.tokens.append((kind, value))
            position = match.end()

    def either(self) -> bool:
        value = self.both()
        while self._take("||"):
            value = self.both() or value
        return value

    def both(self) -> bool:
        value = self.comparison()
        while self._take("&&"):
            value = self.comparison() and value
        return value

    def comparison(self) -> bool:
        if self._take("("):
            value = self.either()
            if not self._take(")"):
                raise ValueError("rules:if: a bracket is not closed")
            return value
        _, left = self._value()
        for operator in ("==", "!="):
            if self._take(operator):
                return (left == self._value()[1]) == (operator == "==")
        for operator in ("=~", "!~"):
            if self._take(operator):
                kind, pattern = self._value()
                if kind != "regex" or pattern is None:
                    raise ValueError(f"rules:if: {operator} needs a /pattern/")
                return bool(left is not None and re.search(pattern, left)) == (operator == "=~")
        return bool(left)

    def _take(self, operator: str) -> bool:
        if self.tokens[:1] != [("op", operator)]:
            return False
        self.tokens.pop(0)
        return True

    def _value(self) -> tuple[str, str | None]:
        if not self.tokens or self.tokens[0][0] == "op":
            raise ValueError("rules:if: a value is missing")
        return self.tokens.pop(0)


def needs(job: dict[str, Any]) -> list[str]:
    """Names of the jobs that `job` waits for and cannot do without."""
    entries = [{"job": entry} if isinstance(entry, str) else entry for entry in job.get("needs", [])]
    return [entry["job"] for entry in entries if not entry.get("optional")]
