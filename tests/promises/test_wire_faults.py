import asyncio

import pytest

from support.fault_server import FAULTS, FaultServer
from support.raw_client import say, transfer
from support.virtual_time import run_on_sockets
from support.wire_faults import Stage


@pytest.fixture(scope="module")
def heard():
    """Strike a transfer with every fault, all at once, and note what both sides saw.

    Time passes for the loop only: what is late on a busy machine is not taken for silence.
    """
    heard, _ = run_on_sockets(_hear_all())
    return heard


async def _hear_all():
    return dict(await asyncio.gather(*map(_hear, FAULTS)))


async def _hear(name):
    async with FaultServer.striking(name, times=1) as server:
        told = await say(server, transfer())
        if server.connections:
            await server.quiet()
        return name, (told, server)


def _twins(name, begins, contains):
    """Give the rows of an answer that comes with the transfer applied, and without."""
    return {
        name: (begins, contains, "silent", 0),
        f"{name}_applied": (begins, contains, "silent", 1),
    }


# name: how the answer begins, what it contains, how it ends, how often the transfer is applied
TABLE: dict[str, tuple[bytes, bytes, str, int]] = {
    "nobody_listens": (b"", b"", "refused", 0),
    "never_accepts": (b"", b"", "no answer", 0),
    "accept_fin": (b"", b"", "fin", 0),
    "accept_rst": (b"", b"", "rst", 0),
    "accept_stall": (b"", b"", "silent", 0),
    "tls_fin": (b"", b"", "cut", 0),
    "tls_rst": (b"", b"", "cut", 0),
    "tls_stall": (b"", b"", "no answer", 0),
    "tls_speaks_plain": (b"", b"", "not tls", 0),
    "tls_unknown_authority": (b"", b"", "certificate", 0),
    "tls_wrong_name": (b"", b"", "certificate", 0),
    "tls_expired": (b"", b"", "certificate", 0),
    "tls_client_certificate": (b"", b"", "fin", 0),
    "read_line_fin": (b"", b"", "fin", 0),
    "read_head_fin": (b"", b"", "fin", 0),
    "read_line_rst": (b"", b"", "rst", 0),
    "read_head_rst": (b"", b"", "rst", 0),
    "early_413": (b"HTTP/1.1 413", b'{"message": ', "fin", 0),
    "lost_fin": (b"", b"", "fin", 0),
    "lost_fin_applied": (b"", b"", "fin", 1),
    "lost_rst": (b"", b"", "rst", 0),
    "lost_rst_applied": (b"", b"", "rst", 1),
    **_twins("stall", b"", b""),
    "stall_applied_late": (b"", b"", "silent", 1),
    "status_line_only": (b"HTTP/1.1 200", b"", "fin", 1),
    "half_head": (b"HTTP/1.1 200", b"", "fin", 0),
    "half_head_applied": (b"HTTP/1.1 200", b"", "fin", 1),
    "half_body_fin": (b"HTTP/1.1 200", b"", "fin", 0),
    "half_body_fin_applied": (b"HTTP/1.1 200", b"", "fin", 1),
    "half_body_rst": (b"HTTP/1.1 200", b"", "rst", 0),
    "half_body_rst_applied": (b"HTTP/1.1 200", b"", "rst", 1),
    "half_body_of_503": (b"HTTP/1.1 503", b"503", "fin", 1),
    "half_chunked": (b"HTTP/1.1 200", b"Transfer-Encoding: chunked", "fin", 1),
    "chunk_size_bad": (b"HTTP/1.1 200", b"\r\nzz\r\n", "fin", 1),
    "garbage": (b"\x16\x03\x01\x02SSH-2.", b"", "fin", 1),
    "length_negative": (b"HTTP/1.1 200", b"Length: -5\r\n", "fin", 1),
    "length_bad": (b"HTTP/1.1 200", b"Length: 12a\r\n", "fin", 1),
    "length_conflicting": (b"HTTP/1.1 200", b"Length: 5\r\nContent-Length: 6\r\n", "fin", 1),
    "head_200k": (b"HTTP/1.1 200", b"X-Big: aaaa", "fin", 1),
    "switching_101": (b"HTTP/1.1 101", b"Upgrade: h2c", "silent", 1),
    "stall_in_head": (b"HTTP/1.1 200", b"", "silent", 1),
    "stall_in_body": (b"HTTP/1.1 200", b"", "silent", 1),
    "drip_head": (b"HTTP/1", b"", "going on", 1),
    "drip_body": (b"HTTP/1.1 200", b"", "going on", 1),
    "endless_102": (b"HTTP/1.1 102", b"", "going on", 0),
    "endless_102_applied": (b"HTTP/1.1 102", b"", "going on", 1),
    "status_400": (b"HTTP/1.1 400", b'"BAD_REQUEST"', "silent", 0),
    "status_401": (b"HTTP/1.1 401", b'"UNAUTHORIZED"', "silent", 0),
    "status_403": (b"HTTP/1.1 403", b'"FORBIDDEN"', "silent", 0),
    "status_404": (b"HTTP/1.1 404", b'"NOT_FOUND"', "silent", 0),
    "status_405": (b"HTTP/1.1 405", b'"METHOD_NOT_ALLOWED"', "silent", 0),
    "status_409": (b"HTTP/1.1 409", b'"CONFLICT"', "silent", 0),
    "status_422": (b"HTTP/1.1 422", b'"UNPROCESSABLE_ENTITY"', "silent", 0),
    "field_errors_400": (b"HTTP/1.1 400", b'"data": {"a": "b"}', "silent", 0),
    "status_429": (b"HTTP/1.1 429", b"HTTP_TOO_MANY_REQUESTS", "silent", 0),
    "status_429_wait_1": (b"HTTP/1.1 429", b"Retry-After: 1\r\n", "silent", 0),
    "status_429_wait_60": (b"HTTP/1.1 429", b"Retry-After: 60\r\n", "silent", 0),
    "html_429": (b"HTTP/1.1 429", b"<html>", "silent", 0),
    "message_429": (b"HTTP/1.1 429", b'{"message": ', "silent", 0),
    "already_exists_200": (b"HTTP/1.1 200", b'"response_code": "ALREADY_EXISTS"', "silent", 0),
    "already_exists_400": (b"HTTP/1.1 400", b'"response_code": "ALREADY_EXISTS"', "silent", 0),
    "already_exists_500": (b"HTTP/1.1 500", b'"response_code": "ALREADY_EXISTS"', "silent", 0),
    "insufficient_credit_200": (
        b"HTTP/1.1 200",
        b'"response_code": "INSUFFICIENT_CREDIT"',
        "silent",
        0,
    ),
    "insufficient_credit_400": (
        b"HTTP/1.1 400",
        b'"response_code": "INSUFFICIENT_CREDIT"',
        "silent",
        0,
    ),
    "insufficient_credit_500": (
        b"HTTP/1.1 500",
        b'"response_code": "INSUFFICIENT_CREDIT"',
        "silent",
        0,
    ),
    "bad_request_in_200": (
        b"HTTP/1.1 200",
        b'{"http_code": 400, "response_code": "BAD_REQUEST"',
        "silent",
        0,
    ),
    **_twins("message_400", b"HTTP/1.1 400", b'{"message": '),
    **_twins("message_403", b"HTTP/1.1 403", b'{"message": '),
    **_twins("message_404", b"HTTP/1.1 404", b'{"message": '),
    "html_403": (b"HTTP/1.1 403", b"<html>", "silent", 0),
    **_twins("status_408", b"HTTP/1.1 408", b'"REQUEST_TIMEOUT"'),
    **_twins("status_500", b"HTTP/1.1 500", b'"INTERNAL_SERVER_ERROR"'),
    **_twins("status_502", b"HTTP/1.1 502", b'"INTERNAL_SERVER_ERROR"'),
    **_twins("status_503", b"HTTP/1.1 503", b'"INTERNAL_SERVER_ERROR"'),
    **_twins("status_504", b"HTTP/1.1 504", b'"INTERNAL_SERVER_ERROR"'),
    **_twins("status_520", b"HTTP/1.1 520", b'"INTERNAL_SERVER_ERROR"'),
    **_twins("html_502", b"HTTP/1.1 502", b"<html>"),
    **_twins("html_503", b"HTTP/1.1 503", b"<html>"),
    **_twins("message_502", b"HTTP/1.1 502", b'{"message": '),
    **_twins("status_503_wait_1", b"HTTP/1.1 503", b"Retry-After: 1\r\n"),
    **_twins("internal_error_in_200", b"HTTP/1.1 200", b'"response_code": "INTERNAL_ERROR"'),
    **_twins(
        "something_is_wrong_in_200", b"HTTP/1.1 200", b'"response_code": "SOMETHING_IS_WRONG"'
    ),
    "success_beside_500": (
        b"HTTP/1.1 200",
        b'{"http_code": 500, "response_code": "SUCCESS"',
        "silent",
        1,
    ),
    "success_beside_408": (
        b"HTTP/1.1 200",
        b'{"http_code": 408, "response_code": "SUCCESS"',
        "silent",
        1,
    ),
    "success_on_500": (b"HTTP/1.1 500", b'"SUCCESS"', "silent", 1),
    **{
        f"redirect_{status}_{place}": (
            b"HTTP/1.1 %d" % status,
            b"Location: http://127.0.0.1:",
            "silent",
            0,
        )
        for status in (301, 302, 303, 307, 308)
        for place in ("here", "elsewhere")
    },
    "redirect_307_applied": (b"HTTP/1.1 307", b"Location: http", "silent", 1),
    "status_204": (b"HTTP/1.1 204 No Content\r\n\r\n", b"", "silent", 0),
    "status_204_applied": (b"HTTP/1.1 204", b"", "silent", 1),
    **_twins("empty_200", b"HTTP/1.1 200", b""),
    **_twins("html_200", b"HTTP/1.1 200", b"<html>"),
    "not_an_envelope": (b"HTTP/1.1 200", b'{"hello": ', "silent", 1),
    "list_instead_of_envelope": (b"HTTP/1.1 200", b"[1, 2]", "silent", 1),
    "truncated_json": (b"HTTP/1.1 200", b'"SUCCESS"', "silent", 1),
    "success_data_null": (
        b"HTTP/1.1 200",
        b'"SUCCESS", "response_msg": "Here are your data.", "data": null',
        "silent",
        1,
    ),
    "success_data_list": (b"HTTP/1.1 200", b'"data": []', "silent", 1),
    "success_data_text": (b"HTTP/1.1 200", b'"data": "{}"', "silent", 1),
    "success_no_balance": (b"HTTP/1.1 200", b'"banned": 0, "user_phone"', "silent", 1),
    "gzip_answer": (b"HTTP/1.1 200", b"Content-Encoding: gzip\r\n", "silent", 1),
    "nested_gzip_bomb": (b"HTTP/1.1 200", b"Content-Encoding: gzip, gzip\r\n", "silent", 1),
    "endless_body": (b"HTTP/1.1 200", b"\r\n\r\n    ", "going on", 1),
    "endless_chunks": (b"HTTP/1.1 200", b"\r\n10000\r\n ", "going on", 1),
    "brackets_200k": (b"HTTP/1.1 200", b"[[[[[[", "silent", 1),
    "digits_10k": (b"HTTP/1.1 200", b'"balance": 9999999999', "silent", 1),
    "balance_nan": (b"HTTP/1.1 200", b'"balance": NaN', "silent", 1),
    "balance_huge": (b"HTTP/1.1 200", b'"balance": "1E+300000"', "silent", 1),
    "latin_1": (b"HTTP/1.1 200", b'"Caf\xe9"', "silent", 1),
    "duplicate_keys": (
        b"HTTP/1.1 200",
        b'"response_code": "INSUFFICIENT_CREDIT", "response_code": "SUCCESS"',
        "silent",
        1,
    ),
    "hints_103": (b"HTTP/1.1 103", b"HTTP/1.1 200", "silent", 1),
    "created_201": (b"HTTP/1.1 201", b'"SUCCESS"', "silent", 1),
    "chunked": (b"HTTP/1.1 200", b"\r\n0\r\n\r\n", "silent", 1),
    "http_1_0": (b"HTTP/1.0 200", b'"SUCCESS"', "fin", 1),
    "slow_answer": (b"HTTP/1.1 200", b'"SUCCESS"', "silent", 1),
    "answered_then_fin": (b"HTTP/1.1 200", b'"SUCCESS"', "fin", 1),
    "answered_twice": (b"HTTP/1.1 200", b"}}HTTP/1.1 200", "silent", 1),
}


def test_the_table_has_every_fault():
    """A fault without a row here proves nothing."""
    assert list(TABLE) == list(FAULTS)


@pytest.mark.parametrize("name", TABLE)
def test_a_fault_does_on_the_wire_what_it_says(heard, name):
    """Beginning, content and end of the answer, and the truth about the transfer."""
    begins, contains, ending, applied = TABLE[name]
    told, server = heard[name]
    assert told.ending == ending
    assert told.data.startswith(begins)
    assert contains in told.data
    assert sum(server.applied.values()) == applied == FAULTS[name].applied
    assert len(server.arrived) == FAULTS[name].arrives


@pytest.mark.parametrize("name", TABLE)
def test_a_fault_is_one_try(heard, name):
    """Only where nobody accepts does the server know of no try."""
    _, server = heard[name]
    assert server.tries == (FAULTS[name].at is not Stage.LISTENER)


@pytest.mark.parametrize("name", ["half_body_fin", "half_body_rst", "stall_in_body"])
def test_half_a_body_is_less_than_its_length_says(heard, name):
    """The head is whole, the body is not."""
    head, _, body = heard[name + ("" if name.startswith("stall") else "_applied")][
        0
    ].data.partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2])
    assert 0 < len(body) < length
