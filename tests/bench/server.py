"""Who answers? A server in a process of its own, so quick that the client is what is measured.

    GET /<n>ms/<m>pages/reseller/accounts?page=2&limit=100   a page of a list of m pages
    GET /<n>ms/<m>pages/reseller/accounts/<id>               one account
    GET /connections                                         how many were opened so far

It answers n milliseconds after a request has come. A path may have `v3` in it: one peer insists.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache

from bench import accounts, pinning

_WANTED = re.compile(
    rb"GET /(\d+)ms/(\d+)pages(?:/v3)?/reseller/accounts(?:/\d+|\?page=(\d+)[^ ]*) "
)


class Address:
    """Where the server listens.

    Args:
        port: on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}"
        self.connections = f"{self._root}/connections"

    def base_url(self, *, milliseconds: int = 0, pages: int = 100) -> str:
        """Give the base URL of an API that takes so long to answer and has so many pages."""
        return f"{self._root}/{milliseconds}ms/{pages}pages"


@contextlib.contextmanager
def running() -> Iterator[Address]:
    """Start the server, and stop it at the end."""
    command = [sys.executable, "-m", "bench.server"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, env=os.environ
    ) as process:
        assert process.stdout is not None
        try:
            yield Address(int(process.stdout.readline()))
        finally:
            process.terminate()


class Connection(asyncio.Protocol):
    """Answers requests that come one after the other and have no body."""

    opened = 0

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it."""
        assert isinstance(transport, asyncio.Transport)
        Connection.opened += 1
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer, if the request is all there."""
        self._received += data
        if self._received.endswith(b"\r\n\r\n"):
            request, self._received = self._received, b""
            seconds, answer = _answer(request)
            if seconds:
                asyncio.get_running_loop().call_later(seconds, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


def _answer(request: bytes) -> tuple[float, bytes]:
    wanted = _WANTED.match(request)
    if wanted is None:
        return 0.0, _http(b"%d" % Connection.opened)
    milliseconds, pages, page = wanted.groups()
    if page is None:
        return int(milliseconds) / 1000, _account()
    return int(milliseconds) / 1000, _page(int(page), int(pages))


@cache
def _account() -> bytes:
    return _http(accounts.account_answer(0))


@cache
def _page(page: int, pages: int) -> bytes:
    return _http(accounts.page_answer(page, pages, accounts.rows(page)))


def _http(content: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"X-RateLimit-Limit: 100000\r\nX-RateLimit-Remaining: 99999\r\nX-RateLimit-Reset: 60\r\n"
        b"\r\n%b" % (len(content), content)
    )


async def _serve() -> None:
    for page in range(1, 101):
        _page(page, 100)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - to running()
    await server.serve_forever()


if __name__ == "__main__":
    pinning.take_last_core()
    pinning.allow_many_connections()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve())
