"""The calls over aiohttp's connections, by way of httpx-aiohttp."""

import aiohttp
from httpx_aiohttp import AiohttpTransport


def transport(*, only_reads: bool = False) -> AiohttpTransport:
    """Make a transport for `AsyncResellerClient(transport=…)`.

    Args:
        only_reads: keep connections, which is where the speed is. A transfer must not go out on
            a connection that has been used, and aiohttp cannot be asked for a new one each time.
    """

    def session() -> aiohttp.ClientSession:
        # How many run at once is decided by the client's max_concurrency.
        if only_reads:
            # Servers close idle connections after 5 s or more.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=4.0)
        else:
            connector = aiohttp.TCPConnector(limit=0, force_close=True)
        # trust_env is False by default: no proxy and no netrc is read.
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return AiohttpTransport(client=session)
