"""How is the API described to a machine? In OpenAPI 3.1, from the tables that the sandbox obeys.

ClickSend's own descriptions contradict each other and their page. This one says what the
sandbox does; a letter says how sure it is of the live API: D documented, L seen live, G a guess.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from clicksend_reseller import __version__
from clicksend_reseller.sandbox.openapi.schemas import Schema, enveloped, schemas
from clicksend_reseller.sandbox.service.accounts import MAX_ID
from clicksend_reseller.sandbox.service.api import BASE_PATH, ROUTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ABOUT = """\
The reseller part of ClickSend's API, version 3, as the sandbox of clicksend-reseller plays it:
described in words of its own, and not by ClickSend. D documented, L seen live, G a guess.

A fault that was armed in the sandbox may break an answer off, or leave its body away; no
description can hold that."""


@attrs.frozen(kw_only=True)
class Told:
    """What there is to say of one operation.

    Attributes:
        takes: the schema of its body.
        gives: the schema of its data.
        done: the statuses of success.
        refuses: the statuses of refusals beside those of every operation.
    """

    summary: str
    description: str
    takes: str | None = None
    gives: str = "Account"
    done: tuple[int, ...] = (200,)
    refuses: tuple[str, ...] = ()


_OPERATIONS: Mapping[str, Told] = {
    "list_accounts": Told(
        summary="List the client accounts, page by page",
        description="Page by number, and stop at `last_page` or at a page without rows.",
        gives="Page",
    ),
    "create_account": Told(
        summary="Create a client account",
        description="A second sending is refused by its user name, if the first has arrived.",
        takes="AccountFields",
        done=(200, 201),
        refuses=("400",),
    ),
    "get_account": Told(
        summary="Get a client account",
        description="With the balance of this moment; clients spend meanwhile.",
        refuses=("404",),
    ),
    "update_account": Told(
        summary="Replace the fields of a client account",
        description="All eight, the password too; there is no partial update (D).",
        takes="AccountFields",
        refuses=("400", "404"),
    ),
    "transfer_credit": Told(
        summary="Move credit to a client",
        description=(
            "**Each sending moves the amount once more**, although it is a PUT: there is no "
            "idempotency key, no id of a transfer and no list of them (D). The answer is the "
            "client afterwards."
        ),
        takes="Transfer",
        refuses=("400", "404"),
    ),
    "get_own_account": Told(
        summary="Get the reseller's own account",
        description="Its balance is the credit that can be moved.",
    ),
}

# Of every operation. The two last come from what stands before the API.
_ALWAYS = ("401", "403", "429", "500", "307", "5XX")

_PARAMETERS: Mapping[str, Schema] = {
    "client_user_id": {
        "name": "client_user_id",
        "in": "path",
        "required": True,
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_ID},
        "example": 1001,
    },
    "page": {
        "name": "page",
        "in": "query",
        "description": "Counted from 1; anything else is taken for 1 (G).",
        "schema": {"type": "integer", "minimum": 1, "default": 1},
    },
    "limit": {
        "name": "limit",
        "in": "query",
        "description": "Rows on a page; the server may take another, see `per_page` (D).",
        "schema": {"type": "integer", "minimum": 1, "default": 15},
    },
}

_SECONDS: Schema = {"type": "integer", "minimum": 0, "description": "In seconds from now (L)."}
_HEADERS: Mapping[str, Schema] = {
    "x-ratelimit-limit": {"schema": {"type": "integer", "minimum": 1}},
    "x-ratelimit-remaining": {"schema": {"type": "integer", "minimum": 0}},
    "ratelimit-reset": {"schema": _SECONDS},
    "retry-after": {"schema": _SECONDS},
}
_RATE = ("x-ratelimit-limit", "x-ratelimit-remaining", "ratelimit-reset")


def describe(currencies: Iterable[str]) -> dict[str, Any]:
    """Give the whole document.

    Args:
        currencies: those that a transfer can be made in.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "ClickSend Reseller API, in the sandbox",
            "version": __version__,
            "description": _ABOUT,
        },
        "servers": [{"url": BASE_PATH}],
        "security": [{"basic": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "User name and API key.",
                }
            },
            "parameters": dict(_PARAMETERS),
            "headers": dict(_HEADERS),
            "responses": _refusals(),
            "schemas": schemas(currencies),
        },
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for method, pattern, operation in ROUTES:
        path = _template(pattern.pattern)
        paths.setdefault(path, {})[method.lower()] = _operation(operation, path)
    return paths


def _template(pattern: str) -> str:
    """Turn the pattern of a route into a path with the name of its parameter."""
    path = pattern.removeprefix(BASE_PATH).removesuffix("/?")
    return path.replace("([0-9]{1,10})", "{client_user_id}")


def _operation(name: str, path: str) -> dict[str, Any]:
    told = _OPERATIONS[name]
    parameters = ["client_user_id"] if "{" in path else []
    if name == "list_accounts":
        parameters += ["page", "limit"]
    body = {"requestBody": _body(told.takes)} if told.takes else {}
    done = {str(status): _done(told, status, name) for status in told.done}
    refused = {
        status: {"$ref": f"#/components/responses/{status}"} for status in (*told.refuses, *_ALWAYS)
    }
    return {
        "operationId": name,
        "summary": told.summary,
        "description": told.description,
        "parameters": [{"$ref": f"#/components/parameters/{known}"} for known in parameters],
        **body,
        "responses": {**done, **refused},
    }


def _body(schema: str) -> dict[str, Any]:
    reference = {"schema": {"$ref": f"#/components/schemas/{schema}"}}
    return {"required": True, "content": {"application/json": reference}}


def _done(told: Told, status: int, name: str) -> dict[str, Any]:
    data: Schema = {"$ref": f"#/components/schemas/{told.gives}"}
    content = enveloped(data, status=status, code={"const": "SUCCESS"})
    answer = _answer("It was done.", {"application/json": content}, _RATE)
    return {**answer, "links": _links()} if name == "create_account" else answer


def _links() -> dict[str, Any]:
    created = {"client_user_id": "$response.body#/data/user_id"}
    return {
        name: {"operationId": name, "parameters": created}
        for name in ("get_account", "update_account")
    }


def _answer(
    description: str,
    content: Mapping[str, Schema],
    headers: Iterable[str] = (),
    required: Iterable[str] = (),
) -> dict[str, Any]:
    references = {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
    needed = {name: {**_HEADERS[name], "required": True} for name in required}
    return {
        "description": description,
        "headers": {**references, **needed},
        "content": {kind: {"schema": content[kind]} for kind in content},
    }


_TEXT: Schema = {"type": "string"}
_NOTHING: Schema = {"type": "null"}
_FAULTS: Schema = {"anyOf": [{"$ref": "#/components/schemas/FieldErrors"}, _TEXT, _NOTHING]}


def _refusals() -> dict[str, Any]:
    """Give the answers of failure by status."""
    return {
        "400": _refusal(400, "They found fault with it: nothing was changed (D).", _FAULTS),
        "401": _refusal(401, "The credentials are missing or wrong (L).", _NOTHING),
        "403": _refusal(403, "The account may not do this; no reseller, perhaps (D).", _FAULTS),
        "404": _refusal(404, "There is no such client (D).", _NOTHING),
        "429": _too_many(),
        "500": _refusal(500, "It broke there: it may have been applied (D).", _FAULTS),
        "307": _answer("Never follow it: it would send the body again (G).", {"text/html": _TEXT}),
        "5XX": _gateway(),
    }


def _refusal(status: int, description: str, data: Schema) -> dict[str, Any]:
    content = {"application/json": enveloped(data, status=status, code=_TEXT)}
    return _answer(description, content, (*_RATE, "retry-after"))


def _too_many() -> dict[str, Any]:
    code: Schema = {"enum": ["HTTP_TOO_MANY_REQUESTS", "TOO_MANY_REQUESTS"]}
    content = {"application/json": enveloped(_NOTHING, status=429, code=code)}
    description = "There were too many calls in this minute; wait (L)."
    return _answer(description, content, required=(*_RATE, "retry-after"))


def _gateway() -> dict[str, Any]:
    bare: Schema = {"type": "object", "required": ["message"], "properties": {"message": _TEXT}}
    envelope = enveloped(_FAULTS, status=None, code=_TEXT)
    return _answer(
        "A gateway before the API; the request may have been applied all the same (G).",
        {"text/html": _TEXT, "application/json": {"anyOf": [envelope, bare]}},
        ("retry-after",),
    )
