from collections.abc import Set as AbstractSet

import attrs
import pytest

from clicksend_reseller import RetryPolicy
from clicksend_reseller._calls.retry import may_repeat
from clicksend_reseller._wire import decoding, refusals
from clicksend_reseller.errors import (
    AlreadyExistsError,
    APIResponseError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    InsufficientCreditError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from clicksend_reseller.models import Outcome, TransferReceipt
from support.good_answers import ACCOUNT
from support.wire_samples import CREATE, READS, TRANSFER, UPDATE, WRITES, answer, failure, said

APPLIED, REFUSED, UNKNOWN = Outcome.APPLIED, Outcome.REJECTED, Outcome.UNKNOWN
RECEIPT = None  # in the place of an outcome: no error at all

GOOD = said(200, "SUCCESS", ACCOUNT)


@attrs.frozen
class Known:
    """What is known to each kind of call, and which of them is made again."""

    read: Outcome
    update: Outcome
    create: Outcome
    transfer: Outcome | None
    permanent: bool = False
    again: AbstractSet[str] = frozenset()


WORDS = {
    "unknown": Known(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, again={"read", "update"}),
    "moved": Known(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, permanent=True),
    "applied": Known(UNKNOWN, APPLIED, APPLIED, RECEIPT, permanent=True),
    "refused": Known(REFUSED, REFUSED, REFUSED, REFUSED),
    "limited": Known(REFUSED, REFUSED, REFUSED, REFUSED, again={"read", "update", "create"}),
    "refused to a read": Known(REFUSED, UNKNOWN, UNKNOWN, UNKNOWN, again={"update"}),
}
KINDS = {"read": READS, "update": (UPDATE,), "create": (CREATE,), "transfer": (TRANSFER,)}

TRUE = (True,)  # JSON's own true, in the place of a code

# An answer, the class of its error, and what is known then.
MONEY = [
    # 2xx without an envelope, or cut off
    (answer(204), APIResponseError, "unknown"),
    (answer(200), APIResponseError, "unknown"),
    (answer(200, b"<html>"), APIResponseError, "unknown"),
    (answer(200, b"null"), APIResponseError, "unknown"),
    (answer(200, b"[]"), APIResponseError, "unknown"),
    (answer(200, b"{}"), APIResponseError, "unknown"),
    (answer(200, GOOD[:-1]), APIResponseError, "unknown"),
    (answer(200, GOOD, flaw="it broke off"), APIResponseError, "unknown"),
    (answer(200, said(200, None)), APIResponseError, "unknown"),
    (answer(200, said(200, "")), APIResponseError, "unknown"),
    (answer(200, said(200, *TRUE)), APIResponseError, "unknown"),
    (answer(200, said(200, ["SUCCESS"])), APIResponseError, "unknown"),
    (answer(200, said(200, "success", ACCOUNT)), APIResponseError, "unknown"),
    # 2xx SUCCESS whose inner http_code says otherwise
    (answer(200, said(500, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(200, said(400, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(200, said(429, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(201, said(302, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(200, said(199, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(200, said(300, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(200, said(0, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(200, said("500 oops", "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(200, said(500.0, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    (answer(200, said(*TRUE, "SUCCESS", ACCOUNT)), APIResponseError, "unknown"),
    # 2xx SUCCESS whose account cannot be read
    (answer(200, said(200, "SUCCESS", None)), APIResponseError, "applied"),
    (answer(201, said(200, "SUCCESS", {})), APIResponseError, "applied"),
    (answer(200, said(None, "SUCCESS", [1])), APIResponseError, "applied"),
    # 2xx with an error inside
    (answer(200, said(200, "BAD_REQUEST")), BadRequestError, "refused"),
    (answer(200, said(None, "NOT_FOUND")), NotFoundError, "refused"),
    (answer(201, said(400, "UNAUTHORIZED")), AuthenticationError, "refused"),
    (answer(200, said(500, "FORBIDDEN")), PermissionDeniedError, "refused"),
    (answer(200, said("x", "THROTTLED")), BadRequestError, "refused"),
    (answer(200, said(200, "TOO_MANY_REQUESTS")), RateLimitError, "limited"),
    (answer(200, said(200, "INSUFFICIENT_CREDIT")), InsufficientCreditError, "refused"),
    (answer(200, said(500, "ALREADY_EXISTS")), AlreadyExistsError, "refused"),
    (answer(200, said(400, "NEVER_SEEN")), BadRequestError, "refused"),
    (answer(200, said(400, 400)), BadRequestError, "refused"),
    (answer(200, said("404", "NEVER_SEEN")), NotFoundError, "refused"),
    (answer(200, said(418, "NEVER_SEEN")), APIStatusError, "refused"),
    (answer(200, said(429, "NEVER_SEEN")), RateLimitError, "limited"),
    (answer(200, said(408, "NEVER_SEEN")), APIResponseError, "unknown"),
    (answer(200, said(302, "NEVER_SEEN")), APIResponseError, "unknown"),
    (answer(200, said(200, "NEVER_SEEN")), APIResponseError, "unknown"),
    (answer(200, said(None, "NEVER_SEEN")), APIResponseError, "unknown"),
    (answer(200, said("x", "NEVER_SEEN")), APIResponseError, "unknown"),
    (answer(200, said(399, "NEVER_SEEN")), APIResponseError, "unknown"),
    (answer(200, said(499, "NEVER_SEEN")), APIStatusError, "refused"),
    (answer(200, said(500, "NEVER_SEEN")), ServerError, "unknown"),
    (answer(200, said(599, "NEVER_SEEN")), ServerError, "unknown"),
    (answer(200, said(600, "NEVER_SEEN")), APIResponseError, "unknown"),
    (answer(200, said(200, "INTERNAL_ERROR")), ServerError, "unknown"),
    (answer(200, said(400, "INTERNAL_ERROR")), ServerError, "unknown"),
    (answer(200, said(500, "INTERNAL_SERVER_ERROR")), ServerError, "unknown"),
    (answer(200, said(200, "SOMETHING_IS_WRONG")), ServerError, "unknown"),
    # 3xx
    (answer(300, GOOD), APIResponseError, "moved"),
    (answer(301), APIResponseError, "moved"),
    (answer(302, b"<html>"), APIResponseError, "moved"),
    (answer(303, GOOD), APIResponseError, "moved"),
    (answer(304), APIResponseError, "moved"),
    (answer(307, said(307, "BAD_REQUEST")), APIResponseError, "moved"),
    (answer(399, b"<html>"), APIResponseError, "moved"),
    (answer(308, b"<ht", flaw="it broke off"), APIResponseError, "moved"),
    (answer(302, said(400, "ALREADY_EXISTS")), AlreadyExistsError, "refused"),
    # 4xx with an envelope
    (answer(400, said(400, "BAD_REQUEST")), BadRequestError, "refused"),
    (answer(400, said(400, "NEVER_SEEN")), BadRequestError, "refused"),
    (answer(400, said(400, 400)), BadRequestError, "refused"),
    (answer(400, said(500, "NEVER_SEEN")), BadRequestError, "refused"),
    (answer(400, said(400, "UNAUTHORIZED")), AuthenticationError, "refused"),
    (answer(400, said(400, "TOO_MANY_REQUESTS")), RateLimitError, "limited"),
    (answer(401, said(401, "NEVER_SEEN")), AuthenticationError, "refused"),
    (answer(402, said(402, "NEVER_SEEN")), APIStatusError, "refused"),
    (answer(403, said(403, "NEVER_SEEN")), PermissionDeniedError, "refused"),
    (answer(404, said(404, "NEVER_SEEN")), NotFoundError, "refused"),
    (answer(405, said(405, "NEVER_SEEN")), APIStatusError, "refused"),
    (answer(409, said(409, "NEVER_SEEN")), APIStatusError, "refused"),
    (answer(422, said(422, "NEVER_SEEN")), BadRequestError, "refused"),
    (answer(499, said(499, "NEVER_SEEN")), APIStatusError, "refused"),
    (answer(403, said(403, "INSUFFICIENT_CREDIT")), InsufficientCreditError, "refused"),
    (answer(409, said(409, "ALREADY_EXISTS")), AlreadyExistsError, "refused"),
    # 4xx whose word is doubt
    (answer(400, said(400, "INTERNAL_ERROR")), ServerError, "unknown"),
    (answer(400, said(400, "SOMETHING_IS_WRONG")), ServerError, "unknown"),
    (answer(404, said(404, "INTERNAL_SERVER_ERROR")), ServerError, "unknown"),
    (answer(400, said(400, "SUCCESS", ACCOUNT)), BadRequestError, "unknown"),
    # 4xx without an envelope: an edge may speak here, not the API
    (answer(400), BadRequestError, "refused to a read"),
    (answer(400, b'{"message": "no"}'), BadRequestError, "refused to a read"),
    (answer(401, b"<html>"), AuthenticationError, "refused to a read"),
    (answer(403, b"<html>"), PermissionDeniedError, "refused to a read"),
    (answer(404), NotFoundError, "refused to a read"),
    (answer(413, b"<html>"), APIStatusError, "refused to a read"),
    (answer(400, said(400, "X"), flaw="it broke off"), APIResponseError, "unknown"),
    # 408 counts as lost
    (answer(408), APIStatusError, "unknown"),
    (answer(408, b"<html>"), APIStatusError, "unknown"),
    (answer(408, said(408, "NEVER_SEEN")), APIStatusError, "unknown"),
    (answer(408, said(408, "BAD_REQUEST")), BadRequestError, "unknown"),
    (answer(408, GOOD), APIStatusError, "unknown"),
    (answer(408, said(408, "ALREADY_EXISTS")), AlreadyExistsError, "refused"),
    # 429 is a refusal in any form
    (answer(429), RateLimitError, "limited"),
    (answer(429, b"<html>"), RateLimitError, "limited"),
    (answer(429, GOOD), RateLimitError, "limited"),
    (answer(429, GOOD, flaw="it broke off"), RateLimitError, "limited"),
    (answer(429, said(429, "HTTP_TOO_MANY_REQUESTS")), RateLimitError, "limited"),
    (answer(429, said(429, "INTERNAL_ERROR")), RateLimitError, "limited"),
    (answer(429, said(429, "BAD_REQUEST")), RateLimitError, "limited"),
    (answer(429, said(400, "INSUFFICIENT_CREDIT")), InsufficientCreditError, "refused"),
    # 5xx, whatever it says, but for the two words that name a decision
    (answer(500), ServerError, "unknown"),
    (answer(500, GOOD), ServerError, "unknown"),
    (answer(500, said(500, "INTERNAL_SERVER_ERROR")), ServerError, "unknown"),
    (answer(500, said(400, "BAD_REQUEST")), ServerError, "unknown"),
    (answer(502, b'{"message": "no"}'), ServerError, "unknown"),
    (answer(503, b"<html>"), ServerError, "unknown"),
    (answer(503, said(503, "TOO_MANY_REQUESTS")), ServerError, "unknown"),
    (answer(520, b"<html>"), ServerError, "unknown"),
    (answer(599), ServerError, "unknown"),
    (answer(500, said(500, "X"), flaw="it broke off"), APIResponseError, "unknown"),
    (answer(500, said(500, "ALREADY_EXISTS")), AlreadyExistsError, "refused"),
    (answer(500, said(500, "INSUFFICIENT_CREDIT")), InsufficientCreditError, "refused"),
    # no status that HTTP knows
    (answer(600, GOOD), APIResponseError, "unknown"),
    (answer(199), APIResponseError, "unknown"),
    (answer(999, b"<html>"), APIResponseError, "unknown"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("came", "cls", "word"),
    MONEY,
    ids=[f"{came.status} {came.content[:60]!r} {came.flaw}" for came, *_ in MONEY],
)
def test_what_is_refused_what_is_unknown_and_what_is_made_again(came, cls, word, kind):
    """The whole table: only a decision of the API's counts as refused, all else is doubt."""
    known, outcome = WORDS[word], getattr(WORDS[word], kind)
    for operation in KINDS[kind]:
        if outcome is RECEIPT:
            receipt = TransferReceipt(client_user_id=60, amount=12, currency="USD")
            assert receipt == decoding.read(operation, came)
            continue
        error = failure(operation, came)
        assert (cls, came.status) == (type(error), error.status_code)
        assert (outcome, known.permanent) == (error.outcome, error.permanent)
        again = may_repeat(error, operation, RetryPolicy(), journaled=False)
        assert (kind in known.again) == again


@pytest.mark.parametrize("journaled", [False, True])
@pytest.mark.parametrize(("came", "cls", "word"), MONEY)
def test_a_transfer_is_made_again_only_after_a_429_and_only_by_choice(came, cls, word, journaled):
    """One switch, one kind of answer, and a journal overrules it."""
    if WORDS[word].transfer is RECEIPT:
        return
    error = failure(TRANSFER, came)
    chosen = RetryPolicy(resend_rate_limited_transfers=True)
    expected = word == "limited" and not journaled
    assert expected == may_repeat(error, TRANSFER, chosen, journaled=journaled)


CODES = {
    "ACCOUNT_NOT_ACTIVATED": PermissionDeniedError,
    "ALREADY_EXISTS": AlreadyExistsError,
    "BAD_REQUEST": BadRequestError,
    "COUNTRY_NOT_ENABLED": BadRequestError,
    "EMPTY_MESSAGE": BadRequestError,
    "FORBIDDEN": PermissionDeniedError,
    "HTTP_TOO_MANY_REQUESTS": RateLimitError,
    "INSUFFICIENT_CREDIT": InsufficientCreditError,
    "INTERNAL_ERROR": ServerError,
    "INTERNAL_SERVER_ERROR": ServerError,
    "INVALID_CREDENTIALS": AuthenticationError,
    "INVALID_LANG": BadRequestError,
    "INVALID_MEDIA_FILE": BadRequestError,
    "INVALID_RECIPIENT": BadRequestError,
    "INVALID_SCHEDULE": BadRequestError,
    "INVALID_SENDER_ID": BadRequestError,
    "INVALID_VOICE": BadRequestError,
    "MISSING_CREDENTIALS": AuthenticationError,
    "MISSING_REQUIRED_FIELDS": BadRequestError,
    "NOT_ENOUGH_PERMISSION_TO_LIST_ID": PermissionDeniedError,
    "NOT_FOUND": NotFoundError,
    "SOMETHING_IS_WRONG": ServerError,
    "SUBJECT_REQUIRED": BadRequestError,
    "THROTTLED": BadRequestError,
    "TOO_MANY_RECIPIENTS": BadRequestError,
    "TOO_MANY_REQUESTS": RateLimitError,
    "UNAUTHORIZED": AuthenticationError,
}


@pytest.mark.parametrize("http_code", [200, 404])
@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize(("code", "cls"), CODES.items())
def test_the_code_chooses_the_class_before_the_status_does(code, cls, status, http_code):
    """On which status a code comes is not documented."""
    for operation in READS + WRITES:
        error = failure(operation, answer(status, said(http_code, code)))
        outcome = UNKNOWN if cls is ServerError else REFUSED
        assert (cls, outcome, code) == (type(error), error.outcome, error.response_code)


@pytest.mark.parametrize(
    ("status", "code", "cls"),
    [
        (400, "ALREADY_EXISTS", AlreadyExistsError),
        (404, None, NotFoundError),
        (418, "NEVER_SEEN", APIStatusError),
        (429, "NEVER_SEEN", RateLimitError),
    ],
)
def test_refusal_on_record_is_the_error_that_it_was(status, code, cls):
    """A journal that remembers a refusal raises it again."""
    error = refusals.refusal(status, code, "No.")
    assert cls is type(error)
    assert {
        "operation": None,
        "outcome": REFUSED,
        "attempts": 0,
        "permanent": False,
        "status_code": status,
        "response_code": code,
        "response_msg": "No.",
        "field_errors": {},
        "retry_after": None,
    } == vars(error)
    assert f"HTTP {status} {code or 'no response_code'}: 'No.'" == error.message
