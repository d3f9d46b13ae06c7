import copy
import io
import pickle
from decimal import Decimal
from typing import Any

import attrs
import pytest
from rich.console import Console

from clicksend_reseller import models
from clicksend_reseller._secret import MASK, Secret, to_secret
from clicksend_reseller.models import (
    Account,
    AccountFields,
    AccountPage,
    Currency,
    Outcome,
    Subaccount,
    TransferReceipt,
)
from support.wire_samples import FIELDS

CANARY = "canary-7f3a9c"

MODELS = [value for name in models.__all__ if attrs.has(value := getattr(models, name))]


def account(**changes):
    """Make an account with the required fields and those given."""
    required = {"user_id": 117, "username": "acme2", "balance": Decimal("1.50")}
    return Account(active=True, banned=False, **{**required, **changes})


def full_account(**changes):
    """Make an account that has all that an update needs."""
    fields = attrs.asdict(FIELDS, filter=lambda field, _: field.name != "password")
    return account(**{**fields, **changes})


# --- Secret


@pytest.mark.parametrize(
    ("way", "shown"),
    [
        (repr, f"Secret('{MASK}')"),
        (str, MASK),
        (format, MASK),
        ("{:>12}".format, f"  {MASK}"),
        ("{!r}".format, f"Secret('{MASK}')"),
        (lambda secret: f"{secret}", MASK),
        (lambda secret: f"{secret:.3}", MASK[:3]),
        (lambda secret: "%s" % secret, MASK),  # noqa: UP031 - the old way prints too
        (lambda secret: "%r" % [secret], f"[Secret('{MASK}')]"),
        (lambda secret: str({"api_key": secret}), f"{{'api_key': Secret('{MASK}')}}"),
    ],
)
def test_secret_is_masked_however_it_is_printed(way, shown):
    """No way of printing shows the value."""
    assert shown == way(Secret(CANARY))


def test_secret_gives_its_value_when_asked():
    """The one way to the value has a name of its own."""
    assert CANARY == Secret(CANARY).get_secret_value()


@pytest.mark.parametrize("value", [None, 5, True, b"bytes", Secret("x")])
def test_secret_takes_a_str_only(value):
    """Anything else would become a password by accident; the error does not show it."""
    with pytest.raises(TypeError, match="a secret is a str, not"):
        Secret(value)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy])
def test_copy_of_a_secret_is_the_same_secret(way):
    """A copy keeps the value, and no second place holds it."""
    secret = Secret(CANARY)
    assert way(secret) is secret
    assert way([secret])[0] is secret


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_drops_the_value_of_a_secret(protocol):
    """Secrets do not travel, and asking for one that has says so."""
    data = pickle.dumps(Secret(CANARY), protocol)
    assert CANARY.encode() not in data
    travelled = pickle.loads(data)  # noqa: S301 - our own pickle
    assert f"Secret('{MASK}')" == repr(travelled)
    with pytest.raises(ValueError, match="this secret did not travel: pass it again"):
        travelled.get_secret_value()


def test_secrets_are_equal_by_value():
    """Models with secrets compare, also where JSON held half a surrogate pair."""
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("\ud800") == Secret("\ud800")
    assert Secret("a") != "a"
    assert hash(Secret("a")) == hash(Secret("a"))
    assert 2 == len({Secret("a"), Secret("b"), Secret("a")})


def test_travelled_secret_equals_itself_only():
    """Two values that are gone are not known to be equal, nor equal to the empty secret."""
    first, second = (
        pickle.loads(pickle.dumps(Secret("a")))  # noqa: S301 - our own pickle
        for _ in range(2)
    )
    assert first == first  # noqa: PLR0124 - that is the statement
    assert first != second
    assert first != Secret("")


def test_secret_keeps_no_dict_that_could_be_printed():
    """Debuggers and error reporters print `vars`."""
    with pytest.raises(TypeError):
        vars(Secret(CANARY))


@pytest.mark.parametrize("value", [MASK, Secret(MASK)])
def test_printed_mask_is_refused_as_a_secret(value):
    """Asterisks that somebody copied from a log never become a password."""
    with pytest.raises(ValueError, match="this is the mask of a secret"):
        to_secret(value)
    with pytest.raises(ValueError, match="this is the mask of a secret"):
        attrs.evolve(FIELDS, password=value)


def test_to_secret_takes_a_secret_as_it_is():
    """Wrapping twice is no error."""
    secret = Secret(CANARY)
    assert secret is to_secret(secret)
    assert secret == to_secret(CANARY)


# --- models


@pytest.mark.parametrize("cls", MODELS)
def test_models_are_frozen_slotted_and_keyword_only(cls):
    """Nobody can change a model by accident, and new fields break no caller."""
    fields = attrs.fields(cls)
    assert "__slots__" in vars(cls)
    assert all(field.kw_only for field in fields)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(cls.__new__(cls), fields[0].name, 1)


@pytest.mark.parametrize("cls", MODELS)
def test_models_document_their_oddities(cls):
    """Each class says what it is; its own words, not those that attrs makes up."""
    assert cls.__doc__
    assert not cls.__doc__.startswith("Method generated")


def test_accounts_with_unknown_fields_can_be_put_in_sets():
    """`extra` is a dict, and must not make a model unhashable."""
    first, second = account(extra={"on_trial": 0}), account(extra={"on_trial": 1})
    assert first != second
    assert 2 == len({first, second, account(extra={"on_trial": 0})})


def test_each_model_has_an_extra_of_its_own():
    """A default dict that is shared would mix accounts up."""
    assert Currency().extra is not Currency().extra
    assert Subaccount().extra is not Subaccount().extra
    assert account().extra is not account().extra


def test_no_print_of_an_account_shows_the_clients_api_key():
    """Neither repr, nor asdict, nor a pickle holds the live key that came with the account."""
    holder = account(subaccount=Subaccount(api_key=Secret(CANARY)))
    shown = (repr(holder), str(attrs.asdict(holder)), str(attrs.astuple(holder)))
    assert all(CANARY not in text and MASK in text for text in shown)
    assert CANARY.encode() not in pickle.dumps(holder)


def test_a_printed_account_shows_what_is_required_and_what_is_set():
    """A person reads it in a terminal: 30 fields, most of them None, are no help."""
    assert (
        "Account(user_id=1, username='ann', balance=Decimal('0'), active=True, banned=False)"
    ) == repr(attrs.evolve(account(), user_id=1, username="ann", balance=Decimal(0)))
    more = account(auto_recharge=False, extra={"on_trial": 0}, user_email="ann@acme.test")
    assert repr(more).endswith(
        ", user_email='ann@acme.test', auto_recharge=False, extra={'on_trial': 0})"
    )


def test_a_printed_page_counts_its_accounts():
    """A hundred accounts on one line are no help either."""
    page = AccountPage(accounts=(account(), account()), total=7, last_page=0)
    assert "AccountPage(accounts=<2 accounts>, total=7, last_page=0)" == repr(page)
    assert "AccountPage(accounts=<1 account>)" == repr(AccountPage(accounts=(account(),)))


def test_a_printed_receipt_shows_what_was_moved():
    """And whether a journal answered."""
    receipt = TransferReceipt(client_user_id=1, amount=5, currency="AUD")
    assert "TransferReceipt(client_user_id=1, amount=5, currency='AUD')" == repr(receipt)
    replayed = attrs.evolve(receipt, idempotency_key="k", replayed=True)
    assert repr(replayed).endswith("currency='AUD', idempotency_key='k', replayed=True)")


def test_rich_prints_the_same_and_no_secret():
    """On several lines where one is not enough."""
    console = Console(width=60, file=io.StringIO(), record=True)
    console.print(account(subaccount=Subaccount(subaccount_id=7, api_key=Secret(CANARY))))
    text = console.export_text()
    assert "subaccount_id=7" in text
    assert "user_email" not in text
    assert CANARY not in text


def test_a_half_made_model_can_be_printed():
    """A traceback with locals shows it so."""
    assert "Account()" == repr(Account.__new__(Account))


def test_account_survives_a_pickle_but_for_its_secret():
    """An account without secrets equals itself on the other side."""
    holder = account(currency=Currency(currency_name_short="AUD"), extra={"on_trial": 0})
    assert holder == pickle.loads(pickle.dumps(holder))  # noqa: S301 - our own pickle
    assert holder == copy.deepcopy(holder)


@pytest.mark.parametrize(
    ("currency", "code"),
    [(None, None), (Currency(), None), (Currency(currency_name_short="AUD"), "AUD")],
)
def test_account_knows_its_currencys_code(currency, code):
    """The code stands one step away, also where the wire sends no currency."""
    assert code == account(currency=currency).currency_code


def test_receipt_knows_the_balance_after_the_transfer():
    """It stands one step away, also where the answer's account could not be read."""
    moved: dict[str, Any] = {"client_user_id": 117, "amount": 5, "currency": "AUD"}
    after = account(balance=Decimal("12.50"))
    assert Decimal("12.50") == TransferReceipt(**moved, account=after).balance_after
    assert TransferReceipt(**moved).balance_after is None


def test_page_is_its_accounts():
    """A page can be walked, counted and tested for rows."""
    first, second = account(), account(user_id=118)
    page = AccountPage(accounts=(first, second), total=2)
    assert [first, second] == list(page)
    assert 2 == len(page)
    assert not AccountPage(accounts=())


def test_outcomes_are_their_words():
    """Outcomes print and compare as strings, in logs and metrics too."""
    words = {"NOT_SENT": "not_sent", "REJECTED": "rejected", "UNKNOWN": "unknown"}
    words["APPLIED"] = "applied"
    assert words == {outcome.name: f"{outcome}" for outcome in Outcome}


# --- AccountFields


def test_plain_password_becomes_a_secret():
    """Fields that are printed show no password."""
    fields = attrs.evolve(FIELDS, password=CANARY)
    assert Secret(CANARY) == fields.password
    assert CANARY not in f"{fields!r} {attrs.asdict(fields)}"


def test_fields_open_with_the_warning_about_the_password():
    """Who reads one line of the docstring reads this one."""
    warning = "Every update sets the client's password again"
    assert (AccountFields.__doc__ or "").startswith(warning)


def test_fields_of_an_account_with_some_changed():
    """What is not changed comes from the account; the password never does."""
    fields = AccountFields.from_account(
        full_account(), password=CANARY, user_phone="+15005550009", account_name="Acme Three"
    )
    expected = attrs.evolve(
        FIELDS, password=Secret(CANARY), user_phone="+15005550009", account_name="Acme Three"
    )
    assert expected == fields


def test_a_change_stands_in_for_what_the_account_lacks():
    """An account without a name can be updated by giving it one."""
    lacking = full_account(account_name=None)
    fields = AccountFields.from_account(lacking, password="x" * 8, account_name="Acme Two")
    assert attrs.evolve(FIELDS, password="x" * 8) == fields


def test_missing_fields_are_named():
    """The API requires all eight, so none is sent as null."""
    lacking = full_account(account_name=None, user_phone=None)
    with pytest.raises(ValueError, match="the account has no user_phone, account_name: pass it"):
        AccountFields.from_account(lacking, password="x")


@pytest.mark.parametrize("name", ["balance", "user_id", "nickname"])
def test_unknown_changes_are_refused(name):
    """A typing slip must not be dropped in silence."""
    with pytest.raises(TypeError, match=f"no such field of an account: {name}"):
        AccountFields.from_account(full_account(), password="x", **{name: "1"})
