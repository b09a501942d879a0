"""input_schema.json: one row of a request, for clients of the prediction service and their tools.

JSON Schema, draft 2020-12. It describes the rows that the contract knows. What the service does with a value out of
range or a new category is the contract's `policy`; the default lets both through.
"""

from typing import Any

from usecase.mlops.contract import Column, Contract

FILE_NAME = "input_schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
# ISO 8601, as `format: default` of a contract means it; JSON Schema's own `date-time` would demand a time zone.
TIMES = {"date": {"format": "date"}, "datetime": {"pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"}}


def request_schema(contract: Contract) -> dict[str, Any]:
    """The schema of one row as a JSON object; every feature must be there, one that may be missing as null."""
    return {
        "$schema": DIALECT,
        "title": f"A row of {contract.name}",
        "type": "object",
        "properties": {column.name: _property(column) for column in contract.features},
        "required": [column.name for column in contract.features],
        # Other columns of the contract may stay in; the service drops them.
        "propertyNames": {"enum": list(contract.columns)},
    }


def _property(column: Column) -> dict[str, Any]:
    limits, text = column.constraints, column.type not in ("integer", "number", "boolean")
    kind = "string" if text else column.type
    schema: dict[str, Any] = {"type": kind if limits.required else [kind, "null"]}
    if limits.enum is not None:
        schema["enum"] = [*limits.enum, *([] if limits.required else [None])]
    words = [column.description]
    if column.unit:
        words.append(f"Unit: {column.unit}.")
    if column.type in TIMES and column.format == "default":
        schema |= TIMES[column.type]
    elif column.type in TIMES:
        words.append(f"Written as {column.format}.")
    for name in ("minimum", "maximum"):
        limit = getattr(limits, name)
        if text and limit is not None:
            words.append(f"The {name} is {limit}.")
        elif limit is not None:
            schema[name] = limit
    if description := " ".join(word for word in words if word):
        schema["description"] = description
    return schema
