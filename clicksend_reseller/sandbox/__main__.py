"""A sandbox started from a shell: ``python -m clicksend_reseller.sandbox``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import logging
import os
import shlex
import signal
import sys
import threading
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

from clicksend_reseller.sandbox.files import read_accounts
from clicksend_reseller.sandbox.sandbox import Sandbox
from clicksend_reseller.sandbox.service.faults import Where, make_served_fault
from clicksend_reseller.sandbox.service.money import read_rates
from clicksend_reseller.sandbox.service.quirks import parse_quirks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.serving.server import Served


def main(
    arguments: Sequence[str] | None = None, *, program: str = "python -m clicksend_reseller.sandbox"
) -> int:
    """Serve until a signal comes.

    Args:
        arguments: of the command line; None takes the process's own.
        program: what the help calls the command.

    Returns:
        The exit code: 1 where nothing can be served; impossible options exit with 2 by themselves.
    """
    _fill_closed_streams()
    parser = _parser(program)
    options = parser.parse_args(arguments)
    try:
        sandbox = _make_sandbox(options)
    except ValueError as exc:
        parser.error(str(exc))
    try:
        asyncio.run(_serve(sandbox, options))
    except ImportError as exc:
        return _fail(str(exc))
    except OSError as exc:
        return _fail(_bind_error(exc, options))
    return 0


def _fill_closed_streams() -> None:
    """Open what was closed (`>&-`) on nothing: else a socket would become stdout."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8"))


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program,
        description="The ClickSend Reseller API on this machine, with clients and faults.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=_port, default=8730, help="0 picks a free one (%(default)s)")
    add("--accounts", default="12", metavar="N|FILE", help="how many, or a JSON file of them")
    add("--credit", default="1000", help="the reseller's own (%(default)s)")
    add("--currency", default="AUD", help="the reseller's own (%(default)s)")
    add("--seed", type=int, default=1, help="chooses generated clients and chances (%(default)s)")
    add(
        "--rate",
        action="append",
        default=[],
        metavar="CURRENCY=AUD",
        help="JPY=0.0102: what one is worth in AUD",
    )
    add("--quirk", action="append", default=[], metavar="NAME=VALUE", help="rate_limit=20")
    add(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[:OPERATION[:TIMES]]",
        help="lost:transfer_credit:2",
    )
    add("--env", action="store_true", help="print the export line alone, then let go of stdout")
    add("--open", action="store_true", help="open the console in a browser")
    return parser


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to 65535, not {text!r}")
    return port


def _make_sandbox(options: argparse.Namespace) -> Sandbox:
    rates = read_rates(options.rate)
    sandbox = Sandbox(
        accounts=_accounts(options.accounts, rates),
        rates=rates,
        credit=options.credit,
        currency=options.currency,
        quirks=parse_quirks(options.quirk),
        seed=options.seed,
    )
    for text in options.fault:
        _arm(sandbox, text)
    return sandbox


def _accounts(text: str, rates: Mapping[str, Decimal]) -> int | list[Client]:
    if text.isascii() and text.isdigit():
        return int(text)
    return read_accounts(Path(text), currencies=rates)


def _arm(sandbox: Sandbox, text: str) -> None:
    kind, *rest = text.split(":")
    where = Where()
    match rest:
        case []:
            pass
        case [operation]:
            where = Where(operation=operation)
        case [operation, times] if times.isascii() and times.isdigit():
            where = Where(operation=operation, times=int(times))
        case _:
            raise ValueError(f"a fault is kind, kind:operation or kind:operation:2, not {text!r}")
    make_served_fault(kind, **where)
    sandbox.fail(kind, **where)


async def _serve(sandbox: Sandbox, options: argparse.Namespace) -> None:
    # An error message of our own replaces uvicorn's about a taken port.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # on Windows Ctrl-C ends asyncio.run
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with sandbox.serve(options.host, options.port) as served:
        _announce(served, only_env=options.env)
        if options.open:
            # A browser may take its time, or run in this terminal: nobody waits for it.
            threading.Thread(target=webbrowser.open, args=[served.console_url], daemon=True).start()
        await stop.wait()


def _announce(served: Served, *, only_env: bool) -> None:
    values = " ".join(f"{name}={shlex.quote(value)}" for name, value in served.env.items())
    lines = {
        "API": served.url,
        "Console": served.console_url,
        "Paste into another shell": f"export {values}",
    }
    # A program reads the bare lines, so only a person at a terminal gets labels.
    is_bare = only_env or not sys.stdout.isatty()
    output = [line if is_bare else f"{label}: {line}" for label, line in lines.items()]
    sys.stdout.write("\n".join([*(output[2:] if only_env else output), ""]))
    sys.stdout.flush()
    if only_env:
        _release_stdout()


def _release_stdout() -> None:
    # `eval "$(… --env &)"` waits until nobody holds the pipe any more.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def _bind_error(exc: OSError, options: argparse.Namespace) -> str:
    if exc.errno == errno.EADDRINUSE:
        return f"port {options.port} is taken: `--port 0` picks a free one"
    return f"cannot listen on {options.host!r}, port {options.port}: {exc.strerror or exc}"


def _fail(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
