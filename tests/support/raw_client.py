"""What does a peer without an HTTP library see? For the tests of the fault server itself."""

import asyncio
import json
import ssl
from urllib.parse import urlsplit

import attrs

from support import tls
from support.fault_server import FaultServer

QUIET = 0.2
"""Seconds without a byte after which the other side counts as silent."""

ENOUGH = 300_000
"""Bytes after which an answer counts as going on for ever; three times QUIET does too."""


@attrs.frozen
class Heard:
    """What came back, and how it ended: fin, rst, silent, going on, or no connection at all."""

    data: bytes
    ending: str


def transfer(client_user_id: int = 60, amount: int = 12) -> bytes:
    """Spell out the PUT that moves credit."""
    fields = {"client_user_id": client_user_id, "balance": amount, "currency": "USD"}
    return spell("PUT", "/v3/reseller/transfer-credit", json.dumps(fields).encode())


def spell(method: str, path: str, body: bytes = b"") -> bytes:
    """Spell out a request."""
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def say(server: FaultServer, said: bytes, quiet: float = QUIET) -> Heard:
    """Send these bytes on a connection of their own, and listen until nothing more comes."""
    address = urlsplit(server.url)
    trusted = tls.client_context() if address.scheme == "https" else None
    try:
        async with asyncio.timeout(quiet * 2):
            reader, writer = await asyncio.open_connection(
                address.hostname, address.port, ssl=trusted
            )
    except (OSError, TimeoutError) as error:
        return Heard(b"", _CONNECT_ENDINGS.get(type(error), type(error).__name__))
    try:
        writer.write(said)
        return await listen(reader, quiet)
    finally:
        writer.transport.abort()


async def listen(reader: asyncio.StreamReader, quiet: float = QUIET) -> Heard:
    """Take what comes until the other side closes, is silent, or never stops."""
    time = asyncio.get_running_loop().time
    data, started = b"", time()
    while len(data) < ENOUGH and time() < started + 3 * quiet:
        try:
            async with asyncio.timeout(quiet):
                came = await reader.read(65_536)
        except TimeoutError:
            return Heard(data, "silent")
        except ssl.SSLError:
            return Heard(data, "tls alert")
        except ConnectionError:
            return Heard(data, "rst")
        if not came:
            return Heard(data, "fin")
        data += came
    return Heard(data, "going on")


_CONNECT_ENDINGS: dict[type[BaseException], str] = {
    ConnectionRefusedError: "refused",
    ConnectionResetError: "cut",
    TimeoutError: "no answer",
    ssl.SSLCertVerificationError: "certificate",
    ssl.SSLError: "not tls",
}
