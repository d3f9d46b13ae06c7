from decimal import Decimal
from importlib.resources import files

import pytest

from clicksend_reseller.sandbox.console.formats import clock_time, format_amount, iso_time
from clicksend_reseller.sandbox.console.view import KIND_LABELS
from clicksend_reseller.sandbox.service.faults import SERVED_KINDS


def test_the_script_stays_small():
    """It is no framework and does not become one."""
    script = files("clicksend_reseller.sandbox") / "console" / "console.js"
    assert len(script.read_bytes()) < 2048


def test_every_kind_that_a_server_does_has_its_words():
    """A new kind of fault comes with what the list says of it."""
    assert SERVED_KINDS == tuple(KIND_LABELS)


@pytest.mark.parametrize(
    ("amount", "words"),
    [("50.000000", "50.00"), ("0.300001", "0.300001"), ("-3.250000", "-3.25"), ("0", "0.00")],
)
def test_money_shows_the_decimals_that_it_has(amount, words):
    """Two at least, and never a rounded one."""
    assert words == format_amount(Decimal(amount))


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e300])
def test_a_clock_of_the_callers_own_may_count_anything(seconds):
    """The page shows what cannot be a time as it is."""
    assert (str(seconds), "") == (clock_time(seconds), iso_time(seconds))
