"""The tables of inputs and outputs in the READMEs of Terraform's modules, made from variables.tf and outputs.tf.

Usage: python tools/module_tables.py [--check]
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

MODULES = Path(__file__).resolve().parent.parent / "{{cookiecutter.project_slug}}/terraform/modules"
# As `terraform fmt` writes them: a block ends with the first brace at the beginning of a line.
BLOCK = re.compile(r'^(?:variable|output) "(?P<name>[^"]+)" \{\n(?P<body>.*?)^\}', re.MULTILINE | re.DOTALL)


def argument(body: str, name: str) -> str:
    """The value of a block's argument on its first line; blank where there is none."""
    found = re.search(rf"^  {name} +?= (.+)$", re.sub(r" +=", " =", body), re.MULTILINE)
    return found[1].strip() if found else ""


def table(kind: str, text: str) -> str:
    """A table of the variables or outputs in Terraform's text."""
    rows = []
    for block in BLOCK.finditer(text):
        body = block["body"]
        words = argument(body, "description").strip('"').replace("|", "\\|")
        if kind == "outputs":
            rows.append(f"| `{block['name']}` | {words} |")
            continue
        shape = argument(body, "type")
        shape = "object" if shape.startswith("object") else shape
        default = argument(body, "default")
        given = "needed" if not default else "an object" if default == "{" else f"`{default}`"
        rows.append(f"| `{block['name']}` | {words} | `{shape}` | {given} |")
    head = (
        "| output | what |\n| --- | --- |"
        if kind == "outputs"
        else "| input | what | type | default |\n| --- | --- | --- | --- |"
    )
    return f"{head}\n" + "\n".join(rows) + "\n" if rows else ""


def documented(module: Path) -> str:
    """The README of a module with its tables as they should be."""
    text = (module / "README.md").read_text(encoding="utf-8")
    for kind, file in (("inputs", "variables.tf"), ("outputs", "outputs.tf")):
        source = module / file
        made = table(kind, source.read_text(encoding="utf-8")) if source.exists() else ""
        begin, end = f"<!-- {kind} -->\n", f"<!-- /{kind} -->"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}{made}{end}{rest.partition(end)[2]}"
    return text


def main() -> None:
    """Write the tables, or say which are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a table is out of date")
    check = parser.parse_args().check
    stale = []
    for readme in sorted(MODULES.glob("*/README.md")):
        wanted = documented(readme.parent)
        if wanted != readme.read_text(encoding="utf-8"):
            stale.append(readme.parent.name)
            if not check:
                readme.write_text(wanted, encoding="utf-8")
    if check and stale:
        sys.exit(f"error: tables of {', '.join(stale)} are out of date: python tools/module_tables.py")


if __name__ == "__main__":
    main()
