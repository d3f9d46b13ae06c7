"""The meaning of an HTTP library's exceptions, by their names in whichever library is loaded."""

from __future__ import annotations

import re
import ssl
import sys
from collections.abc import Iterable

from clicksend_reseller._secret import MASK
from clicksend_reseller._wire import redaction

_LIBRARIES = ("httpx", "httpcore", "httpx2", "httpcore2")

# The peer hung up during the handshake, which may go well another time; or a handshake was
# waiting for bytes, which is no error, though it is in the chain of the exception that ended it.
_TRANSIENT = (
    ssl.SSLEOFError,
    ssl.SSLSyscallError,
    ssl.SSLWantReadError,
    ssl.SSLWantWriteError,
    ssl.SSLZeroReturnError,
)


# h11 shows the header, which may be one that the caller's own client sends.
_ILLEGAL_HEADER = re.compile(r"(illegal header (?:name|value) ).*", re.IGNORECASE | re.DOTALL)


def family(*names: str) -> tuple[type[Exception], ...]:
    """Find the error classes of these names in each HTTP library that is loaded.

    httpx2 has errors of its own, and is not loaded just to know them.
    """
    libraries = map(sys.modules.get, _LIBRARIES)
    found = (getattr(library, name, None) for library in libraries for name in names)
    return tuple(cls for cls in found if cls is not None)


def is_unsent(exc: Exception) -> bool:
    """Return True if the library says that nothing was sent; enough for reads, never for writes."""
    return is_permanent(exc) or isinstance(
        exc, family("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError")
    )


def is_late(exc: Exception) -> bool:
    """Return True if time ran out."""
    return isinstance(exc, (TimeoutError, *family("TimeoutException")))


def is_broken_answer(exc: Exception) -> bool:
    """Return True if it can come of an answer that breaks off."""
    kinds = ("TransportError", "NetworkError", "ProtocolError", "StreamError", "TimeoutException")
    return isinstance(exc, family(*kinds))


def is_permanent(exc: Exception) -> bool:
    """Return True if the same request would fail again before it could leave.

    By its scheme, an illegal header, the certificate or the TLS version.
    """
    if isinstance(exc, family("UnsupportedProtocol", "LocalProtocolError", "InvalidURL")):
        return True
    return any(
        isinstance(link, ssl.SSLError) and not isinstance(link, _TRANSIENT) for link in chain(exc)
    )


def chain(exc: BaseException | None) -> list[BaseException]:
    """Give an exception, what it came from, what that came from."""
    links: list[BaseException] = []
    while exc is not None and exc not in links:
        links.append(exc)
        exc = exc.__cause__ or exc.__context__
    return links


def redact_exception(exc: BaseException, secrets: Iterable[str]) -> None:
    """Mask secrets in a library's messages, and headers, which may hold the caller's own."""
    for link in chain(exc):
        link.args = tuple(
            _redacted(arg, secrets) if isinstance(arg, str) else arg for arg in link.args
        )


def _redacted(text: str, secrets: Iterable[str]) -> str:
    return _ILLEGAL_HEADER.sub(rf"\1{MASK}", redaction.hide(text, secrets))


def describe(exc: BaseException) -> str:
    """Give library, class and message on one line."""
    library = type(exc).__module__.partition(".")[0]
    title = type(exc).__name__ if library == "builtins" else f"{library}.{type(exc).__name__}"
    return f"{title}: {exc}".rstrip(". ") if str(exc) else title
