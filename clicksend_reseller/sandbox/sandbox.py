"""`Sandbox`: one object that makes a client, a transport or a server for itself."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from clicksend_reseller.sandbox.control import SandboxControl
from clicksend_reseller.sandbox.service.money import RATES, check_rate, money
from clicksend_reseller.sandbox.service.quirks import Quirks
from clicksend_reseller.sandbox.service.seed import read_clients, seed_clients, standing_faults
from clicksend_reseller.sandbox.service.state import SandboxState, Setup

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from decimal import Decimal

    from clicksend_reseller import AsyncResellerClient, CallEvent, RetryPolicy, TransferJournal
    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.serving.server import Served
    from clicksend_reseller.sandbox.transport import HTTPX2Transport, HTTPXTransport

# In process nothing listens there; a loopback name is what the client takes without TLS.
BASE_URL = "http://localhost:8730/v3"

_OURS = ("base_url", "username", "api_key", "transport", "http_client", "proxy")


class ClientOptions(TypedDict, total=False):
    """The options of AsyncResellerClient that have nothing to do with where it connects."""

    timeout: float
    deadline: float
    retry: RetryPolicy
    max_concurrency: int
    limiter: AbstractAsyncContextManager[Any] | None
    journal: TransferJournal | None
    observer: Callable[[CallEvent], None] | None
    ssl_context: ssl.SSLContext | None


class Sandbox(SandboxControl):
    """The Reseller API on your own machine: it keeps accounts and credit, and fails on demand.

    Its ledger is the truth to ask in a test: what was applied, and whether the caller got the
    answer.

    Args:
        accounts: how many clients, the first twelve of them fixed, from 1001 to 1012; or
            the clients themselves, as mappings of the wire's fields and ``currency``.
        credit: the reseller's own, in ``currency``.
        currency: the reseller's.
        username: the only one that is let in.
        api_key: the only one that is let in.
        quirks: habits of the API to switch on.
        rates: what one unit of each currency is worth, all in one and the same currency.
        seed: chooses the clients above the twelfth, and the random numbers of faults with a chance.
        clock: seconds since the epoch.

    Raises:
        ValueError: a client or the credit cannot be read, or a currency has no rate.
    """

    def __init__(
        self,
        *,
        accounts: int | Iterable[Mapping[str, Any] | Client] = 12,
        credit: str | int | Decimal = "1000",
        currency: str = "AUD",
        username: str = "sandbox",
        api_key: str = "sandbox",
        quirks: Quirks | None = None,
        rates: Mapping[str, Decimal] = RATES,
        seed: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        clients = (
            seed_clients(accounts, seed)
            if isinstance(accounts, int)
            else read_clients(accounts, rates)
        )
        for code in {currency, *(client.currency for client in clients)}:
            check_rate(code, rates)
        setup = Setup(
            clients=clients,
            standing_faults=standing_faults(clients) if isinstance(accounts, int) else (),
            credit=money(credit),
            currency=currency,
            username=username,
            api_key=api_key,
            quirks=quirks or Quirks(),
            rates=dict(rates),
            seed=seed,
            clock=clock,
        )
        super().__init__(SandboxState(setup))

    def client(self, **options: Unpack[ClientOptions]) -> AsyncResellerClient:
        """Make a client of this sandbox, in process; it can reach nothing else.

        Args:
            options: those of AsyncResellerClient, but none that says where it connects or as whom.

        Raises:
            TypeError: an option that would lead it elsewhere.
        """
        from clicksend_reseller import AsyncResellerClient  # noqa: PLC0415 - serving needs none

        for name in options:
            if name in _OURS:
                raise TypeError(f"{name!r} belongs to the sandbox: leave it out")
        setup = self.state.setup
        return AsyncResellerClient(
            setup.username,
            setup.api_key,
            base_url=BASE_URL,
            transport=self.transport(),
            **options,
        )

    @overload
    def transport(self, family: Literal["httpx"] = "httpx") -> HTTPXTransport: ...
    @overload
    def transport(self, family: Literal["httpx2"]) -> HTTPX2Transport: ...
    def transport(
        self, family: Literal["httpx", "httpx2"] = "httpx"
    ) -> HTTPXTransport | HTTPX2Transport:
        """Make a transport that answers in process.

        Args:
            family: the library whose AsyncClient it goes into.

        Raises:
            ValueError: an unknown family.
        """
        from clicksend_reseller.sandbox.transport import (  # noqa: PLC0415 - serving needs none
            in_httpx,
            in_httpx2,
        )

        match family:
            case "httpx":
                return in_httpx(self.state)
            case "httpx2":
                return in_httpx2(self.state)
            case _:
                raise ValueError(f"family is 'httpx' or 'httpx2', not {family!r}")

    def serve(self, host: str = "127.0.0.1", port: int = 0) -> AbstractAsyncContextManager[Served]:
        """Answer on a real socket for as long as the context lasts.

        Args:
            host: the address to listen on.
            port: 0 picks a free one.

        Raises:
            ImportError: the extra is missing; the message has the command that adds it.
            OSError: the port is taken.
        """
        try:
            from clicksend_reseller.sandbox.serving.server import serve  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as exc:
            raise ImportError(
                f'serving needs {exc.name}: pip install "clicksend-reseller[sandbox]"'
            ) from exc
        return serve(self, host, port)
