import inspect
import ssl
import sys

import httpcore
import httpx
import httpx2
import pytest

from clicksend_reseller._http import exceptions

LIBRARIES = (httpx, httpx2)


def caused_by(error, *causes):
    """Chain exceptions as `raise … from …` does."""
    for effect, cause in zip((error, *causes), causes, strict=False):
        effect.__cause__ = cause
    return error


def in_the_wake_of(error, context):
    """Chain exceptions as one raised while another was handled."""
    error.__context__ = context
    return error


VERIFY = ssl.SSLCertVerificationError(1, "certificate verify failed")
VERSION = ssl.SSLError(1, "tlsv1 alert protocol version")

# The name of the class: unsent, late, a broken answer, permanent.
WORDS = {
    "ConnectError": (True, False, True, False),
    "ConnectTimeout": (True, True, True, False),
    "PoolTimeout": (True, True, True, False),
    "ProxyError": (True, False, True, False),
    "UnsupportedProtocol": (True, False, True, True),
    "LocalProtocolError": (True, False, True, True),
    "ReadTimeout": (False, True, True, False),
    "WriteTimeout": (False, True, True, False),
    "ReadError": (False, False, True, False),
    "WriteError": (False, False, True, False),
    "CloseError": (False, False, True, False),
    "RemoteProtocolError": (False, False, True, False),
    "DecodingError": (False, False, False, False),
    "TooManyRedirects": (False, False, False, False),
}
KINDS = (
    exceptions.is_unsent,
    exceptions.is_late,
    exceptions.is_broken_answer,
    exceptions.is_permanent,
)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
@pytest.mark.parametrize(("name", "kinds"), WORDS.items())
def test_both_libraries_are_read_alike(library, name, kinds):
    """Their errors are two families with the same names."""
    error = getattr(library, name)("the fact")
    assert kinds == tuple(is_kind(error) for is_kind in KINDS)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
def test_every_error_of_a_library_is_read(library):
    """None of them is an exception in itself, and none is unsent but those that the table has."""
    found = {
        name
        for name, cls in vars(library).items()
        if isinstance(cls, type)
        and issubclass(cls, library.TransportError)
        and exceptions.is_unsent(cls("the fact"))
    }
    assert {name for name, kinds in WORDS.items() if kinds[0]} == found


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
def test_every_error_that_a_library_exports_is_named_on_purpose(library):
    """A release that brings a new error fails here, until somebody has said what it means."""
    errors = {
        name
        for name in library.__all__
        if inspect.isclass(getattr(library, name)) and issubclass(getattr(library, name), Exception)
    }
    errors.discard("SSEError")  # httpx2 has it for event streams, and only in later releases
    umbrellas = {"HTTPError", "NetworkError", "ProtocolError", "RequestError", "StreamError"}
    umbrellas |= {"TimeoutException", "TransportError"}
    # Of their use in ways that this package does not use them, and one that _faults knows by name.
    elsewhere = {"CookieConflict", "HTTPStatusError", "InvalidURL", "RequestNotRead"}
    elsewhere |= {"ResponseNotRead", "StreamClosed", "StreamConsumed"}
    assert errors == set(WORDS) | umbrellas | elsewhere
    assert exceptions.is_permanent(library.InvalidURL("x"))


@pytest.mark.parametrize(
    ("error", "kinds"),
    [
        (httpx.InvalidURL("the fact"), (True, False, False, True)),
        (httpcore.ConnectError("the fact"), (True, False, True, False)),
        (httpcore.ReadTimeout("the fact"), (False, True, True, False)),
        (httpcore.RemoteProtocolError("the fact"), (False, False, True, False)),
        (httpx.StreamConsumed(), (False, False, True, False)),
        (TimeoutError(), (False, True, False, False)),
        (RuntimeError("the loop is closed"), (False, False, False, False)),
        (OSError("the fact"), (False, False, False, False)),
        (VERIFY, (True, False, False, True)),
        (caused_by(httpx.ConnectError("x"), VERIFY), (True, False, True, True)),
        (caused_by(httpx.ConnectError("x"), VERSION), (True, False, True, True)),
        (
            caused_by(httpx.ConnectError("x"), httpcore.ConnectError("y"), VERIFY),
            (True, False, True, True),
        ),
        (in_the_wake_of(httpx.ConnectError("x"), VERIFY), (True, False, True, True)),
        (caused_by(httpx.ConnectError("x"), ssl.SSLEOFError()), (True, False, True, False)),
        (caused_by(httpx.ConnectError("x"), ssl.SSLZeroReturnError()), (True, False, True, False)),
        (caused_by(httpx.ConnectError("x"), ssl.SSLSyscallError()), (True, False, True, False)),
        (caused_by(httpx.ConnectError("x"), ssl.SSLWantReadError()), (True, False, True, False)),
        (caused_by(httpx.ConnectError("x"), ssl.SSLWantWriteError()), (True, False, True, False)),
        (caused_by(httpx.ReadError("x"), OSError("reset")), (False, False, True, False)),
    ],
    ids=repr,
)
def test_other_errors_are_read_by_what_is_behind_them(error, kinds):
    """A certificate that is wrong stays wrong; a handshake that was cut may go well."""
    assert kinds == tuple(is_kind(error) for is_kind in KINDS)


def test_no_library_is_loaded_to_know_its_errors(monkeypatch):
    """Where a library is not loaded, none of its errors can have been raised."""
    for name in ("httpx2", "httpcore2", "httpcore"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert (httpx.ConnectError, httpx.PoolTimeout) == exceptions.family(
        "ConnectError", "PoolTimeout"
    )
    assert () == exceptions.family("NoSuchError")
    assert "httpx2" not in sys.modules


def test_chain_follows_causes_and_contexts():
    """The cause counts before the context, as in a traceback."""
    first, second, third = ValueError("1"), KeyError("2"), OSError("3")
    first.__cause__, second.__context__ = second, third
    first.__context__ = third
    assert [first, second, third] == exceptions.chain(first)
    assert [] == exceptions.chain(None)


def test_chain_that_bites_its_tail_ends():
    """Two exceptions that name each other must not hang the call."""
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert [first, second] == exceptions.chain(first)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (httpx.ConnectError("no route"), f"{httpx.__name__}.ConnectError: no route"),
        (httpx2.ReadTimeout(""), "httpx2.ReadTimeout"),
        (httpcore.ReadError("cut"), f"{httpcore.__name__}.ReadError: cut"),
        (RuntimeError("closed"), "RuntimeError: closed"),
        (TimeoutError(), "TimeoutError"),
        (httpx.ReadError("It was cut."), f"{httpx.__name__}.ReadError: It was cut"),
        (VERIFY, f"ssl.SSLCertVerificationError: {VERIFY}"),
    ],
)
def test_an_error_in_a_line(error, line):
    """A cause does not survive a pickle, so its line stands in the message."""
    assert line == exceptions.describe(error)


def test_hushed_errors_show_no_secret_of_the_call():
    """An illegal header's error shows the header; what is no text stays as it is."""
    secret = "canary-7f3a9c"
    error = httpx.LocalProtocolError(f"illegal header value Basic {secret}")
    error.__cause__ = ValueError(f"no {secret}", 7)
    exceptions.redact_exception(error, (secret,))
    assert ("illegal header value **********",) == error.args
    assert ("no **********", 7) == error.__cause__.args
