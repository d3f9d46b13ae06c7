"""How does a program hold a sandbox? One object: open it, arm faults, read the ledger."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from clicksend_reseller.sandbox.service.accounts import read_client, show
from clicksend_reseller.sandbox.service.faults import Where, make_fault
from clicksend_reseller.sandbox.service.money import RATES, check_rate, money
from clicksend_reseller.sandbox.service.quirks import Quirks
from clicksend_reseller.sandbox.service.seed import cast, read_cast, standing_faults
from clicksend_reseller.sandbox.service.state import Entry, LoggedRequest, SandboxState, Setup

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractAsyncContextManager
    from decimal import Decimal

    from clicksend_reseller import AsyncResellerClient, CallEvent, RetryPolicy, TransferJournal
    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.service.faults import Armed, Fault
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


class Sandbox:
    """The Reseller API on your own machine: it keeps accounts and credit, and fails on demand.

    Its ledger is the truth to ask in a test: what was applied, and whether the caller was told.

    Args:
        accounts: how many clients, the first twelve of them a fixed cast from 1001 to 1012; or
            the clients themselves, as mappings of the wire's fields and ``currency``.
        credit: the reseller's own, in ``currency``.
        currency: the reseller's.
        username: the only one that is let in.
        api_key: the only one that is let in.
        quirks: habits of the API to switch on.
        rates: what one unit of each currency is worth, all in one and the same currency.
        seed: chooses the clients above the twelfth, and the dice of faults with a chance.
        clock: seconds since the epoch.

    Raises:
        ValueError: a client or the credit cannot be read, or a currency has no rate.
    """

    def __init__(
        self,
        *,
        accounts: int | Iterable[Mapping[str, Any]] = 12,
        credit: str | int | Decimal = "1000",
        currency: str = "AUD",
        username: str = "sandbox",
        api_key: str = "sandbox",
        quirks: Quirks | None = None,
        rates: Mapping[str, Decimal] = RATES,
        seed: int = 1,
        clock: Callable[[], float] = time.time,
    ) -> None:
        is_cast = isinstance(accounts, int)
        clients = cast(accounts, seed) if isinstance(accounts, int) else read_cast(accounts, rates)
        for code in {currency, *(client.currency for client in clients)}:
            check_rate(code, rates)
        self.world: SandboxState = SandboxState(
            Setup(
                clients=clients,
                standing_faults=standing_faults(clients) if is_cast else (),
                credit=money(credit),
                currency=currency,
                username=username,
                api_key=api_key,
                quirks=quirks or Quirks(),
                rates=dict(rates),
                seed=seed,
                clock=clock,
            )
        )

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
        setup = self.world.setup
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
                return in_httpx(self.world)
            case "httpx2":
                return in_httpx2(self.world)
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

    @property
    def credit(self) -> Decimal:
        """The reseller's own credit."""
        return self.world.credit

    @property
    def ledger(self) -> tuple[Entry, ...]:
        """Every transfer that was applied, the oldest first."""
        return tuple(self.world.ledger)

    @property
    def requests(self) -> tuple[LoggedRequest, ...]:
        """The last 10,000 requests that arrived, the oldest first."""
        return tuple(self.world.requests)

    def account(self, client_user_id: int) -> dict[str, Any]:
        """Give a client as the API would show it, with the balance of this moment.

        Raises:
            KeyError: there is no such client.
        """
        client = self._find(client_user_id)
        return show(client, client.balance)

    def balance(self, client_user_id: int) -> Decimal:
        """Give a client's balance, in the client's own currency.

        Raises:
            KeyError: there is no such client.
        """
        return self._find(client_user_id).balance

    def transfers_to(self, client_user_id: int) -> list[Decimal]:
        """Give the amounts that were moved to a client, as they were asked for."""
        return [
            entry.amount for entry in self.world.ledger if entry.client_user_id == client_user_id
        ]

    def fail(self, kind: str, **where: Unpack[Where]) -> Fault:
        """Arm a fault; the first armed one that matches a request strikes.

        Args:
            kind: refuse, reset, lost, hang, drip, cut, garbage, page, empty, error, limit,
                redirect or slow.
            where: the other fields of ``Fault``.

        Raises:
            ValueError: an unknown kind, operation or field, or an impossible value.
        """
        fault = make_fault(kind, **where)
        with self.world.lock:
            armed = self.world.faults.arm(fault)
            self.world.changed()
        return armed

    @property
    def faults(self) -> tuple[Armed, ...]:
        """The faults that wait to strike."""
        with self.world.lock:
            return self.world.faults.armed

    def clear_faults(self) -> None:
        """Forget the armed faults; those of the cast stay, as they belong to its members."""
        with self.world.lock:
            self.world.faults.clear()
            self.world.changed()

    def clear_fault(self, fault_id: int) -> bool:
        """Forget one armed fault, by its ``id``; False where it is not armed."""
        with self.world.lock:
            found = self.world.faults.disarm(fault_id)
            self.world.changed()
        return found

    def spend(self, client_user_id: int, amount: str | int | Decimal) -> None:
        """Let a client use up credit, as clients do at any moment.

        Raises:
            KeyError: there is no such client.
            ValueError: not an amount above zero.
        """
        spent = money(amount)
        if spent <= 0:
            raise ValueError(f"a client spends more than nothing, not {amount!r}")
        with self.world.lock:
            self.world.spend(self._find(client_user_id), spent)

    def add_account(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - the wire's own fields
        """Let another client in.

        Args:
            fields: any of the wire's, and ``currency``; the rest is filled in.

        Returns:
            The account as the API would show it.

        Raises:
            ValueError: the id is taken, or a field cannot be read.
        """
        world = self.world
        with world.lock:
            client = read_client(fields, next_id=world.next_id, currency=world.setup.currency)
            if client.user_id in world.clients:
                raise ValueError(f"user_id {client.user_id} is taken")
            world.add(client)
        return show(client, client.balance)

    def reset(self) -> None:
        """Go back to the beginning: accounts, credit, ledger, requests, faults and dice."""
        with self.world.lock:
            self.world.reset()

    def _find(self, client_user_id: int) -> Client:
        try:
            return self.world.clients[client_user_id]
        except KeyError:
            raise KeyError(f"no client {client_user_id!r} in this sandbox") from None
