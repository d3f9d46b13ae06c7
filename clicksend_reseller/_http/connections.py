"""Over which connections? The only file that imports the HTTP library.

There is always one `AsyncClient`, whose transport is ours (`ConnectionStack`), or the caller's
`transport=`, or the client is the caller's `http_client=`: one road for all three.
"""

from __future__ import annotations

import contextlib
import inspect
import ssl
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

import httpx

from clicksend_reseller._http.leftovers import has_leftovers
from clicksend_reseller.errors import ConfigurationError

if TYPE_CHECKING:
    import httpcore

AsyncBaseTransport: TypeAlias = httpx.AsyncBaseTransport

# A server that closes idle connections after 5 s or more is then never met in the act: in that
# race 49 of 400 PUTs failed, with the same error as a lost answer.
IDLE_SECONDS = 4.0
SWEEP_SECONDS = 1.0

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
        self._none = _NoCookies()

    @property
    def cookies(self) -> httpx.Cookies:
        """Give none."""
        return self._none

    @cookies.setter
    def cookies(self, cookies: object) -> None:
        """Take none."""


def has_own_connections(client: HTTPClient) -> bool:
    """Tell whether a client's requests go over the stack that is made here."""
    return isinstance(client, OwnClient) and isinstance(client._transport, ConnectionStack)  # noqa: SLF001 - httpx has no public name for it


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
    _check_proxy(proxy)
    client = OwnClient(transport or ConnectionStack(ssl_context=ssl_context, proxy=proxy))
    return client, client.aclose


async def _leave_open() -> None:
    """Close nothing: the caller's client is the caller's."""


def _check_proxy(proxy: str | None) -> None:
    if proxy is None:
        return
    with contextlib.suppress(ValueError, httpx.InvalidURL):
        httpx.Proxy(proxy)
        return
    # It may hold a password, so it is not shown, nor are httpx's frames behind it.
    raise ConfigurationError("proxy is no URL that begins with http, https or socks5")


@cache
def shared_ssl_context() -> ssl.SSLContext:
    """Make the one context of the process; that is 19 of the 20 ms that a client costs."""
    return httpx.create_ssl_context(trust_env=False)


class _RememberingBackend:
    """Remembers the socket: anyio 4.16 leaves it open when a TLS handshake is cancelled."""

    def __init__(self, backend: httpcore.AsyncNetworkBackend) -> None:
        self.stream: httpcore.AsyncNetworkStream | None = None
        self._backend = backend

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore.AsyncNetworkStream:
        return self._remember(await self._backend.connect_tcp(*args, **kwargs))

    def _remember(self, stream: httpcore.AsyncNetworkStream) -> httpcore.AsyncNetworkStream:
        self.stream = stream
        return stream


class _Direct:
    """One connection to one origin."""

    def __init__(self, request: httpx.Request, ssl_context: ssl.SSLContext | None) -> None:
        # httpx too loads it with the first connection only: it is a third of a client's import.
        import httpcore  # noqa: PLC0415

        self._httpcore = httpcore
        url = self._url(request)
        secure = url.scheme == b"https"
        self._backend = _RememberingBackend(
            cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())
        )
        self._core = httpcore.AsyncHTTPConnection(
            origin=url.origin,
            ssl_context=(ssl_context or shared_ssl_context()) if secure else None,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=cast("httpcore.AsyncNetworkBackend", self._backend),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer: Any = await self._core.handle_async_request(
            self._httpcore.Request(
                method=request.method,
                url=self._url(request),
                headers=request.headers.raw,
                content=cast("AsyncIterable[bytes]", request.stream),
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=answer.stream,
            extensions=answer.extensions,
        )

    @property
    def core(self) -> httpcore.AsyncHTTPConnection:
        """httpcore's connection."""
        return self._core

    def _url(self, request: httpx.Request) -> httpcore.URL:
        url = request.url
        return self._httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        )

    async def aclose(self) -> None:
        await self._core.aclose()
        if self._backend.stream is not None:
            await self._backend.stream.aclose()


class _Proxied(httpx.AsyncHTTPTransport):
    """One connection through a proxy."""

    def __init__(self, proxy: str, ssl_context: ssl.SSLContext | None) -> None:
        super().__init__(
            verify=ssl_context or shared_ssl_context(),
            trust_env=False,
            proxy=proxy,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=IDLE_SECONDS),
        )

    @property
    def core(self) -> Any:
        """httpcore's connection, None before it is made and after it has failed."""
        return next(iter(self._pool.connections), None)


def _is_idle(connection: _Direct | _Proxied) -> bool:
    core = connection.core
    return core is not None and core.is_idle()


def _can_serve(connection: _Direct | _Proxied) -> bool:
    """Look at the socket and at all that may lie behind it, right before a request is written."""
    core = connection.core
    return _is_idle(connection) and not core.has_expired() and not has_leftovers(core)


class ConnectionStack(httpx.AsyncBaseTransport):
    """Keeps single connections to one origin, last in first out, one exchange at a time on each.

    In place of httpx's pool (httpcore 1.0.9), which loses its slots for good when calls are
    cancelled (10 of 10 after 2,000 cancellations), opens a connection for nearly every call
    above 20 at once (459 of 500 at 25) and costs more for each call the more there are (1,000
    at once did not finish in 25 s). How many run at once is decided before they come here.
    """

    def __init__(self, *, ssl_context: ssl.SSLContext | None = None, proxy: str | None) -> None:
        self._ssl_context = ssl_context
        self._proxy = proxy
        self._idle: list[_Direct | _Proxied] = []
        self._busy: set[_Direct | _Proxied] = set()
        self._swept_at = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; a failed or cancelled exchange costs its own connection only."""
        fresh = bool(request.extensions.get(FRESH))
        used = None if fresh else await self._pop()
        connection = used or self._open(request)
        self._busy.add(connection)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._give_up(connection)
            raise
        response.stream = _Lease(response.stream, self, connection)
        if used is not None:
            response.extensions[USED] = partial(self.drop, used)
        return response

    async def aclose(self) -> None:
        """Close all connections, those in use too."""
        for connection in [*self._idle, *self._busy]:
            await self._give_up(connection)
        self._idle.clear()

    async def drop(self, connection: _Direct | _Proxied) -> None:
        """Close a connection whose answers are another's, under whoever has taken it since too."""
        if connection in self._idle:
            self._idle.remove(connection)
        await self._give_up(connection)

    async def give_back(self, connection: _Direct | _Proxied) -> None:
        """Keep a connection whose exchange has ended, if it can serve another."""
        # The socket is looked at when somebody takes it: once for each call, 12 µs saved.
        if connection not in self._busy or not _is_idle(connection):
            await self._give_up(connection)
            return
        self._busy.discard(connection)
        self._idle.append(connection)
        await self._sweep()

    async def _sweep(self) -> None:
        """Give up what lay too long: those at the bottom are never taken while others come back."""
        now = time.monotonic()
        if now < self._swept_at + SWEEP_SECONDS:
            return
        self._swept_at = now
        while self._idle and not _can_serve(self._idle[0]):
            await self._give_up(self._idle.pop(0))

    def _open(self, request: httpx.Request) -> _Direct | _Proxied:
        if self._proxy is not None:
            return _Proxied(self._proxy, self._ssl_context)
        return _Direct(request, self._ssl_context)

    async def _pop(self) -> _Direct | _Proxied | None:
        while self._idle:
            connection = self._idle.pop()
            if _can_serve(connection):
                return connection
            await self._give_up(connection)
        return None

    async def _give_up(self, connection: _Direct | _Proxied) -> None:
        self._busy.discard(connection)
        await connection.aclose()


class _Lease(httpx.AsyncByteStream):
    """The body of an answer; closing it gives the connection back."""

    def __init__(self, stream: Any, stack: ConnectionStack, connection: _Direct | _Proxied) -> None:
        self._stream = stream
        self._stack = stack
        self._connection = connection

    def __aiter__(self) -> AsyncIterator[bytes]:
        return cast("AsyncIterator[bytes]", self._stream.__aiter__())

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            await self._stack.give_back(self._connection)
