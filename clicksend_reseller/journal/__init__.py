"""Transfers that are sent at most once for each key, through crashes and on many machines.

Names are loaded when they are first used: judging needs no database library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clicksend_reseller.journal.batch import Batch, transfer_many
    from clicksend_reseller.journal.judging import Assumptions, Verdict, judge
    from clicksend_reseller.journal.reconcile import Reconciliation, reconcile_transfer
    from clicksend_reseller.journal.report import BatchReport, TransferResult, TransferStatus
    from clicksend_reseller.journal.sql.journal import SQLJournal
    from clicksend_reseller.journal.sql.schema import metadata
    from clicksend_reseller.journal.sql.transactions import Held
    from clicksend_reseller.journal.states import EDGES, Edge
    from clicksend_reseller.journal.top_ups import (
        SkippedTopUp,
        TopUp,
        TopUpPlan,
        plan_top_ups,
    )

__all__ = [
    "EDGES",
    "Assumptions",
    "Batch",
    "BatchReport",
    "Edge",
    "Held",
    "Reconciliation",
    "SQLJournal",
    "SkippedTopUp",
    "TopUp",
    "TopUpPlan",
    "TransferResult",
    "TransferStatus",
    "Verdict",
    "judge",
    "metadata",
    "plan_top_ups",
    "reconcile_transfer",
    "transfer_many",
]

_HOMES = {
    "EDGES": "states",
    "Assumptions": "judging",
    "Batch": "batch",
    "BatchReport": "report",
    "Edge": "states",
    "Held": "sql.transactions",
    "Reconciliation": "reconcile",
    "SQLJournal": "sql.journal",
    "SkippedTopUp": "top_ups",
    "TopUp": "top_ups",
    "TopUpPlan": "top_ups",
    "TransferResult": "report",
    "TransferStatus": "report",
    "Verdict": "judging",
    "judge": "judging",
    "metadata": "sql.schema",
    "plan_top_ups": "top_ups",
    "reconcile_transfer": "reconcile",
    "transfer_many": "batch",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as exc:
        if exc.name is not None and exc.name.startswith("clicksend_reseller"):
            raise
        raise ImportError(
            f'{name} needs {exc.name}: pip install "clicksend-reseller[journal]"'
        ) from exc
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
