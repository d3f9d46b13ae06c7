"""A sandbox that is served on a thread of its own, while a test goes on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from anyio.from_thread import start_blocking_portal

from clicksend_reseller.sandbox.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from clicksend_reseller.sandbox.serving.server import Served


class ServedSandbox(Sandbox):
    """A sandbox that answers on a real socket, from a thread; all of `Sandbox` can be called.

    Attributes:
        url: the ``base_url`` of a client.
        console_url: the page that shows what happens, and the address of the admin routes.
        env: the environment variables that make AsyncResellerClient connect to it.
    """

    url: str
    console_url: str
    env: Mapping[str, str]

    def __init__(self, sandbox: Sandbox, served: Served) -> None:
        vars(self).update(vars(sandbox))  # the same sandbox, and where it is
        self.url = served.url
        self.console_url = served.console_url
        self.env = served.env


def serve_beside(sandbox: Sandbox) -> AbstractContextManager[ServedSandbox]:
    """Serve on a thread for as long as the context lasts.

    Raises:
        ImportError: the extra is missing; the message has the command that adds it.
    """
    return _beside(sandbox, sandbox.serve())


@contextmanager
def _beside(
    sandbox: Sandbox, serving: AbstractAsyncContextManager[Served]
) -> Generator[ServedSandbox]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(serving) as served:
        yield ServedSandbox(sandbox, served)
