"""Money in a decimal context that somebody else has set: nothing of it has an effect."""

import decimal
import json
import subprocess
import sys
from decimal import Decimal

import attrs
import pytest

from clicksend_reseller import (
    Account,
    Currency,
    Transfer,
    TransferOutcomeUnknownError,
    TransferState,
    to_dict,
)
from clicksend_reseller._wire.money import CONTEXT, exact, minus, plus
from clicksend_reseller._wire.strict_json import parse_object
from clicksend_reseller.cli.output.records import money as written
from clicksend_reseller.journal import (
    Assumptions,
    BatchReport,
    SQLJournal,
    TransferResult,
    TransferStatus,
    Verdict,
    judge,
    plan_top_ups,
    reconcile_transfer,
)
from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.console.timeline import Event, Timeline

SURE = Assumptions(exclusive=True, same_currency=True, max_spend=0, quiet_for=60.0)
ACCOUNT = {"user_id": 2000, "balance": "1234.567891", "currency": "AUD"}


def coarse():
    """Two digits."""
    decimal.getcontext().prec = 2


def strict():
    """Every signal is an error."""
    for signal in decimal.getcontext().traps:
        decimal.getcontext().traps[signal] = True


def upwards():
    """Two digits, always rounded up, and nothing is an error."""
    context = decimal.getcontext()
    context.prec, context.rounding = 2, decimal.ROUND_UP
    context.clear_traps()


@pytest.fixture(params=[coarse, strict, upwards], ids=lambda each: each.__name__)
def _somebody(request):
    """Let the caller have a context of that kind, strict ones with two digits too."""
    with decimal.localcontext() as context:
        context.prec = 2
        request.param()
        yield


pytestmark = pytest.mark.usefixtures("_somebody")


@pytest.mark.parametrize(
    ("before", "after", "amount", "verdict"),
    [
        ("1234.567891", "1110.567891", -124, Verdict.APPLIED),
        ("1234.567891", "1234.567891", -124, Verdict.NOT_APPLIED),
        ("1234.567891", "1358.567891", 124, Verdict.APPLIED),
        ("1234.567891", "1358.567890", 124, Verdict.INCONCLUSIVE),
    ],
)
def test_a_verdict_rests_on_every_digit(before, after, amount, verdict):
    """With two digits an applied -124 was a change of -120, and so not applied."""
    assert verdict is judge(Decimal(before), Decimal(after), amount, SURE)


def test_what_was_spent_is_taken_off_to_the_last_digit():
    """As it is in the bounds of a verdict."""
    spent = attrs.evolve(SURE, max_spend=Decimal("0.000001"))
    assert Verdict.APPLIED is judge(Decimal(1234), Decimal("1357.999999"), 124, spent)


async def test_a_reconciliation_reads_and_judges_exactly():
    """From the answer through the table to the verdict."""
    sandbox = Sandbox(accounts=[ACCOUNT])
    sandbox.fail("lost", operation="transfer_credit")
    journal = SQLJournal("sqlite+aiosqlite://")
    async with journal, sandbox.client(journal=journal) as client:
        await journal.intend(
            Transfer(idempotency_key="k", client_user_id=2000, amount=124, currency="AUD"),
            realm=client.realm,
        )
        assert await journal.note_balance("k", (await client.get_account(2000)).balance)
        with pytest.raises(TransferOutcomeUnknownError):
            await client.transfer_credit(2000, 124, "AUD", idempotency_key="k")
        entry = await journal.get("k")
        assert entry is not None
        found = await reconcile_transfer(client, entry, SURE)
    assert (Decimal("1234.567891"), Decimal("1358.567891")) == (found.before, found.after)
    assert Verdict.APPLIED is found.verdict


async def test_the_journal_keeps_every_digit():
    """Also of what an answer said after a transfer."""
    sandbox = Sandbox(accounts=[ACCOUNT])
    async with SQLJournal("sqlite+aiosqlite://") as journal:
        async with sandbox.client(journal=journal) as client:
            await client.transfer_credit(2000, 124, "AUD", idempotency_key="k")
        entry = await journal.get("k")
    assert entry is not None
    assert (TransferState.CONFIRMED, Decimal("1358.567891")) == (entry.state, entry.balance_after)


def test_a_batch_adds_up():
    """Its sums are whole units, of any size."""
    report = BatchReport(total=3)
    for n in range(3):
        transfer = Transfer(
            idempotency_key=f"k{n}", client_user_id=1, amount=2**31 - 1, currency="AUD"
        )
        report.add(TransferResult(transfer=transfer, status=TransferStatus.PAID))
    assert {"AUD": 3 * (2**31 - 1)} == report.sums["paid"]
    assert report.complete


def test_a_policy_pays_whole_units_to_the_mark():
    """With two digits a client of 3.5 was brought to 123.5 of 123."""
    accounts = [
        Account(
            user_id=number,
            username="c",
            balance=Decimal(balance),
            active=True,
            banned=False,
            currency=Currency(currency_name_short="AUD"),
        )
        for number, balance in enumerate(("3.5", "0", "-1234.567891"), 1)
    ]
    plan = plan_top_ups(accounts, below=1000, to=Decimal("1234.567891"))
    assert [1232, 1235, 2470] == [row.amount for row in plan.rows]


def test_an_answer_is_read_exactly():
    """Strings and bare numbers; what is out of range is refused, even where no trap is set."""
    fields = parse_object(b'{"a": 1234.567891, "b": [0.000001]}')
    assert {"a": Decimal("1234.567891"), "b": [Decimal("0.000001")]} == fields
    with pytest.raises(ValueError, match="out of range"):
        parse_object(b'{"a": 1e' + b"9" * 30 + b"}")


async def test_an_account_is_read_and_shown_exactly():
    """In a model, as plain data and by the command."""
    async with Sandbox(accounts=[ACCOUNT]).client() as client:
        account = await client.get_account(2000)
    assert Decimal("1234.567891") == account.balance
    assert "1234.567891" == to_dict(account)["balance"] == written(account.balance)


async def test_the_sandbox_counts_exactly():
    """Its ledger is the judge of all money tests."""
    sandbox = Sandbox(credit="987654.321", accounts=[{**ACCOUNT, "currency": "EUR"}])
    async with sandbox.client() as client:
        await client.transfer_credit(2000, 124, "USD")
        sandbox.spend(2000, "0.000001")
        own, account = await client.get_own_account(), await client.get_account(2000)
    assert Decimal("987468.321") == own.balance
    assert Decimal("1347.295163") == account.balance


def test_the_console_draws_a_line_of_any_balances():
    """Its picture is made of differences."""
    rise = Event(time=1.0, what="paid", description="", amount=Decimal("1234.567892"))
    timeline = Timeline(begun=Decimal("1234.567891"), events=[rise])
    assert [8.0, 54.0] == [height for height, _ in timeline.scale]
    assert [8.0] == [mark.y for mark in timeline.marks]


def test_adding_and_taking_off_are_exact():
    """The two steps that all of this is made of."""
    one, other = Decimal("123456789012.000001"), Decimal("0.000009")
    assert ("123456789012.000010", "123456789011.999992") == (
        str(plus(one, other)),
        str(minus(one, other)),
    )
    assert Decimal("123456789012.000001") == exact("123456789012.000001")


def test_what_everybody_starts_from_has_no_effect_either():
    """Whoever sets `DefaultContext` before the import sets it for all contexts made later."""
    code = (
        "import decimal, json\n"
        "decimal.DefaultContext.traps[decimal.Inexact] = True\n"
        "decimal.DefaultContext.Emax = 3\n"
        "decimal.setcontext(decimal.Context())\n"
        "from decimal import Decimal\n"
        "from clicksend_reseller.sandbox.service.money import RATES, convert, money\n"
        "from clicksend_reseller._wire.money import minus\n"
        "print(json.dumps([str(convert(money('124'), 'USD', 'EUR', RATES)),"
        " str(minus(Decimal(123456), Decimal(1)))]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert ["112.727273", "123455"] == json.loads(done.stdout)


def test_the_context_is_told_everything():
    """What is left out would be taken from `DefaultContext`."""
    assert (400, decimal.MIN_EMIN, decimal.MAX_EMAX) == (CONTEXT.prec, CONTEXT.Emin, CONTEXT.Emax)
    assert {decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow} == {
        signal for signal, is_set in CONTEXT.traps.items() if is_set
    }
