"""The controls of a sandbox: its accounts, its ledger and its faults, however it is reached.

What serves a sandbox takes these and not the `Sandbox` itself, which knows what serves it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from clicksend_reseller.sandbox.service.accounts import account_json, read_client
from clicksend_reseller.sandbox.service.faults import Where, make_fault
from clicksend_reseller.sandbox.service.money import money

if TYPE_CHECKING:
    from decimal import Decimal

    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.service.faults import Armed, Fault
    from clicksend_reseller.sandbox.service.state import Entry, LoggedRequest, SandboxState


class SandboxControl:
    """What a program does with a sandbox beside sending it requests.

    Args:
        state: the accounts, the credit and all that has happened.
    """

    def __init__(self, state: SandboxState) -> None:
        self.state: SandboxState = state

    @property
    def credit(self) -> Decimal:
        """The reseller's own credit."""
        return self.state.credit

    @property
    def ledger(self) -> tuple[Entry, ...]:
        """Every transfer that was applied, the oldest first."""
        return tuple(self.state.ledger)

    @property
    def requests(self) -> tuple[LoggedRequest, ...]:
        """The last 10,000 requests that arrived, the oldest first."""
        return tuple(self.state.requests)

    def account(self, client_user_id: int) -> dict[str, Any]:
        """Give a client as the API would show it, with the balance of this moment.

        Raises:
            KeyError: there is no such client.
        """
        client = self._find(client_user_id)
        return account_json(client, client.balance)

    def balance(self, client_user_id: int) -> Decimal:
        """Give a client's balance, in the client's own currency.

        Raises:
            KeyError: there is no such client.
        """
        return self._find(client_user_id).balance

    def transfers_to(self, client_user_id: int) -> list[Decimal]:
        """Give the amounts that were moved to a client, as they were asked for."""
        return [
            entry.amount for entry in self.state.ledger if entry.client_user_id == client_user_id
        ]

    def fail(self, kind: str, **where: Unpack[Where]) -> Fault:
        """Arm a fault; the first armed one that matches a request is used.

        Args:
            kind: refuse, reset, lost, hang, drip, cut, garbage, page, empty, error, limit,
                redirect or slow.
            where: the other fields of ``Fault``.

        Raises:
            ValueError: an unknown kind, operation or field, or an impossible value.
        """
        fault = make_fault(kind, **where)
        with self.state.lock:
            armed = self.state.faults.arm(fault)
            self.state.changed()
        return armed

    @property
    def faults(self) -> tuple[Armed, ...]:
        """The faults that are armed."""
        with self.state.lock:
            return self.state.faults.armed

    def clear_faults(self) -> None:
        """Forget the armed faults; those of the fixed clients stay."""
        with self.state.lock:
            self.state.faults.clear()
            self.state.changed()

    def clear_fault(self, fault_id: int) -> bool:
        """Forget one armed fault, by its ``id``; False where it is not armed."""
        with self.state.lock:
            found = self.state.faults.disarm(fault_id)
            self.state.changed()
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
        with self.state.lock:
            self.state.spend(self._find(client_user_id), spent)

    def add_account(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - the wire's own fields
        """Let another client in.

        Args:
            fields: any of the wire's, and ``currency``; the rest is filled in.

        Returns:
            The account as the API would show it.

        Raises:
            ValueError: the id is taken, or a field cannot be read.
        """
        state = self.state
        with state.lock:
            client = read_client(fields, next_id=state.next_id, currency=state.setup.currency)
            if client.user_id in state.clients:
                raise ValueError(f"user_id {client.user_id} is taken")
            state.add(client)
        return account_json(client, client.balance)

    def reset(self) -> None:
        """Go back to the beginning: accounts, credit, ledger, requests, faults and chances."""
        with self.state.lock:
            self.state.reset()

    def _find(self, client_user_id: int) -> Client:
        try:
            return self.state.clients[client_user_id]
        except KeyError:
            raise KeyError(f"no client {client_user_id!r} in this sandbox") from None
