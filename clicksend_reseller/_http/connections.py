"""The transport: a stack of single connections under `httpx.AsyncClient`.

There is always one `AsyncClient`, whose transport is ours (`OwnTransport`), or the caller's
`transport=`, or the client is the caller's `http_client=`: one way for all three.
"""

from __future__ import annotations

import contextlib
import inspect
import ssl
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

import httpx

from clicksend_reseller._http import proxies

if TYPE_CHECKING:
    import httpcore

    from clicksend_reseller._http.single_connection import SingleConnection

AsyncBaseTransport: TypeAlias = httpx.AsyncBaseTransport

# Less than the 5 s after which servers begin to close idle connections: in a race with that
# 49 of 400 PUTs failed, with the same error as a lost answer.
IDLE_SECONDS = 4.0

# The mark on a request that must not go out on a connection that has been used before.
FRESH = "clicksend_reseller.fresh_connection"

# On an answer that came on a connection which had been used before: how to close that one.
USED = "clicksend_reseller.used_connection"


@runtime_checkable
class HTTPClient(Protocol):
    """What `http_client=` must be able to do; the AsyncClients of httpx and httpx2 both are one.

    It must not send a request twice by itself: the body of a write is given once, and asking
    for it again raises, also after a hook has read it (`await request.aread()`). A client that
    makes a request of its own from a copy of the body, and repeats that, is outside the
    guarantee.
    """

    def build_request(
        self,
        method: str,
        url: str,
        *,
        content: AsyncIterable[bytes] | None,
        headers: Mapping[str, str],
        extensions: Mapping[str, Any],
    ) -> Any:
        """Build a request; the content's length is among the headers."""
        ...

    def send(
        self, request: Any, *, stream: bool, auth: None, follow_redirects: bool
    ) -> Coroutine[Any, Any, Any]:
        """Send a request and give the answer with its body still to be read."""
        ...


class _NoCookies(httpx.Cookies):
    """Keeps none: a call must not depend on the calls before it."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Leave the answer's alone: a urllib request for each costs 15 µs."""


class OwnClient(httpx.AsyncClient):
    """The client that is made here, round a transport of ours or of the caller's."""

    def __init__(self, transport: AsyncBaseTransport) -> None:
        super().__init__(transport=transport, trust_env=False)
        self.has_own_connections = isinstance(transport, OwnTransport)
        self._empty_cookies = _NoCookies()

    @property
    def cookies(self) -> httpx.Cookies:
        """Give none."""
        return self._empty_cookies

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        """Take none."""


def make_client(
    *,
    http_client: HTTPClient | None,
    transport: AsyncBaseTransport | None,
    ssl_context: ssl.SSLContext | None,
    proxy: str | None,
) -> tuple[HTTPClient, Callable[[], Awaitable[None]]]:
    """Take the caller's client, or make one round the caller's transport or our own.

    Returns:
        The client, and how to close what is ours.

    Raises:
        TypeError: the client or the transport cannot be awaited.
        ConfigurationError: the proxy's URL is none.
    """
    if http_client is not None:
        if not inspect.iscoroutinefunction(getattr(http_client, "send", None)):
            raise TypeError(
                "http_client must be an httpx.AsyncClient or an httpx2.AsyncClient, "
                f"not {type(http_client).__name__}"
            )
        return http_client, _leave_open
    if transport is not None and not isinstance(transport, AsyncBaseTransport):
        raise TypeError(
            f"transport must be an httpx.AsyncBaseTransport, not {type(transport).__name__}: "
            "an httpx2 transport goes into an httpx2.AsyncClient, passed as http_client="
        )
    parsed = proxies.parse(proxy)
    client = OwnClient(transport or OwnTransport(ssl_context=ssl_context, proxy=parsed))
    return client, client.aclose


async def _leave_open() -> None:
    """Close nothing: the caller's client is the caller's."""


@cache
def shared_ssl_context() -> ssl.SSLContext:
    """Make the one context of the process; that is 19 of the 20 ms that a client costs."""
    return httpx.create_ssl_context(trust_env=False)


class OwnTransport(httpx.AsyncHTTPTransport):
    """httpx's own transport over our connections.

    It overrides no method, so that the tools which patch that class, or ask whether a transport
    is one, see every request: a mock that is missed moves money.
    """

    def __init__(
        self, *, ssl_context: ssl.SSLContext | None = None, proxy: httpx.Proxy | None = None
    ) -> None:
        # httpx's own would make a pool and an SSL context. This is the one private name that is
        # used: httpx has been frozen at 0.28.1 since 2024, and the bound is <0.29.
        self._pool = ConnectionStack(ssl_context=ssl_context, proxy=proxy)  # type: ignore[assignment]


class ConnectionStack:
    """Keeps single connections to one origin, last in first out, one exchange at a time on each.

    In place of httpx's pool (httpcore 1.0.9), which loses its slots for good when calls are
    cancelled (10 of 10 after 2,000 cancellations), opens a connection for nearly every call
    above 20 at once (459 of 500 at 25) and costs more for each call the more there are (1,000
    at once did not finish in 25 s). How many run at once is decided before they come here.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None, proxy: httpx.Proxy | None) -> None:
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._idle: list[SingleConnection] = []
        self._busy: set[SingleConnection] = set()

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send one request; a failed or cancelled exchange costs its own connection only."""
        asked = cast("dict[str, Any]", request.extensions)  # pyright: ignore[reportUnknownMemberType] - a bare dict in httpcore
        used = None if asked.get(FRESH) else self._take_idle()
        connection = used or self._open(request.url.origin)
        self._busy.add(connection)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._close(connection)
            raise
        response.stream = _ResponseStream(response.stream, self, connection)
        if used is not None:
            extensions = cast("dict[str, Any]", response.extensions)  # pyright: ignore[reportUnknownMemberType] - the same
            extensions[USED] = partial(self.drop, used)
        return response

    async def aclose(self) -> None:
        """Close all connections, those in use too."""
        for connection in [*self._idle, *self._busy]:
            await self._close(connection)
        self._idle.clear()

    async def drop(self, connection: SingleConnection) -> None:
        """Close a connection that brings answers to other requests, even while it is in use."""
        if connection in self._idle:
            self._idle.remove(connection)
        await self._close(connection)

    async def release(self, connection: SingleConnection) -> None:
        """Keep a connection whose exchange has ended, if it can serve another."""
        on_closed = partial(self._remove_idle, connection)
        if connection not in self._busy or not connection.make_idle(IDLE_SECONDS, on_closed):
            await self._close(connection)
            return
        self._busy.discard(connection)
        self._idle.append(connection)

    def _open(self, origin: httpcore.Origin) -> SingleConnection:
        secure = origin.scheme == b"https" or (self._proxy and self._proxy.url.scheme == "https")
        context = (self._ssl_context or shared_ssl_context()) if secure else None
        # With it comes httpcore, a third of a client's import.
        from clicksend_reseller._http.single_connection import SingleConnection  # noqa: PLC0415

        return SingleConnection(origin, proxy=self._proxy, ssl_context=context)

    def _take_idle(self) -> SingleConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.reuse():
                return connection
        return None

    def _remove_idle(self, connection: SingleConnection) -> None:
        """Drop a connection that closed itself; it may have been taken in that moment."""
        with contextlib.suppress(ValueError):
            self._idle.remove(connection)

    async def _close(self, connection: SingleConnection) -> None:
        self._busy.discard(connection)
        await connection.aclose()


class _ResponseStream:
    """The body of an answer; closing it gives the connection back."""

    def __init__(self, stream: Any, stack: ConnectionStack, connection: SingleConnection) -> None:
        self._stream = stream
        self._chunks = stream.__aiter__()
        self._stack = stack
        self._connection = connection

    def __aiter__(self) -> _ResponseStream:
        return self

    async def __anext__(self) -> bytes:
        try:
            return cast("bytes", await self._chunks.__anext__())
        except StopAsyncIteration:
            self._connection.answered()
            raise

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._stack.release(self._connection)
