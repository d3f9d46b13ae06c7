"""The way to a host: its name, TCP, TLS, and the clock of an answer, without credentials."""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import ssl
import time
from urllib.parse import urlsplit

import attrs

_SECONDS = 10.0


@attrs.frozen(kw_only=True)
class Wire:
    """What was found on the way to a host.

    Attributes:
        step: how far it got: dns, tcp, tls, or the clock where all went well.
        fault: why it went no further; empty where it did.
        clock_off: seconds that the host's clock is ahead of ours, where its answer says.
    """

    step: str = "dns"
    fault: str = ""
    clock_off: float | None = None


async def look_at(base_url: str) -> Wire:
    """Go as far as possible towards the API, without sending a credential."""
    parts = urlsplit(base_url)
    host, is_secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if is_secure else 80)
    step = "dns"
    try:
        async with asyncio.timeout(_SECONDS):
            await asyncio.get_running_loop().getaddrinfo(host, port)
            step = "tcp"
            _, plain = await asyncio.open_connection(host, port)
            plain.close()
            step = "tls"
            context = ssl.create_default_context() if is_secure else None
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            with contextlib.closing(writer):
                step = "clock"
                asked = f"GET {parts.path}/account HTTP/1.1\r\nHost: {parts.netloc}\r\n"
                writer.write(f"{asked}Connection: close\r\n\r\n".encode("ascii"))
                head = await reader.readuntil(b"\r\n\r\n")
                return Wire(step=step, clock_off=_clock_off(head))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return Wire(step=step)
    except TimeoutError:
        return Wire(step=step, fault=f"nothing within {_SECONDS:g} s")
    except OSError as exc:
        return Wire(step=step, fault=exc.strerror or str(exc))


def _clock_off(head: bytes) -> float | None:
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "date":
            with contextlib.suppress(ValueError):
                return email.utils.parsedate_to_datetime(value.strip()).timestamp() - time.time()
    return None
