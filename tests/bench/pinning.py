"""Where does a process run? Client and server on cores of their own, where the system offers it."""

from __future__ import annotations

import contextlib
import os


def take_first_core() -> None:
    """Stay on the first core; the client does."""
    _stay_on(0)


def take_last_core() -> None:
    """Stay on the last core; the server does."""
    _stay_on(-1)


def allow_many_connections() -> None:
    """Ask for as many open files as this process may have: 1,000 connections at once need them."""
    with contextlib.suppress(ImportError, ValueError):
        import resource  # noqa: PLC0415 - not on every system

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _stay_on(which: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[which]})
