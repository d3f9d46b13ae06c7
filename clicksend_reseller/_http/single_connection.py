"""One connection, straight or through a proxy, and its socket.

It loads httpcore, which is a third of a client's import, so it is loaded with the first
connection only, as httpx does.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

import httpcore
import httpx

from clicksend_reseller._http.backend import Backend


class SingleConnection:
    """Serves one exchange at a time; its socket is opened by the first.

    Args:
        origin: the server.
        proxy: on the way to it, or none.
        ssl_context: for the server, and for a proxy that is spoken to by https.
    """

    def __init__(
        self,
        origin: httpcore.Origin,
        *,
        proxy: httpx.Proxy | None,
        ssl_context: ssl.SSLContext | None,
    ) -> None:
        # What a SOCKS proxy says is no HTTP.
        self._backend = Backend(withholds_last_byte=not (proxy and _is_socks(proxy)))
        options: dict[str, Any] = {"ssl_context": ssl_context, "network_backend": self._backend}
        self._core: httpcore.AsyncHTTPConnection | httpcore.AsyncConnectionPool
        if proxy is None:
            self._core = httpcore.AsyncHTTPConnection(origin=origin, **options)
        else:
            self._core = _through(proxy, **options)

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Send a request."""
        return await self._core.handle_async_request(request)

    def answered(self) -> None:
        """Note that an answer has been read to its end."""
        if self._backend.stream is not None:
            self._backend.stream.answered()

    def make_idle(self, seconds: float, on_closed: Callable[[], None]) -> bool:
        """Watch an idle connection, if it can serve another exchange (see `Stream.make_idle`)."""
        stream = self._backend.stream  # none where a mock has answered
        return stream is not None and self._is_idle() and stream.make_idle(seconds, on_closed)

    def reuse(self) -> bool:
        """End the time limit of `make_idle`; return False if it has passed, and all is closed."""
        return self._backend.stream is not None and self._backend.stream.reuse()

    async def aclose(self) -> None:
        """Close, also where httpcore has not taken the socket over yet."""
        await self._core.aclose()
        if self._backend.stream is not None:
            self._backend.stream.abort()

    def _is_idle(self) -> bool:
        if isinstance(self._core, httpcore.AsyncHTTPConnection):
            return self._core.is_idle()
        return any(connection.is_idle() for connection in self._core.connections)


def _through(proxy: httpx.Proxy, **options: Any) -> httpcore.AsyncConnectionPool:
    """Make a pool of one connection: how proxies are spoken to is public in no other form."""
    url = proxy.url
    options |= {
        "max_connections": 1,
        "proxy_url": httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        "proxy_auth": proxy.raw_auth,
    }
    if _is_socks(proxy):
        return httpcore.AsyncSOCKSProxy(**options)
    if url.scheme == "https":
        options["proxy_ssl_context"] = options["ssl_context"]
    return httpcore.AsyncHTTPProxy(**options)


def _is_socks(proxy: httpx.Proxy) -> bool:
    return proxy.url.scheme.startswith("socks")
