"""The place of a command: which API, as whom, and in which journal."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from clicksend_reseller import ConfigurationError, Secret, _settings
from clicksend_reseller._wire.limits import LOOPBACK_HOSTS
from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.options import IN_PROCESS, GlobalOptions
from clicksend_reseller.cli.session.journal_file import Kept, home_folder, in_file, kept_at
from clicksend_reseller.cli.session.sandbox_check import Identity, identity_of

SANDBOX_URL = "http://localhost:8730/v3"


@attrs.frozen(kw_only=True)
class Target:
    """One API and one journal.

    Attributes:
        base_url: in the client's spelling.
        is_sandbox: no real money moves there: it is in this process, or it has proved it.
        doubt: why a server on this machine is not taken for a sandbox; empty elsewhere.
        refusal: the status with which nothing is sent there, since a sandbox was asked for.
        in_process: the API is a world in this process.
        username: None where it is not set.
        api_key: None where it is not set.
        journal: None for a temporary one.
        is_new_journal: it was not there when the command began.
        sources: where each setting comes from, by name.
    """

    base_url: str
    is_sandbox: bool
    in_process: bool
    username: str | None
    api_key: Secret | None
    journal: Kept | None
    is_new_journal: bool
    sources: dict[str, str]
    doubt: str = ""
    refusal: Status | None = None

    @property
    def host(self) -> str:
        """The word that stands in every question about money, and the host."""
        if self.in_process:
            return "sandbox (in this process, gone at the end)"
        return f"{'sandbox' if self.is_sandbox else 'LIVE'} {urlsplit(self.base_url).netloc}"

    @property
    def missing(self) -> list[str]:
        """The variables of the credentials that are not set."""
        given = {"CLICKSEND_USERNAME": self.username, "CLICKSEND_API_KEY": self.api_key}
        return [name for name, value in given.items() if value is None]

    @property
    def journal_file(self) -> Path | None:
        """The file that the journal is kept in, where it is one."""
        return self.journal.file if self.journal is not None else None

    @property
    def journal_shown(self) -> str:
        """The journal without a password; one that is new may be a mistyped one."""
        shown = self.journal.shown if self.journal is not None else "temporary"
        return f"{shown} (new)" if self.is_new_journal else shown


def find_target(options: GlobalOptions) -> Target:
    """Find out where to work, from the options and the environment.

    Raises:
        CommandError: an option makes no sense.
    """
    if options.sandbox == IN_PROCESS:
        return _rehearsal(options)
    base_url, source = _base_url(options.sandbox)
    given = _credentials(options.sandbox, base_url)
    identity = identity_of(base_url, given[0], given[1])
    is_sandbox = identity is Identity.SANDBOX
    is_meant_so = options.sandbox is not None
    journal, journal_source = _journal(options, base_url, is_sandbox=is_sandbox or is_meant_so)
    file = journal.file
    return Target(
        base_url=base_url,
        is_sandbox=is_sandbox,
        in_process=False,
        username=given[0],
        api_key=Secret(given[1]) if given[1] else None,
        journal=journal,
        is_new_journal=file is not None and not file.exists(),
        sources={"base_url": source, "credentials": given[2], "journal": journal_source},
        doubt=_doubt(base_url, identity),
        refusal=_refusal(identity) if is_meant_so else None,
    )


def journal_folder() -> Path:
    """Give the folder of the journals that nobody named."""
    state = os.environ.get("XDG_STATE_HOME") or ""
    # The specification of these folders says that a relative path is to be ignored.
    home = Path(state) if Path(state).is_absolute() else home_folder() / ".local" / "state"
    return home / "clicksend-reseller"


def _doubt(base_url: str, identity: Identity) -> str:
    parts = urlsplit(base_url)
    if identity is Identity.SANDBOX or parts.hostname not in LOOPBACK_HOSTS:
        return ""
    if identity is Identity.OTHER_CREDENTIALS:
        return f"{parts.netloc} answers as a sandbox, but it has other credentials than these"
    return f"{parts.netloc} does not answer as a sandbox"


def _refusal(identity: Identity) -> Status | None:
    statuses = {Identity.NONE: Status.FAILED, Identity.OTHER_CREDENTIALS: Status.CREDENTIALS}
    return statuses.get(identity)


def _rehearsal(options: GlobalOptions) -> Target:
    _given(options)
    return Target(
        base_url=SANDBOX_URL,
        is_sandbox=True,
        in_process=True,
        username="sandbox",
        api_key=Secret("sandbox"),
        journal=None,
        is_new_journal=False,
        sources=dict.fromkeys(("base_url", "credentials", "journal"), "--sandbox"),
    )


def _base_url(sandbox: str | None) -> tuple[str, str]:
    if sandbox is not None:
        return _sandbox_url(sandbox), "--sandbox"
    given = os.environ.get("CLICKSEND_BASE_URL")
    return _spelled(given or None), "CLICKSEND_BASE_URL" if given else "the default"


def _sandbox_url(given: str) -> str:
    url = given if "://" in given else f"http://{given}"
    try:
        parts = urlsplit(url)
    except ValueError as exc:
        raise CommandError(Status.USAGE, f"--sandbox={given!r} is no URL ({exc})") from None
    if parts.path in {"", "/"}:
        url = f"{url.rstrip('/')}/v3"
    if parts.hostname not in LOOPBACK_HOSTS:
        raise CommandError(
            Status.USAGE, f"--sandbox={given!r} is not on this machine: a sandbox is on loopback"
        )
    return _spelled(url)


def _spelled(url: str | None) -> str:
    """Spell a URL as the client does, since a journal's keys hold for one spelling."""
    try:
        return _settings.base_url(url)
    except ConfigurationError as exc:
        raise CommandError(Status.USAGE, str(exc.message)) from None


def _credentials(sandbox: str | None, base_url: str) -> tuple[str | None, str | None, str]:
    """A sandbox gets the live credentials only where the environment is about that sandbox."""
    in_environment = os.environ.get("CLICKSEND_BASE_URL")
    if sandbox is not None and not (in_environment and _spelled(in_environment) == base_url):
        return "sandbox", "sandbox", "--sandbox"
    names = ("CLICKSEND_USERNAME", "CLICKSEND_API_KEY")
    username, api_key = (os.environ.get(name) or None for name in names)
    return username, api_key, " and ".join(names)


def _journal(options: GlobalOptions, base_url: str, *, is_sandbox: bool) -> tuple[Kept, str]:
    given = _given(options)
    if given is not None:
        return given, "--journal"
    in_environment = os.environ.get("CLICKSEND_JOURNAL")
    if in_environment and options.sandbox is None:
        return kept_at(in_environment), "CLICKSEND_JOURNAL"
    # One for all hosts that may lead to the same account; its keys are on record with theirs.
    name = _sandbox_file(base_url) if is_sandbox else "journal.db"
    return in_file(journal_folder() / name), "the default"


def _sandbox_file(base_url: str) -> str:
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}-localhost-{port}{re.sub(r'[^A-Za-z0-9.]+', '-', parts.path)}.db"


def _given(options: GlobalOptions) -> Kept | None:
    kept = None if options.journal is None else kept_at(options.journal)
    if kept is not None and kept.has_secret:
        raise CommandError(
            Status.USAGE,
            "--journal holds a password, or may, which every user of this machine can see in the "
            "list of processes: put the URL into CLICKSEND_JOURNAL",
        )
    return kept
