"""Refusal of requests to the admin API that come from pages of other sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response

from clicksend_reseller._wire.limits import LOOPBACK_HOSTS
from clicksend_reseller.sandbox.service.messages import to_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = {f"[{host}]" if ":" in host else host for host in LOOPBACK_HOSTS}
_READING = {"GET", "HEAD"}
_OWN_SITE = {None, "same-origin", "none"}


def same_origin_only(app: ASGIApp) -> ASGIApp:
    """Keep pages of other sites out, which a browser on this machine may have open."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        problem = _rejection(Request(scope))
        refusal = Response(to_json({"error": problem}), 403, media_type="application/json")
        await (refusal if problem else app)(scope, receive, send)

    return guarded


def _rejection(request: Request) -> str | None:
    host = request.headers.get("host", "")
    # A name that resolves to this machine is how a page elsewhere would get round the origin.
    if _host_name(host) not in _LOOPBACK:
        return "the host must be localhost, 127.0.0.1 or ::1"
    if request.method in _READING:
        return None
    own_origin = request.headers.get("origin") in {None, f"http://{host}"}
    own_site = request.headers.get("sec-fetch-site") in _OWN_SITE
    return None if own_origin and own_site else "another site may not change the sandbox"


def _host_name(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()
