"""The ways in for a password: a prompt or stdin, never an argument, which `ps` shows."""

from __future__ import annotations

import getpass
import sys
import warnings

from clicksend_reseller import Secret
from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.options import text
from clicksend_reseller.cli.output.console import CommandConsole


def read_password(console: CommandConsole, *, from_stdin: bool, whose: str) -> Secret:
    """Ask for a password twice, or read the first line of stdin.

    Args:
        console: asks.
        from_stdin: the whole first line is the password.
        whose: the user name that it is for.

    Raises:
        CommandError: nobody is there to ask, the two differ, or it is empty.
    """
    if from_stdin:
        return _some(sys.stdin.readline().rstrip("\r\n"))
    if not console.can_ask:
        raise CommandError(
            Status.DECLINED, "there is no terminal to ask for the password on: --password-stdin"
        )
    first = _some(_asked(f"password of {whose}: "))
    if _asked("the same again: ") != first.get_secret_value():
        raise CommandError(Status.DECLINED, "the two passwords differ: nothing was sent")
    return first


def _asked(prompt: str) -> str:
    with warnings.catch_warnings():
        # Where the terminal cannot be silenced, getpass would show what is typed.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt, stream=sys.stderr)
        except (EOFError, getpass.GetPassWarning):
            sys.stderr.write("\n")
            return ""


def _some(password: str) -> Secret:
    text(password, "the password")
    if not password.strip():
        raise CommandError(Status.DECLINED, "the password is empty: nothing was sent")
    return Secret(password)
