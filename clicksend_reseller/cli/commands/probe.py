"""How far does a connection get? Name, TCP, TLS and one question without credentials."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import ssl
import time
from urllib.parse import urlsplit

import attrs

__all__ = ["Wire", "look_at"]

_SECONDS = 10.0


@attrs.frozen(kw_only=True)
class Wire:
    """What was found on the way to a host.

    Attributes:
        fault: why it went no further; empty where it did.
        days_left: until the certificate ends.
        clock_off: seconds that the host's clock is ahead of ours.
    """

    addresses: tuple[str, ...] = ()
    is_connected: bool = False
    is_secure: bool = False
    protocol: str = ""
    days_left: float | None = None
    answered: bool = False
    clock_off: float | None = None
    fault: str = ""


async def look_at(base_url: str) -> Wire:
    """Go as far as possible towards the API, without sending a credential."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    is_secure = parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    wire = Wire(is_secure=is_secure)
    try:
        async with asyncio.timeout(_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, port)
            addresses = dict.fromkeys(str(address[0]) for *_, address in found)
            wire = attrs.evolve(wire, addresses=tuple(addresses))
            _, plain = await asyncio.open_connection(host, port)
            wire = attrs.evolve(wire, is_connected=True)
            plain.close()
            return await _asked(wire, base_url, host, port)
    except TimeoutError:
        return attrs.evolve(wire, fault=f"nothing within {_SECONDS:g} s")
    except OSError as exc:
        return attrs.evolve(wire, fault=exc.strerror or str(exc))


async def _asked(wire: Wire, base_url: str, host: str, port: int) -> Wire:
    context = ssl.create_default_context() if wire.is_secure else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        tunnel: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
        if tunnel is not None:
            ends = str((tunnel.getpeercert() or {}).get("notAfter", ""))
            wire = attrs.evolve(
                wire,
                protocol=tunnel.version() or "",
                days_left=(ssl.cert_time_to_seconds(ends) - time.time()) / 86400,
            )
        path = f"{urlsplit(base_url).path}/account"
        asked = f"GET {path} HTTP/1.1\r\nHost: {urlsplit(base_url).netloc}\r\n"
        writer.write(f"{asked}Connection: close\r\n\r\n".encode("ascii"))
        head = await reader.readuntil(b"\r\n\r\n")
        return attrs.evolve(wire, answered=True, clock_off=_clock_off(head))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return attrs.evolve(wire, fault="no HTTP answer")
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def _clock_off(head: bytes) -> float | None:
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "date":
            with contextlib.suppress(ValueError):
                return email.utils.parsedate_to_datetime(value.strip()).timestamp() - time.time()
    return None
