"""The URL of a proxy."""

from __future__ import annotations

import contextlib
from importlib.util import find_spec

import httpx

from clicksend_reseller.errors import ConfigurationError


def parse(proxy: str | None) -> httpx.Proxy | None:
    """Read a proxy's URL.

    Raises:
        ConfigurationError: it is none that can be used. It may hold a password, so it is not
            shown, nor are httpx's frames behind it.
    """
    if proxy is None:
        return None
    parsed = None
    with contextlib.suppress(ValueError, httpx.InvalidURL):
        parsed = httpx.Proxy(proxy)
    if parsed is None or not parsed.url.host:
        raise ConfigurationError("proxy is no URL that begins with http, https or socks5")
    if not 0 < (1 if parsed.url.port is None else parsed.url.port) < 2**16:
        raise ConfigurationError("proxy has a port that is no number from 1 to 65535")
    if parsed.url.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ConfigurationError(
            'a socks5 proxy needs the package socksio: pip install "httpx[socks]"'
        )
    return parsed
