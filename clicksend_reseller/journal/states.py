"""The states of a round of a transfer: the one table, which SQL and docs follow."""

from __future__ import annotations

from functools import cache
from typing import Literal

import attrs

from clicksend_reseller import TransferState

Step = Literal["intend", "claim", "settle", "withdraw", "resolve", "hold", "renew"]


@attrs.frozen
class Edge:
    """One way from a state to another.

    Attributes:
        step: the method that takes it; `withdraw` is settling a round that never left.
        source: None where the round is new.
        target: the state afterwards.
        who: the client, a person, or the caller's program.
        when: in words.
    """

    step: Step
    source: TransferState | None
    target: TransferState
    who: Literal["client", "person", "program"]
    when: str


_INTENDED, _SENT = TransferState.INTENDED, TransferState.SENT
_CONFIRMED, _REJECTED = TransferState.CONFIRMED, TransferState.REJECTED
_UNKNOWN, _REFUTED = TransferState.UNKNOWN, TransferState.REFUTED


EDGES = (
    Edge("intend", None, _INTENDED, "program", "the key is new"),
    Edge("claim", _INTENDED, _SENT, "client", "before the first byte leaves"),
    Edge("settle", _SENT, _CONFIRMED, "client", "the API said success"),
    Edge("settle", _SENT, _REJECTED, "client", "the API said no, or nothing left after all"),
    Edge("settle", _SENT, _UNKNOWN, "client", "the answer is lost"),
    Edge("withdraw", _INTENDED, _REFUTED, "client", "nothing left, under a key of the client's"),
    Edge("resolve", _SENT, _CONFIRMED, "person", "it arrived; the row is older than 150 s"),
    Edge("resolve", _SENT, _REFUTED, "person", "it did not; the row is older than 150 s"),
    Edge("resolve", _UNKNOWN, _CONFIRMED, "person", "it arrived"),
    Edge("resolve", _UNKNOWN, _REFUTED, "person", "it did not; sent more than 150 s ago"),
    Edge("resolve", _INTENDED, _REFUTED, "person", "it shall not be paid"),
    Edge("hold", _INTENDED, _UNKNOWN, "person", "a backup was restored"),
    Edge("renew", _REJECTED, _INTENDED, "person", "the next round of the same key"),
    Edge("renew", _REFUTED, _INTENDED, "person", "the next round of the same key"),
)

# While a round is in one of these, no other transfer to its client is claimed.
OPEN = frozenset({_SENT, _UNKNOWN})
FINAL = frozenset({_CONFIRMED, _REJECTED, _REFUTED})


@cache
def sources(step: Step, target: TransferState | None = None) -> frozenset[TransferState]:
    """Name the states that a step may start from.

    Args:
        step: the step.
        target: where it leads; None for anywhere.
    """
    return frozenset(
        edge.source
        for edge in EDGES
        if edge.step == step and edge.source is not None and target in {None, edge.target}
    )
