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
from clicksend_reseller.cli.exit_status import CommandError, Status, status_of
from clicksend_reseller.cli.options import GlobalOptions
from clicksend_reseller.cli.output.console import Steps
from clicksend_reseller.cli.output.csv_files import Faults, read_rows
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.payments.list_run import ListRun
from clicksend_reseller.cli.payments.results import Results
from clicksend_reseller.cli.payments.rows import CREATED_COLUMNS, NewAccount, summary
from clicksend_reseller.cli.session.interrupts import Interrupts
from clicksend_reseller.cli.session.session import Session

_FIELDS = tuple(field.name for field in attrs.fields(AccountFields))
_MAX_UNKNOWN = 3  # in a row: then the service is down, and each further row adds a doubt


def create_from(everywhere: GlobalOptions, path: Path, results_path: Path | None) -> Status:
    """Create the accounts of a file."""
    rows = _checked(path)
    output = Output(everywhere, CREATED_COLUMNS, goes_on=True)
    with Session(everywhere) as session:
        if session.place.in_process and results_path is not None:
            session.console.note("a rehearsal: --results is neither read nor written")
            results_path = None
        with contextlib.closing(Results(results_path, session.place.base_url)) as results:
            creating = _Creating(session, output, results, rows)
            session.run(creating.look_up())
            return creating.to_its_end()


class _Creating(ListRun):
    """A list of accounts that are created one after the other.

    Args:
        session: that creates them.
        output: one row for each account.
        results: where each row's end is written down.
        rows: of the file; those that an earlier run has created are left out.
    """

    def __init__(
        self, session: Session, output: Output, results: Results, rows: list[NewAccount]
    ) -> None:
        self._results = results
        self._rows = [row for row in rows if results.words.get(row.username) != "created"]
        self._ends: Counter[str] = Counter()
        super().__init__(session, output, self._ends, len(self._rows))
        self._done = len(rows) - len(self._rows)
        self._found: dict[str, int] = {}
        self._unknown_in_a_row = 0
        self._is_over = False
        self._unwritten = ""

    async def look_up(self) -> None:
        """Look for the rows that may have been created: the ids by user name."""
        words = self._results.words
        doubtful = {
            row.username.casefold()
            for row in self._rows
            if words.get(row.username) in {"trying", "unknown"}
        }
        if doubtful:
            self._found = {
                account.username.casefold(): account.user_id
                async for account in self._session.client.iter_accounts()
                if account.username.casefold() in doubtful
            }

    def _work(self, interrupts: Interrupts) -> None:
        with self._output.counting(self._console, "accounts", len(self._rows)) as steps:
            self._session.run(self._walk(interrupts, steps))

    async def _walk(self, interrupts: Interrupts, steps: Steps) -> None:
        for row in self._rows:
            if self._is_over or interrupts.once.is_set():
                return
            self._ended(await self._one(row, interrupts))
            steps.step()

    async def _one(self, row: NewAccount, interrupts: Interrupts) -> NewAccount:
        if user_id := self._found.get(row.username.casefold()):
            return attrs.evolve(row, status="created", user_id=user_id)
        if not self._is_written(attrs.evolve(row, status="trying")):
            return attrs.evolve(
                row, status="not sent", reason="it could not be written down before"
            )
        create = self._session.client.create_account(row.fields)
        try:
            account = await self._session.patiently(create, interrupts)
        except ResellerError as error:
            return self._failed(row, error)
        except CommandError as end:
            self._is_over = True
            return attrs.evolve(row, status="not sent", reason=end.message)
        if account is None:
            self._is_cut = self._is_over = True
            return attrs.evolve(row, status="unknown", reason="interrupted before the answer came")
        return attrs.evolve(row, status="created", user_id=account.user_id)

    def _failed(self, row: NewAccount, error: ResellerError) -> NewAccount:
        status = _word_of(error)
        if status == "refused" and status_of(error) is Status.CREDENTIALS:
            self._faults.append(Status.CREDENTIALS)
            self._is_over = True
        self._is_over = self._is_over or status == "not sent"
        return attrs.evolve(row, status=status, reason=error.message)

    def _ended(self, row: NewAccount) -> None:
        self._ends[row.status] += 1
        self._unknown_in_a_row = self._unknown_in_a_row + 1 if row.status == "unknown" else 0
        self._is_over = self._is_over or self._unknown_in_a_row == _MAX_UNKNOWN
        self._is_written(row)
        self._output.row(row.record)

    def _is_written(self, row: NewAccount) -> bool:
        try:
            self._results.write(row)
        except CommandError as fault:
            self._is_over = True
            self._faults.append(fault.status)
            self._unwritten = self._unwritten or fault.message
            return False
        return True

    def _sum_up(self) -> None:
        before = f"{self._done} had been created already" if self._done else ""
        words = summary(self._counts, left=self._untried)
        self._console.note(", ".join(filter(None, (words, before))) or "nothing to do")
        if self._ends["unknown"]:
            self._console.warn(
                "unknown ones may have been created: the same command with --results looks them up"
            )
        if self._unwritten:
            self._console.error(self._unwritten)


def _word_of(error: ResellerError) -> str:
    match error:
        case OutcomeUnknownError():
            return "unknown"
        case AlreadyExistsError():
            return "exists"
        case _ if error.outcome is Outcome.APPLIED:
            return "created"
        case _:
            return "refused" if error.outcome is Outcome.REJECTED else "not sent"


def _checked(path: Path) -> list[NewAccount]:
    """Read all rows; no value is ever shown, since one of them is the password."""
    faults = Faults(path)
    rows: list[NewAccount] = []
    seen: dict[str, int] = {}
    for line, given in read_rows(path, _FIELDS, (), faults, hidden="password"):
        name = given["username"]
        if blank := [field for field in _FIELDS if not given[field].strip()]:
            faults.add(line, f"{' and '.join(blank)} must not be blank")
        elif (first := seen.setdefault(name.casefold(), line)) != line:
            faults.add(line, f"the user name is in line {first} too")
        else:
            try:
                rows.append(NewAccount(line=line, username=name, fields=AccountFields(**given)))
            except ValueError as exc:
                faults.add(line, str(exc))
    faults.refuse()
    if not rows:
        raise CommandError(Status.DONE, f"{path} has no rows: nothing to do")
    return rows
