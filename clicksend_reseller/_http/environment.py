"""The proxies that the environment names. They are never read, and an error says so."""

from __future__ import annotations

from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass


def advice(base_url: str) -> str:
    """Say what to do where a connection failed and the environment names a proxy.

    Args:
        base_url: what could not be reached.

    Returns:
        Nothing where no proxy is named or this host is exempt. Names of variables only: the
        URL of a proxy may hold a password.
    """
    parts = urlsplit(base_url)
    named = getproxies_environment()
    kinds = [kind for kind in (parts.scheme, "https", "http", "all") if named.get(kind)]
    if not kinds or proxy_bypass(parts.hostname or ""):
        return ""
    return (
        f"the environment names a proxy ({kinds[0].upper()}_PROXY), and proxies of the environment "
        "are not read: pass it as proxy="
    )
