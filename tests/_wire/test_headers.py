from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clicksend_reseller._wire import headers as wire_headers
from clicksend_reseller.models import RateLimit
from support.strategies import header_values

NOW = datetime(2026, 10, 21, 7, 27, 30, tzinfo=UTC)

NO_WAIT = [
    *(
        "",
        " ",
        "-1",
        "+5",
        "1.5",
        "5,7",
        "1e3",
        "0x10",
        "5 s",
        "soon",
        "NaN",
        "\x00",
        "７",
        "²",
        "٣",
    ),
    *("2026-10-21T07:28:00Z", "Wed, 39", "1 1 1 1", "Wed, 32 Oct 2026 07:28:00 GMT"),
    *("Wed, 21 Oct 99999 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 +9999999999"),
]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("39", 39.0),
        ("0", 0.0),
        (" 7\t", 7.0),
        ("999999999", 999_999_999.0),
        ("1000000000", 1e9),
        ("9" * 5000, 1e9),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 30.0),
        ("Wednesday, 21-Oct-26 07:28:00 GMT", 30.0),
        ("Wed Oct 21 07:28:00 2026", 30.0),
        ("Wed, 21 Oct 2026 07:28:00 -0000", 30.0),
        ("Wed, 21 Oct 2026 09:28:00 +0200", 30.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        *dict.fromkeys(NO_WAIT).items(),
    ],
)
@pytest.mark.parametrize("limited", [True, False])
def test_retry_after_is_digits_or_a_date(value, seconds, limited):
    """Never earlier than asked, and nothing is guessed from a value that is neither."""
    assert seconds == wire_headers.retry_after({"retry-after": value}, now=NOW, limited=limited)


LATER = "Wed, 21 Oct 2026 07:28:00 GMT"  # 30 s after NOW


@pytest.mark.parametrize(
    ("values", "date", "seconds"),
    [
        (["5", "39"], None, 39.0),
        (["39", "5"], None, 39.0),
        (["soon", "5"], None, 5.0),
        (["soon", "never"], None, None),
        (["5", LATER], None, 30.0),
        ([LATER], "Wed, 21 Oct 2026 07:27:50 GMT", 10.0),
        ([LATER], "Wed, 21 Oct 2026 06:28:00 GMT", 3600.0),
        ([LATER], "Wed, 21 Oct 2026 09:28:00 GMT", 0.0),
        ([LATER], "today", 30.0),
        ([LATER], "Wed, 21 Oct 2026 07:27:50 GMT\nWed, 21 Oct 2026 07:27:40 GMT", 20.0),
        (["39"], "Wed, 21 Oct 2026 06:28:00 GMT", 39.0),
    ],
)
def test_the_longest_wait_counts_by_the_server_s_clock(values, date, seconds):
    """Two headers ask twice; and a date is the server's, whose clock need not be ours."""
    headers = {"retry-after": "\n".join(values)} | ({} if date is None else {"date": date})
    assert seconds == wire_headers.retry_after(headers, now=NOW, limited=False)


def test_rates_that_came_twice_are_read_as_the_stricter():
    """One of them may be an edge's and one the API's."""
    headers = {
        "x-ratelimit-limit": "20\n10",
        "x-ratelimit-remaining": "3\nsoon\n0",
        "x-ratelimit-reset": "5\n39",
    }
    expected = RateLimit(limit=10, remaining=0, resets_in=39.0, received_at=NOW)
    assert expected == wire_headers.rate_limit(headers, now=NOW)


@pytest.mark.parametrize(
    ("headers", "limited", "seconds"),
    [
        ({}, True, None),
        ({"ratelimit-reset": "39"}, True, 39.0),
        ({"x-ratelimit-reset": "39"}, True, 39.0),
        ({"retry-after": "5", "ratelimit-reset": "39"}, True, 5.0),
        ({"retry-after": "0", "ratelimit-reset": "39"}, True, 0.0),
        ({"retry-after": "soon", "ratelimit-reset": "39"}, True, 39.0),
        ({"ratelimit-reset": "soon"}, True, None),
        ({"ratelimit-reset": "Wed, 21 Oct 2026 07:28:00 GMT"}, True, None),
        ({"ratelimit-reset": "39"}, False, None),
        ({"retry-after": "soon", "ratelimit-reset": "39"}, False, None),
        ({"retry-after": "5", "ratelimit-reset": "39"}, False, 5.0),
    ],
)
def test_the_reset_stands_in_for_a_wait_after_a_429_only(headers, limited, seconds):
    """It stands on every answer: a 503 with 47 s to the reset asks for no wait."""
    assert seconds == wire_headers.retry_after(headers, now=NOW, limited=limited)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"content-type": "application/json", "retry-after": "39"}, None),
        ({"x-ratelimit-limit": "many", "x-ratelimit-remaining": "-1"}, None),
        (
            {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "ratelimit-reset": "39"},
            RateLimit(limit=20, remaining=0, resets_in=39.0, received_at=NOW),
        ),
        (
            {"ratelimit-limit": "20", "ratelimit-remaining": "19", "x-ratelimit-reset": "39"},
            RateLimit(limit=20, remaining=19, resets_in=39.0, received_at=NOW),
        ),
        (
            {"x-ratelimit-limit": "20", "ratelimit-limit": "30"},
            RateLimit(limit=20, remaining=None, resets_in=None, received_at=NOW),
        ),
        (
            {"x-ratelimit-remaining": "0", "x-ratelimit-limit": "1.5"},
            RateLimit(limit=None, remaining=0, resets_in=None, received_at=NOW),
        ),
        (
            {"ratelimit-reset": "0"},
            RateLimit(limit=None, remaining=None, resets_in=0.0, received_at=NOW),
        ),
        (
            {"x-ratelimit-limit": "9" * 5000},
            RateLimit(limit=10**9, remaining=None, resets_in=None, received_at=NOW),
        ),
    ],
)
def test_rate_headers_become_a_snapshot(headers, expected):
    """The live spelling mixes names with and without x-; what cannot be read is None."""
    rates = wire_headers.rate_limit(headers, now=NOW)
    assert repr(expected) == repr(rates)


spellings = st.sampled_from(
    ["retry-after", "ratelimit-reset", "x-ratelimit-reset", "x-ratelimit-limit"]
)


@given(headers=st.dictionaries(spellings, header_values), limited=st.booleans())
def test_any_header_is_a_wait_or_nothing(headers, limited):
    """A header is never an exception, and a wait is never negative."""
    frozen = MappingProxyType(headers)
    seconds = wire_headers.retry_after(frozen, now=NOW, limited=limited)
    assert seconds is None or seconds >= 0.0
    rates = wire_headers.rate_limit(frozen, now=NOW)
    assert NOW == (rates.received_at if rates else NOW)


@given(seconds=st.integers(0, 10**9 - 1))
def test_seconds_are_read_exactly(seconds):
    """What was asked is what is waited."""
    headers = {"retry-after": f"{seconds}"}
    assert float(seconds) == wire_headers.retry_after(headers, now=NOW, limited=False)
