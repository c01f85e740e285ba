"""OpenAPI 3.1: operations, as a table, to the document that describes them.

What is listed here of an answer is what clients may rely on. Requests that are no HTTP, and methods and paths that are
not there, are answered with 400, 405 and 404 of plain text, and are not listed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from sidecar import __version__

Schema = Mapping[str, Any]
"""A JSON Schema of the draft 2020-12, which is that of OpenAPI 3.1."""

JSON = "application/json"
TEXT = "text/plain"
PATH = "/openapi.json"

STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "number"}
COUNT: Schema = {"type": "integer", "minimum": 0}
BOOLEAN: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One status of an operation: when it comes, the schema of each media type, and headers with what they say."""

    when: str
    content: Mapping[str, Schema]
    headers: Mapping[str, tuple[str, Schema]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method of a path: parameters of the query by name, bodies by media type, and answers by status.

    A parameter is a text, and described by one, or by one and a schema.
    """

    method: Literal["get", "post"]
    path: str
    summary: str
    answers: Mapping[int, Answer]
    query: Mapping[str, str | tuple[str, Schema]] | None = None
    bodies: Mapping[str, Schema] | None = None


def of(name: str) -> Schema:
    """Refer to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def object_of(properties: Mapping[str, Schema], *, optional: Iterable[str] = ()) -> Schema:
    """Describe an object with these properties; others may come with later versions."""
    required = [name for name in properties if name not in set(optional)]
    return {"type": "object", "properties": dict(properties), "required": required}


def list_of(items: Schema) -> Schema:
    """Describe a list."""
    return {"type": "array", "items": items}


def map_of(values: Schema) -> Schema:
    """Describe an object whose keys are names that users chose."""
    return {"type": "object", "additionalProperties": values}


def or_null(schema: Schema) -> Schema:
    """Describe what may be null, where it is not known."""
    return {"anyOf": [schema, {"type": "null"}]}


def text(when: str) -> Answer:
    """Answer with plain text."""
    return Answer(when=when, content={TEXT: STRING})


def json(when: str, schema: Schema) -> Answer:
    """Answer with JSON."""
    return Answer(when=when, content={JSON: schema})


DESCRIPTION = Operation(
    method="get",
    path=PATH,
    summary="This description.",
    answers={200: json("The description.", {"type": "object"})},
)


def document(
    title: str,
    operations: Iterable[Operation],
    schemas: Mapping[str, Schema],
    *,
    guarded: bool = False,
    open_paths: Iterable[str] = (),
) -> bytes:
    """Write the description of a listener.

    A listener that is `guarded` asks for a password or a token where it is configured to, but on `open_paths`.
    """
    described = [*operations, DESCRIPTION]
    open_to_all = frozenset(open_paths)
    paths: dict[str, dict[str, Any]] = {}
    for operation in described:
        asks = guarded and operation.path not in open_to_all
        paths.setdefault(operation.path, {})[operation.method] = _operation(operation, asks=asks)
    whole: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {"schemas": _used(paths, schemas)},
    }
    if guarded:
        schemes = {name: {"type": "http", "scheme": name} for name in ("basic", "bearer")}
        whole["components"]["securitySchemes"] = schemes
        whole["security"] = [{}, *({name: []} for name in schemes)]
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _operation(operation: Operation, *, asks: bool) -> dict[str, Any]:
    answers = dict(operation.answers)
    if asks:
        told = ("how to authenticate", STRING)
        when = "A password or a token is asked for."
        answers[401] = Answer(when=when, content={TEXT: STRING}, headers={"WWW-Authenticate": told})
    written: dict[str, Any] = {"summary": operation.summary}
    if operation.query:
        written["parameters"] = [
            {"name": name, "in": "query", **_parameter(what)} for name, what in operation.query.items()
        ]
    if operation.bodies:
        written["requestBody"] = {"required": True, "content": _content(operation.bodies)}
    written["responses"] = {str(status): _answer(answers[status]) for status in sorted(answers)}
    return written


def _parameter(what: str | tuple[str, Schema]) -> dict[str, Any]:
    told, schema = (what, STRING) if isinstance(what, str) else what
    return {"description": told, "schema": schema}


def _answer(answer: Answer) -> dict[str, Any]:
    written: dict[str, Any] = {"description": answer.when}
    if answer.headers:
        written["headers"] = {
            name: {"description": what, "required": True, "schema": schema}
            for name, (what, schema) in answer.headers.items()
        }
    if answer.content:
        written["content"] = _content(answer.content)
    return written


def _content(content: Mapping[str, Schema]) -> dict[str, Any]:
    return {media_type: {"schema": schema} for media_type, schema in content.items()}


def _used(part: Any, schemas: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the schemas that a part of the document refers to, and those that they refer to."""
    used: dict[str, Schema] = {}
    waiting: list[Any] = [part]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            name = str(value.get("$ref", "")).rpartition("/")[2]
            if name and name not in used:
                used[name] = schemas[name]
                waiting.append(schemas[name])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return {name: schema for name, schema in schemas.items() if name in used}
