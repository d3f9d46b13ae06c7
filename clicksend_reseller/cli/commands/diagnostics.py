"""The checks of the doctor: settings, the way to the API, the account, the journal."""

from __future__ import annotations

import os
import platform
import stat
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Literal
from urllib.parse import urlsplit

import attrs

from clicksend_reseller import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    ResellerError,
    __version__,
)
from clicksend_reseller.cli.commands.probe import Wire, look_at
from clicksend_reseller.cli.exit_status import CommandError
from clicksend_reseller.cli.output.records import money
from clicksend_reseller.cli.session.session import Session
from clicksend_reseller.cli.session.target import Target

_PARTS = ("httpx", "attrs", "cattrs", "tenacity", "sqlalchemy", "cyclopts", "rich")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_CLOCK_OFF = 60.0  # seconds; the headers of a rate limit count in them
_REMEDIES = {
    "dns": "check the host name and this machine's resolver",
    "tcp": "check the port, the firewall, and whether a proxy is the only way out",
    "tls": "check this machine's clock and its ca-certificates; something on the way may be "
    "reading along",
}


@attrs.frozen(kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        remedy: what to do; empty where nothing is to be done.
        is_about_credentials: a failure is one of the user name, the key or the account.
    """

    check: str
    result: Literal["ok", "warning", "fail"]
    found: str
    remedy: str = ""
    is_about_credentials: bool = False


def _ok(check: str, found: str) -> Finding:
    return Finding(check=check, result="ok", found=found)


def _warning(check: str, found: str, remedy: str) -> Finding:
    return Finding(check=check, result="warning", found=found, remedy=remedy)


def _fail(check: str, found: str, remedy: str, *, credentials: bool = False) -> Finding:
    return Finding(
        check=check, result="fail", found=found, remedy=remedy, is_about_credentials=credentials
    )


async def all_checks(session: Session) -> list[Finding]:
    """Make all checks, one after the other; a failure does not keep the later ones back."""
    findings = [_versions(), *_settings(session), _proxies()]
    way = await _way(session)
    findings += way
    is_cut_off = any(each.check in {"dns", "tcp"} and each.result == "fail" for each in way)
    if not is_cut_off and session.place.refusal is None:
        for check in (_account, _list, _rate):
            findings.append(await check(session))
    return [*findings, *await _journal(session)]


# --- settings


def _versions() -> Finding:
    parts = [f"clicksend-reseller {__version__}", f"Python {platform.python_version()}"]
    return _ok("versions", ", ".join([*parts, *(_version_of(name) for name in _PARTS)]))


def _version_of(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} is missing"


def _settings(session: Session) -> list[Finding]:
    place = session.place
    if place.missing:
        found = f"{' and '.join(place.missing)} not set"
        remedy = "set them; the API key is in the ClickSend dashboard"
        return [_api(place), _fail("credentials", found, remedy, credentials=True)]
    found = f"user name {place.username}, a key, from {place.sources['credentials']}"
    return [_api(place), _ok("credentials", found)]


def _api(place: Target) -> Finding:
    found = f"{place.host}: {place.base_url}, from {place.sources['base_url']}"
    if place.refusal is not None:
        return _fail("api", f"{found}; {place.doubt}", "start the sandbox, or leave out --sandbox")
    if place.doubt:
        remedy = "nothing, if this is a way to the live account; else start the sandbox"
        return _warning("api", f"{found}; {place.doubt}", remedy)
    return _ok("api", found)


def _proxies() -> Finding:
    names = [name for name in _PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
    if not names:
        return _ok("proxies", "none in the environment")
    return _warning(
        "proxies",
        f"{', '.join(names)} set, and ignored",
        "the client reads no proxy from the environment; in Python pass proxy=",
    )


# --- the way to the API


async def _way(session: Session) -> list[Finding]:
    if session.place.in_process:
        return [_ok("network", "not used: the sandbox is in this process")]
    return _read(await look_at(session.place.base_url), session.place.base_url)


def _read(wire: Wire, base_url: str) -> list[Finding]:
    parts = urlsplit(base_url)
    secure = "trusted" if parts.scheme == "https" else "not used on loopback"
    good = {"dns": f"{parts.hostname} is known", "tcp": "connected", "tls": secure}
    findings: list[Finding] = []
    for check, found in good.items():
        if check == wire.step:
            return [*findings, _fail(check, f"{parts.netloc}: {wire.fault}", _REMEDIES[check])]
        findings.append(_ok(check, found))
    return findings if wire.clock_off is None else [*findings, _clock(wire.clock_off)]


def _clock(off: float) -> Finding:
    found = f"{abs(off):.0f} s {'behind' if off > 0 else 'ahead'}"
    if abs(off) > _CLOCK_OFF:
        return _warning("clock", found, "let this machine's clock be set (NTP)")
    return _ok("clock", found)


# --- the account


async def _account(session: Session) -> Finding:
    async def read() -> str:
        account = await session.client.get_own_account()
        return f"{account.username}, credit {money(account.balance)} {account.currency_code or ''}"

    return await _asked("account", read)


async def _list(session: Session) -> Finding:
    async def read() -> str:
        page = await session.client.list_accounts(limit=15)
        return f"{len(page)} of {page.total} client accounts on the first page"

    return await _asked("clients", read)


async def _asked(check: str, read: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return _ok(check, await read())
    except CommandError as end:
        return _fail(check, end.message, "set the credentials first", credentials=True)
    except AuthenticationError as error:
        remedy = "check CLICKSEND_USERNAME and CLICKSEND_API_KEY: one does not fit the other"
        return _fail(check, error.message, remedy, credentials=True)
    except (PermissionDeniedError, NotFoundError) as error:
        remedy = (
            "this account is no reseller: the API serves those approved before 1 January 2024; "
            "--sandbox works without"
        )
        return _fail(check, error.message, remedy, credentials=True)
    except ResellerError as error:
        return _fail(check, str(error), "see the checks above, then try again")


async def _rate(session: Session) -> Finding:
    limit = None if session.place.missing else session.client.rate_limit
    if limit is None:
        return _ok("rate limit", "the answers name none")
    found = f"{limit.remaining} of {limit.limit} requests left, reset in {limit.resets_in or 0:g} s"
    if limit.remaining == 0:
        return _warning("rate limit", found, "--limit-per-minute keeps below it")
    return _ok("rate limit", found)


# --- the journal


async def _journal(session: Session) -> list[Finding]:
    place = session.place
    file = place.journal_file
    shown = f"{place.journal_shown}, from {place.sources['journal']}"
    if file is not None and not file.exists():
        return [_ok("journal", f"{shown}, made at the first transfer")]
    findings = [_ok("journal", shown)]
    if file is not None:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            remedy = f"chmod 600 {file}"
            findings.append(_warning("journal mode", f"{mode:04o}: others can read it", remedy))
        else:
            findings.append(_ok("journal mode", f"{mode:04o}"))
    if not place.in_process:
        findings.append(await _unresolved(session))
    return findings


async def _unresolved(session: Session) -> Finding:
    try:
        count = 0
        async for _ in session.readable.unresolved(older_than=0.0):
            count += 1
    except (CommandError, ResellerError) as exc:
        return _fail("unresolved", str(exc), "name another journal, or repair this one")
    if count:
        remedy = "journal list --unresolved, then journal reconcile"
        return _warning("unresolved", f"{count} transfers have no known outcome", remedy)
    return _ok("unresolved", "none")
