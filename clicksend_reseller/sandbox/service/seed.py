"""The clients of a sandbox when it opens.

The first twelve are fixed, like the test cards of a payment provider: each is there for
one oddity, and their numbers never change.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from clicksend_reseller._wire.limits import MAX_INT
from clicksend_reseller.sandbox.service.accounts import Client, read_client
from clicksend_reseller.sandbox.service.faults import Fault
from clicksend_reseller.sandbox.service.money import check_rate

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping

_FIXED: tuple[Mapping[str, Any], ...] = (
    {"user_id": 1001, "username": "plain", "balance": "50.000000"},
    {"user_id": 1002, "username": "dollars", "balance": "20.000000", "currency": "USD"},
    {"user_id": 1003, "username": "old-row", "balance": "115.000000", "setting_beta": 0},
    {
        "user_id": 1004,
        "username": "int-phone",
        "balance": "12.500000",
        "user_phone": 61200001004,
        "account_billing_mobile": 61200001004,
    },
    {"user_id": 1005, "username": "in-debt", "balance": "-3.250000"},
    {"user_id": 1006, "username": "banned", "balance": "7.000000", "banned": 1},
    {"user_id": 1007, "username": "no-subaccount", "balance": "9.000000", "_subaccount": None},
    {"user_id": 1008, "username": "no-currency", "balance": "9.000000", "_currency": []},
    {
        "user_id": 1009,
        "username": "overflowed",
        "balance": "9.000000",
        "setting_fix_sender_id": MAX_INT,
    },
    {
        "user_id": 1010,
        "username": "recharges",
        "balance": "4.000000",
        "auto_recharge": 1,
        "auto_recharge_amount": "50.00",
        "low_credit_amount": "5.00",
    },
    {"user_id": 1011, "username": "answer-lost", "balance": "30.000000"},
    {"user_id": 1012, "username": "hangs", "balance": "30.000000"},
)

_STANDING = (
    Fault("lost", operation="transfer_credit", client_user_id=1011, times=None),
    Fault("hang", operation="transfer_credit", client_user_id=1012, times=None),
)

_COUNTRIES = (("AU", "AUD"), ("US", "USD"), ("GB", "GBP"), ("NZ", "NZD"), ("DE", "EUR"))


def seed_clients(count: int, seed: int) -> tuple[Client, ...]:
    """Give the first of the fixed clients, and above them generated ones.

    Raises:
        ValueError: not a number of clients.
    """
    if isinstance(count, bool) or count < 0:
        raise ValueError(f"accounts is a whole number from 0 on, or the clients, not {count!r}")
    fixed = [read_client(fields, next_id=1) for fields in _FIXED[:count]]
    random = Random(seed)  # noqa: S311 - the same clients for the same seed is the point
    return (*fixed, *(_generated(1001 + n, random) for n in range(len(_FIXED), count)))


def standing_faults(clients: Iterable[Client]) -> tuple[Fault, ...]:
    """Give the faults that belong to the fixed clients who are there."""
    present = {client.user_id for client in clients}
    return tuple(fault for fault in _STANDING if fault.client_user_id in present)


def read_clients(
    accounts: Iterable[Mapping[str, Any] | Client], currencies: Container[str]
) -> tuple[Client, ...]:
    """Read the caller's own clients; what has been read from a file stays as it is.

    Raises:
        ValueError: an id comes twice, or an account cannot be read.
    """
    reader = ClientReader(currencies)
    return tuple(each if isinstance(each, Client) else reader.read(each) for each in accounts)


class ClientReader:
    """Reads the caller's own clients one after the other.

    Args:
        currencies: those that there is a rate for.
    """

    def __init__(self, currencies: Container[str]) -> None:
        self._currencies = currencies
        self._known: set[int] = set()
        self._last = 1000  # the largest id, kept: a file may have 100,000 rows

    def read(self, fields: Mapping[str, Any] | None) -> Client:
        """Read one more client.

        Raises:
            ValueError: its id comes twice, it cannot be read, or its currency has no rate.
        """
        if fields is None:
            raise ValueError("an account is a JSON object")
        client = read_client(fields, next_id=self._last + 1)
        if client.user_id in self._known:
            raise ValueError(f"user_id {client.user_id} comes twice")
        check_rate(client.currency, self._currencies)
        self._known.add(client.user_id)
        self._last = max(self._last, client.user_id) if len(self._known) > 1 else client.user_id
        return client


def _generated(user_id: int, random: Random) -> Client:
    country, currency = random.choice(_COUNTRIES)
    balance = random.randrange(0, 500_000_000)
    fields = {
        "user_id": user_id,
        "balance": f"{balance // 1_000_000}.{balance % 1_000_000:06}",
        "currency": currency,
        "country": country,
        "default_country_sms": country,
    }
    return read_client(fields, next_id=user_id)
