"""How does one request become one answer? The only file that knows the HTTP library.

Operation in, Answer or error out. There is always one `AsyncClient`, whose transport is ours
(`ConnectionStack`), or the caller's `transport=`, or the client is the caller's `http_client=`:
one road for all three.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.cookiejar
import inspect
import platform
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast, runtime_checkable

import httpx

from clicksend_reseller import _faults, _secrecy
from clicksend_reseller._answer import Answer
from clicksend_reseller._body import OneShotBody
from clicksend_reseller._operations import Operation
from clicksend_reseller._version import __version__
from clicksend_reseller.errors import (
    APIConnectionError,
    APITimeoutError,
    ConfigurationError,
    ResellerError,
)
from clicksend_reseller.models import Outcome

if TYPE_CHECKING:
    import httpcore

__all__ = ["AsyncBaseTransport", "ConnectionStack", "HTTPClient", "Transport", "make_client"]

AsyncBaseTransport: TypeAlias = httpx.AsyncBaseTransport

# A page of 100 accounts is under 200 kB; 8 MB of tiny objects block the loop for a second.
MAX_ANSWER = 2 * 1024 * 1024

# A server that closes idle connections after 5 s or more is then never met in the act: in that
# race 49 of 400 PUTs failed, with the same error as a lost answer.
IDLE_SECONDS = 4.0

_FRESH = "clicksend_reseller.fresh_connection"


@runtime_checkable
class HTTPClient(Protocol):
    """What `http_client=` must be able to do; the AsyncClients of httpx and httpx2 both are one.

    It must not send a request twice by itself: the body of a write is given once, and asking
    for it again raises. A client that buffers the body first and repeats it is outside the
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


class Transport:
    """Sends operations to one base URL with one set of credentials."""

    def __init__(self, client: HTTPClient, *, base_url: str, username: str, api_key: str) -> None:
        basic = base64.b64encode(f"{username}:{api_key}".encode()).decode()
        self.secrets = (api_key, basic)
        self._client = client
        self._base_url = base_url
        self._headers = {
            "Accept": "application/json",
            # 400 MB out of a nested gzip get past any cap on decoded bytes.
            "Accept-Encoding": "identity",
            "Authorization": f"Basic {basic}",
            "User-Agent": f"clicksend-reseller/{__version__} (Python {platform.python_version()})",
        }

    async def exchange(
        self, operation: Operation[Any], body: OneShotBody | None, *, seconds: float
    ) -> Answer:
        """Send a request and read its answer, within so many seconds.

        Raises:
            APIConnectionError: no answer; NOT_SENT or UNKNOWN.
            ResellerError: what the body's claim refused with.
        """
        answer: Answer | None = None
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.send(
                    self._request(operation, body, seconds),
                    stream=True,
                    auth=None,
                    follow_redirects=False,
                )
                answer = Answer(
                    status=response.status_code,
                    headers=_headers(response),
                    content=b"",
                    flaw="the answer did not end in time",
                )
                return await _read(response, answer)
        except Exception as exc:
            # A foreign transport may raise anything, and the error must still say what is known.
            if answer is not None and answer.status == 429:
                return answer
            if body is not None and not body.left and isinstance(body.refusal, ResellerError):
                raise body.refusal from body.refusal.__cause__
            _faults.hush(exc, self.secrets)
            raise self._translated(exc, body, seconds) from exc
        finally:
            # A transport may go on by itself after it was cancelled or has failed.
            if body is not None:
                body.shut()

    def _request(self, operation: Operation[Any], body: OneShotBody | None, seconds: float) -> Any:
        headers = self._headers
        if body is not None:
            headers = headers | {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }
        # The whole attempt has one limit, ours. Connecting ends a little before it, so that a read
        # that never left is told by the library from one that got no answer.
        to_connect = 0.95 * seconds
        query = "&".join(f"{name}={value:d}" for name, value in operation.query.items())
        return self._client.build_request(
            operation.method,
            f"{self._base_url}{operation.path}{'?' if query else ''}{query}",
            content=body,
            headers=headers,
            extensions={
                _FRESH: operation.needs_fresh_connection,
                "timeout": {"connect": to_connect, "pool": to_connect, "read": None, "write": None},
            },
        )

    def _translated(
        self, exc: Exception, body: OneShotBody | None, seconds: float
    ) -> ResellerError:
        unsent = _faults.is_unsent(exc) if body is None else not body.left
        cls = APITimeoutError if _faults.is_late(exc) else APIConnectionError
        fact = "nothing could be sent" if unsent else "no answer came"
        said = f"within {seconds:g} s" if type(exc) is TimeoutError else f"({_faults.name(exc)})"
        return cls(
            _secrecy.printable(f"{fact} {said}"),
            outcome=Outcome.NOT_SENT if unsent else Outcome.UNKNOWN,
            permanent=_faults.is_permanent(exc),
        )


# --- reading an answer


def _headers(response: Any) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1")
        for name, value in response.headers.raw
    }


async def _read(response: Any, answer: Answer) -> Answer:
    content, flaw = bytearray(), ""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    try:
        if encoding not in {"", "identity"}:
            flaw = f"the answer came encoded as {encoding!r:.30}, which was not asked for"
        else:
            # Not aiter_raw: an answer that a mock has read before can be read here again.
            async for chunk in response.stream:
                content += chunk
                if len(content) > MAX_ANSWER:
                    flaw = f"the answer is longer than {MAX_ANSWER} bytes"
                    break
    except Exception as exc:
        if not _faults.is_broken_answer(exc):
            raise
        flaw = f"the answer broke off ({_faults.name(exc)})"
    finally:
        with contextlib.suppress(Exception):  # what has been read counts
            await response.aclose()
    return Answer(status=answer.status, headers=answer.headers, content=bytes(content), flaw=flaw)


# --- the client and its connections


class _NoCookies(http.cookiejar.CookieJar):
    """Keeps none: a call must not depend on the calls before it."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Leave the answer's cookies alone."""


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
    client = httpx.AsyncClient(
        transport=transport or ConnectionStack(ssl_context=ssl_context, proxy=proxy),
        trust_env=False,
        cookies=_NoCookies(),
    )
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

    def is_reusable(self) -> bool:
        core = self._core
        return core.is_idle() and not core.has_expired() and not _has_leftovers(core)

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

    def is_reusable(self) -> bool:
        # Its own pool of one looks at the rest.
        return not any(map(_has_leftovers, self._pool.connections))


def _has_leftovers(connection: Any) -> bool:
    """Tell whether more came than one answer: the next call would take it for its own.

    httpcore looks at the socket alone. What came beyond lies in h11's buffer, or not yet
    decrypted in anyio's TLS stream, or not yet asked for in its socket stream.
    """
    while connection is not None and not hasattr(connection, "_h11_state"):
        connection = getattr(connection, "_connection", None)
    if connection is None:
        return False
    if connection._h11_state.trailing_data[0]:  # noqa: SLF001 - nothing public shows it
        return True
    stream = getattr(getattr(connection, "_network_stream", None), "_stream", None)
    while stream is not None:
        undecrypted = getattr(stream, "_read_bio", None)
        if undecrypted is not None and undecrypted.pending:
            return True
        if getattr(getattr(stream, "_protocol", None), "read_queue", None):
            return True
        stream = getattr(stream, "transport_stream", None)
    return False


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

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; a failed or cancelled exchange costs its own connection only."""
        fresh = bool(request.extensions.get(_FRESH))
        connection = (None if fresh else await self._pop()) or self._open(request)
        self._busy.add(connection)
        try:
            response = await connection.handle_async_request(request)
        except BaseException:
            await self._give_up(connection)
            raise
        response.stream = _Lease(response.stream, self, connection)
        return response

    async def aclose(self) -> None:
        """Close all connections, those in use too."""
        for connection in [*self._idle, *self._busy]:
            await self._give_up(connection)
        self._idle.clear()

    async def give_back(self, connection: _Direct | _Proxied) -> None:
        """Keep a connection whose exchange has ended, if it can serve another."""
        if connection not in self._busy or not connection.is_reusable():
            await self._give_up(connection)
            return
        self._busy.discard(connection)
        self._idle.append(connection)
        while self._idle and not self._idle[0].is_reusable():
            await self._give_up(self._idle.pop(0))

    def _open(self, request: httpx.Request) -> _Direct | _Proxied:
        if self._proxy is not None:
            return _Proxied(self._proxy, self._ssl_context)
        return _Direct(request, self._ssl_context)

    async def _pop(self) -> _Direct | _Proxied | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable():
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
