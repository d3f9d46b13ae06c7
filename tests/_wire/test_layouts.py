import copy
import json
import pickle
from decimal import Decimal

import pytest
from hypothesis import given

from clicksend_reseller._wire import decoding, structuring
from clicksend_reseller._wire.decoding import to_dict
from clicksend_reseller.models import Account, Currency
from support.good_answers import ACCOUNT
from support.strategies import accounts

AUD = {"currency_name_short": "AUD", "min_recharge_amount": "20.00"}


@pytest.fixture
def converter():
    """Make a converter that has met nothing yet."""
    return structuring.make_converter(decoding._SHAPES)


def read_both_ways(raw, monkeypatch):
    """Read by a function made for these keys, and by the one for any."""
    results: list[Account | str] = []
    for most in (32, 0):
        monkeypatch.setattr(structuring, "_MOST_LAYOUTS", most)
        try:
            results.append(structuring.make_converter(decoding._SHAPES).structure(raw, Account))
        except structuring.UnreadableError as exc:
            results.append(str(exc))
    return results


@given(raw=accounts())
def test_function_for_any_layout_gives_what_the_one_for_this_layout_gives(raw):
    """After 32 layouts nothing changes but the time that it takes."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        by_layout, by_any = read_both_ways(raw, monkeypatch)
    assert by_layout == by_any


def test_keys_in_another_order_give_the_same_account(converter):
    """A value is taken from its key, not from where it used to stand."""
    expected = converter.structure(ACCOUNT, Account)
    turned = dict(reversed(ACCOUNT.items()))
    for raw in (turned, ACCOUNT, turned):
        assert expected == converter.structure(raw, Account)


def test_more_layouts_than_are_remembered_are_read_all_the_same(converter):
    """A server that never gives the same keys twice costs time, and neither memory nor sense."""
    expected = converter.structure(ACCOUNT, Account)
    for n in range(100):
        account = converter.structure({**ACCOUNT, f"unknown_{n}": n}, Account)
        assert {f"unknown_{n}": n} == account.extra
        assert expected.balance == account.balance


def test_absurd_layouts_are_not_remembered(converter):
    """Ten thousand keys, or one of a megabyte, are read by the function for any layout."""
    many = {**ACCOUNT, **{f"unknown_{n}": n for n in range(10_000)}}
    assert 10_000 == len(converter.structure(many, Account).extra)
    long = {**ACCOUNT, "k" * 1_000_000: 1}
    assert {"k" * 1_000_000: 1} == converter.structure(long, Account).extra


def test_equal_currencies_and_amounts_are_one_object(converter):
    """100,000 accounts share a handful of them: that is a fifth of their memory."""
    rows = (json.loads(json.dumps({**ACCOUNT, "_currency": AUD})) for _ in range(2))
    first, second = (converter.structure(row, Account) for row in rows)
    assert first.currency is second.currency
    assert first.auto_recharge_amount is second.auto_recharge_amount
    assert first.timezone is second.timezone


def test_only_texts_are_shared(converter):
    """True is equal to 1 and 1.0 to 1, but they do not read alike."""
    for value, expected in ((1, Decimal(1)), (True, None), ("1", Decimal(1)), (True, None)):
        currency = converter.structure({**AUD, "min_recharge_amount": value}, Currency)
        assert expected == currency.min_recharge_amount


@pytest.mark.parametrize(
    "change",
    [
        lambda extra: extra.update(a=1),
        lambda extra: extra.__setitem__("a", 1),
        lambda extra: extra.__delitem__("symbol"),
        lambda extra: extra.__ior__({"a": 1}),
        lambda extra: extra.setdefault("a", 1),
        lambda extra: extra.pop("symbol"),
        lambda extra: extra.popitem(),
        lambda extra: extra.clear(),
    ],
)
def test_what_is_shared_cannot_be_changed(converter, change):
    """It would change under all the other accounts; a copy is the reader's own."""
    raw = {"currency_name_short": "AUD", "symbol": "A$"}
    first, second = (converter.structure(dict(raw), Currency) for _ in range(2))
    assert first is second
    with pytest.raises(TypeError, match="change a copy"):
        change(first.extra)
    assert {"symbol": "A$"} == second.extra
    for copied in (
        dict(first.extra),
        first.extra.copy(),
        copy.copy(first.extra),
        copy.deepcopy(first).extra,
        pickle.loads(pickle.dumps(first)).extra,  # noqa: S301 - our own pickle
        to_dict(first)["extra"],
        json.loads(json.dumps(first.extra)),
    ):
        assert (dict, {"symbol": "A$"}) == (type(copied), copied)
        copied["symbol"] = "$"
    assert {"symbol": "A$"} == second.extra


def test_what_is_shared_is_bounded(converter):
    """A server that never gives the same currency twice does not fill the memory."""
    for n in range(1_000):
        name = f"C{n}"
        assert (
            name == converter.structure({"currency_name_short": name}, Currency).currency_name_short
        )
    long = {"currency_name_short": "x" * 1_000}
    first, second = (converter.structure(long, Currency) for _ in range(2))
    assert first == second
    assert first is not second


def test_nothing_of_a_large_answer_stays_with_its_account(converter):
    """An `extra` without keys is as small as an empty dict: emptied, it would keep its room."""
    for layouts_left in (32, 0):
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(structuring, "_MOST_LAYOUTS", layouts_left)
            account = structuring.make_converter(decoding._SHAPES).structure(ACCOUNT, Account)
        assert {}.__sizeof__() == account.extra.__sizeof__()
