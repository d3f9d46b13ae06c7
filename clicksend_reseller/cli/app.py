"""The tree of commands. The module behind a name is loaded when the command is used."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated

from cyclopts import App, CoercionError, CycloptsError, Parameter
from cyclopts.completion.install import create_install_completion_command
from rich.text import Text

from clicksend_reseller import ResellerError, __version__
from clicksend_reseller.cli.exit_status import MEANINGS, CommandError, Status, status_of
from clicksend_reseller.cli.options import USUAL, GlobalOptions
from clicksend_reseller.cli.output.console import CommandConsole, let_go, printable

_HERE = "clicksend_reseller.cli.commands"

_GROUPS = {
    "accounts": "List, find, create and change client accounts.",
    "journal": "See what was sent, and settle what is unknown.",
}

# Group, name, where it is, and its line in the list of commands.
_COMMANDS = (
    ("accounts", "list", "accounts:list_", "List the client accounts."),
    ("accounts", "get", "accounts:get", "Show one client account."),
    ("accounts", "find", "accounts:find", "Find client accounts by a part of a name or address."),
    ("accounts", "create", "accounts_written:create", "Create client accounts, one or a file."),
    (
        "accounts",
        "update",
        "accounts_written:update",
        "Change one client account; this sets its password again.",
    ),
    ("accounts", "export", "accounts:export", "Write all client accounts as CSV or JSON."),
    ("", "balance", "accounts:balance", "Show the reseller's own credit."),
    ("", "transfer", "transfer:transfer", "Move credit to one client, once."),
    ("", "top-up", "top_up:top_up", "Pay many clients: those of a file, or all below a balance."),
    ("journal", "list", "journal:list_", "List the transfers on record."),
    ("journal", "show", "journal:show", "Show all attempts under one key."),
    ("journal", "reconcile", "reconcile:reconcile", "Check whether an unknown transfer arrived."),
    ("journal", "resolve", "journal:resolve", "Record whether an unknown transfer arrived."),
    ("journal", "renew", "journal:renew", "Allow another attempt after a refusal."),
    (
        "journal",
        "hold",
        "journal:hold",
        "After restoring a backup: block transfers that were planned but not sent.",
    ),
    ("journal", "export", "journal:export", "Write the whole journal as CSV or JSON."),
    ("", "doctor", "doctor:doctor", "Check the set-up, from settings to credit."),
)

_STATUSES = "\n".join(
    ["Exit status:", *(f"  {status.value:>3}  {meaning}" for status, meaning in MEANINGS.items())]
)


def make_app() -> App:
    """Build the tree of commands; `app.meta` reads the options of every command first."""
    app = App(
        name="clicksend-reseller",
        help="The ClickSend Reseller API from a shell: client accounts, and credit moved to them.",
        version=__version__,
        help_format="plaintext",
        error_formatter=_usage_error,
        suppress_keyboard_interrupt=False,  # or it would leave without a word
        help_epilogue="Credentials come from CLICKSEND_USERNAME and CLICKSEND_API_KEY.\n"
        f"Add --sandbox to any command to rehearse it.\n\n{_STATUSES}",
    )
    _add_commands(app)
    app.meta.suppress_keyboard_interrupt = False  # it has a setting of its own

    @app.meta.default
    def dispatch(
        *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
        everywhere: GlobalOptions = USUAL,
    ) -> Status:
        command, bound, wanted = app.parse_args(words, exit_on_error=False)
        ended = command(*bound.args, **bound.kwargs, **dict.fromkeys(wanted, everywhere))
        return ended if isinstance(ended, Status) else Status.DONE

    return app


def _add_commands(app: App) -> None:
    groups = {name: App(name=name, help=words, help_epilogue="") for name, words in _GROUPS.items()}
    for group in groups.values():
        app.command(group)
    for group_name, name, target, words in _COMMANDS:
        epilogue = _STATUSES if name == "doctor" else ""
        parent = groups.get(group_name, app)
        parent.command(f"{_HERE}.{target}", name=name, help=words, help_epilogue=epilogue)
    app.command(_sandbox, name="sandbox", help_flags=[], version_flags=[])
    install = create_install_completion_command(app.install_completion, add_to_startup=True)
    app.command(install, name="--install-completion", help="Install completion for your shell.")


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
    """Give a bare --sandbox its value, and hand on a double dash."""
    words = list(arguments)
    end = words.index("--") if "--" in words else len(words)
    return ["--sandbox=" if word == "--sandbox" else word for word in words[:end]] + words[end:]


def _run(arguments: list[str]) -> Status:
    if arguments[:1] == ["sandbox"]:
        return _sandbox(*arguments[1:])
    try:
        return Status(
            make_app().meta(arguments, exit_on_error=False, result_action="return_value") or 0
        )
    except CommandError as end:
        if end.message:
            console = CommandConsole()
            (console.note if end.status is Status.DONE else console.error)(end.message)
        if end.at_once:
            os._exit(_flushed(end.status))  # leaving in order would wait for what is under way
        return end.status
    except CycloptsError:
        return Status.USAGE  # it has been printed
    except ResellerError as error:
        CommandConsole().error(printable(str(error)))
        return status_of(error)
    except BrokenPipeError:
        raise
    except OSError as exc:
        # What a command knows to expect it says itself; the rest is a disk or a folder.
        where = f" {exc.filename}" if exc.filename else ""
        CommandConsole().error(printable(f"the system refused it: {exc.strerror or exc}{where}"))
        return Status.FAILED
    except KeyboardInterrupt:
        CommandConsole().error("interrupted: nothing was sent")
        return Status.INTERRUPTED


def _usage_error(error: CycloptsError) -> Text:
    said = str(error)
    if isinstance(error, CoercionError) and error.argument and str(error.msg).startswith("must be"):
        token = error.token and error.token.keyword
        said = f"{token or error.argument.name.upper()} {error.msg}"
    return Text(f"{said}\nTry --help.", style="red")


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
    from clicksend_reseller.sandbox.__main__ import main as serve  # noqa: PLC0415 - its own parser

    return Status(serve(arguments, program="clicksend-reseller sandbox"))
