"""Which columns a row has, and how its money is written."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from clicksend_reseller import (
    Account,
    Currency,
    JournalEntry,
    Secret,
    Subaccount,
    TransferState,
)
from clicksend_reseller.cli.output.records import (
    EXPORTED_ACCOUNT_COLUMNS,
    account_record,
    entry_record,
    exported_record,
    money,
)

ACCOUNT = Account(
    user_id=1,
    username="a",
    balance=Decimal(50),
    active=True,
    banned=False,
    currency=Currency(currency_name_short="AUD"),
    subaccount=Subaccount(api_key=Secret("key-0123456789")),
    extra={"odd": "1"},
)


def test_money_is_a_string_as_it_came():
    """Never through a float, never with an exponent."""
    assert ["0.299954", "-3.250000", "20.00", "10000000"] == [
        money(Decimal(text)) for text in ("0.299954", "-3.250000", "20.00", "1E7")
    ]


def test_a_row_shows_what_is_missing_as_nothing():
    """And neither the subaccount, which holds a key, nor what this version does not know."""
    record = account_record(ACCOUNT)
    assert ("50", None, "AUD", None) == tuple(
        record[name] for name in ("balance", "account_name", "currency", "auto_recharge")
    )
    assert "key-0123456789" not in str(record)
    assert {"subaccount", "extra"}.isdisjoint(record)


@pytest.mark.parametrize(
    ("state", "settled"), [("confirmed", "2026-11-24T10:00:00Z"), ("unknown", "")]
)
def test_a_transfer_of_unknown_fate_is_not_settled(state, settled):
    """The journal keeps when its answer was given up, which settles nothing."""
    entry = JournalEntry(
        key="k",
        client_user_id=1001,
        amount=5,
        currency="AUD",
        state=TransferState(state),
        settled_at=datetime(2026, 11, 24, 10, tzinfo=UTC),
    )
    assert settled == entry_record(entry)["settled_at"]


def test_an_exported_row_keeps_the_types_of_the_first_hundred():
    """A missing text is empty, an amount has a point, and a missing flag is nothing."""
    record = exported_record(ACCOUNT)
    assert ("50.0", "", "", None) == tuple(
        record[name] for name in ("balance", "account_name", "low_credit_amount", "auto_recharge")
    )
    assert "old_dashboard" not in EXPORTED_ACCOUNT_COLUMNS
