"""A request, a reply, and the envelope round every answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}


@attrs.frozen(kw_only=True)
class Request:
    """One request as it arrived; path and query are raw, as on the request line."""

    method: str
    path: str
    query: str = ""
    authorization: str = attrs.field(default="", repr=False)
    body: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class RefusalError(Exception):
    """Raised where the answer is a refusal, whatever else was going on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


def envelope(status: int, code: str, message: str, data: object) -> Reply:
    """Wrap data as every documented answer does."""
    content = {"http_code": status, "response_code": code, "response_msg": message, "data": data}
    return Reply(status=status, headers=JSON, body=to_json(content))


def to_json(content: object) -> bytes:
    """Write JSON; a Decimal leaves as the bare number that it was read from."""
    return json.dumps(content, default=float).encode()


def success(message: str, data: Mapping[str, Any], *, status: int = 200) -> Reply:
    """Say that it was done."""
    return envelope(status, "SUCCESS", message, data)


def bad_fields(errors: Mapping[str, str]) -> Reply:
    """Refuse a body, with one message a field."""
    return envelope(400, "BAD_REQUEST", "Invalid input.", errors)


UNAUTHORIZED = envelope(401, "UNAUTHORIZED", "Authorization failed.", None)
NO_SUCH_ROUTE = envelope(404, "NOT_FOUND", "Invalid endpoint. Please try again.", None)
NO_SUCH_CLIENT = envelope(404, "NOT_FOUND", "Reseller account not found.", None)
NAME_IS_TAKEN = envelope(400, "ALREADY_EXISTS", "Username already exists.", None)
SHORT_OF_CREDIT = envelope(400, "INSUFFICIENT_CREDIT", "Insufficient credit.", None)
TOO_MANY = envelope(429, "HTTP_TOO_MANY_REQUESTS", "Too many attempts.", None)
