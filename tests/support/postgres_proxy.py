"""How does a test cut a connection to PostgreSQL in the middle of a COMMIT? By standing between."""

import asyncio
import contextlib
import re

import pytest

_COMMIT = re.compile(rb"COMMIT(?!TED)")  # BEGIN says READ COMMITTED


class Proxy:
    """Passes bytes on, and may cut at the next COMMIT.

    Attributes:
        port: where it listens.
        cut: "before": the COMMIT never reaches the server; "after": its answer never comes back.
        cuts: how often it has cut.
    """

    def __init__(self, server_port):
        self.port = 0
        self.cut = ""
        self.cuts = 0
        self._server_port = server_port
        self._withheld = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self):
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc):
        self._listening.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        answers = asyncio.ensure_future(_copy(there, writer))
        try:
            await self._requests(reader, back)
            if self._withheld is not None:
                answers.cancel()
                await asyncio.wait({answers})
                back.write(self._withheld)
                self._withheld = None
                await there.read(65536)  # the server has committed when it answers
        finally:
            answers.cancel()
            for each in (writer, back):
                each.transport.abort()

    async def _requests(self, reader, back):
        while data := await reader.read(65536):
            if self.cut and _COMMIT.search(data):
                self._withheld = data if self.cut == "after" else None
                self.cut = ""
                self.cuts += 1
                return
            back.write(data)
            await back.drain()


async def _copy(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()  # the server has gone, and the client waits to see it


@pytest.fixture
def through(postgres):
    """Make a proxy in front of the shared server."""
    return Proxy(postgres.port)
