"""An httpx2 client that is set up for money."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clicksend_reseller.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx2

_OURS = ("limits", "trust_env", "follow_redirects")


def httpx2_client(**options: Any) -> httpx2.AsyncClient:
    """Make an `httpx2.AsyncClient` to pass to `AsyncResellerClient(http_client=…)`.

    It keeps no connection, since a transfer must not go out on one that has been used: the
    server may close it in that moment, or a stray answer on it be taken for the transfer's. It
    reads no proxy from the environment and follows no redirect. How many calls run at once is
    decided by `max_concurrency`.

    Args:
        options: what else `httpx2.AsyncClient` takes, such as `verify=` or `proxy=`. A
            `transport=` of your own brings its own limits: give it
            `httpx2.Limits(max_keepalive_connections=0)`.

    Returns:
        The client, which you close after the reseller client.

    Raises:
        ConfigurationError: an option that this function sets itself was given.
        ImportError: the extra is missing; the message has the command that adds it.
    """
    if given := [name for name in _OURS if name in options]:
        raise ConfigurationError(
            f"httpx2_client sets {' and '.join(given)} itself: for other settings "
            "make an httpx2.AsyncClient of your own"
        )
    try:
        import httpx2  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise ImportError('this needs httpx2: pip install "clicksend-reseller[httpx2]"') from exc
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx2.AsyncClient(limits=limits, trust_env=False, follow_redirects=False, **options)
