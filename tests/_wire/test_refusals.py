import json
import pickle
import tracemalloc
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clicksend_reseller._wire import decoding
from clicksend_reseller._wire.decoding import to_dict
from clicksend_reseller._wire.operations import Operation
from clicksend_reseller._wire.refusals import Refusal
from clicksend_reseller._wire.response import open_envelope
from clicksend_reseller.errors import ResellerError
from clicksend_reseller.models import Outcome
from support.good_answers import ACCOUNT
from support.heavy import rounds
from support.strategies import answers, canaries
from support.wire_samples import (
    CREATE,
    GET,
    LIST,
    READS,
    TRANSFER,
    WRITES,
    answer,
    failure,
    said,
    success,
)

CANARY = "canary-7f3a9c"
GOOD = said(200, "SUCCESS", ACCOUNT)


def read_or_error(operation: Operation[Any], came, secrets=()):
    """Read an answer, and give the model or the error of ours; no other is caught."""
    try:
        return decoding.read(operation, came, secrets=secrets)
    except ResellerError as error:
        return error


# --- what an error shows

FIELD_ERRORS = [
    (
        {"data": {"username": "is taken", "country": "is odd"}},
        {"username": ("is taken",), "country": ("is odd",)},
    ),
    ({"data": {"username": ["is taken", "is odd"]}}, {"username": ("is taken", "is odd")}),
    (
        {
            "data": "{}",
            "details": [
                {"field": "username", "reason": "is taken"},
                {"field": "country", "reason": "is odd", "code": 7},
            ],
        },
        {"username": ("is taken",), "country": ("is odd",)},
    ),
    ({"data": "Username is taken."}, {}),
    ({"data": None}, {}),
    ({}, {}),
    (
        {"data": {"username": ["is taken", 5, None], "id": 7, "x": {}, "y": []}},
        {"username": ("is taken",)},
    ),
    ({"data": [], "details": {"field": "username", "reason": "is taken"}}, {}),
    ({"details": ["x", None, {"field": 5, "reason": "x"}, {"field": "x"}]}, {}),
]


@pytest.mark.parametrize(("fields", "expected"), FIELD_ERRORS)
def test_field_errors_come_in_five_shapes(fields, expected):
    """Whatever the shape, a caller finds messages by the name of the field."""
    content = {"http_code": 400, "response_code": "BAD_REQUEST", "response_msg": "No.", **fields}
    error = failure(CREATE, answer(400, json.dumps(content).encode()))
    named = f" (fields: {', '.join(sorted(map(repr, expected)))})" if expected else ""
    assert expected == error.field_errors
    assert f"HTTP 400 BAD_REQUEST: 'No.'{named}" == error.message


@pytest.mark.parametrize(
    ("came", "message"),
    [
        (answer(204), "HTTP 204: {NOT_JSON} ('{' is missing at character 0): an empty answer"),
        (answer(200, b"<p>"), "HTTP 200: {NOT_JSON} ('{' is missing at character 0): '<p>'"),
        (answer(200, b'{"a": NaN}'), "HTTP 200: {NOT_JSON} (NaN is not JSON): '{\"a\": NaN}'"),
        (answer(200, b'"\xff"'), "HTTP 200: the answer is not UTF-8: '\"\ufffd\"'"),
        (answer(200, b'{"a": 1}'), "HTTP 200: the answer has no response_code: '{\"a\": 1}'"),
        (answer(200, b"x", flaw="it broke off"), "HTTP 200: it broke off: 'x'"),
        (answer(503, b"x", flaw="it broke off"), "HTTP 503: it broke off: 'x'"),
        (answer(302, b"x"), "HTTP 302: a redirect, never followed: 'x'"),
        (answer(600, GOOD), "HTTP 600: no status that HTTP knows: '{EXCERPT}'"),
        (answer(600), "HTTP 600: {NOT_JSON} ('{' is missing at character 0): an empty answer"),
        (
            answer(200, said(400, "SUCCESS", ACCOUNT)),
            "HTTP 200: success beside an inner http_code of 400: '{EXCERPT}'",
        ),
        (
            answer(200, said("x", "SUCCESS", ACCOUNT)),
            "HTTP 200: success beside an inner http_code of no number: '{EXCERPT}'",
        ),
        (
            answer(200, said(200, "NEVER_SEEN", ACCOUNT)),
            "HTTP 200: an unknown response_code 'NEVER_SEEN': '{EXCERPT}'",
        ),
        (answer(502, b"x"), "HTTP 502: 'x'"),
        (answer(502), "HTTP 502: an empty answer"),
        (answer(400, said(400, "BAD_REQUEST")), "HTTP 400 BAD_REQUEST: ''"),
        (
            answer(400, b'{"response_code": "BAD_REQUEST", "response_msg": 5}'),
            "HTTP 400 BAD_REQUEST: ''",
        ),
    ],
)
def test_message_says_what_came_and_what_is_wrong_with_it(came, message):
    """One line shows whether the API spoke, or something in front of it."""
    excerpt = came.content.decode(errors="replace")[:100]
    expected = message.replace("{NOT_JSON}", "the answer is not the documented JSON")
    assert expected.replace("{EXCERPT}", excerpt) == failure(GET, came).message


def test_messages_stay_short_whatever_a_server_says():
    """An error is a line in a log, not a copy of two megabytes."""
    content = {
        "response_code": "X" * 5000,
        "response_msg": "m" * 5000,
        "data": {f"{number:03}" + "f" * 5000: "is odd" for number in range(200)},
    }
    error = failure(GET, answer(400, json.dumps(content).encode()))
    assert (100, 500) == (len(error.response_code), len(error.response_msg))
    assert f": {'m' * 200!r} (fields" in error.message
    assert 10 == error.message.count("'0")
    assert len(error.message) < 1000
    assert len(failure(GET, answer(200, json.dumps(content).encode())).message) < 300
    assert 200 == len(failure(GET, answer(200, b"x" * 5000)).excerpt)


def test_no_error_forges_a_line_of_a_log():
    """What a server says is escaped where it is printed, and can be printed."""
    odd = "X\r\nERROR forged \x1b[31m \u202e \ud800"
    content = {"response_code": odd, "response_msg": odd, "data": {odd: odd}, "http_code": 400}
    for status in (200, 302, 400, 500):
        error = failure(GET, answer(status, json.dumps(content).encode()))
        assert str(error).isprintable()
        assert repr(error).isprintable()
    values = (error.response_code, error.response_msg, *error.field_errors)
    assert all(value.encode() for value in values)


def echoes(secret):
    """Give answers in which a server repeats what it should not."""
    written = json.dumps(secret)[1:-1].replace("/", "\\/")
    echo = {"response_code": "NO", "response_msg": f"bad key {secret}", "data": {"x": [secret]}}
    for status in (200, 302, 400, 408, 429, 503):
        yield answer(status, json.dumps(echo).encode())
        yield answer(status, json.dumps({**echo, "http_code": 400}).encode())
        yield answer(status, f"<html>{secret}</html>".encode())
        yield answer(status, f'{{"user": "{written}", "x": "{written}"'.encode())
        yield answer(status, f'{{"{written}": 1, "{written}": 2}}'.encode())
        yield answer(status, said(400, secret, {secret: secret}))
        yield answer(status, said(200, "SUCCESS", {"user_id": secret}))
        yield answer(status, said(200, "SUCCESS", {"user_id": secret}), flaw="it broke off")


@settings(max_examples=rounds(30, 20_000))  # each reads 96 answers
@given(secret=canaries)
def test_no_error_shows_a_secret_of_the_call(secret):
    """Wherever a server echoes the key or a password: in code, prose, names, values, HTML."""
    for came in echoes(secret):
        for operation in (GET, TRANSFER):
            result = read_or_error(operation, came, secrets=(secret,))
            if isinstance(result, ResellerError):
                shown = f"{result} {result!r} {vars(result)!r} {pickle.dumps(result)!r}"
                assert secret not in shown
                assert repr(secret)[1:-1] not in shown


def test_no_error_shows_the_clients_key():
    """A success that cannot be read holds the client's credentials, and its excerpt does not."""
    row = {"_subaccount": {"api_key": CANARY, "x": 1}, "user_id": None}
    for operation in (GET, CREATE):
        error = failure(operation, success(row))
        assert CANARY not in f"{error} {vars(error)}"
        assert error.excerpt.startswith('{"http_code": 200')


def test_nothing_on_the_way_to_an_error_shows_the_answer():
    """Frames hold these while an answer is read, and error reporters print frames."""
    came = answer(400, said(400, CANARY, [CANARY]), headers={"x": CANARY})
    envelope, _ = open_envelope(answer(400, said(400, "NO", [CANARY])))
    refusal = Refusal(operation=GET, answer=came, envelope=envelope, flaw="", secrets=(CANARY,))
    assert CANARY not in f"{came!r} {envelope!r} {refusal!r}"


def test_waits_are_read_from_the_headers():
    """Seconds or a date; the reset of the rate limit counts after a 429 alone."""
    later = format_datetime(datetime(2099, 1, 1, tzinfo=UTC), usegmt=True)
    reset = {"ratelimit-reset": "47"}
    assert 9.0 == failure(GET, answer(503, headers={"retry-after": "9", **reset})).retry_after
    assert failure(GET, answer(503, headers={"retry-after": later})).retry_after > 10**9
    assert failure(GET, answer(503, headers=reset)).retry_after is None
    assert failure(GET, answer(401, said(401, "UNAUTHORIZED"), headers=reset)).retry_after is None
    assert 47.0 == failure(GET, answer(429, headers=reset)).retry_after
    limited = answer(200, said(200, "TOO_MANY_REQUESTS"), headers=reset)
    assert 47.0 == failure(GET, limited).retry_after


# --- hostile content

MIB = 2**20
ROW = GOOD[:-2]  # an answer whose account goes on
HOSTILE = {
    "brackets": b"[" * 200_000,
    "brackets in an account": ROW + b', "x": ' + b"[" * 200_000,
    "objects in an account": ROW + b', "x": ' + b'{"x":' * 200_000,
    "a long int": ROW + b', "x": ' + b"9" * 10_000 + b"}}",
    "NaN": ROW + b', "x": NaN}}',
    "Infinity": ROW + b', "x": [-Infinity]}}',
    "an exponent too large": ROW + b', "x": 1e99999999999999999999}}',
    "a long fraction": ROW + b', "x": 1.' + b"1" * MIB + b"}}",
    "latin-1": ROW + ', "x": "é"}}'.encode("latin-1"),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "duplicate keys": b'{"response_code": "INTERNAL_ERROR", ' + GOOD[1:],
    "two answers": GOOD + GOOD,
    "tiny objects": b'{"data": [' + b"{}," * (2 * MIB // 3) + b"{}]}",
    "tiny objects in an account": ROW + b', "x": [' + b"{}," * (2 * MIB // 3) + b"{}]}}",
    "tiny fractions in an account": ROW + b', "x": [' + b"1.1," * (MIB // 2) + b"1]}}",
    "nothing but quotes": b'"' * 2 * MIB,
    "nothing but words": b"token" * (2 * MIB // 5),
    "zeros": bytes(2 * MIB),
}


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_content_is_one_of_our_errors(content, status):
    """No other exception, and no more than 20 MB."""
    tracemalloc.start()
    try:
        for operation in (GET, LIST, TRANSFER):
            assert failure(operation, answer(status, content)).status_code == status
        assert tracemalloc.get_traced_memory()[1] < 20 * 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("junk", "kept"),
    [
        (b"1E+300000", Decimal("1E+300000")),
        (b"9" * 4300, int("9" * 4300)),
        (b'"' + b"9" * MIB + b'"', "9" * MIB),
        (b"[" * 60 + b"]" * 60, json.loads("[" * 60 + "]" * 60)),
    ],
    ids=["exponent", "int", "string", "brackets"],
)
def test_hostile_junk_in_a_field_loses_only_that_field(junk, kept):
    """Nothing is converted before its form is known, so no time is lost either."""
    content = ROW.replace(b'"low_credit_amount": "1.50"', b'"low_credit_amount": ' + junk) + b"}}"
    account = decoding.read(GET, answer(200, content))
    assert (None, {"low_credit_amount": kept}) == (account.low_credit_amount, account.extra)


@given(came=answers, operation=st.sampled_from(READS + WRITES))
def test_any_answer_is_a_model_or_one_of_our_errors(came, operation):
    """Whatever comes, at whatever status: no other exception leaves the wire."""
    result = read_or_error(operation, came)
    if isinstance(result, ResellerError):
        assert str(result).isprintable()
        assert result.outcome is not Outcome.NOT_SENT
    else:
        assert operation.returns is type(result)
        assert json.dumps(to_dict(result))
