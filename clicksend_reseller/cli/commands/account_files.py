"""Accounts created from a file: row after row, each written down before and after."""

from __future__ import annotations

import contextlib
from collections import Counter
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
from clicksend_reseller.cli.payments.rows import status_of_rows, summary
from clicksend_reseller.cli.session.interrupts import Interrupts
from clicksend_reseller.cli.session.session import Session

_FIELDS = tuple(field.name for field in attrs.fields(AccountFields))
_MOST_UNKNOWN = 3  # in a row: then the service is down, and each further row adds a doubt


def create_from(everywhere: GlobalOptions, path: Path, results_path: Path | None) -> Status:
    """Create the accounts of a file."""
    rows = _checked(path)
    output = Output(everywhere, COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        if session.place.in_process and results_path is not None:
            session.console.note("a rehearsal: --results is neither read nor written")
            results_path = None
        with contextlib.closing(Results(results_path, session.place.base_url)) as results:
            left = [row for row in rows if results.words.get(row.username) != "created"]
            making = _Making(session, results, output, left)
            return making.all(done=len(rows) - len(left))


class _Making:
    """Creates one account after the other.

    Args:
        session: that creates them.
        results: where each row's end is written down.
        output: where it is shown.
        rows: to be created.
    """

    def __init__(
        self, session: Session, results: Results, output: Output, rows: list[AccountFields]
    ) -> None:
        self._session = session
        self._results = results
        self._output = output
        self._rows = rows
        self._counts: Counter[str] = Counter()
        self._statuses: list[Status] = []
        self._unknown_in_a_row = 0
        self._is_over = False
        self._is_cut = False
        self._fault: CommandError | None = None

    @property
    def _left(self) -> int:
        return len(self._rows) - self._counts.total()

    def all(self, *, done: int) -> Status:
        """Create them, and say what became of all.

        Args:
            done: rows that an earlier run has created.

        Raises:
            CommandError: Ctrl-C came twice, so nobody waits for the last answer.
        """
        session, output = self._session, self._output
        found = session.run(self._look_up())
        with (
            session.interrupts() as interrupts,
            output.counting(session.console, "accounts", len(self._rows)) as steps,
        ):
            session.run(self._walk(found, interrupts, steps))
        output.end()
        self._sum_up(done)
        status = worst([*self._statuses, status_of_rows(self._counts, left=0)])
        if interrupts.once.is_set():
            status = worst([status, Status.INTERRUPTED])
        elif self._left:
            status = worst([status, Status.PARTLY])
        status = worst([status, Status.FAILED if output.fault else Status.DONE])
        if self._is_cut:
            raise CommandError(status, at_once=True)
        return status

    async def _look_up(self) -> dict[str, int]:
        """Look for the rows that may have been created: the ids by user name."""
        words = self._results.words
        doubtful = {
            row.username.casefold()
            for row in self._rows
            if words.get(row.username) in {"trying", "unknown"}
        }
        if not doubtful:
            return {}
        return {
            account.username.casefold(): account.user_id
            async for account in self._session.client.iter_accounts()
            if account.username.casefold() in doubtful
        }

    async def _walk(self, found: dict[str, int], interrupts: Interrupts, steps: Steps) -> None:
        for fields in self._rows:
            if self._is_over or interrupts.once.is_set():
                return
            self._end(await self._one(fields, found, interrupts))
            steps.step()

    async def _one(
        self, fields: AccountFields, found: dict[str, int], interrupts: Interrupts
    ) -> Result:
        name = fields.username
        if user_id := found.get(name.casefold()):
            return Result(username=name, result="created", user_id=user_id)
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
            self._is_cut = True
            reason = "interrupted before the answer came"
            return Result(username=name, result="unknown", reason=reason, stops=True)
        return Result(username=name, result="created", user_id=account.user_id)

    def _end(self, result: Result) -> None:
        is_unknown = result.result == "unknown"
        self._counts[result.result] += 1
        self._statuses.append(result.status)
        self._unknown_in_a_row = self._unknown_in_a_row + 1 if is_unknown else 0
        self._is_written(result)
        self._output.row({name: getattr(result, name) for name in COLUMNS})
        too_many = self._unknown_in_a_row == _MOST_UNKNOWN
        self._is_over = result.stops or too_many or self._fault is not None

    def _is_written(self, result: Result) -> bool:
        try:
            self._results.write(result)
        except CommandError as fault:
            self._fault = self._fault or fault
            self._statuses.append(fault.status)
            return False
        return True

    def _sum_up(self, done: int) -> None:
        console = self._session.console
        before = f"{done} had been created already" if done else ""
        words = summary(self._counts, left=self._left)
        console.note(", ".join(filter(None, (words, before))) or "nothing to do")
        if self._counts["unknown"]:
            console.warn(
                "unknown ones may have been created: the same command with --results looks them up"
            )
        if self._fault is not None:
            console.error(self._fault.message)


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
            faults.add(line, f"the user name is in line {first} too")
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
