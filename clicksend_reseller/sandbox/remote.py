"""`RemoteSandbox`: the controls of a sandbox that another process serves."""

from __future__ import annotations

import json
import os
from decimal import Decimal
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Unpack
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

import attrs

from clicksend_reseller._wire.limits import LOOPBACK_HOSTS
from clicksend_reseller.sandbox.service.faults import Fault, Where
from clicksend_reseller.sandbox.service.forms import read_json
from clicksend_reseller.sandbox.service.state import MONEY_OF_ENTRY, Entry

if TYPE_CHECKING:
    from collections.abc import Mapping

_FAULT_FIELDS = frozenset(field.name for field in attrs.fields(Fault))


class RemoteSandbox:
    """A sandbox that another process serves, for tests of programs that run beside them.

    Each call blocks its thread until the answer is there. So a sandbox that is served by the
    caller's own event loop cannot be asked this way: ask the ``Sandbox`` itself.

    Args:
        url: the sandbox's own or its console's; None takes CLICKSEND_BASE_URL.
        timeout: seconds for one answer.

    Raises:
        ValueError: the URL is none of a sandbox on this machine.
    """

    def __init__(self, url: str | None = None, *, timeout: float = 5.0) -> None:
        given = url or os.environ.get("CLICKSEND_BASE_URL", "")
        parts = urlsplit(given)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK_HOSTS:
            raise ValueError(f"a sandbox is at http://127.0.0.1:8730 or so, not {given!r}")
        self._root = f"http://{parts.netloc}/_sandbox/"
        self._timeout = timeout
        self._opener = build_opener(ProxyHandler({}))  # loopback is reached without a proxy

    @property
    def credit(self) -> Decimal:
        """The reseller's own credit."""
        return Decimal(self._call("GET", "state")["credit"])

    @property
    def ledger(self) -> tuple[Entry, ...]:
        """Every transfer that was applied, the oldest first."""
        return tuple(_entry(each) for each in self._call("GET", "ledger"))

    @property
    def requests(self) -> tuple[Mapping[str, Any], ...]:
        """The last 10,000 requests that arrived, as JSON, with secrets masked."""
        return tuple(self._call("GET", "requests"))

    def account(self, client_user_id: int) -> Mapping[str, Any]:
        """Give a client as the API would show it, with the balance of this moment.

        Raises:
            KeyError: there is no such client.
        """
        for account in self._call("GET", "state")["accounts"]:
            if account["user_id"] == client_user_id:
                return {name: account[name] for name in account if name != "currency"}
        raise KeyError(f"no client {client_user_id!r} in this sandbox")

    def balance(self, client_user_id: int) -> Decimal:
        """Give a client's balance, in the client's own currency.

        Raises:
            KeyError: there is no such client.
        """
        return Decimal(self.account(client_user_id)["balance"])

    def transfers_to(self, client_user_id: int) -> list[Decimal]:
        """Give the amounts that were moved to a client, as they were asked for."""
        return [entry.amount for entry in self.ledger if entry.client_user_id == client_user_id]

    def fail(self, kind: str, **where: Unpack[Where]) -> Fault:
        """Arm a fault; the first armed one that matches a request is used.

        Args:
            kind: any but refuse, which a server that answers cannot do.
            where: the other fields of ``Fault``.

        Raises:
            ValueError: an unknown kind, operation or field, or an impossible value.
        """
        armed = self._call("POST", "faults", {"kind": kind, **where})
        return Fault(**{name: armed[name] for name in armed if name in _FAULT_FIELDS})

    def clear_faults(self) -> None:
        """Forget the armed faults."""
        self._call("DELETE", "faults")

    def spend(self, client_user_id: int, amount: str | int | Decimal) -> None:
        """Let a client use up credit, as clients do at any moment.

        Raises:
            KeyError: there is no such client.
            ValueError: not an amount above zero.
        """
        self._call("POST", f"accounts/{client_user_id}/spend", {"amount": amount})

    def add_account(self, **fields: Any) -> Mapping[str, Any]:  # noqa: ANN401 - the wire's own fields
        """Let another client in.

        Args:
            fields: any of the wire's, and ``currency``; the rest is filled in.

        Raises:
            ValueError: the id is taken, or a field cannot be read.
        """
        added = self._call("POST", "accounts", fields)
        return {name: added[name] for name in added if name != "currency"}

    def reset(self) -> None:
        """Go back to the beginning: accounts, credit, ledger, requests, faults and chances."""
        self._call("POST", "reset")

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        content = None if body is None else json.dumps(body, default=str).encode()
        request = Request(self._root + path, content, method=method)  # noqa: S310 - http, checked above
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return json.loads(answer.read() or "null")
        except HTTPError as exc:
            raise _to_error(exc) from None
        except (OSError, HTTPException) as exc:
            raise ConnectionError(
                f"no sandbox answers at {self._root} ({exc}): "
                "start one with `python -m clicksend_reseller.sandbox`"
            ) from exc


def _entry(written: Mapping[str, Any]) -> Entry:
    money: dict[str, Any] = {name: Decimal(written[name]) for name in MONEY_OF_ENTRY}
    return Entry(**{**written, **money})


def _to_error(answer: HTTPError) -> Exception:
    with answer:
        content = read_json(answer.read()) or {}
    message = content.get("error", f"{answer.url} answers {answer.status}: is it a sandbox?")
    return KeyError(message) if answer.status == 404 else ValueError(message)
