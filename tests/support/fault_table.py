"""What must each call end with, for each fault? The rules of money as one table, by hand.

A cell says: what the caller gets, what is known, how many sends. A row is: get, update,
create, transfer.
"""

Row = tuple[str, str, str, str]


def _same(cell: str) -> Row:
    return (cell, cell, cell, cell)


def _in_doubt(get: str, update: str = "OutcomeUnknownError UNKNOWN 3") -> Row:
    return (
        get,
        update,
        "OutcomeUnknownError UNKNOWN 1",
        "TransferOutcomeUnknownError UNKNOWN 1",
    )


RETURNED = _same("returns APPLIED 1")
UNSENT = _same("APIConnectionError NOT_SENT 3")
UNSENT_IN_TIME = _same("APITimeoutError NOT_SENT 3")
BAD_CERTIFICATE = _same("APIConnectionError NOT_SENT 1")

LOST = _in_doubt("APIConnectionError UNKNOWN 3")
LATE = _in_doubt("APITimeoutError UNKNOWN 3")
BROKEN = _in_doubt("APIResponseError UNKNOWN 3")
UNREADABLE = _in_doubt("APIResponseError UNKNOWN 3")
SERVER_ERROR = _in_doubt("ServerError UNKNOWN 3")
SERVER_ERROR_TOO_LONG = _in_doubt("ServerError UNKNOWN 1", "OutcomeUnknownError UNKNOWN 1")
TOO_SLOW_408 = _in_doubt("APIStatusError UNKNOWN 3")
REDIRECT = _in_doubt("APIResponseError UNKNOWN 1", "OutcomeUnknownError UNKNOWN 1")

BAD_REQUEST = _same("BadRequestError REJECTED 1")
OTHER_4XX = _same("APIStatusError REJECTED 1")
UNAUTHORIZED = _same("AuthenticationError REJECTED 1")
FORBIDDEN = _same("PermissionDeniedError REJECTED 1")
NOT_FOUND = _same("NotFoundError REJECTED 1")
EXISTS = _same("AlreadyExistsError REJECTED 1")
NO_CREDIT = _same("InsufficientCreditError REJECTED 1")
RATE_LIMITED = (*_same("RateLimitError REJECTED 3")[:3], "RateLimitError REJECTED 1")
RATE_LIMITED_TOO_LONG = _same("RateLimitError REJECTED 1")

# Without an envelope nobody knows who spoke, the API or something in front of it.
BARE_400 = _in_doubt("BadRequestError REJECTED 1")
BARE_403 = _in_doubt("PermissionDeniedError REJECTED 1")
BARE_404 = _in_doubt("NotFoundError REJECTED 1")
BARE_413 = _in_doubt("APIStatusError REJECTED 1")

ACCOUNT_UNREADABLE = (
    "APIResponseError UNKNOWN 1",
    "APIResponseError APPLIED 1",
    "APIResponseError APPLIED 1",
    "returns without account APPLIED 1",
)

TABLE: dict[str, Row] = {
    # before the request
    "nobody_listens": UNSENT,
    "never_accepts": UNSENT_IN_TIME,
    "accept_fin": LOST,
    "accept_rst": LOST,
    "accept_stall": LATE,
    "tls_fin": UNSENT,
    "tls_rst": UNSENT,
    "tls_stall": UNSENT_IN_TIME,
    "tls_speaks_plain": BAD_CERTIFICATE,
    "tls_unknown_authority": BAD_CERTIFICATE,
    "tls_wrong_name": BAD_CERTIFICATE,
    "tls_expired": BAD_CERTIFICATE,
    # Under TLS 1.3 the client learns of it after its body has left.
    "tls_client_certificate": LOST,
    # within the request
    "read_line_fin": LOST,
    "read_head_fin": LOST,
    "read_line_rst": LOST,
    "read_head_rst": LOST,
    "early_413": BARE_413,
    # no answer
    "lost_fin": LOST,
    "lost_fin_applied": LOST,
    "lost_rst": LOST,
    "lost_rst_applied": LOST,
    "stall": LATE,
    "stall_applied": LATE,
    "stall_applied_late": LATE,
    # broken answers
    "status_line_only": LOST,
    "half_head": LOST,
    "half_head_applied": LOST,
    "half_body_fin": BROKEN,
    "half_body_fin_applied": BROKEN,
    "half_body_rst": BROKEN,
    "half_body_rst_applied": BROKEN,
    "half_body_of_503": BROKEN,
    "half_chunked": BROKEN,
    "chunk_size_bad": BROKEN,
    "garbage": LOST,
    "length_negative": LOST,
    "length_bad": LOST,
    "length_conflicting": LOST,
    "head_200k": LOST,
    "switching_101": LOST,
    # slow answers
    "stall_in_head": LATE,
    "stall_in_body": LATE,
    "drip_head": LATE,
    "drip_body": LATE,
    "endless_102": LATE,
    "endless_102_applied": LATE,
    # refusals
    "status_400": BAD_REQUEST,
    "status_401": UNAUTHORIZED,
    "status_403": FORBIDDEN,
    "status_404": NOT_FOUND,
    "status_405": OTHER_4XX,
    "status_409": OTHER_4XX,
    "status_422": BAD_REQUEST,
    "field_errors_400": BAD_REQUEST,
    "status_429": RATE_LIMITED,
    "status_429_wait_1": RATE_LIMITED_TOO_LONG,
    "status_429_wait_60": RATE_LIMITED_TOO_LONG,
    "html_429": RATE_LIMITED,
    "message_429": RATE_LIMITED,
    "already_exists_200": EXISTS,
    "already_exists_400": EXISTS,
    "already_exists_500": EXISTS,
    "insufficient_credit_200": NO_CREDIT,
    "insufficient_credit_400": NO_CREDIT,
    "insufficient_credit_500": NO_CREDIT,
    "bad_request_in_200": BAD_REQUEST,
    # perhaps refusals
    "message_400": BARE_400,
    "message_400_applied": BARE_400,
    "message_403": BARE_403,
    "message_403_applied": BARE_403,
    "message_404": BARE_404,
    "message_404_applied": BARE_404,
    "html_403": BARE_403,
    "status_408": TOO_SLOW_408,
    "status_408_applied": TOO_SLOW_408,
    # the server failed
    "status_500": SERVER_ERROR,
    "status_500_applied": SERVER_ERROR,
    "status_502": SERVER_ERROR,
    "status_502_applied": SERVER_ERROR,
    "status_503": SERVER_ERROR,
    "status_503_applied": SERVER_ERROR,
    "status_504": SERVER_ERROR,
    "status_504_applied": SERVER_ERROR,
    "status_520": SERVER_ERROR,
    "status_520_applied": SERVER_ERROR,
    "html_502": SERVER_ERROR,
    "html_502_applied": SERVER_ERROR,
    "html_503": SERVER_ERROR,
    "html_503_applied": SERVER_ERROR,
    "message_502": SERVER_ERROR,
    "message_502_applied": SERVER_ERROR,
    "status_503_wait_1": SERVER_ERROR_TOO_LONG,
    "status_503_wait_1_applied": SERVER_ERROR_TOO_LONG,
    "internal_error_in_200": SERVER_ERROR,
    "internal_error_in_200_applied": SERVER_ERROR,
    "something_is_wrong_in_200": SERVER_ERROR,
    "something_is_wrong_in_200_applied": SERVER_ERROR,
    "success_beside_500": UNREADABLE,
    "success_beside_408": UNREADABLE,
    "success_on_500": SERVER_ERROR,
    # redirects
    "redirect_301_here": REDIRECT,
    "redirect_301_elsewhere": REDIRECT,
    "redirect_302_here": REDIRECT,
    "redirect_302_elsewhere": REDIRECT,
    "redirect_303_here": REDIRECT,
    "redirect_303_elsewhere": REDIRECT,
    "redirect_307_here": REDIRECT,
    "redirect_307_elsewhere": REDIRECT,
    "redirect_308_here": REDIRECT,
    "redirect_308_elsewhere": REDIRECT,
    "redirect_307_applied": REDIRECT,
    # successes that cannot be read
    "status_204": UNREADABLE,
    "status_204_applied": UNREADABLE,
    "empty_200": UNREADABLE,
    "empty_200_applied": UNREADABLE,
    "html_200": UNREADABLE,
    "html_200_applied": UNREADABLE,
    "not_an_envelope": UNREADABLE,
    "list_instead_of_envelope": UNREADABLE,
    "truncated_json": UNREADABLE,
    "success_data_null": ACCOUNT_UNREADABLE,
    "success_data_list": ACCOUNT_UNREADABLE,
    "success_data_text": ACCOUNT_UNREADABLE,
    "success_no_balance": ACCOUNT_UNREADABLE,
    # hostile answers
    "gzip_answer": UNREADABLE,
    "nested_gzip_bomb": UNREADABLE,
    "endless_body": UNREADABLE,
    "endless_chunks": UNREADABLE,
    "brackets_200k": UNREADABLE,
    "digits_10k": UNREADABLE,
    "balance_nan": UNREADABLE,
    "balance_huge": ACCOUNT_UNREADABLE,
    "latin_1": UNREADABLE,
    "duplicate_keys": UNREADABLE,
    # odd, and nothing is wrong
    "hints_103": RETURNED,
    "created_201": RETURNED,
    "chunked": RETURNED,
    "http_1_0": RETURNED,
    "slow_answer": RETURNED,
    "answered_then_fin": RETURNED,
    "answered_twice": RETURNED,
}
