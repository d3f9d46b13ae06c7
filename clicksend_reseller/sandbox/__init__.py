"""Where is the Reseller API on one's own machine? Here, in process or served, with faults."""

from __future__ import annotations

from clicksend_reseller.sandbox.faults import Fault
from clicksend_reseller.sandbox.quirks import Quirks
from clicksend_reseller.sandbox.sandbox import Sandbox
from clicksend_reseller.sandbox.world import Entry, LoggedRequest

__all__ = ["Entry", "Fault", "LoggedRequest", "Quirks", "Sandbox"]
