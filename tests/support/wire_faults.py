"""What can go wrong on the wire? Every named fault, as a short programme of the server's steps.

A fault is read aloud: "reads all, applies the write, closes". Its truth is in the
steps: a write is applied where APPLY stands, and arrives whole where READ_ALL stands.

Where a status matters both ways, the fault has a twin with "_applied" to its name.
"""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any

import attrs

from support.good_answers import answer, envelope


class Stage(Enum):
    """When a fault strikes."""

    LISTENER = auto()
    """Before anybody accepts."""
    CONNECTION = auto()
    """A new connection, before a byte of it is looked at."""
    HANDSHAKE = auto()
    """A new connection of a TLS server, in the handshake or by its certificate."""
    REQUEST = auto()
    """One request, from its first line on."""


class Do(Enum):
    """What the server does next."""

    READ_HEAD = auto()
    READ_ALL = auto()
    APPLY = auto()
    FIN = auto()
    RST = auto()
    STALL = auto()
    """Do nothing until the peer is gone."""


@attrs.frozen
class Scene:
    """What an answer may be built from."""

    good: bytes
    """The well-behaved answer to this request, whole."""
    here: str
    """The address of this request."""
    elsewhere: str
    """The same path on the server's other port."""


@attrs.frozen
class Send:
    """Write these bytes: all at once, or `chunk` bytes each `pause` seconds."""

    data: bytes | Callable[[Scene], bytes]
    chunk: int = 0
    pause: float = 0.0
    forever: bool = False

    def render(self, scene: Scene) -> bytes:
        return self.data if isinstance(self.data, bytes) else self.data(scene)


@attrs.frozen
class Wait:
    seconds: float


Step = Do | Send | Wait


@attrs.frozen
class WireFault:
    """One way for the wire to fail."""

    name: str
    at: Stage
    steps: tuple[Step, ...] = ()
    certificate: str | None = None
    """For HANDSHAKE: the context of `tls` that is served; None plays the steps on bare TCP."""

    @property
    def applied(self) -> bool:
        """Is a write applied, whatever the client is told?"""
        return Do.APPLY in self.steps

    @property
    def arrives(self) -> bool:
        """Does the server read the whole request?"""
        return Do.READ_ALL in self.steps


DRIP = 0.05
"""Seconds between two dripped bytes: shorter than any time limit, so no read ever times out."""

ARRIVE = 0.02
"""Seconds for bytes to be read by the peer before a RST takes them back."""

_HEAD_END = b"\r\n\r\n"


def _faults() -> Iterator[WireFault]:
    yield from _before_the_request()
    yield from _within_the_request()
    yield from _without_an_answer()
    yield from _broken_answers()
    yield from _slow_answers()
    yield from _refusals()
    yield from _server_errors()
    yield from _redirects()
    yield from _unreadable_successes()
    yield from _hostile_answers()
    yield from _oddities_that_are_fine()


def _before_the_request() -> Iterator[WireFault]:
    yield WireFault("nobody_listens", Stage.LISTENER)
    yield WireFault("never_accepts", Stage.LISTENER)
    yield WireFault("accept_fin", Stage.CONNECTION, (Do.FIN,))
    yield WireFault("accept_rst", Stage.CONNECTION, (Do.RST,))
    yield WireFault("accept_stall", Stage.CONNECTION, (Do.STALL,))
    yield WireFault("tls_fin", Stage.HANDSHAKE, (Do.FIN,))
    yield WireFault("tls_rst", Stage.HANDSHAKE, (Do.RST,))
    yield WireFault("tls_stall", Stage.HANDSHAKE, (Do.STALL,))
    plain = answer(400, b"<html>plain HTTP only</html>", content_type="text/html")
    yield WireFault("tls_speaks_plain", Stage.HANDSHAKE, (Send(plain), Do.FIN))
    for name in ("unknown_authority", "wrong_name", "expired", "client_certificate"):
        yield WireFault(f"tls_{name}", Stage.HANDSHAKE, certificate=f"{name}_context")


def _within_the_request() -> Iterator[WireFault]:
    for end in (Do.FIN, Do.RST):
        suffix = end.name.lower()
        yield WireFault(f"read_line_{suffix}", Stage.REQUEST, (end,))
        yield WireFault(f"read_head_{suffix}", Stage.REQUEST, (Do.READ_HEAD, end))
    early = answer(413, b'{"message": "too large"}')
    yield WireFault("early_413", Stage.REQUEST, (Do.READ_HEAD, Send(early), Do.FIN))


def _without_an_answer() -> Iterator[WireFault]:
    yield from _twins("lost_fin", Do.FIN)
    yield from _twins("lost_rst", Do.RST)
    yield from _twins("stall", Do.STALL)
    yield WireFault("stall_applied_late", Stage.REQUEST, (Do.READ_ALL, Do.STALL, Do.APPLY))


def _broken_answers() -> Iterator[WireFault]:
    yield _applied("status_line_only", Send(b"HTTP/1.1 200 OK\r\n"), Do.FIN)
    yield from _twins("half_head", Send(lambda scene: _head(scene)[:40]), Do.FIN)
    yield from _twins("half_body_fin", Send(_half), Do.FIN)
    yield from _twins("half_body_rst", Send(_half), Wait(ARRIVE), Do.RST)
    yield _applied("half_body_of_503", Send(_half_503), Do.FIN)
    yield _applied("half_chunked", Send(lambda scene: _chunked(scene)[:-40]), Do.FIN)
    yield _applied("chunk_size_bad", Send(lambda scene: _chunked(scene, size=b"zz")), Do.FIN)
    yield _applied("garbage", Send(b"\x16\x03\x01\x02SSH-2.0-not-http\r\n\r\n"), Do.FIN)
    yield _applied("length_negative", Send(_relabelled(b"-5")), Do.FIN)
    yield _applied("length_bad", Send(_relabelled(b"12a")), Do.FIN)
    yield _applied("length_conflicting", Send(_relabelled(b"5\r\nContent-Length: 6")), Do.FIN)
    yield _applied("head_200k", Send(_with_header(b"X-Big: " + b"a" * 200_000)), Do.FIN)
    upgrade = b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    yield _applied("switching_101", Send(upgrade), Do.STALL)


def _slow_answers() -> Iterator[WireFault]:
    yield _applied("stall_in_head", Send(lambda scene: _head(scene)[:40]), Do.STALL)
    yield _applied("stall_in_body", Send(_half), Do.STALL)
    yield _applied("drip_head", Send(_good, chunk=1, pause=DRIP))
    body = Send(_body, chunk=1, pause=DRIP)
    yield _applied("drip_body", Send(_head), body)
    processing = Send(b"HTTP/1.1 102 Processing\r\n\r\n", pause=DRIP, forever=True)
    yield from _twins("endless_102", processing)


def _refusals() -> Iterator[WireFault]:
    for status, code in _REFUSAL_CODES.items():
        yield _told(f"status_{status}", answer(status, envelope(status, code, "No.", None)))
    yield _told("field_errors_400", answer(400, envelope(400, "BAD_REQUEST", "No.", {"a": "b"})))
    yield from _rate_limits()
    for code in ("ALREADY_EXISTS", "INSUFFICIENT_CREDIT"):
        for status in (200, 400, 500):
            refusal = envelope(status, code, "No.", None)
            yield _told(f"{code.lower()}_{status}", answer(status, refusal))
    yield _told("bad_request_in_200", answer(200, envelope(400, "BAD_REQUEST", "No.", None)))
    for status in (400, 403, 404):
        yield from _told_twins(f"message_{status}", answer(status, b'{"message": "No."}'))
    yield _told("html_403", _html(403))
    timeout = answer(408, envelope(408, "REQUEST_TIMEOUT", "Too slow.", None))
    yield from _told_twins("status_408", timeout)


def _rate_limits() -> Iterator[WireFault]:
    slow_down = envelope(429, "HTTP_TOO_MANY_REQUESTS", "Too many attempts.", None)
    yield _told("status_429", answer(429, slow_down))
    for seconds in (1, 60):
        waits = (("Retry-After", str(seconds)), ("ratelimit-reset", str(seconds)))
        limits = (("x-ratelimit-limit", "20"), ("x-ratelimit-remaining", "0"))
        yield _told(f"status_429_wait_{seconds}", answer(429, slow_down, *waits, *limits))
    yield _told("html_429", _html(429))
    yield _told("message_429", answer(429, b'{"message": "API rate limit exceeded"}'))


def _server_errors() -> Iterator[WireFault]:
    for status in (500, 502, 503, 504, 520):
        body = envelope(status, "INTERNAL_SERVER_ERROR", "Something is broken", None)
        yield from _told_twins(f"status_{status}", answer(status, body))
    for status in (502, 503):
        yield from _told_twins(f"html_{status}", _html(status))
    yield from _told_twins("message_502", answer(502, b'{"message": "bad upstream"}'))
    down = envelope(503, "SERVICE_UNAVAILABLE", "Down.", None)
    yield from _told_twins("status_503_wait_1", answer(503, down, ("Retry-After", "1")))
    for code in ("INTERNAL_ERROR", "SOMETHING_IS_WRONG"):
        doubt = answer(200, envelope(200, code, "Something is wrong.", None))
        yield from _told_twins(f"{code.lower()}_in_200", doubt)
    yield _applied("success_beside_500", Send(_changed(http_code=500)))
    yield _applied("success_beside_408", Send(_changed(http_code=408)))
    yield _applied("success_on_500", Send(lambda scene: answer(500, _body(scene))))


def _redirects() -> Iterator[WireFault]:
    for status in (301, 302, 303, 307, 308):
        for place in ("here", "elsewhere"):
            yield _told(f"redirect_{status}_{place}", _redirect(status, place))
    yield _told("redirect_307_applied", _redirect(307, "here"), Do.APPLY)


def _unreadable_successes() -> Iterator[WireFault]:
    yield from _told_twins("status_204", b"HTTP/1.1 204 No Content\r\n\r\n")
    yield from _told_twins("empty_200", answer(200))
    yield from _told_twins("html_200", _html(200))
    yield _applied("not_an_envelope", Send(answer(200, b'{"hello": "world"}')))
    yield _applied("list_instead_of_envelope", Send(answer(200, b"[1, 2]")))
    yield _applied("truncated_json", Send(lambda scene: answer(200, _body(scene)[:-9])))
    yield _applied("success_data_null", Send(_changed(data=None)))
    yield _applied("success_data_list", Send(_changed(data=[])))
    yield _applied("success_data_text", Send(_changed(data="{}")))
    yield _applied("success_no_balance", Send(_with_data(lambda data: data.pop("balance"))))


def _hostile_answers() -> Iterator[WireFault]:
    gzipped = ("Content-Encoding", "gzip")
    squeezed = Send(lambda scene: answer(200, gzip.compress(_body(scene)), gzipped))
    yield _applied("gzip_answer", squeezed)
    bomb = ("Content-Encoding", "gzip, gzip")
    yield _applied("nested_gzip_bomb", Send(answer(200, _nested_bomb(), bomb)))
    endless = Send(b" " * 65_536, forever=True)
    yield _applied("endless_body", Send(b"HTTP/1.1 200 OK\r\n\r\n"), endless)
    chunks = Send(b"10000\r\n" + b" " * 65_536 + b"\r\n", forever=True)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    yield _applied("endless_chunks", Send(head), chunks)
    yield _applied("brackets_200k", Send(answer(200, b"[" * 200_000)))
    yield _applied("digits_10k", Send(_replaced(b'"170.728701"', b"9" * 10_000)))
    yield _applied("balance_nan", Send(_replaced(b'"170.728701"', b"NaN")))
    yield _applied("balance_huge", Send(_replaced(b'"170.728701"', b'"1E+300000"')))
    yield _applied("latin_1", Send(_replaced(b'"Acme"', b'"Caf\xe9"')))
    twice = b'"response_code": "INSUFFICIENT_CREDIT", "response_code"'
    yield _applied("duplicate_keys", Send(_replaced(b'"response_code"', twice)))


def _oddities_that_are_fine() -> Iterator[WireFault]:
    yield _applied("hints_103", Send(b"HTTP/1.1 103 Early Hints\r\n\r\n"), Send(_good))
    yield _applied("created_201", Send(lambda scene: answer(201, _body(scene))))
    yield _applied("chunked", Send(_chunked))
    unsized = Send(lambda scene: b"HTTP/1.0 200 OK\r\n\r\n" + _body(scene))
    yield _applied("http_1_0", unsized, Do.FIN)
    yield _applied("slow_answer", Wait(0.05), Send(_good))
    yield _applied("answered_then_fin", Send(_good), Do.FIN)
    yield _applied("answered_twice", Send(lambda scene: scene.good * 2))


# Answers for faults


def _applied(name: str, *steps: Step) -> WireFault:
    return WireFault(name, Stage.REQUEST, (Do.READ_ALL, Do.APPLY, *steps))


def _twins(name: str, *steps: Step) -> Iterator[WireFault]:
    yield WireFault(name, Stage.REQUEST, (Do.READ_ALL, *steps))
    yield _applied(f"{name}_applied", *steps)


def _told(name: str, words: bytes | Callable[[Scene], bytes], *before: Step) -> WireFault:
    return WireFault(name, Stage.REQUEST, (Do.READ_ALL, *before, Send(words)))


def _told_twins(name: str, words: bytes) -> Iterator[WireFault]:
    yield from _twins(name, Send(words))


def _good(scene: Scene) -> bytes:
    return scene.good


def _head(scene: Scene) -> bytes:
    return scene.good.partition(_HEAD_END)[0] + _HEAD_END


def _body(scene: Scene) -> bytes:
    return scene.good.partition(_HEAD_END)[2]


def _half(scene: Scene) -> bytes:
    return scene.good[: -len(_body(scene)) // 2]


def _half_503(scene: Scene) -> bytes:
    return answer(503, _body(scene))[:-20]


def _html(status: int) -> bytes:
    return answer(status, b"<html><body>edge</body></html>", content_type="text/html")


def _redirect(status: int, place: str) -> Callable[[Scene], bytes]:
    return lambda scene: answer(status, b"", ("Location", getattr(scene, place)))


def _chunked(scene: Scene, size: bytes | None = None) -> bytes:
    body = _body(scene)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    first = size or b"%x" % len(body)
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + first + b"\r\n" + body + b"\r\n0\r\n\r\n"


def _with_header(line: bytes) -> Callable[[Scene], bytes]:
    return lambda scene: scene.good.replace(b"\r\n", b"\r\n" + line + b"\r\n", 1)


def _relabelled(length: bytes) -> Callable[[Scene], bytes]:
    """The good answer with another Content-Length."""

    def render(scene: Scene) -> bytes:
        true = b"Content-Length: %d" % len(_body(scene))
        return scene.good.replace(true, b"Content-Length: " + length)

    return render


def _replaced(old: bytes, new: bytes) -> Callable[[Scene], bytes]:
    """The good answer with other bytes in its body, and the length to match."""
    return lambda scene: answer(200, _body(scene).replace(old, new))


def _changed(**keys: object) -> Callable[[Scene], bytes]:
    """The good answer with other values in its envelope."""
    return lambda scene: answer(200, json.dumps(json.loads(_body(scene)) | keys).encode())


def _with_data(change: Callable[[dict[str, Any]], object]) -> Callable[[Scene], bytes]:
    """The good answer with its account (or each of its rows) changed."""

    def render(scene: Scene) -> bytes:
        full = json.loads(_body(scene))
        for row in full["data"].get("data", [full["data"]]):
            change(row)
        return answer(200, json.dumps(full).encode())

    return render


def _nested_bomb() -> bytes:
    """48 MB of blanks, squeezed twice: under 1 kB on the wire.

    Squeezed while this file loads, so that no loop has to wait for it; the run-length
    strategy is three times as fast as gzip.compress.
    """
    squeeze = zlib.compressobj(wbits=_GZIP, strategy=zlib.Z_RLE)
    pieces = [squeeze.compress(b" " * 1_000_000) for _ in range(48)]
    return gzip.compress(b"".join([*pieces, squeeze.flush()]))


_GZIP = 31
"""What zlib calls the gzip format with the largest window."""

_REFUSAL_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    422: "UNPROCESSABLE_ENTITY",
}

FAULTS: dict[str, WireFault] = {fault.name: fault for fault in _faults()}
