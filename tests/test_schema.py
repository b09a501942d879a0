"""terraform/ uses nothing that the provider's own schema calls deprecated."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import hcl2
import pytest

import baking
from delivery import run, tool

SOURCE = baking.ROOT / baking.PROJECT_FOLDER / "terraform"
PLAIN = hcl2.SerializationOptions(strip_string_quotes=True, with_comments=False)
KINDS = {"resource": "resource_schemas", "data": "data_source_schemas"}
READ = re.compile(r"\b(?P<data>data\.)?(?P<type>aws_\w+)\.\w+(?:\[[^\]]*\])?\.(?P<name>\w+)")

Schemas = dict[str, dict[str, Any]]  # by kind, then by type


@pytest.fixture(scope="module")
def schemas(running_provider: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Schemas:
    """What the provider says of resources and data sources."""
    folder = tmp_path_factory.mktemp("schema")
    shutil.copy(SOURCE / "modules/key/versions.tf", folder)
    for words in (["init"], ["providers", "schema", "-json"]):
        done = run(tool("terraform"), *words, cwd=folder, env=running_provider)
        assert done.returncode == 0, done.stderr
    (of_aws,) = json.loads(done.stdout)["provider_schemas"].values()
    return {kind: {name: schema["block"] for name, schema in of_aws[key].items()} for kind, key in KINDS.items()}


def of_aws(text: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Kind, type and content of each block for the provider in Terraform's text."""
    parsed = hcl2.loads(text, serialization_options=PLAIN)
    for kind in KINDS:
        for block in parsed.get(kind, []):
            for name, labelled in block.items():
                yield from ((kind, name, body) for body in labelled.values() if name.startswith("aws_"))


def deprecated(text: str, schemas: Schemas) -> list[str]:
    """What Terraform's text uses and the schema calls deprecated: resources, blocks, arguments, attributes it reads."""
    found = []
    for kind, name, body in of_aws(text):
        if schemas[kind][name].get("deprecated"):
            found.append(name)
        found += [f"{name}.{path}" for path in in_block(body, schemas[kind][name])]
    for read in READ.finditer(text):
        block = schemas["data" if read["data"] else "resource"].get(read["type"], {})
        attribute = block.get("attributes", {}).get(read["name"], {})
        inner = block.get("block_types", {}).get(read["name"], {}).get("block", {})
        if attribute.get("deprecated") or inner.get("deprecated"):
            found.append(f"{read['type']}.{read['name']}")
    return sorted(set(found))


def in_block(body: dict[str, Any], block: dict[str, Any]) -> Iterator[str]:
    """Paths of what is deprecated in a block and those within it."""
    given = dict(body)
    for dynamic in given.pop("dynamic", []):
        given |= {name: content["content"] for name, content in dynamic.items()}
    for name, value in given.items():
        if block.get("attributes", {}).get(name, {}).get("deprecated"):
            yield name
        inner = block.get("block_types", {}).get(name, {}).get("block")
        if inner is None:
            continue
        if inner.get("deprecated"):
            yield name
        for item in value:
            yield from (f"{name}.{path}" for path in in_block(item, inner))


@pytest.mark.slow
def test_nothing_in_use_is_deprecated(schemas: Schemas) -> None:
    files = sorted(SOURCE.rglob("*.tf"))
    used = {name for file in files for _, name, _ in of_aws(file.read_text())}
    assert len(used) > 80, "the tree was not read"
    found = {file.relative_to(SOURCE).as_posix(): deprecated(file.read_text(), schemas) for file in files}
    assert {file: uses for file, uses in found.items() if uses} == {}


PLANTED = {
    "an argument": ('resource "aws_s3_bucket" "a" {\n  acl = "private"\n}\n', ["aws_s3_bucket.acl"]),
    "a block": (
        'resource "aws_s3_bucket" "a" {\n  versioning {\n    enabled = true\n  }\n}\n',
        ["aws_s3_bucket.versioning"],
    ),
    "a dynamic block": (
        'resource "aws_s3_bucket" "a" {\n  dynamic "logging" {\n    for_each = ["b"]\n\n    content {\n'
        "      target_bucket = logging.value\n    }\n  }\n}\n",
        ["aws_s3_bucket.logging"],
    ),
    "roles in a role": (
        'resource "aws_iam_role" "a" {\n  managed_policy_arns = []\n}\n',
        ["aws_iam_role.managed_policy_arns"],
    ),
    "what is read": (
        "locals {\n  a = aws_iam_role.b[0].inline_policy\n}\n",
        ["aws_iam_role.inline_policy"],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(("text", "uses"), PLANTED.values(), ids=PLANTED)
def test_what_is_deprecated_is_found(text: str, uses: list[str], schemas: Schemas) -> None:
    assert deprecated(text, schemas) == uses
