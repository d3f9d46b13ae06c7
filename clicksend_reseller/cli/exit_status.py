"""The exit statuses: one table, in which UNKNOWN wins over all others."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from clicksend_reseller._wire.operations import ENDPOINTS, Repeat
from clicksend_reseller.errors import (
    AuthenticationError,
    ConfigurationError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ResellerError,
)


class Status(IntEnum):
    """The exit status of the process; `MEANINGS` has a line for each."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    DECLINED = 3
    CREDENTIALS = 4
    PARTLY = 5
    UNKNOWN = 6
    INTERRUPTED = 130


MEANINGS = {
    Status.DONE: 'done, also "nothing to do"',
    Status.FAILED: "failed or refused; nothing unknown",
    Status.USAGE: "usage or input file",
    Status.DECLINED: "declined, or no terminal and no `--yes`",
    Status.CREDENTIALS: "credentials missing, refused, or not a reseller",
    Status.PARTLY: "some rows refused or not sent, none unknown",
    Status.UNKNOWN: "outcome unknown: look, do not repeat; wins over all others",
    Status.INTERRUPTED: "Ctrl-C, nothing unknown",
}

# The later ones win.
_BY_WEIGHT = (
    Status.DONE,
    Status.DECLINED,
    Status.USAGE,
    Status.FAILED,
    Status.PARTLY,
    Status.CREDENTIALS,
    Status.INTERRUPTED,
    Status.UNKNOWN,
)

# A read that names no client: it says 404 only to an account without reseller access.
_ONLY_FOR_RESELLERS = frozenset(
    endpoint.name
    for endpoint in ENDPOINTS
    if endpoint.repeat is Repeat.FREELY and "{" not in endpoint.route
)


class CommandError(Exception):
    """A command ends here, with a status and a word on why.

    Args:
        status: of the process.
        message: for stderr; empty where all has been said.
        at_once: do not wait for what is under way; whoever says this has accounted for it.
    """

    def __init__(self, status: Status, message: str = "", *, at_once: bool = False) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message
        self.at_once = at_once


def worst(statuses: Iterable[Status]) -> Status:
    """Give the one that wins; DONE where there is none."""
    return max(statuses, key=_BY_WEIGHT.index, default=Status.DONE)


def status_of(error: ResellerError) -> Status:
    """Give the status of a single call that failed.

    A read with an unknown outcome has changed nothing, so it has merely failed.
    """
    match error:
        case OutcomeUnknownError():
            return Status.UNKNOWN
        case AuthenticationError() | PermissionDeniedError():
            return Status.CREDENTIALS
        case NotFoundError() if error.operation in _ONLY_FOR_RESELLERS:
            return Status.CREDENTIALS
        case ConfigurationError():
            return Status.USAGE
        case _:
            return Status.FAILED
