"""Licences of the installed packages: each must be on the list `scans.licences` of the settings."""

import re
import tomllib
from collections.abc import Collection, Iterable
from importlib.metadata import Distribution, PackageMetadata, distributions
from pathlib import Path
from typing import Final

from usecase.mlops.errors import UserError
from usecase.mlops.scans.findings import Finding, Found
from usecase.mlops.scans.tools import uv
from usecase.mlops.settings import load_settings

NAME: Final = "licences"
PYPROJECT = "pyproject.toml"
UNKNOWN = ""

# What packages without an SPDX expression say of themselves, in lower case. https://spdx.org/licenses/
SPDX = {
    "mit": "MIT",
    "mit license": "MIT",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",  # of two or three clauses: the same duties
    "bsd license": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
    "gnu general public license v2 (gplv2)": "GPL-2.0-only",
    "gnu general public license v3 (gplv3)": "GPL-3.0-only",
    "gnu general public license v3 or later (gplv3+)": "GPL-3.0-or-later",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "gnu lesser general public license v3 or later (lgplv3+)": "LGPL-3.0-or-later",
    "gnu affero general public license v3": "AGPL-3.0-only",
}
_CLASSIFIER = re.compile(r"License :: (?:OSI Approved :: )?(.+)")
_TOKEN = re.compile(r"[()]|[^\s()]+")


def find() -> Found:
    """Packages of this environment, but this one, with another licence or with none that can be read.

    Those that only `make pipeline` or `make ui` bring are left out: no image or job holds them. Raises UserError.
    """
    own = tomllib.loads(Path(PYPROJECT).read_text(encoding="utf-8"))["project"]["name"]
    on_demand = _locked("--all-groups") - _locked()
    installed = [
        package
        for package in distributions()
        if package.metadata["Name"] != own and _name(package).replace(".", "-") not in on_demand
    ]
    found = findings(installed, load_settings().scans.licences)
    return Found(found, [f"{len(installed)} packages"])


def findings(installed: Iterable[Distribution], allowed: Collection[str]) -> list[Finding]:
    """One finding per package that `allowed`, SPDX ids, does not cover. The id is the package's name."""
    found = {}
    for package in installed:
        name, licence = _name(package), licence_of(package.metadata)
        if licence == UNKNOWN:
            text = "does not say its licence in a way that can be read: look at it, and waive it with what you found"
        elif not is_allowed(licence, allowed):
            text = f"licence {licence} is not among scans.licences"
        else:
            continue
        found[name] = Finding(NAME, name, f"{name} {package.version}: {text}", "major", PYPROJECT)
    return [found[name] for name in sorted(found)]


def _locked(*groups: str) -> set[str]:
    """Names of the packages that uv.lock has for the groups of every day, or for `groups`. Raises UserError."""
    plain = ("--no-hashes", "--no-annotate", "--no-header", "--no-emit-project")
    exported = uv("export", "--quiet", "--frozen", *plain, *groups)
    if exported.returncode:
        raise UserError(f"uv.lock cannot be read: {exported.stderr.strip().splitlines()[-1]}: run `uv lock`")
    return set(re.findall(r"^[A-Za-z0-9._-]+", exported.stdout, re.MULTILINE))


def _name(package: Distribution) -> str:
    return package.metadata["Name"].lower().replace("_", "-")


def licence_of(metadata: PackageMetadata) -> str:
    """SPDX expression of a package; UNKNOWN when there is none that can be read."""
    for expression in metadata.get_all("License-Expression") or []:
        return str(expression)
    texts = [match[1] for text in metadata.get_all("Classifier") or [] if (match := _CLASSIFIER.fullmatch(text))]
    known = [SPDX.get(text.lower(), text) for text in texts if text != "OSI Approved"]
    if known:  # several: the user may choose, as with OR
        return " OR ".join(f'"{text}"' if " " in text else text for text in known)
    text = "".join(metadata.get_all("License") or []).strip()
    if text.lower() in SPDX:
        return SPDX[text.lower()]
    return text if re.fullmatch(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*", text) else UNKNOWN


def is_allowed(expression: str, allowed: Collection[str]) -> bool:
    """Whether the ids of an SPDX expression suffice: all that AND joins, one of what OR joins; AND binds more."""
    reader = _Expression(expression, allowed)
    return reader.either() and reader.is_read


class _Expression:
    """Reads an expression from left to right; each method takes its tokens off the front."""

    def __init__(self, text: str, allowed: Collection[str]) -> None:
        self._tokens: list[str] = _TOKEN.findall(text)
        self._allowed = set(allowed)

    def either(self) -> bool:
        value = self._all()
        while self._take("OR"):
            value = self._all() or value
        return value

    @property
    def is_read(self) -> bool:
        return not self._tokens

    def _all(self) -> bool:
        value = self._one()
        while self._take("AND"):
            value = self._one() and value
        return value

    def _one(self) -> bool:
        if self._take("("):
            value = self.either()
            return self._take(")") and value
        words = [self._tokens.pop(0)] if self._tokens else []
        if self._take("WITH"):
            words += ["WITH", *self._tokens[:1]]
            del self._tokens[:1]
        return " ".join(words) in self._allowed

    def _take(self, word: str) -> bool:
        if self._tokens[:1] != [word]:
            return False
        self._tokens.pop(0)
        return True
