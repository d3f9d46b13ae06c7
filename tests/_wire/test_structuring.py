import json
from decimal import Decimal
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clicksend_reseller._wire import decoding, structuring
from clicksend_reseller._wire.decoding import to_dict
from clicksend_reseller.models import Account, Currency, Secret, Subaccount
from support import plain_path
from support.good_answers import ACCOUNT
from support.heavy import rounds
from support.strategies import accounts, json_values, money_strings
from support.wire_samples import BARE, bare

REQUIRED = ("user_id", "username", "balance", "active", "banned")
OPTIONAL = sorted(set(ACCOUNT) - set(REQUIRED))


def read(raw, cls=Account):
    """Read as answers are read."""
    return decoding.converter().structure(raw, cls)


# --- each kind of value

WHOLE = {
    117: 117,
    0: 0,
    -5: -5,
    2**63 - 1: 2**63 - 1,
    1 - 2**63: 1 - 2**63,
    "117": 117,
    "-5": -5,
    "007": 7,
    **dict.fromkeys(
        [2**63, -(2**63), "1" * 19, "", "-", "+5", " 5", "5\n", "1.0", "x", "٣", "1_0"]
    ),
}
TEXT = {"": "", "x": "x", "1": "1", 15005550002: "15005550002", -1: "-1"}
FLAGS = {0: False, 1: True, "0": False, "1": True, **dict.fromkeys([2, -1, "2", "", "true", "yes"])}
MONEY = {
    "199.997000": "199.997000",
    "20.00": "20.00",
    "-0.50": "-0.50",
    "0": "0",
    "7": "7",
    "-0": "-0",
    "007.10": "007.10",
    "999999999999.12345678": "999999999999.12345678",
    20: "20",
    -5: "-5",
    10**12 - 1: str(10**12 - 1),
    Decimal("2.33013"): "2.33013",
    Decimal("-0.00"): "-0.00",
    Decimal(5): "5",
    Decimal("123456789012.5"): "123456789012.5",
    Decimal("0.00000001"): "0.00000001",
    **dict.fromkeys(
        [
            *("", "-", ".5", "5.", "+5", "1,000.00", "1e3", "1E+300000", "NaN", "Infinity"),
            *(
                "1" * 13,
                "0.123456789",
                " 5",
                "5\n",
                "5 ",
                "$5",
                "0x10",
                "1_000",
                "٣",
                "--5",
                "1.2.3",
            ),
            *(10**12, -(10**12), Decimal("1E+3"), Decimal("1E+300000"), Decimal("1E-9")),
            *(
                Decimal("0.123456789"),
                Decimal("1234567890123.5"),
                Decimal("NaN"),
                Decimal("Infinity"),
            ),
        ]
    ),
}
CONTAINERS = [[1], ["x"], {"x": 1}, [[]]]


def typed(value):
    """Show a value with its type."""
    return (type(value), repr(value))


@pytest.mark.parametrize(
    ("kind", "readings"),
    [
        (int, [*WHOLE.items(), (True, None), (False, None), (Decimal("5.0"), None)]),
        (str, [*TEXT.items(), (True, None), (Decimal("1.5"), None)]),
        (bool, [*FLAGS.items(), (True, True), (False, False), (Decimal(1), None)]),
        (
            Decimal,
            [(raw, money and Decimal(money)) for raw, money in MONEY.items()] + [(True, None)],
        ),
        (Secret, [("k", Secret("k")), (5, Secret("5")), (True, None), (Decimal(1), None)]),
    ],
)
def test_readers_take_what_the_wire_sends_and_nothing_else(kind, readings):
    """Each kind of value, as it should come and as it does come; no reader ever raises."""
    reader = structuring.READERS[kind]
    for raw, expected in [*readings, *((container, None) for container in CONTAINERS)]:
        assert typed(expected) == typed(reader(raw)), repr(raw)


@pytest.mark.parametrize(
    ("field", "readings"),
    [
        ("account", [*WHOLE.items(), (True, None)]),
        ("reply_to", [*TEXT.items(), (True, None)]),
        ("auto_recharge", [*FLAGS.items(), (True, True), (False, False)]),
        (
            "low_credit_amount",
            [(raw, money and Decimal(money)) for raw, money in MONEY.items()] + [(True, None)],
        ),
    ],
)
def test_fields_are_read_as_their_readers_read(field, readings):
    """The compiled short cut for the usual value gives what the reader gives."""
    for raw, expected in [*readings, *((container, None) for container in CONTAINERS)]:
        extra = {} if expected is not None else {field: raw}
        account = read(BARE | {field: raw})
        assert typed(bare(**{field: expected}, extra=extra)) == typed(account), repr(raw)


@given(text=money_strings)
def test_money_strings_are_exact_or_nothing(text):
    """Never through float: what is read prints as it came."""
    money = structuring.read_money(text)
    if money is not None:
        assert Decimal(text).as_tuple() == money.as_tuple()
        assert abs(money) < 10**12


# --- whole accounts


def test_account_of_five_fields_is_enough():
    """All but five fields may be missing."""
    assert bare() == read(BARE)


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("junk", [None, {}, [], "", "junk", [1], Decimal("1E+300000")])
def test_required_field_that_cannot_be_read_is_named(name, junk):
    """An account without its id or its balance is no account."""
    if name == "username" and isinstance(junk, str):
        assert junk == read(BARE | {name: junk}).username
        return
    for raw in (BARE | {name: junk}, {key: BARE[key] for key in BARE if key != name}):
        with pytest.raises(structuring.UnreadableError, match=f"^{name}$"):
            read(raw)


def test_wire_names_differ_in_two_places_only():
    """`_currency` and `_subaccount` lose their underscore; all else is called alike."""
    known = {field.name for field in attrs.fields(Account)}
    renamed = {"_currency": "currency", "_subaccount": "subaccount"}
    assert {renamed.get(name, name) for name in ACCOUNT} == known - {"extra"}


def test_unknown_fields_survive_in_extra():
    """Older and newer rows carry more than we know; our own names are no exception."""
    unknown = {
        "on_trial": 0,
        "price_rate": Decimal("1.5"),
        "_referrer_chosen": {"id": 1, "names": ["a", None]},
        "extra": {"x": 1},
        "currency": "AUD",
        "subaccount": 7,
        "__class__": "x",
        "": None,
    }
    assert bare(extra=unknown) == read(BARE | unknown)


def test_secrets_in_unknown_fields_are_concealed():
    """A live key under a name that we do not know is masked all the same."""
    unknown = {"api_token": "canary-7f3a9c", "_partner": {"password": "canary-7f3a9c", "id": 5}}
    expected = {
        "api_token": Secret("canary-7f3a9c"),
        "_partner": {"password": Secret("canary-7f3a9c"), "id": 5},
    }
    account = read(BARE | unknown)
    assert bare(extra=expected) == account
    assert "canary" not in repr(account)


@pytest.mark.parametrize("nothing", [None, {}, []])
@pytest.mark.parametrize("name", OPTIONAL)
def test_nothing_is_none_and_leaves_no_trace(name, nothing):
    """Null, {} and [] all mean that there is nothing."""
    assert bare() == read(BARE | {name: nothing})


@pytest.mark.parametrize("junk", ["AUD", 5, True, ["AUD"], [{"currency_name_short": "AUD"}]])
def test_nested_object_that_is_none_stays_in_extra(junk):
    """What cannot be a currency or a subaccount is kept as it came."""
    assert bare(extra={"_currency": junk}) == read(BARE | {"_currency": junk})
    assert bare(extra={"_subaccount": junk}) == read(BARE | {"_subaccount": junk})


def test_nested_objects_have_extra_of_their_own():
    """Junk and unknown keys stay where they came."""
    raw = BARE | {
        "_currency": {
            "currency_name_short": "AUD",
            "min_recharge_amount": "20.00",
            "max_recharge_amount": "a lot",
            "symbol": "$",
        },
        "_subaccount": {"subaccount_id": "70", "api_key": 12345678, "mobile": "+61", "is_main": 1},
    }
    expected = bare(
        currency=Currency(
            currency_name_short="AUD",
            min_recharge_amount=Decimal("20.00"),
            extra={"max_recharge_amount": "a lot", "symbol": "$"},
        ),
        subaccount=Subaccount(
            subaccount_id=70, api_key=Secret("12345678"), is_main=True, extra={"mobile": "+61"}
        ),
    )
    assert expected == read(raw)


def test_key_that_cannot_be_read_is_concealed_where_it_is_kept():
    """A live key of an odd type is in `extra`, as a secret."""
    account = read(BARE | {"_subaccount": {"api_key": [{"v": "canary-7f3a9c"}, Decimal("1.5")]}})
    extra = {"api_key": [{"v": Secret("canary-7f3a9c")}, Secret("1.5")]}
    assert bare(subaccount=Subaccount(extra=extra)) == account
    assert "canary" not in repr(account)


def test_reading_changes_nothing_in_what_is_read():
    """The parsed answer is used again for the excerpt of an error."""
    raw = {**ACCOUNT, "_currency": dict(ACCOUNT["_currency"]), "odd": {"token": "x"}}
    before = repr(raw)
    read(raw)
    assert before == repr(raw)


def test_what_is_read_is_the_class_itself():
    """The mutable class leaves no trace: same class, frozen, hashable, equal."""
    account = read(ACCOUNT)
    assert Account is type(account)
    assert Currency is type(account.currency)
    assert Subaccount is type(account.subaccount)
    assert attrs.evolve(account) == account
    assert hash(attrs.evolve(account)) == hash(account)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(account, "balance", Decimal(0))  # noqa: B010 - checkers know that it is frozen


@given(raw=accounts())
def test_compiled_path_equals_the_plain_path(raw):
    """Every input gives the same account in every type, or the same name in the same error."""
    try:
        expected = plain_path.with_types(plain_path.read_account(raw))
    except ValueError as exc:
        with pytest.raises(structuring.UnreadableError, match=f"^{exc}$"):
            read(raw)
    else:
        assert expected == plain_path.with_types(read(raw))


@settings(max_examples=rounds(30, 20_000))  # each reads three accounts, on both paths
@given(first=accounts(), second=accounts())
def test_what_was_read_before_means_nothing(first, second):
    """No cache answers for another value: an account reads alike in any company."""
    for raw in (first, second, first):
        try:
            expected = plain_path.with_types(plain_path.read_account(raw))
        except ValueError:
            continue
        assert expected == plain_path.with_types(read(raw))


def as_wire(model: dict[str, Any]) -> dict[str, Any]:
    """Put plain data back into the shape of the wire: fields beside what was kept as `extra`."""
    fields = {name: value for name, value in model.items() if name != "extra"}
    for name in ("currency", "subaccount"):
        if name in fields:
            nested = fields.pop(name)
            fields[f"_{name}"] = nested if nested is None else as_wire(nested)
    return fields


def without_extra(account: Account) -> Account:
    """Leave the known fields alone."""
    bare: dict[str, Any] = {"extra": {}}
    for name in ("currency", "subaccount"):
        if (nested := getattr(account, name)) is not None:
            bare[name] = attrs.evolve(nested, extra={})
    return attrs.evolve(account, **bare)


@given(raw=accounts())
def test_what_was_dumped_is_read_back(raw):
    """Whatever came, each field that could be read survives to_dict, JSON and another reading."""
    try:
        account = read(raw)
    except structuring.UnreadableError:
        return
    dumped = json.loads(json.dumps(to_dict(account, secrets=True)))
    assert without_extra(account) == without_extra(read(as_wire(dumped)))


@given(name=st.sampled_from(OPTIONAL), junk=json_values)
def test_junk_in_one_field_loses_only_that_field(name, junk):
    """The rest of the account is as good as ever, and the raw value is not lost."""
    good, account = read(ACCOUNT), read(ACCOUNT | {name: junk})
    ours = name.removeprefix("_")
    changed = {ours: getattr(account, ours), "extra": account.extra}
    assert account == attrs.evolve(good, **changed)
    assert set(account.extra) <= {name}
    if getattr(account, ours) is None and junk not in (None, {}, []):
        assert {name} == set(account.extra)


def test_a_long_text_is_read_and_not_remembered():
    """What is shared is kept for ever, so a server cannot fill the memory with it."""
    long = "x" * (structuring._MAX_INTERNED_LENGTH + 1)
    assert long == read(BARE | {"country": long}).country
    assert long not in structuring._interned_texts


@pytest.mark.parametrize(
    "name", ["'", '"]); raise ValueError #', "v0", "obj", "KEYS[0]", "\n", "{v}", ""]
)
def test_keys_of_a_server_are_never_code(name):
    """The functions are compiled from names of ours; a server's keys stay data."""
    raw = {name: 1, **BARE, "_currency": {name: 2}, "_subaccount": {name: 3}}
    expected = bare(
        currency=Currency(extra={name: 2}), subaccount=Subaccount(extra={name: 3}), extra={name: 1}
    )
    assert expected == read(raw)


def test_keys_in_another_order_give_the_same_account():
    """A value is taken from its key, not from where it used to stand."""
    expected = read(ACCOUNT)
    turned = dict(reversed(ACCOUNT.items()))
    for raw in (turned, ACCOUNT, turned):
        assert expected == read(raw)
