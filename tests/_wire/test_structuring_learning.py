from decimal import Decimal
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clicksend_reseller._wire import decoding, structuring
from clicksend_reseller.models import Account, Currency, Subaccount
from support import plain_path
from support.heavy import rounds
from support.strategies import accounts
from support.wire_samples import BARE, bare


def reader(most_layouts):
    """Make a reader of its own, which learns so many layouts."""
    converter = structuring.make_converter(decoding._SHAPES)

    def read_with_it(raw):
        with patch.object(structuring, "_MOST_LAYOUTS", most_layouts):
            return converter.structure(raw, Account)

    return read_with_it


@settings(max_examples=rounds(100, 5_000))  # every reader of a layout is compiled anew
@given(raws=st.lists(accounts(), min_size=1, max_size=3), data=st.data())
def test_learned_layouts_are_read_like_any_other(raws, data):
    """The reader of one layout, the reader of any and the plain path are one."""
    readers = [reader(most_layouts) for most_layouts in (0, 1, 32)]
    for raw in raws:
        shuffled = dict(data.draw(st.permutations([*raw.items()])))
        for each in (raw, shuffled, raw):
            try:
                expected = plain_path.with_types(plain_path.read_account(each))
            except ValueError:
                continue
            assert [expected] * 3 == [
                plain_path.with_types(read_with_it(each)) for read_with_it in readers
            ]


@pytest.mark.parametrize("most_layouts", [0, 32])
@pytest.mark.parametrize(
    "name", ["'", '"]); raise ValueError #', "v0", "obj", "KEYS[0]", "\n", "{v}", ""]
)
def test_keys_of_a_server_are_never_code(name, most_layouts):
    """Functions are compiled for what came; its keys stay data in them."""
    raw = {name: 1, **BARE, "_currency": {name: 2}, "_subaccount": {name: 3}}
    expected = bare(
        currency=Currency(extra={name: 2}), subaccount=Subaccount(extra={name: 3}), extra={name: 1}
    )
    assert expected == reader(most_layouts)(raw)


def test_equal_currencies_are_one_object():
    """100,000 accounts hold a handful of currencies; none stands for another."""
    aud, euro = {"currency_name_short": "AUD"}, {"currency_name_short": "EUR"}
    odd = [{"currency_name_short": code} for code in (1, True, "1")]
    read_one = reader(32)
    first, second, other = (read_one(BARE | {"_currency": dict(raw)}) for raw in (aud, aud, euro))
    assert first.currency is second.currency
    assert Currency(currency_name_short="EUR") == other.currency
    expected = [
        Currency(currency_name_short="1"),
        Currency(extra={"currency_name_short": True}),
        Currency(currency_name_short="1"),
    ]
    assert expected == [read_one(BARE | {"_currency": raw}).currency for raw in odd]


def test_what_is_kept_from_one_answer_to_the_next_is_bounded():
    """A server that says something new each time fills no memory, and is read rightly still."""
    read_one = reader(32)
    with patch.object(structuring, "_compile", wraps=structuring._compile) as compiled:
        for number in range(2_000):
            text, money = f"zone {number}", f"{number % 900}.5"
            raw = BARE | {
                "balance": f"{number}.123456",
                "timezone": text,
                "low_credit_amount": money,
                f"unknown {number}": number,
                "_currency": {"currency_name_short": text},
            }
            expected = bare(
                balance=Decimal(f"{number}.123456"),
                timezone=text,
                low_credit_amount=Decimal(money),
                currency=Currency(currency_name_short=text),
                extra={f"unknown {number}": number},
            )
            assert expected == read_one(raw)
    assert compiled.call_count <= 32 + 2  # of accounts: each layout and any; of currencies: one
    assert len(structuring._common_texts) <= 1_000
    assert len(structuring._amounts) <= 256
    assert max(map(len, structuring._amounts)) <= 6


def test_long_texts_and_wide_objects_are_read_and_forgotten():
    """What is unusual is read like all else, and no copy of it stays."""
    wide, long = {f"key {number}": "x" for number in range(200)}, "z" * 200
    raw = BARE | {"timezone": long, "country": "", "_currency": wide} | wide
    raw["_subaccount"] = {"k" * 5_000: long}
    expected = bare(
        timezone=long,
        country="",
        currency=Currency(extra=wide),
        subaccount=Subaccount(extra={"k" * 5_000: long}),
        extra=wide,
    )
    read_one = reader(32)
    assert expected == read_one(raw) == read_one(raw)
    assert read_one(raw).currency is not read_one(raw).currency
    assert long not in structuring._common_texts
