"""The run of a list: rows end, Ctrl-C comes, and the exit status is made of all of it."""

from __future__ import annotations

from collections.abc import Mapping

from clicksend_reseller.cli.exit_status import CommandError, Status, worst
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.payments.rows import status_of_rows
from clicksend_reseller.cli.session.interrupts import Interrupts
from clicksend_reseller.cli.session.session import Session


class ListRun:
    """One list on its way; what is done with its rows is the subclass's.

    Args:
        session: that does it.
        output: one line for each row.
        counts: rows by how they ended; the subclass counts.
        total: rows of the list.
    """

    def __init__(
        self, session: Session, output: Output, counts: Mapping[str, int], total: int
    ) -> None:
        self._session = session
        self._console = session.console
        self._output = output
        self._counts = counts
        self._total = total
        self._is_interrupted = False
        self._is_cut = False  # nobody waits for the last answers
        self._faults: list[Status] = []  # what weighs beside the rows

    @property
    def _untried(self) -> int:
        return self._total - sum(self._counts.values())

    def _work(self, interrupts: Interrupts) -> None:
        """Do the rows."""
        raise NotImplementedError

    def _sum_up(self) -> None:
        """Say what became of all."""
        raise NotImplementedError

    def to_its_end(self) -> Status:
        """Do the rows, and say what became of all.

        Raises:
            CommandError: Ctrl-C came twice, so nobody waits for the last answers.
        """
        with self._session.interrupts() as interrupts:
            self._work(interrupts)
            self._output.end()
            self._is_interrupted = interrupts.once.is_set()
            if self._output.fault is not None:
                self._faults.append(Status.FAILED)
                self._console.error(f"the rows could not be written: {self._output.fault.strerror}")
            self._sum_up()
        if self._is_interrupted:
            self._faults.append(Status.INTERRUPTED)
        status = worst([status_of_rows(self._counts, left=self._untried), *self._faults])
        if self._is_cut:
            raise CommandError(status, at_once=True)
        return status
