"""The faults that can be armed, and the choice of the one that is used next."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, TypedDict, Unpack

import attrs

from clicksend_reseller._wire.operations import ENDPOINTS
from clicksend_reseller.sandbox.service.validators import number, or_none, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    Matches = Callable[["Fault"], bool]

OPERATIONS = tuple(endpoint.name for endpoint in ENDPOINTS)


@attrs.frozen(kw_only=True)
class Kind:
    """What one kind of fault does.

    Attributes:
        error: what the HTTP library raises in process; None where an answer comes, or silence.
        applied: whether the request still changes the state, unless the fault says otherwise.
        may_apply: the values that a fault may say otherwise.
        status: the HTTP status of the answer that comes instead of the right one.
    """

    error: str | None = None
    applied: bool = True
    may_apply: tuple[bool, ...] = (True, False)
    status: int = 200


KINDS = {
    "refuse": Kind(error="ConnectError", applied=False, may_apply=(False,)),
    "reset": Kind(error="ReadError", applied=False),
    "lost": Kind(error="RemoteProtocolError"),
    "hang": Kind(),
    "drip": Kind(),
    "cut": Kind(error="RemoteProtocolError"),
    "garbage": Kind(error="RemoteProtocolError"),
    "page": Kind(status=502),
    "empty": Kind(),
    "error": Kind(applied=False, status=500),
    "limit": Kind(applied=False, status=429),
    "redirect": Kind(applied=False, status=307),
    "slow": Kind(may_apply=(True,)),  # the right answer, so there is nothing to say otherwise
}

# The caller gets no whole answer; the other kinds answer something.
BREAKING = frozenset({"refuse", "reset", "lost", "hang", "drip", "cut", "garbage"})

# A connection that is never made has no place to fail on a server that answers.
SERVED_KINDS = tuple(kind for kind in KINDS if kind != "refuse")


class Where(TypedDict, total=False):
    """What can be said of a fault beside its kind."""

    operation: str | None
    client_user_id: int | None
    times: int | None
    after: int
    chance: float
    applied: bool | None
    seconds: float
    status: int | None
    response_code: str | None
    retry_after: int | None


def _known_kind(_fault: Fault, _field: object, kind: str) -> None:
    if kind not in KINDS:
        raise ValueError(f"unknown fault {kind!r}: the faults are {', '.join(KINDS)}")


def _known_operation(_fault: Fault, _field: object, operation: str | None) -> None:
    if operation not in {None, *OPERATIONS}:
        raise ValueError(
            f"unknown operation {operation!r}: the operations are {', '.join(OPERATIONS)}"
        )


def _known_before_reading(fault: Fault, _field: object, client_user_id: int | None) -> None:
    # A transfer names its client in the body, and a refused connection never asks for one.
    if fault.kind == "refuse" and client_user_id is not None:
        raise ValueError("a refused connection knows no client: leave out client_user_id")


def _known_status(_fault: Fault, _field: object, status: int | None) -> None:
    if status is not None and status not in {known.value for known in HTTPStatus if known >= 200}:
        raise ValueError(f"status is that of an HTTP answer, not {status!r}")


def _possible(fault: Fault, _field: object, applied: bool | None) -> None:  # noqa: FBT001 - attrs calls it
    if applied not in {None, *KINDS[fault.kind].may_apply}:
        raise ValueError(f"a {fault.kind!r} fault cannot have applied={applied!r}")


@attrs.frozen
class Fault:
    """One thing to go wrong; times in seconds.

    Attributes:
        kind: one of the names in ``KINDS``.
        operation: the client's method that fails; None is every request.
        client_user_id: only requests about this client fail.
        times: how often it is used; None is for ever.
        after: how many matching requests pass unharmed first.
        chance: the probability, from the sandbox's seeded generator.
        applied: whether the request changes the state; None is what the kind does.
        seconds: how long a slow answer takes.
        status: the status of an "error" or a "page"; None is 500 and 502.
        response_code: the code in the envelope of an "error"; None follows the status.
        retry_after: the header of an "error", a "page" or a "limit".
        id: given when it is armed.
    """

    kind: str = attrs.field(validator=_known_kind)
    operation: str | None = attrs.field(default=None, validator=_known_operation)
    client_user_id: int | None = attrs.field(
        default=None, validator=[or_none(whole(1)), _known_before_reading]
    )
    times: int | None = attrs.field(default=1, validator=or_none(whole(1)))
    after: int = attrs.field(default=0, validator=whole(0))
    chance: float = attrs.field(default=1.0, validator=number(0, 1))
    applied: bool | None = attrs.field(default=None, validator=_possible)
    seconds: float = attrs.field(default=1.0, validator=number(0, 3600))
    status: int | None = attrs.field(default=None, validator=_known_status)
    response_code: str | None = attrs.field(default=None, validator=or_none(text))
    retry_after: int | None = attrs.field(default=None, validator=or_none(whole(0)))
    id: int | None = None

    @property
    def applies(self) -> bool:
        """The request changes the state all the same."""
        return KINDS[self.kind].applied if self.applied is None else self.applied

    @property
    def answer_status(self) -> int:
        """The status of the answer that comes instead of the right one."""
        return KINDS[self.kind].status if self.status is None else self.status


def make_fault(kind: str, **where: Unpack[Where]) -> Fault:
    """Build from names and values that come from outside.

    Raises:
        ValueError: an unknown kind, operation or field, or an impossible value.
    """
    names = list(Where.__annotations__)
    for name in where:
        if name not in names:
            raise ValueError(f"unknown field {name!r}: a fault has {', '.join(names)}")
    return Fault(kind, **where)


def make_served_fault(kind: str, **where: Unpack[Where]) -> Fault:
    """Build a fault that a server can do, from names and values that come from outside.

    Raises:
        ValueError: as `make_fault`, and for a kind that is no fault of an answer.
    """
    fault = make_fault(kind, **where)
    if kind == "refuse":
        raise ValueError(
            f"a server that answers cannot refuse connections: it does {', '.join(SERVED_KINDS)}"
        )
    return fault


@attrs.frozen(kw_only=True)
class Armed:
    """A fault that waits, and what it has seen.

    Attributes:
        passed: matching requests that it let go, of the first ``after``.
        struck: how often it was used.
    """

    fault: Fault
    passed: int = 0
    struck: int = 0

    @property
    def is_spent(self) -> bool:
        """It will not be used again."""
        return self.fault.times is not None and self.struck >= self.fault.times


class FaultTable:
    """The armed faults in the order of arming, then the standing ones, which nothing clears."""

    def __init__(self, random: Random, standing: tuple[Fault, ...] = ()) -> None:
        self._random = random
        self._standing = standing
        self._armed: dict[int, Armed] = {}
        self._last_id = 0

    @property
    def armed(self) -> tuple[Armed, ...]:
        """What still waits to be used."""
        return tuple(armed for armed in self._armed.values() if not armed.is_spent)

    def arm(self, fault: Fault) -> Fault:
        """Let it wait for its request, under an id of its own."""
        self._last_id += 1
        known = attrs.evolve(fault, id=self._last_id)
        self._armed[self._last_id] = Armed(fault=known)
        return known

    def disarm(self, fault_id: int) -> bool:
        """Forget one; False where there is none."""
        return self._armed.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Forget all that were armed."""
        self._armed.clear()

    def use_first(self, matches: Matches) -> Fault | None:
        """Give the first fault that matches a request, and count it."""
        for armed in self.armed:
            if matches(armed.fault) and self._uses(armed):
                return armed.fault
        return next(filter(matches, self._standing), None)

    def _uses(self, armed: Armed) -> bool:
        if armed.passed < armed.fault.after:
            self._store(attrs.evolve(armed, passed=armed.passed + 1))
            return False
        if armed.fault.chance < 1 and self._random.random() >= armed.fault.chance:
            return False
        self._store(attrs.evolve(armed, struck=armed.struck + 1))
        return True

    def _store(self, armed: Armed) -> None:
        if armed.is_spent:
            self._armed.pop(armed.fault.id or 0)
        else:
            self._armed[armed.fault.id or 0] = armed
