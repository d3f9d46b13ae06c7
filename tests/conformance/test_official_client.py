import json
import os
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from clicksend_reseller.sandbox.openapi.description import describe
from clicksend_reseller.sandbox.service.messages import (
    NAME_IS_TAKEN,
    NO_SUCH_CLIENT,
    SHORT_OF_CREDIT,
    UNAUTHORIZED,
)
from clicksend_reseller.sandbox.trace import trace

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPT = Path(__file__).with_name("official_calls.py")
ADA = describe(["AUD"])["components"]["schemas"]["AccountFields"]["examples"][0]
TRANSFER = {"client_user_id": 1001, "balance": 12, "currency": "AUD"}


@pytest.fixture
def official(served_reseller_sandbox):
    """Make calls with the official SDK against the test's sandbox, and tell what came of each."""
    served = served_reseller_sandbox

    def official(*calls, api_key="sandbox", once=()):
        command = [os.environ["CLICKSEND_RESELLER_OFFICIAL"], str(SCRIPT)]
        place = [served.url.removesuffix("/v3"), "sandbox", api_key]
        run = subprocess.run(
            [*command, *place, *once],
            input=json.dumps(calls),
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(run.stdout)

    return official


def without_none(content):
    """Drop what is null, as the official models do on their way back to JSON."""
    if isinstance(content, dict):
        return {name: without_none(content[name]) for name in content if content[name] is not None}
    return content


def is_what_was_sent(given, sent):
    """Tell whether each field that the official models know came through as it was sent."""
    fields = without_none(given["gave"]["data"])
    known = {name: without_none(sent[name]) for name in fields}
    missing = set(without_none(sent)) - set(fields)
    return (fields, missing) == (known, missing & NOT_IN_ITS_MODELS)


# Fields of older rows; it drops what it does not know.
NOT_IN_ITS_MODELS = {"setting_beta", "unsubscribe_mail"}

# Its models are strict, and these two are as the wire has them.
NOT_READ = {
    1004: ("user_phone", "a phone number that comes as a number"),
    1008: ("Currency", "an empty object that comes as an empty list"),
}


def test_it_reads_every_account(official, served_reseller_sandbox):
    """All of the cast, but for two oddities that its models refuse."""
    sandbox = served_reseller_sandbox
    cast = range(1001, 1013)
    for user_id, given in zip(cast, official(*(["get_account", n] for n in cast)), strict=True):
        if user_id in NOT_READ:
            assert "ValidationError" == given["raised"]
            assert NOT_READ[user_id][0] in given["said"]
        else:
            assert is_what_was_sent(given, sandbox.account(user_id)), given


@pytest.mark.reseller_sandbox(accounts=3)
def test_it_reads_a_list_and_the_own_account(official, served_reseller_sandbox):
    """With the numbers of the page round the rows, and old rows beside new ones."""
    listed, own = official(["list_accounts"], ["get_own_account"])
    page = listed["gave"]["data"]
    assert [1001, 1002, 1003] == [row["user_id"] for row in page["data"]]
    assert (3, 15, 1, 1) == tuple(
        page[name] for name in ("total", "per_page", "current_page", "last_page")
    )
    assert "1000.000000" == own["gave"]["data"]["balance"]


def test_one_odd_row_hides_the_whole_list(official):
    """A phone number that comes as a number, in one account of twelve."""
    assert "ValidationError" == official(["list_accounts"])[0]["raised"]


def test_it_reads_the_answers_to_writes(official, served_reseller_sandbox):
    """Create, update and transfer; the last two with a body that its methods have no place for."""
    created, updated, paid = official(
        ["create_account", ADA],
        ["update_account", 1002, {**ADA, "username": "another"}],
        ["transfer_credit", TRANSFER],
    )
    sandbox = served_reseller_sandbox
    for given, user_id in ((created, 1013), (updated, 1002), (paid, 1001)):
        assert "SUCCESS" == given["gave"]["response_code"]
        assert is_what_was_sent(given, sandbox.account(user_id)), given
    assert [Decimal(12)] == sandbox.transfers_to(1001)


@pytest.mark.reseller_sandbox(create_status=201)
def test_it_makes_nothing_of_a_201(official, served_reseller_sandbox):
    """The account is there, and the method gives None."""
    assert official(["create_account", ADA])[0]["gave"] is None
    assert "ada" == served_reseller_sandbox.account(1013)["username"]


@pytest.mark.reseller_sandbox(credit="5")
def test_it_reads_the_refusals(official):
    """Each class by the status, and the body as the sandbox sends it."""
    unknown, short, _, taken, faulty = official(
        ["get_account", 9],
        ["transfer_credit", TRANSFER],
        ["create_account", ADA],
        ["create_account", ADA],
        ["create_account", {}],
    )
    (wrong,) = official(["get_own_account"], api_key="another")
    for given, name, reply in (
        (unknown, "NotFoundException", NO_SUCH_CLIENT),
        (short, "BadRequestException", SHORT_OF_CREDIT),
        (taken, "BadRequestException", NAME_IS_TAKEN),
        (wrong, "UnauthorizedException", UNAUTHORIZED),
    ):
        expected = (name, reply.status, reply.body.decode())
        assert expected == (given["raised"], given["status"], given["body"])
    assert "BadRequestException" == faulty["raised"]
    assert set(ADA) == set(json.loads(faulty["body"])["data"])


def test_its_own_methods_send_an_empty_transfer_and_an_empty_update(
    official, served_reseller_sandbox
):
    """They take credit-card details, so `{}` leaves, and the documented fields are missing."""
    raised = official(["transfer_credit", None], ["update_account", 1001, None])
    assert ["BadRequestException"] * 2 == [given["raised"] for given in raised]
    assert [b"{}", b"{}"] == [request.body for request in served_reseller_sandbox.requests]


def test_it_shows_the_key_of_a_client(official):
    """In the repr of an answer, and so in every log that has one."""
    assert "00000000-0000-0000-0000-000000001001" in official(["get_account", 1001])[0]["repr"]


PLAIN = [{"user_id": 1001 + n} for n in range(40)]


@pytest.mark.reseller_sandbox(accounts=PLAIN)
def test_it_gives_one_page(official):
    """Its list takes no page and no limit, so what comes is the usual fifteen of forty."""
    page = official(["list_accounts"])[0]["gave"]["data"]
    assert (40, 15) == (page["total"], len(page["data"]))


LOST = "PUT transfer-credit 1011 12 AUD → applied, answer lost\n"


def test_it_sends_a_lost_transfer_four_times(official, served_reseller_sandbox):
    """One call, four requests, four times the money; the docs quote the log of this."""
    sandbox = served_reseller_sandbox
    (given,) = official(["transfer_credit", {**TRANSFER, "client_user_id": 1011}])
    assert "MaxRetryError" == given["raised"]
    assert LOST * 4 == trace(sandbox) + "\n"
    assert [Decimal(12)] * 4 == sandbox.transfers_to(1011)
    assert [False] * 4 == [entry.told for entry in sandbox.ledger]
    for page in ("explanation/never-twice.md", "how-to/move-from-clicksend-client.md"):
        assert LOST * 4 in (DOCS / page).read_text("utf-8")


def test_its_repeating_can_be_switched_off(official, served_reseller_sandbox):
    """By `retries=False`, as the page for those who move says."""
    (given,) = official(["transfer_credit", {**TRANSFER, "client_user_id": 1011}], once=["once"])
    assert "ProtocolError" == given["raised"]
    assert LOST == trace(served_reseller_sandbox) + "\n"


@pytest.mark.parametrize(
    ("kind", "where", "expected"),
    [
        ("limit", {}, ("ApiException", 0)),
        ("error", {"status": 503, "applied": True}, ("ServiceException", 4)),
    ],
)
def test_it_sends_four_times_where_it_is_told_to_wait(
    official, served_reseller_sandbox, kind, where, expected
):
    """A 429 and a 503 with a Retry-After; whether the 503 had been applied it does not ask."""
    sandbox = served_reseller_sandbox
    sandbox.fail(kind, retry_after=0, times=None, **where)
    (given,) = official(["transfer_credit", TRANSFER])
    assert 4 == len(sandbox.requests)
    assert expected == (given["raised"], len(sandbox.transfers_to(1001)))


def test_it_takes_an_error_in_a_200_for_success(official, served_reseller_sandbox):
    """The envelope says that it broke, the status says 200, and the method returns."""
    served_reseller_sandbox.fail("error", status=200, response_code="INSUFFICIENT_CREDIT")
    (given,) = official(["transfer_credit", TRANSFER])
    assert "INSUFFICIENT_CREDIT" == given["gave"]["response_code"]
    assert [] == served_reseller_sandbox.transfers_to(1001)
