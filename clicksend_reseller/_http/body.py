"""The body of a write, which is given once and knows whether it left.

A transport's exceptions prove nothing: a refused connect and a transport that sends again can
raise the same one, and "read everything, then closed" looks like "read 20 bytes, then closed".
So the proof is our own: what was never handed over was never applied.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from functools import partial
from operator import call, sub

from clicksend_reseller.errors import APITimeoutError


def clock_that_counts_sleep() -> Callable[[], float]:
    """Choose a clock that goes on while the machine sleeps, where there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot is None else partial(time.clock_gettime, boot)


# The loop's clock stands still while a machine sleeps. The wall clock counts a migration too,
# and it may be put back, so neither is asked alone.
CLOCKS: tuple[Callable[[], float], ...] = (clock_that_counts_sleep(), time.time)


class BodyRefusedError(RuntimeError):
    """The body was asked for when it may not be given (again)."""


class OneShotBody:
    """An async byte stream with one chunk, which it gives once.

    Args:
        content: the chunk.
        claim: runs before the chunk is given, and may refuse.
        seconds: how old a claim may be when the chunk is given.

    Attributes:
        asked: the transport wanted the bytes; a journal's claim runs from here.
        left: the chunk was handed over, so it may have been applied.
        refusal: what kept the chunk from leaving, where it was asked for and refused.
    """

    __slots__ = (
        "_begun",
        "_claim",
        "_claimed_at",
        "_content",
        "_is_rewound",
        "_seconds",
        "_shut",
        "asked",
        "left",
        "refusal",
    )

    def __init__(
        self,
        content: bytes,
        claim: Callable[[], Awaitable[None]] | None = None,
        *,
        seconds: float = math.inf,
    ) -> None:
        self._content = content
        self._claim = claim
        self._seconds = seconds
        self._claimed_at: tuple[float, ...] = ()
        self._begun = False
        self._is_rewound = False
        self._shut = False
        self.asked = False
        self.left = False
        self.refusal: Exception | None = None

    def __len__(self) -> int:
        return len(self._content)

    def __aiter__(self) -> _BodyIterator:
        if self.asked and not self._is_rewound:
            raise BodyRefusedError(
                "the body of a write is given once: this transport must not send it again"
            )
        give = self._give_again if self._is_rewound else self.give
        self.asked, self._is_rewound = True, False
        return _BodyIterator(give)

    async def give(self) -> bytes:
        """Hand the chunk over; what the claim raises keeps it here for good."""
        if self._begun:
            raise self.refusal or BodyRefusedError("the body was asked for, and nothing came of it")
        self._begun = True
        try:
            await self._permit()
        except Exception as exc:
            self.refusal = exc
            raise
        # Before the chunk is given: whoever takes it may send it at once.
        self.left = True
        return self._content

    def rewind(self) -> None:
        """Let the transport have it once more, after a hook has read it."""
        self._is_rewound = True

    def shut(self) -> bool:
        """Let nothing leave from now on; return True if nothing had left."""
        self._shut = True
        return not self.left

    async def _give_again(self) -> bytes:
        self._check_open()
        self._check_age()
        return self._content

    async def _permit(self) -> None:
        self._check_open()
        if self._claim is not None:
            self._claimed_at = _now()
            await self._claim()
            self._check_open()
            self._check_age()

    def _check_open(self) -> None:
        if self._shut:
            raise BodyRefusedError("the call has ended: nothing may leave any more")

    def _check_age(self) -> None:
        """Refuse where the machine has slept: a person may have judged the claim meanwhile."""
        age = max(map(sub, _now(), self._claimed_at), default=0.0)
        if age > self._seconds:
            raise APITimeoutError(
                f"{age:.0f} s passed between the journal's claim and the sending, "
                f"and {self._seconds:g} s may: this machine was suspended, or its clock was set",
                permanent=True,
            )


class _BodyIterator:
    """The one iteration over a body; httpx2 asks an iterator for itself again."""

    __slots__ = ("_give", "_is_done")

    def __init__(self, give: Callable[[], Awaitable[bytes]]) -> None:
        self._give = give
        self._is_done = False

    def __aiter__(self) -> _BodyIterator:
        return self

    async def __anext__(self) -> bytes:
        if self._is_done:
            raise StopAsyncIteration
        chunk = await self._give()
        self._is_done = True
        return chunk


def _now() -> tuple[float, ...]:
    return tuple(map(call, CLOCKS))
