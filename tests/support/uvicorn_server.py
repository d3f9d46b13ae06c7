"""How does a test serve an ASGI application on a real loopback socket, in its own event loop?"""

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import uvicorn


@contextlib.asynccontextmanager
async def serving(app: Any, *, grace: int = 5) -> AsyncGenerator[str]:
    """Serve an application with its lifespan; give the URL.

    Args:
        app: ASGI.
        grace: seconds that endpoints get to end in, before they are cancelled.
    """
    # uvicorn binds the port itself: on a socket of ours asyncio would leave Nagle on.
    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, timeout_graceful_shutdown=grace
    )
    server = uvicorn.Server(config)
    # Its serve() would take over the signals of the process.
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    assert not server.should_exit
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        await server.shutdown()
