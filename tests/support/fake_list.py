"""The account list of a server without sockets, and the ways to walk over it."""

import asyncio
from decimal import Decimal

import attrs

from clicksend_reseller.models import Account, AccountPage


def account(user_id):
    """Make a client account; only its id matters here."""
    return Account(
        user_id=user_id, username=f"client{user_id}", balance=Decimal(0), active=True, banned=False
    )


class FakeList:
    """The account list of a server: honest, unless told which words of an answer to replace.

    `changes` are run one after each answer; `lies` are (a dict, or a function of the page that
    gives one) put over each answer; `gates` are events that the answer to a page waits for.
    """

    def __init__(self, ids, *, cap=100, lies=None, changes=(), gates=None, delays=()):
        self.ids = list(ids)
        self.cap = cap
        self.lies = lies or {}
        self.changes = list(changes)
        self.gates = gates or {}
        self.delays = list(delays)
        self.asked = []
        self.cancelled = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.versions = []

    async def __call__(self, page, limit):
        self.asked.append((page, limit))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            for _ in range(self.delays.pop(0) if self.delays else 1):
                await asyncio.sleep(0)
            if page in self.gates:
                await self.gates[page].wait()
            return self.answer(page, limit)
        except asyncio.CancelledError:
            self.cancelled.append(page)
            raise
        finally:
            self.in_flight -= 1

    def answer(self, page, limit):
        per_page = min(limit, self.cap)
        self.versions.append(list(self.ids))
        honest = AccountPage(
            accounts=tuple(account(i) for i in self.ids[(page - 1) * per_page : page * per_page]),
            total=len(self.ids),
            per_page=per_page,
            current_page=page,
            last_page=-(-len(self.ids) // per_page),
        )
        if self.changes and (change := self.changes.pop(0)):
            change(self.ids)
        return attrs.evolve(honest, **(self.lies(page) if callable(self.lies) else self.lies))

    @property
    def pages_asked(self):
        return [page for page, _ in self.asked]


async def ids_of(walk):
    """Walk to the end."""
    return [each.user_id async for each in walk]


async def collect(walk, seen):
    """Keep what came, also when the walk fails."""
    async for each in walk:
        seen.append(each.user_id)


async def take(walk, number):
    """Ask for so many accounts and no more."""
    return [(await anext(walk)).user_id for _ in range(number)]
