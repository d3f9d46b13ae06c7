"""The walk over the whole account list, by page number, believing little that the server counts.

One pass asks for page after page and ends at the `last_page` that the answer names, or at a page
that brings nothing new. `next_page_url` is never followed, and the page asked for counts, not the
`current_page` answered (see "Envelope and pages": all three have been seen to be wrong).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from collections.abc import Set as AbstractSet
from operator import length_hint
from typing import Any, Literal, Self

import attrs

from clicksend_reseller._calls.tasks import running_loop
from clicksend_reseller._wire.limits import whole_number
from clicksend_reseller.models import Account, AccountPage

__all__ = ["AccountIterator", "WalkReport"]

_log = logging.getLogger("clicksend_reseller")

FetchPage = Callable[[int, int], Coroutine[Any, Any, AccountPage]]


@attrs.frozen(kw_only=True)
class WalkReport:
    """How far a walk has come, and whether it saw everything.

    One thing the answers cannot show: a client deleted and another created between two of them
    leave both total and rows in order, and one row may be missed.

    Attributes:
        pages: answers read, those of a second pass included.
        accounts: handed out so far.
        duplicates: rows met twice in one pass and left out: the list moved meanwhile.
        first_total: of the first answer that had one.
        total: of the last answer that had one.
        next_page: where a new walk goes on: the page being read, until the one after it is asked
            for, so that its accounts may come again but none is left out; None at the end.
        complete: True when the walk is at its end and nothing contradicts it: in the last pass
            the total stood still, equals the accounts met, and no row came twice. With a
            `start_page` it is about the list from there on.
    """

    pages: int
    accounts: int
    duplicates: int
    first_total: int | None
    total: int | None
    next_page: int | None
    complete: bool


class AccountIterator:
    """Walk over all client accounts, once: `async for account in client.iter_accounts()`.

    No account comes twice (by `user_id`). Where rows were seen to move during a walk that began
    at page 1, the list is read once more and what was missed comes last.

    A walk that runs to its end, fails, is cancelled or dropped leaves no task behind. With
    `prefetch`, leave it early through `async with`, which waits for the fetches under way to be
    cancelled. An error names the page to go on from, in a note and in `report.next_page`; the
    walk itself is then over, and asking it for more is a RuntimeError. One task at a time.

    Args:
        fetch_page: called with page and limit.
        limit: accounts per page to ask for; the server may give fewer.
        start_page: where to begin, counted from 1; above 1 there is no second pass.
        prefetch: pages fetched ahead of the one being read, at most; 0 is one after the other.
            It begins with one page and doubles as pages are read.

    Raises:
        TypeError: a number is no int.
        ValueError: a number is too small.
    """

    def __init__(
        self,
        fetch_page: FetchPage,
        *,
        limit: int = 100,
        start_page: int = 1,
        prefetch: int = 0,
    ) -> None:
        self._prefetch = _at_least("prefetch", prefetch, least=0)
        self._reading = self._upcoming = _at_least("start_page", start_page, least=1)
        self._fetches = _Fetches(fetch_page, _at_least("limit", limit, least=1))
        self._passes = [_Pass(per_page=limit, start_page=start_page)]
        self._ahead = 0
        self._last_page: int | None = None
        self._rows: Iterator[Account] = iter(())
        self._gives: str | None = None
        self._state: Literal["ready", "busy", "cut", "done"] = "ready"
        weakref.finalize(self, self._fetches.abandon).atexit = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Account:
        for account in self._rows:  # a tenth cheaper than next() with a default
            return account
        self._rows = iter((await self._next_page("accounts")).accounts)
        return next(self._rows)

    def pages(self) -> AsyncIterator[AccountPage]:
        """Walk page by page instead: the answers, less the accounts that came before.

        Pages that bring nothing new are left out, so that an empty list gives none.

        Raises:
            RuntimeError: the accounts of this walk are being iterated already.
        """
        self._claim("pages")
        return _Pages(self._next_page)

    @property
    def report(self) -> WalkReport:
        """What the walk has seen so far."""
        done = self._state == "done"
        totals = [each.total for each in self._passes if each.total is not None]
        return WalkReport(
            pages=sum(each.pages for each in self._passes),
            accounts=sum(each.given for each in self._passes) - length_hint(self._rows),
            duplicates=sum(each.duplicates for each in self._passes),
            first_total=self._passes[0].first_total,
            total=totals[-1] if totals else None,
            next_page=None if done else self._reading,
            complete=done and self._passes[-1].adds_up,
        )

    async def aclose(self) -> None:
        """End the walk and wait until its fetches are cancelled; a second time does nothing."""
        if self._state != "done":
            self._state = "cut"
        self._passes[-1].given -= length_hint(self._rows)
        self._rows = iter(())
        await self._fetches.drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def _next_page(self, what: Literal["accounts", "pages"]) -> AccountPage:
        self._claim(what)
        self._enter()
        try:
            while not self._passes[-1].ended or await self._begin_again():
                page = await self._read(self._upcoming)
                if page.accounts:
                    self._state = "ready"
                    return page
            self._state = "done"
            raise StopAsyncIteration
        finally:
            if self._state in {"busy", "cut"}:  # an error, a cancellation or aclose() elsewhere
                await self.aclose()

    def _claim(self, what: Literal["accounts", "pages"]) -> None:
        self._gives = self._gives or what
        if self._gives != what:
            raise RuntimeError(f"this walk gives {self._gives}: begin another one for {what}")

    def _enter(self) -> None:
        if self._state == "busy":
            raise RuntimeError("another task waits for the next page: give each its own walk")
        if self._state == "cut":
            raise RuntimeError(self._how_to_resume)
        if self._state == "done":
            raise StopAsyncIteration
        self._state = "busy"

    @property
    def _how_to_resume(self) -> str:
        where = f"start_page={self._reading} and the same limit"
        return f"this walk ended early: begin another one with {where}"

    async def _read(self, asked: int) -> AccountPage:
        self._reading = asked
        # Here the page before has been read: who goes on may have twice as many ahead. Doubled
        # only when the answer has come, 100 pages at 8 take 14 latencies, not 13.
        self._ahead = min(self._prefetch, 2 * self._ahead)
        self._fetches.start([asked])
        self._fetch_ahead()
        answer = await self._answer(asked)
        fresh = self._passes[-1].read(asked, answer)
        self._upcoming = asked + 1
        self._last_page = answer.last_page
        self._ahead = self._ahead or min(self._prefetch, 1)
        self._fetch_ahead()
        return fresh

    async def _answer(self, asked: int) -> AccountPage:
        try:
            answer = await self._fetches.take(asked)
        except Exception as exc:
            exc.add_note(self._how_to_resume)
            raise
        if answer is None or self._state == "cut":
            raise RuntimeError(self._how_to_resume)
        return answer

    def _fetch_ahead(self) -> None:
        last = self._reading + self._ahead
        if self._last_page is not None:
            last = min(last, self._last_page)
        self._fetches.start(range(self._reading + 1, last + 1))

    async def _begin_again(self) -> bool:
        """Turn to page 1, once, where rows moved: some may be in pages that were read before."""
        await self._fetches.drop()
        seen = self._passes[-1]
        if len(self._passes) > 1 or seen.adds_up:
            return False
        _log.warning(
            "the account list moved or is miscounted: %d accounts met, %s counted, %d rows twice",
            len(seen.ids),
            seen.total,
            seen.duplicates,
        )
        if not seen.is_worth_repeating:
            return False
        self._passes.append(_Pass(per_page=seen.per_page, earlier=seen.ids))
        self._upcoming = 1
        return True


class _Pages:
    """The walk, page by page. It keeps the iterator alive, whose end would end the fetches."""

    def __init__(self, next_page: Callable[[Literal["pages"]], Awaitable[AccountPage]]) -> None:
        self._next_page = next_page

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AccountPage:
        return await self._next_page("pages")


@attrs.define(kw_only=True)
class _Pass:
    """What one pass over the list has shown so far."""

    per_page: int
    start_page: int = 1
    earlier: AbstractSet[int] = frozenset()
    ids: set[int] = attrs.field(factory=set[int])
    pages: int = 0
    given: int = 0
    duplicates: int = 0
    first_total: int | None = None
    total: int | None = None
    moved: bool = False
    ended: bool = False

    def read(self, asked: int, page: AccountPage) -> AccountPage:
        """Take in an answer; give what of it neither this pass nor an earlier one has met."""
        new = {account.user_id for account in page.accounts} - self.ids
        fresh = new - self.earlier
        self.pages += 1
        self.given += len(fresh)
        self.duplicates += len(page) - len(new)
        self.moved |= len(new) < len(page)
        self.ids |= new
        # A server that answers the same rows for ever ends here, like one that has no more.
        self.ended = not new or (page.last_page is not None and asked >= page.last_page)
        self._compare_total(page)
        return _only(fresh, page)

    def _compare_total(self, page: AccountPage) -> None:
        if page.per_page is not None:
            self.per_page = page.per_page
        if page.total is None:
            return
        if self.total is None:
            self.first_total = page.total
        else:
            self.moved |= page.total != self.total
        self.total = page.total

    @property
    def adds_up(self) -> bool:
        if self.total is None or self.moved:
            return False
        skipped = (self.start_page - 1) * self.per_page
        return len(self.ids) == max(0, self.total - skipped)

    @property
    def is_worth_repeating(self) -> bool:
        return self.moved and self.start_page == 1


def _only(wanted: set[int], page: AccountPage) -> AccountPage:
    if len(wanted) == len(page.accounts):
        return page
    first: dict[int, Account] = {}
    for account in page.accounts:
        if account.user_id in wanted:
            first.setdefault(account.user_id, account)
    return attrs.evolve(page, accounts=tuple(first.values()))


class _Fetches:
    """The tasks under way, by page. None refers to the iterator, so that can be collected."""

    def __init__(self, fetch_page: FetchPage, limit: int) -> None:
        self._fetch_page = fetch_page
        self._limit = limit
        self._tasks: dict[int, asyncio.Task[AccountPage]] = {}

    def start(self, pages: Iterable[int]) -> None:
        for page in pages:
            if page not in self._tasks:
                task = running_loop().create_task(self._fetch_page(page, self._limit))
                task.add_done_callback(_retrieve)
                self._tasks[page] = task

    async def take(self, page: int) -> AccountPage | None:
        """Wait for a page; None where its fetch was cancelled, by another than our caller."""
        task = self._tasks[page]
        await asyncio.wait((task,))
        self._tasks.pop(page, None)
        return None if task.cancelled() else task.result()

    async def drop(self) -> None:
        """Cancel all fetches and wait until they have ended."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def abandon(self) -> None:
        """Cancel all fetches from wherever the garbage collector runs, in any thread."""
        for task in self._tasks.values():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nothing runs
                task.get_loop().call_soon_threadsafe(task.cancel)


def _retrieve(task: asyncio.Task[AccountPage]) -> None:
    """Retrieve the exception of a page that nobody waits for, which asyncio would log."""
    if not task.cancelled():
        task.exception()


def _at_least(name: str, value: object, *, least: int) -> int:
    number = whole_number(name, value)
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")
    return number
