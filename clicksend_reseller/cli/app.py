"""Which commands are there? A tree of names; what is behind one is loaded when it is used."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import attrs
from cyclopts import App, CycloptsError, Parameter
from cyclopts.completion.install import create_install_completion_command
from rich.text import Text

from clicksend_reseller import ResellerError, __version__
from clicksend_reseller.cli.exit_status import MEANINGS, CommandError, Status, status_of
from clicksend_reseller.cli.options import GlobalOptions
from clicksend_reseller.cli.output.console import CommandConsole, let_go, printable

__all__ = ["make_app", "run"]

_HERE = "clicksend_reseller.cli.commands"

_GROUPS = {
    "accounts": "List, find, create and change client accounts.",
    "journal": "See what was sent, and decide about what is unknown.",
}

# Group, name, where it is, and its line in the list of commands.
_COMMANDS = (
    ("accounts", "list", "accounts:list_", "List the client accounts."),
    ("accounts", "get", "accounts:get", "Show one client account."),
    ("accounts", "find", "accounts:find", "Find client accounts by a part of a name or address."),
    ("accounts", "create", "accounts_written:create", "Create client accounts, one or a file."),
    ("accounts", "update", "accounts_written:update", "Change one; it sets its password again."),
    ("accounts", "export", "accounts:export", "Write all client accounts as CSV or JSON."),
    ("", "balance", "accounts:balance", "Show the reseller's own credit."),
    ("", "transfer", "transfer:transfer", "Move credit to a client, once."),
    ("", "top-up", "top_up:top_up", "Pay many clients: from a file, or all below a balance."),
    ("journal", "list", "journal:list_", "List what is on record."),
    ("journal", "show", "journal:show", "Show all rounds of one key."),
    ("journal", "reconcile", "reconcile:reconcile", "Look whether an unknown transfer arrived."),
    ("journal", "resolve", "journal:resolve", "Write down what became of an unknown transfer."),
    ("journal", "renew", "journal:renew", "Open another round after a refusal."),
    ("journal", "hold", "journal:hold", "Stop what an old copy calls intended, after a restore."),
    ("journal", "export", "journal:export", "Write all that is on record as CSV or JSON."),
    ("", "doctor", "doctor:doctor", "Check the set-up, from settings to credit; moves nothing."),
)


def make_app() -> App:
    """Build the tree of commands."""
    app = App(
        name="clicksend-reseller",
        help="The ClickSend Reseller API from a shell: client accounts, and credit moved to them.",
        version=__version__,
        help_format="plaintext",
        error_formatter=_usage_error,
        suppress_keyboard_interrupt=False,  # or it would leave without a word
        help_epilogue="Credentials come from CLICKSEND_USERNAME and CLICKSEND_API_KEY. Add "
        "--sandbox to any command to rehearse it. Exit status: "
        + "; ".join(f"{status.value} {meaning}" for status, meaning in MEANINGS.items())
        + ".",
    )
    groups = {name: App(name=name, help=words) for name, words in _GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for group_name, name, target, words in _COMMANDS:
        parent = groups.get(group_name, app)
        parent.command(f"{_HERE}.{target}", name=name, help=words)
    app.command(_sandbox, name="sandbox", help_flags=[], version_flags=[])
    install = create_install_completion_command(app.install_completion, add_to_startup=True)
    app.command(install, name="--install-completion", help="Install completion for your shell.")
    return app


def run(arguments: Sequence[str]) -> int:
    """Run a command line.

    Returns:
        The exit status of the process.
    """
    try:
        status = _run(arranged(arguments))
    except BrokenPipeError:
        with contextlib.suppress(OSError, ValueError):
            let_go(sys.stdout.fileno())
        status = Status.DONE
    return _flushed(status)


def arranged(arguments: Sequence[str]) -> list[str]:
    """Put options that hold everywhere behind the command, and give a bare --sandbox its value.

    Raises:
        EndedError: `--sandbox URL` with a space, which would be read as something else.
    """
    words = ["--sandbox=" if word == "--sandbox" else word for word in arguments]
    leading: list[str] = []
    while words and words[0].startswith("-") and (size := _everywhere(words[0])):
        leading += words[:size]
        words = words[size:]
    if not words:
        return [*leading]
    end = words.index("--") if "--" in words else len(words)
    return [*words[:end], *leading, *words[end:]]


def _everywhere(word: str) -> int:
    """Say how many words an option for every command takes; 0 where it is none."""
    name, equals, _ = word.partition("=")
    if name in {"-q", "--quiet", "-v", "--verbose"}:
        return 1
    options = {f"--{field.name.replace('_', '-')}" for field in attrs.fields(GlobalOptions)} | {
        "-o"
    }
    return 0 if name not in options else 1 if equals else 2


def _run(arguments: list[str]) -> Status:
    app = make_app()
    try:
        ended: Any = app(arguments, exit_on_error=False, result_action="return_value")
    except CommandError as end:
        if end.message:
            (CommandConsole().note if end.status is Status.DONE else CommandConsole().error)(
                end.message
            )
        if end.at_once:
            os._exit(_flushed(end.status))  # leaving in order would wait for what is under way
        return end.status
    except CycloptsError:
        return Status.USAGE  # it has been printed
    except ResellerError as error:
        CommandConsole().error(printable(str(error)))
        return status_of(error)
    except OSError as exc:
        if isinstance(exc, BrokenPipeError):
            raise
        # What a command knows to expect it says itself; the rest is a disk or a folder.
        where = f" {exc.filename}" if exc.filename else ""
        CommandConsole().error(printable(f"this machine says no: {exc.strerror or exc}{where}"))
        return Status.FAILED
    except KeyboardInterrupt:
        CommandConsole().error("interrupted: nothing was sent")
        return Status.INTERRUPTED
    return ended if isinstance(ended, Status) else Status(int(ended or 0))


def _usage_error(error: CycloptsError) -> Text:
    return Text(f"{error}\nTry --help.", style="red")


def _flushed(status: Status) -> int:
    """Flush what was said; Python itself would leave with 120 where nobody hears it."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                let_go(number)
    return int(status)


def _sandbox(
    *arguments: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
) -> Status:
    """Serve the API on this machine, with clients and faults; `sandbox --help` has the options."""
    from clicksend_reseller.sandbox.__main__ import main as serve  # noqa: PLC0415 - an own door

    return Status(serve(arguments, program="clicksend-reseller sandbox"))
