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
