"""How are accounts created from a file? Row after row, each written down before and after."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import attrs

from clicksend_reseller import (
    AccountFields,
    AlreadyExistsError,
    Outcome,
    OutcomeUnknownError,
    ResellerError,
)
from clicksend_reseller.cli.exit_status import CommandError, Status, status_of, worst
from clicksend_reseller.cli.options import GlobalOptions
from clicksend_reseller.cli.output.console import Steps
from clicksend_reseller.cli.output.csv_files import Faults, read_rows
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.payments.results import COLUMNS, Result, Results
from clicksend_reseller.cli.session.interrupts import Interrupts
from clicksend_reseller.cli.session.session import Session

__all__ = ["create_from"]

_FIELDS = tuple(field.name for field in attrs.fields(AccountFields))
_MOST_UNKNOWN = 3  # in a row: then the service is down, and each further row adds a doubt

_STATUSES = {
    "created": Status.DONE,
    "exists": Status.PARTLY,
    "refused": Status.PARTLY,
    "not sent": Status.PARTLY,
    "unknown": Status.UNKNOWN,
}


def create_from(everywhere: GlobalOptions, path: Path, results_path: Path | None) -> Status:
    """Create the accounts of a file."""
    rows = _checked(path)
    output = Output(everywhere, COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        if session.place.in_process and results_path is not None:
            session.console.note("a rehearsal: --results is neither read nor written")
            results_path = None
        with contextlib.closing(Results(results_path, session.place.base_url)) as results:
            return _created(session, output, results, rows)


def _created(
    session: Session, output: Output, results: Results, rows: list[AccountFields]
) -> Status:
    left = [row for row in rows if results.words.get(row.username) != "created"]
    found = session.run(_looked_up(session, left, results))
    with (
        session.interrupts() as interrupts,
        session.console.counting("accounts", len(left), with_bar=output.is_still) as steps,
    ):
        output.keep_clear_of(steps)
        made = _Making(session, results, output, steps)
        session.run(made.all(left, found, interrupts))
    output.end()
    _tell(session, made.ended, len(left), len(rows) - len(left))
    if made.fault is not None:
        session.console.error(made.fault.message)
    status = worst([*made.statuses, Status.FAILED if output.fault else Status.DONE])
    if interrupts.once.is_set():
        status = worst([status, Status.INTERRUPTED])
    elif len(made.ended) < len(left):
        status = worst([status, Status.PARTLY])
    if made.is_cut:
        raise CommandError(status, at_once=True)
    return status


class _Making:
    """Creates one account after the other.

    Attributes:
        ended: what became of the rows that were begun.
        is_cut: a row is still under way, and nobody waits for it.
        fault: what became of a row could not be written down, so no other is tried.
    """

    def __init__(self, session: Session, results: Results, output: Output, steps: Steps) -> None:
        self.ended: list[Result] = []
        self.is_cut = False
        self.fault: CommandError | None = None
        self._session = session
        self._results = results
        self._output = output
        self._steps = steps

    @property
    def statuses(self) -> Iterator[Status]:
        """What each row makes of the status."""
        for result in self.ended:
            yield worst([result.status, _STATUSES[result.result]])
        if self.fault is not None:
            yield self.fault.status

    async def all(
        self, rows: list[AccountFields], found: dict[str, int], interrupts: Interrupts
    ) -> None:
        unknown = 0
        for fields in rows:
            if interrupts.once.is_set():
                return
            user_id = found.get(fields.username.casefold())
            if user_id is not None:
                self._ended(Result(username=fields.username, result="created", user_id=user_id))
                if self.fault is not None:
                    return
                continue
            result = await self._one(fields, interrupts)
            self._ended(result)
            unknown = unknown + 1 if result.result == "unknown" else 0
            if result.stops or unknown == _MOST_UNKNOWN or self.fault is not None:
                return

    async def _one(self, fields: AccountFields, interrupts: Interrupts) -> Result:
        name = fields.username
        if not self._is_written(Result(username=name, result="trying")):
            reason = "it could not be written down before"
            return Result(username=name, result="not sent", reason=reason, stops=True)
        create = self._session.client.create_account(fields)
        try:
            account = await self._session.patiently(create, interrupts)
        except ResellerError as error:
            return _result(name, error)
        except CommandError as end:
            return Result(username=name, result="not sent", reason=end.message, stops=True)
        if account is None:
            self.is_cut = True
            reason = "interrupted before the answer came"
            return Result(username=name, result="unknown", reason=reason, stops=True)
        return Result(username=name, result="created", user_id=account.user_id)

    def _ended(self, result: Result) -> None:
        self.ended.append(result)
        self._is_written(result)
        self._output.row(
            {
                "username": result.username,
                "result": result.result,
                "user_id": result.user_id,
                "reason": result.reason,
            }
        )
        self._steps.step()

    def _is_written(self, result: Result) -> bool:
        try:
            self._results.write(result)
        except CommandError as fault:
            self.fault = self.fault or fault
            return False
        return True


def _result(username: str, error: ResellerError) -> Result:
    reason = error.message
    match error:
        case OutcomeUnknownError():
            return Result(username=username, result="unknown", reason=reason)
        case AlreadyExistsError():
            return Result(username=username, result="exists", reason=reason)
        case _ if error.outcome is Outcome.APPLIED:
            return Result(username=username, result="created", reason=reason)
        case _ if error.outcome is Outcome.REJECTED:
            status = status_of(error)
            stops = status is Status.CREDENTIALS
            status = status if stops else Status.PARTLY
            return Result(
                username=username, result="refused", reason=reason, stops=stops, status=status
            )
        case _:
            return Result(username=username, result="not sent", reason=reason, stops=True)


async def _looked_up(
    session: Session, rows: list[AccountFields], results: Results
) -> dict[str, int]:
    """Look for the rows that may have been created: the ids by user name."""
    doubtful = {
        row.username.casefold()
        for row in rows
        if results.words.get(row.username) in {"trying", "unknown"}
    }
    found: dict[str, int] = {}
    if doubtful:
        async for account in session.client.iter_accounts():
            if account.username.casefold() in doubtful:
                found[account.username.casefold()] = account.user_id
    return found


def _checked(path: Path) -> list[AccountFields]:
    """Read all rows; no value is ever shown, since one of them is the password."""
    faults = Faults(path)
    rows: list[AccountFields] = []
    seen: dict[str, int] = {}
    for line, fields in read_rows(path, _FIELDS, (), faults, hidden="password"):
        if blank := [name for name in _FIELDS if not fields[name].strip()]:
            faults.add(line, f"{' and '.join(blank)} must not be blank")
            continue
        if first := seen.get(fields["username"].casefold()):
            faults.add(line, f"the user name stands in line {first} already")
            continue
        seen[fields["username"].casefold()] = line
        try:
            rows.append(AccountFields(**fields))
        except ValueError as exc:
            faults.add(line, str(exc))
    faults.refuse()
    if not rows:
        raise CommandError(Status.DONE, f"{path} has no rows: nothing to do")
    return rows


def _tell(session: Session, ended: list[Result], wanted: int, done: int) -> None:
    counts = {
        word: number
        for word in _STATUSES
        if (number := sum(result.result == word for result in ended))
    }
    words = [f"{number} {word}" for word, number in counts.items()]
    if left := wanted - len(ended):
        words.append(f"{left} not tried")
    if done:
        words.append(f"{done} had been created already")
    session.console.note(", ".join(words) or "nothing to do")
    if counts.get("unknown"):
        session.console.warn(
            "unknown ones may have been created: the same command with --results looks them up"
        )
