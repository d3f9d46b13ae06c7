"""The question to a server on this machine: are you a sandbox? No credential is sent with it.

A loopback address says nothing, since a tunnel to the live account has one too. So the server has
to prove that it has the very credentials that the command would send (`sandbox.identity`). A
tunnel does not know them, and the live account does not take those of a sandbox. Silence, a slow
answer and any other answer count as no.
"""

from __future__ import annotations

import json
import secrets
import socket
from enum import Enum
from time import monotonic
from typing import Any, cast
from urllib.parse import urlsplit

from clicksend_reseller._wire.limits import LOOPBACK_HOSTS
from clicksend_reseller.sandbox.identity import ROUTE, answer_to

_SECONDS = 1.0  # for all of it: a sandbox on this machine answers within milliseconds
_LONGEST = 4096  # bytes


class Identity(Enum):
    """What a server turned out to be.

    Attributes:
        SANDBOX: it has proved it.
        OTHER_CREDENTIALS: it answers as a sandbox, but has not the credentials in question.
        NONE: it is no sandbox, or nothing answers.
    """

    SANDBOX = "sandbox"
    OTHER_CREDENTIALS = "other credentials"
    NONE = "none"


def identity_of(
    base_url: str, username: str | None, api_key: str | None, *, seconds: float = _SECONDS
) -> Identity:
    """Ask a server whether it is a sandbox with these credentials.

    Args:
        base_url: only plain http on loopback is asked: nothing else is ever a sandbox.
        username: never sent.
        api_key: never sent.
        seconds: the answer must be whole by then.
    """
    parts = urlsplit(base_url)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK_HOSTS:
        return Identity.NONE
    challenge = secrets.token_hex(16)
    try:
        found = _answer(parts.hostname, parts.port or 80, parts.netloc, challenge, seconds)
        expected = answer_to(challenge, username=username or "", api_key=api_key or "")
    except (OSError, ValueError, RecursionError):
        return Identity.NONE
    if not isinstance(found, dict):
        return Identity.NONE
    if username and api_key and found == expected:
        return Identity.SANDBOX
    is_one = cast("dict[str, Any]", found).get("server") == expected["server"]
    return Identity.OTHER_CREDENTIALS if is_one else Identity.NONE


def _answer(host: str, port: int, netloc: str, challenge: str, seconds: float) -> object:
    ends_at = monotonic() + seconds
    with socket.create_connection((host, port), timeout=seconds) as connection:
        # HTTP/1.0, so that the answer ends where the connection does.
        asked = f"GET {ROUTE}?challenge={challenge} HTTP/1.0\r\nHost: {netloc}\r\n\r\n"
        connection.sendall(asked.encode("ascii"))
        received = b""
        while len(received) <= _LONGEST:
            connection.settimeout(max(ends_at - monotonic(), 0.001))
            piece = connection.recv(_LONGEST)
            if not piece:
                return _content(received)
            received += piece
            if monotonic() >= ends_at:
                break
    return None


def _content(received: bytes) -> object:
    head, _, body = received.partition(b"\r\n\r\n")
    status = head.split(b" ", 2)[1:2]
    return json.loads(body) if status == [b"200"] else None
