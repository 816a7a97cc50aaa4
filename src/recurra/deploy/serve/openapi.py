"""The description of a server's requests, as OpenAPI has it, made from the runs it serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recurra import __version__
from recurra.deploy.serve.serve_options import ServeOptions
from recurra.deploy.serve.served_run import ServedRun

__all__ = ["openapi"]

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number", "minimum": -3.4028234e38, "maximum": 3.4028234e38}
_MAYBE: Schema = {**_NUMBER, "nullable": True}
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}


def _list(of: Schema, **limits: Any) -> Schema:
    return {"type": "array", "items": of, **limits}


def _whole(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


_REQUESTS: Mapping[str, tuple[Mapping[str, Schema], tuple[str, ...]]] = {
    "text": ({"text": _TEXT}, ("text",)),
    "values": (
        {"rows": _list(_list(_MAYBE)), "times": _list(_NUMBER)},
        ("rows",),
    ),
    "points": (
        {"points": _list(_list(_NUMBER, minItems=3, maxItems=3))},
        ("points",),
    ),
    "sound": (
        {"rate": _whole(1_000, 384_000), "samples": _list(_NUMBER)},
        ("samples",),
    ),
    "observe": ({"values": _list(_MAYBE), "series": _TEXT}, ()),
}
"""The fields of each type of message and those that are needed."""

_WRITING: Mapping[str, Schema] = {
    "length": _whole(0, 100_000),
    "temperature": {"type": "number", "minimum": 0, "maximum": 1e6},
    "top_k": _whole(0, 1 << 31),
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "seed": _whole(0, 1 << 32),
    "read": _FLAG,
    "state": _whole(0, 4_096),
}

_ERRORS = {
    "400": "The body isn't a JSON object",
    "401": "The token is missing or wrong",
    "404": "No such run of this task",
    "408": "The body didn't come in time",
    "413": "The body is too long",
    "415": "The body isn't application/json",
    "421": "The Host isn't this server",
    "422": "The model can't take the message",
    "429": "Too many requests of one client",
    "500": "A fault of the server",
    "503": "Too much is under way, or the server stops",
}


def openapi(runs: Iterable[ServedRun], options: ServeOptions) -> dict[str, Any]:
    """The description, of OpenAPI 3.0."""
    by_verb: dict[str, list[ServedRun]] = {}
    for run in runs:
        by_verb.setdefault(run.dialogues.verb, []).append(run)
    paths: dict[str, Any] = {
        "/runs": _get("The runs that are served", _object({"runs": _list({"type": "object"})})),
        "/health": _get("Whether the process lives", _object({"status": _TEXT})),
        "/ready": _get("Whether it takes requests", _object({"status": _TEXT}), "503"),
        "/openapi.json": _get("This description", {"type": "object"}),
    }
    for verb, own in by_verb.items():
        paths[f"/{verb}/{{run}}"] = {"post": _post(verb, own)}
    found: dict[str, Any] = {
        "openapi": "3.0.3",
        "info": {"title": "Recurra", "version": __version__},
        "paths": paths,
    }
    if options.token:
        schemes = {"token": {"type": "http", "scheme": "bearer"}}
        found |= {"components": {"securitySchemes": schemes}, "security": [{"token": []}]}
    return found


def _object(properties: Mapping[str, Schema], required: tuple[str, ...] | None = None) -> Schema:
    names = list(properties if required is None else required)
    return {"type": "object", "properties": dict(properties), "required": names}


def _answer(description: str, schema: Schema, kind: str = "application/json") -> dict[str, Any]:
    return {"description": description, "content": {kind: {"schema": schema}}}


def _errors(*codes: str) -> dict[str, Any]:
    return {code: _answer(_ERRORS[code], _object({"error": _TEXT})) for code in codes}


def _get(summary: str, schema: Schema, *codes: str) -> dict[str, Any]:
    answers = {"200": _answer(summary, schema), **_errors("401", "421", "429", "503")}
    if codes:
        answers |= {code: _answer(summary, {"type": "object"}) for code in codes}
    return {"get": {"summary": summary, "responses": answers}}


def _post(verb: str, runs: list[ServedRun]) -> dict[str, Any]:
    kinds = {run.dialogues.message for run in runs}
    bodies = [_body(kind, verb) for kind in sorted(kinds)]
    answers = _object({"answers": _list(_object({"type": _TEXT}))})
    found = _answer("All answers", answers)
    found["content"]["application/x-ndjson"] = {"schema": _TEXT}
    return {
        "summary": f"{verb} a whole input",
        "parameters": [
            {
                "name": "run",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": sorted(run.name for run in runs)},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": bodies[0] if len(bodies) == 1 else {"anyOf": bodies}}
            },
        },
        "responses": {"200": found, **_errors(*_ERRORS)},
    }


def _body(kind: str, verb: str) -> Schema:
    properties, required = _REQUESTS[kind]
    own = {**properties, "stream": _FLAG}
    if verb == "generate":
        own, required = {**own, **_WRITING}, ()
    found = {"type": "object", "properties": own, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found
