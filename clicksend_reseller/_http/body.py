"""May the bytes of a write leave, and did they? A body that is given once.

A transport's exceptions prove nothing: a refused connect and a transport that sends again can
raise the same one, and "read everything, then closed" looks like "read 20 bytes, then closed".
So the proof is our own: what was never handed over was never applied.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable


class BodyRefusedError(RuntimeError):
    """The body was asked for when it may not be given (again)."""


class OneShotBody:
    """An async byte stream with one chunk, which it gives once.

    Attributes:
        asked: the transport wanted the bytes; a journal's claim runs from here.
        left: the chunk was handed over, so it may have been applied.
        refusal: what kept the chunk from leaving, where it was asked for and refused.
    """

    __slots__ = ("_begun", "_claim", "_content", "_shut", "asked", "left", "refusal")

    def __init__(self, content: bytes, claim: Callable[[], Awaitable[None]] | None = None) -> None:
        self._content = content
        self._claim = claim
        self._begun = False
        self._shut = False
        self.asked = False
        self.left = False
        self.refusal: Exception | None = None

    def __len__(self) -> int:
        return len(self._content)

    def __aiter__(self) -> _Giving:
        if self.asked:
            raise BodyRefusedError(
                "the body of a write is given once: this transport must not send it again"
            )
        self.asked = True
        return _Giving(self)

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

    def shut(self) -> bool:
        """Let nothing leave from now on; tell whether nothing had left."""
        self._shut = True
        return not self.left

    async def _permit(self) -> None:
        self._check_open()
        if self._claim is not None:
            await self._claim()
            self._check_open()

    def _check_open(self) -> None:
        if self._shut:
            raise BodyRefusedError("the call has ended: nothing may leave any more")


class _Giving:
    """The one iteration over a body; httpx2 asks an iterator for itself again."""

    __slots__ = ("_body",)

    def __init__(self, body: OneShotBody) -> None:
        self._body = body

    def __aiter__(self) -> _Giving:
        return self

    async def __anext__(self) -> bytes:
        if self._body.left:
            raise StopAsyncIteration
        return await self._body.give()
