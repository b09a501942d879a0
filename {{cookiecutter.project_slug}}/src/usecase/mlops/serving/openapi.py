"""The service as an OpenAPI 3.1 document, made from the data contract, and a page that shows it without a network."""

import html
from typing import Any

from usecase.mlops.contract import Column, Contract
from usecase.mlops.serving.answers import OPTION_NAMES_IN_ORDER
from usecase.mlops.serving.request import ANSWERED, CSV, JSON, JSON_LINES, NPY, NPZ, PARQUET

CELL = {"type": ["string", "number", "boolean", "null"]}  # of a column that is not looked at
INT64 = {"minimum": -(2**63), "maximum": 2**63 - 1}
TYPES = {"integer": "integer", "number": "number", "boolean": "boolean"}
STATUSES = {
    "400": "The rows break the contract, or the body is no such format",
    "406": "No media type of the Accept header is answered",
    "408": "The body took too long",
    "413": "The body is too large",
    "415": "The content type, charset or content encoding is not read",
    "500": "The request could not be answered: the log says why",
    "503": "The model is being loaded, or too many requests came at once",
    "504": "No answer in time",
}


def openapi_document(contract: Contract, version: str) -> dict[str, Any]:
    """The document as JSON can hold it."""
    properties = {column.name: _schema(column, contract) for column in contract.features}
    record = {
        "type": "object",
        "properties": properties | {column.name: CELL for column in contract.table.fields if column.role != "feature"},
        "required": list(properties),
        "additionalProperties": False,
    }
    values = {"type": "array", "prefixItems": list(properties.values()), "minItems": len(properties)}
    values["maxItems"] = len(properties)
    wishes = {name: {"type": "boolean"} for name in OPTION_NAMES_IN_ORDER}
    instances = {
        "type": "object",
        "required": ["instances"],
        "properties": {
            "instances": {
                "type": "array",
                "minItems": 1,
                "anyOf": [
                    {"items": {"$ref": "#/components/schemas/Record"}},
                    {"items": {"$ref": "#/components/schemas/Values"}},
                ],
            },
            "parameters": {"type": "object", "properties": wishes},
        },
    }
    text, binary = {"schema": {"type": "string"}}, {"schema": {"type": "string", "format": "binary"}}
    body = {JSON: {"schema": {"$ref": "#/components/schemas/Request"}}, CSV: text, JSON_LINES: text}
    body |= {PARQUET: binary, NPY: binary, NPZ: binary}
    answer: dict[str, Any] = dict.fromkeys(ANSWERED, text) | {JSON: {"schema": {"$ref": "#/components/schemas/Answer"}}}
    error = {JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}
    answers = {"200": {"description": "An answer per row, in their order", "content": answer}}
    answers |= {status: {"description": said, "content": error} for status, said in STATUSES.items()}
    ping = {"200": {"description": "Ready"}, "503": {"description": "Not ready"}}
    schemas = {
        "Record": record,
        "Values": values,
        "Request": instances,
        "Answer": _answer(contract),
        "Error": _error(),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": contract.name, "version": version, "description": f"Predicts {contract.target.name}."},
        "paths": {
            "/invocations": {
                "post": {
                    "operationId": "predict",
                    "requestBody": {"required": True, "content": body},
                    "responses": answers,
                }
            },
            "/ping": {"get": {"operationId": "ping", "responses": ping}},
        },
        "components": {"schemas": schemas},
    }


def page(contract: Contract) -> str:
    """A page about the service for people."""
    rows = "".join(
        f"<tr><td>{html.escape(column.name)}</td><td>{column.type}</td><td>{html.escape(column.unit)}</td>"
        f"<td>{html.escape(_limits(column))}</td><td>{html.escape(column.description)}</td></tr>"
        for column in contract.features
    )
    names = html.escape(",".join(column.name for column in contract.features))
    title = html.escape(contract.name)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:16px sans-serif;margin:2em auto;max-width:60em}td,th{text-align:left;padding:.2em 1em .2em 0}"
        "pre{background:#eee;padding:1em;overflow:auto}</style>"
        f"<h1>{title}</h1><p>Predicts <b>{html.escape(contract.target.name)}</b>. As a document for programs: "
        '<a href="/openapi.json">/openapi.json</a></p><h2>Ask</h2>'
        "<pre>curl -H 'Content-Type: text/csv' --data-binary @rows.csv http://localhost:8080/invocations</pre>"
        f"<p>The cells of a row in this order, or below a line with their names:</p><pre>{names}</pre>"
        f"<p>Content types: {', '.join((JSON, CSV, JSON_LINES, PARQUET, NPY, NPZ))}. JSON: "
        '<code>{"instances": [{"column": value, ...}], "parameters": {"probabilities": true}}</code>.</p>'
        "<h2>Columns</h2><table><tr><th>name<th>type<th>unit<th>values<th></tr>"
        f"{rows}</table></html>"
    )


def _schema(column: Column, contract: Contract) -> dict[str, Any]:
    limits = column.constraints
    schema: dict[str, Any] = {"type": TYPES.get(column.type, "string")}
    if not limits.required:
        schema["type"] = [schema["type"], "null"]
    if column.type == "integer":
        schema |= {"format": "int64", **INT64}
    if column.type == "string" and limits.required:
        schema |= {"pattern": r"\S", "not": {"enum": contract.table.missing_values}}
    if column.type in ("date", "datetime") and column.format == "default":
        schema["format"] = "date" if column.type == "date" else "date-time"
    if column.description:
        schema["description"] = column.description
    if limits.enum is not None and contract.policy.unseen_category == "reject":
        schema["enum"] = [*limits.enum, *([] if limits.required else [None])]
    if contract.policy.out_of_range == "reject":
        for name, limit in (("minimum", limits.minimum), ("maximum", limits.maximum)):
            if limit is not None and not isinstance(limit, str):
                schema[name] = limit
    return schema


def _answer(contract: Contract) -> dict[str, Any]:
    value: dict[str, Any] = {"enum": contract.classes} if contract.classes else {"type": "number"}
    record: dict[str, Any] = {"prediction": value}
    if contract.classes:
        record |= {"probability": {"type": "number"}, "probabilities": {"type": "object"}}
    record |= {
        "explanation": {"type": "object"},
        "out_of_distribution": {"type": "boolean"},
        "flags": {"type": "array"},
    }
    items = {"type": "object", "required": ["prediction"], "properties": record}
    properties = {"predictions": {"type": "array", "items": items}, "model_version": {"type": "string"}}
    return {"type": "object", "required": ["predictions"], "properties": properties}


def _error() -> dict[str, Any]:
    properties = {
        "code": {"type": "integer"},
        "message": {"type": "string"},
        "id": {"type": "string"},
        "row": {"type": "integer"},
        "column": {"type": "string"},
    }
    content = {"type": "object", "required": ["code", "message", "id"], "properties": properties}
    return {"type": "object", "required": ["error"], "properties": {"error": content}}


def _limits(column: Column) -> str:
    limits = column.constraints
    words = ["required"] if limits.required else []
    if limits.enum is not None:
        words.append(", ".join(map(str, limits.enum)))
    if limits.minimum is not None or limits.maximum is not None:
        words.append(f"{limits.minimum} to {limits.maximum}")
    return "; ".join(words)
