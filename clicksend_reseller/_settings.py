"""Validation of the client's settings; each error says what to do."""

from __future__ import annotations

import inspect
import os
import re
import ssl
import sys
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from ipaddress import IPv6Address
from urllib.parse import SplitResult, urlsplit

import attrs

from clicksend_reseller._calls.journaling import TransferJournal
from clicksend_reseller._calls.retry import RetryPolicy
from clicksend_reseller._secret import Secret, to_secret
from clicksend_reseller._wire.limits import (
    LOOPBACK_HOSTS,
    MAX_JOURNALED_TIMEOUT,
    RESOLVABLE_AFTER,
    whole_number,
)
from clicksend_reseller.errors import ConfigurationError

DEFAULT_BASE_URL = "https://rest.clicksend.com/v3"

_PRINTABLE = re.compile(r"[ -~]+", re.ASCII)
_URL = re.compile(r"[!-~]+", re.ASCII)
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
# What can be shown of a URL. A colon that begins no port may be the one before a password.
_HARMLESS = re.compile(
    r"(?:[a-z]+://)?(?:\[[0-9a-f:.]*\]?|[^\[:@]*)(?::[0-9]{0,5})?(?:/(?!/)[^:@]*)?", re.IGNORECASE
)
_DEFAULT_PORTS = {"https": 443, "http": 80}


_KINDS: Mapping[str, tuple[type, str]] = {
    "journal": (TransferJournal, "a TransferJournal, which has intend, claim and settle"),
    "limiter": (AbstractAsyncContextManager, "an async context manager"),
    "proxy": (str, "a str"),
    "retry": (RetryPolicy, "a RetryPolicy"),
    "ssl_context": (ssl.SSLContext, "an ssl.SSLContext"),
}


@attrs.frozen(kw_only=True)
class Credentials:
    """A user name and the API key that belongs to it."""

    username: str
    api_key: Secret


def credentials(username: str | None, api_key: str | Secret | None) -> Credentials:
    """Take the credentials from the arguments, else from the environment.

    Raises:
        ConfigurationError: one is missing, or could not be sent as it is.
    """
    name = _argument_or_variable("username", username, "CLICKSEND_USERNAME")
    if ":" in name:
        # What follows it may be the API key, so it is not shown.
        raise ConfigurationError("username has a colon, which HTTP Basic cannot send")
    try:
        given = None if api_key is None else to_secret(api_key).get_secret_value()
        secret = to_secret(_argument_or_variable("api_key", given, "CLICKSEND_API_KEY"))
    except ConfigurationError:
        raise
    except ValueError as exc:
        raise ConfigurationError(f"api_key: {exc}") from None
    return Credentials(username=name, api_key=secret)


def base_url(value: str | None) -> str:
    """Take the base URL from the argument, else from the environment, else the live one.

    Returns:
        Its normalized form: a journal's keys hold for one base URL, however it was written.

    Raises:
        ConfigurationError: not https (http for loopback hosts only), or more than scheme, host,
            port and path.
    """
    url = value if value is not None else os.environ.get("CLICKSEND_BASE_URL") or DEFAULT_BASE_URL
    if not isinstance(url, str):
        raise TypeError(f"base_url must be a str, not {type(url).__name__}")
    if fault := _fault_of(url):
        raise ConfigurationError(f"{_printable_url(url)} {fault}")
    return _normalized(urlsplit(url))


def seconds(name: str, value: float) -> float:
    """Check a time.

    Raises:
        ConfigurationError: it is not a positive number of seconds.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds, not {value!r}")
    if not 0 < value <= sys.float_info.max:
        raise ConfigurationError(f"{name} must be more than 0 seconds, not {value!r}")
    return float(value)


def call_deadline(value: float | None) -> float | None:
    """Check the deadline of one call; None is the client's.

    Raises:
        ValueError: it is not a positive number of seconds.
    """
    try:
        return None if value is None else seconds("deadline", value)
    except ConfigurationError as exc:  # the client is set up well
        raise ValueError(exc.message) from None


def count(name: str, value: int) -> int:
    """Check a number of things.

    Raises:
        ConfigurationError: it is less than 1.
    """
    number = whole_number(name, value)
    if number < 1:
        raise ConfigurationError(f"{name} must be 1 or more, not {value!r}")
    return number


def check_kinds(**options: object) -> None:
    """Check what the options are; None is an option that was not given, but for `retry`.

    Raises:
        TypeError: one is of another kind.
    """
    for name, value in options.items():
        kind, wanted = _KINDS[name]
        if not isinstance(value, kind) and (value is not None or name == "retry"):
            raise TypeError(f"{name} must be {wanted}, not {type(value).__name__}")


def check_observer(observer: object) -> None:
    """Check what is called at each step.

    Raises:
        TypeError: it cannot be called, or returns a coroutine, which would never be awaited.
    """
    if observer is None:
        return
    if not callable(observer):
        raise TypeError(f"observer must be a function, not {type(observer).__name__}")
    if any(map(inspect.iscoroutinefunction, (observer, type(observer).__call__))):
        raise TypeError("observer must be a plain function: an async one would never be awaited")


def check_journaled(timeout: float) -> None:
    """Check the time of one attempt beside a journal.

    Raises:
        ConfigurationError: a person could judge a row whose attempt is still alive.
    """
    if timeout > MAX_JOURNALED_TIMEOUT:
        raise ConfigurationError(
            f"with a journal timeout must be at most {MAX_JOURNALED_TIMEOUT:g} s, "
            f"not {timeout:g}: its rows may be judged by a person after {RESOLVABLE_AFTER:g} s"
        )


def check_exclusive(**options: object) -> None:
    """Refuse ways to reach the API that would be ignored beside each other.

    Raises:
        ConfigurationError: a transport or client was given beside another option of its kind.
    """
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1 and not {"proxy", "ssl_context"}.issuperset(given):
        raise ConfigurationError(f"{' and '.join(given)} cannot be given together")


def _argument_or_variable(name: str, value: str | None, variable: str) -> str:
    found = os.environ.get(variable) if value is None else value
    if not isinstance(found, str | None):
        raise TypeError(f"{name} must be a str, not {type(found).__name__}")
    if not found:
        raise ConfigurationError(f"no {name}: pass {name}= or set {variable}")
    if not _PRINTABLE.fullmatch(found):
        raise ConfigurationError(f"{name} has characters that are not printable ASCII")
    return found


def _printable_url(url: str) -> str:
    """Name the setting, with its value where that holds no secret and without its query."""
    start, *cut_off = re.split(r"(?=[?#])", url, maxsplit=1)
    if not _HARMLESS.fullmatch(start):
        return "base_url"
    return f"base_url {start + ('…' if cut_off else '')!r}"


def _normalized(parts: SplitResult) -> str:
    host = _host(parts)
    port = "" if parts.port in {None, _DEFAULT_PORTS[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}{parts.path.rstrip('/')}"


def _fault_of(url: str) -> str:
    if not url:
        return "is empty"
    if not _URL.fullmatch(url) or "\\" in url:
        return "has spaces, backslashes or characters that are not ASCII"
    try:
        parts = urlsplit(url)
    except ValueError:  # its text shows what may be a secret
        return "is no URL"
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        return "has a user name or password in it: pass username= and api_key="
    if "?" in url or "#" in url:
        return "has a query or fragment"
    return _fault_of_port(parts) or _fault_of_host(parts)


def _fault_of_port(parts: SplitResult) -> str:
    try:
        return "has port 0" if parts.port == 0 else ""
    except ValueError:  # the same
        return "has a port that is no number up to 65535"


def _fault_of_host(parts: SplitResult) -> str:
    host = _host(parts)
    if parts.scheme not in {"https", "http"}:
        return "must begin with https://"
    if ":" not in host and not _HOST.fullmatch(host):
        return "has no host that can be used"
    if parts.scheme == "http" and host not in LOOPBACK_HOSTS:
        return "must begin with https://, because credentials and money travel there"
    if not {".", ".."}.isdisjoint(parts.path.split("/")):
        return "has . or .. in its path"
    return ""


def _host(parts: SplitResult) -> str:
    """Give the normalized host, or nothing where it is none."""
    host = parts.hostname or ""
    if "[" not in parts.netloc:
        return host
    try:
        address = IPv6Address(host)
    except ValueError:
        return ""
    # One interface's address is no base URL, and Python 3.13 spells a mapped one otherwise.
    return "" if address.scope_id or address.ipv4_mapped else str(address)
