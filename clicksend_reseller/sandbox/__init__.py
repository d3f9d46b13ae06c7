"""The Reseller API on one's own machine, in process or served, with faults.

Names are loaded when they are first used: the pytest plugin beside them is imported in every
pytest run of whoever has this package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clicksend_reseller.sandbox.remote import RemoteSandbox
    from clicksend_reseller.sandbox.sandbox import Sandbox
    from clicksend_reseller.sandbox.service.faults import Fault
    from clicksend_reseller.sandbox.service.quirks import Quirks
    from clicksend_reseller.sandbox.service.state import Entry, LoggedRequest

__all__ = ["Entry", "Fault", "LoggedRequest", "Quirks", "RemoteSandbox", "Sandbox"]

_HOMES = {
    "Entry": "service.state",
    "Fault": "service.faults",
    "LoggedRequest": "service.state",
    "Quirks": "service.quirks",
    "RemoteSandbox": "remote",
    "Sandbox": "sandbox",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"{__name__}.{_HOMES[name]}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
