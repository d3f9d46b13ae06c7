"""A server that fails on purpose, on real sockets. What did it receive, and what did it apply?

`FaultServer.applied` is the oracle of every money test: it counts what happened, never
what a client was told. A request has arrived only when its whole body has been read.

    async with FaultServer() as server:
        server.script("lost_fin_applied", operation="transfer_credit")
        ...
        assert server.applied == {("transfer", 60, 12): 1}
"""

import asyncio
import random
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Self, cast

import attrs

from support import tls
from support.faulty_connection import Door, Request
from support.good_answers import Write, good_answer
from support.waiting import until
from support.wire_faults import FAULTS, Stage, WireFault

__all__ = ["FAULTS", "Choose", "FaultServer", "Request", "WireFault", "random_faults"]

Choose = Callable[[int, Request | None], str | None]
"""Asked for a fault once per connection (its number, None) and once per request (its number
and its first line). A name that belongs to the other stage is passed over."""


def random_faults(seed: int, shares: Mapping[str, float]) -> Choose:
    """Choose by dice: each fault strikes this share of the connections or requests."""
    dice = random.Random(seed)

    def choose(number: int, request: Request | None) -> str | None:
        roll = dice.random()
        for name, share in shares.items():
            if (FAULTS[name].at is Stage.REQUEST) == (request is not None):
                roll -= share
                if roll < 0:
                    return name
        return None

    return choose


@attrs.define
class _Script:
    choose: Choose
    left: float
    operation: str | None

    def concerns(self, request: Request | None) -> bool:
        mine = self.operation is None or (request and request.operation == self.operation)
        return bool(self.left and mine)

    def fault(self, number: int, request: Request | None) -> WireFault | None:
        name = self.choose(number, request)
        fault = FAULTS[name] if name else None
        if fault and (fault.at is Stage.REQUEST) == (request is not None):
            self.left -= 1
            return fault
        return None


class FaultServer:
    """The API on 127.0.0.1, well-behaved until a scripted fault strikes.

    Args:
        ssl_context: Serve TLS with this context; `url` then says https://localhost.
        accounts: How many accounts the list has.
        chunk: Write well-behaved answers in pieces of this many bytes.

    Attributes:
        requests: Every request seen, whole or not, in order of its end.
        connections: How many connections were accepted.
        open_connections: How many of them are open now.
        applied: How often each write was applied.
        bytes_seen: How many bytes each connection brought, by its number.
    """

    def __init__(
        self,
        *,
        ssl_context: ssl.SSLContext | None = None,
        accounts: int = 3,
        chunk: int = 0,
    ) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.applied: Counter[Write] = Counter()
        self.bytes_seen: Counter[int] = Counter()
        self.accounts = accounts
        self.chunk = chunk
        self.port = self.other_port = 0
        self.ssl_context = ssl_context
        self._answering = 0
        self._scripts: list[_Script] = []
        self.open_transports: dict[int, asyncio.Transport] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._errors: list[BaseException] = []
        self._doors: list[asyncio.Server] = []
        self._sockets: list[socket.socket] = []
        self._shut: str | None = None

    @classmethod
    def striking(cls, name: str, **limits: int | str | None) -> Self:
        """Make the server that this fault needs, scripted to strike (see `script`)."""
        fault = FAULTS[name]
        server = cls(ssl_context=tls.server_context() if fault.at is Stage.HANDSHAKE else None)
        if fault.at is Stage.LISTENER:
            server._shut = name
        else:
            server.script(name, **({"times": None} | limits))  # type: ignore[arg-type]  # by name
        return server

    # What a test reads

    @property
    def url(self) -> str:
        """The address of the API: what a client takes as its `base_url`."""
        return self.address(self.port)

    def address(self, port: int) -> str:
        origin = "https://localhost" if self.ssl_context else "http://127.0.0.1"
        return f"{origin}:{port}/v3"

    @property
    def open_connections(self) -> int:
        return len(self.open_transports)

    @property
    def arrived(self) -> list[Request]:
        """The requests that came whole."""
        return [request for request in self.requests if request.complete]

    @property
    def tries(self) -> int:
        """How often somebody tried: requests, whole or not, and connections without any."""
        return len(self.requests) + self.connections - len({r.connection for r in self.requests})

    # What a test says

    def script(
        self, fault: str | Choose, *, times: int | None = 1, operation: str | None = None
    ) -> None:
        """Let a fault strike.

        Scripts come one after the other: a later one waits until the earlier ones that
        concern the same request are used up, or a callable has nothing to say.

        Args:
            fault: A name in `FAULTS`, or a callable that chooses one each time.
            times: How many times it strikes; None is for ever. A callable has no limit.
            operation: Only requests of this operation.
        """
        if not isinstance(fault, str):
            self._scripts.append(_Script(fault, float("inf"), operation))
            return
        at = FAULTS[fault].at
        if at is Stage.LISTENER or (operation and at is not Stage.REQUEST):
            raise ValueError(f"{fault!r} strikes before an operation is known: use go_down()")
        left = float("inf") if times is None else times
        self._scripts.append(_Script(lambda *_: fault, left, operation))

    async def go_down(self, how: str = "nobody_listens") -> None:
        """Stop listening and cut every connection, on the same port."""
        await self._close_doors()
        self._shut = how
        self._cut()
        await self._open_doors()

    async def come_up(self) -> None:
        """Listen again."""
        await self._close_doors()
        self._shut = None
        await self._open_doors()

    async def until_arrived(self, number: int = 1) -> None:
        """Wait until so many requests have come whole."""
        await until(lambda: len(self.arrived) >= number)

    async def quiet(self, seconds: float = 10.0) -> None:
        """Wait until no connection is open and no fault is being played."""
        await until(lambda: not (self.open_transports or self._tasks), seconds=seconds)

    # Life

    async def __aenter__(self) -> Self:
        await self._open_doors()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close_doors()
        self._cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.quiet()
        if self._errors:
            raise self._errors[0]

    def _cut(self) -> None:
        for transport in list(self.open_transports.values()):
            transport.abort()

    async def _open_doors(self) -> None:
        self.port = await self._open_door(self.port)
        if self._shut is None:
            self.other_port = await self._open_door(self.other_port)

    async def _open_door(self, port: int) -> int:
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("127.0.0.1", port))
        door.settimeout(0)
        self._sockets.append(door)
        taken = cast("int", door.getsockname()[1])
        if self._shut == "never_accepts":
            self._fill_backlog(door)
        elif self._shut is None:
            loop = asyncio.get_running_loop()
            serving = loop.create_server(lambda: Door(self, taken), sock=door, backlog=2048)
            self._doors.append(await serving)
        return taken  # bound and silent, it refuses

    def _fill_backlog(self, door: socket.socket) -> None:
        """Let the kernel hold one connection, and drop the greetings of all others."""
        door.listen(0)
        for _ in range(2):
            filler = socket.socket()
            filler.settimeout(0)
            filler.connect_ex(door.getsockname())
            self._sockets.append(filler)

    async def _close_doors(self) -> None:
        for server in self._doors:
            server.close()
        for each in self._sockets:
            each.close()
        self._doors, self._sockets = [], []
        await asyncio.sleep(0)

    # What the connections ask

    def accepted(self, transport: asyncio.Transport) -> int:
        """Number a new connection."""
        self.connections += 1
        self.open_transports[self.connections - 1] = transport
        return self.connections - 1

    def choose(self, number: int, request: Request | None) -> WireFault | None:
        """Which fault strikes this connection, or this request?"""
        try:
            return self._choose(number, request)
        except Exception as error:  # noqa: BLE001  # raised when the server ends
            self._errors.append(error)
            return None

    def _choose(self, number: int, request: Request | None) -> WireFault | None:
        for script in self._scripts:
            if script.concerns(request):
                fault = script.fault(number, request)
                if fault or script.left != float("inf"):
                    return fault
        return None

    def choose_for(self, request: Request) -> WireFault | None:
        """Which fault strikes this request? Each has its number, from 0."""
        self._answering += 1
        return self.choose(self._answering - 1, request)

    def apply(self, request: Request) -> None:
        """Do what the request asks for: only a whole request can be applied."""
        if not request.complete:
            raise AssertionError(f"half a request applied: {request!r}")
        if request.write:
            self.applied[request.write] += 1

    def good_answer(self, request: Request) -> bytes:
        return good_answer(request.operation, request.path, request.body, self.accounts)

    def start(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run it in a task that ends with the server."""
        task = asyncio.create_task(work, name=f"fault server: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, work: asyncio.Task[None]) -> None:
        self._tasks.discard(work)
        error = None if work.cancelled() else work.exception()
        if error and not isinstance(error, OSError):  # a broken handshake is what was asked for
            self._errors.append(error)
