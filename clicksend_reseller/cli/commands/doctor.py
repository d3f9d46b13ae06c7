"""The check of the set-up: one line for each check, and a remedy for each that fails."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from clicksend_reseller.cli.commands.diagnostics import Finding, all_checks
from clicksend_reseller.cli.exit_status import Status, worst
from clicksend_reseller.cli.options import USUAL, Everywhere, Flag
from clicksend_reseller.cli.output.output import Output
from clicksend_reseller.cli.session.session import Session

_INDENT = 9  # where the name of a check begins
_COLUMNS = ("check", "result", "found", "remedy")


def doctor(*, json: Flag = False, everywhere: Everywhere = USUAL) -> Status:
    """Check the set-up, from settings to credit. It moves no money and changes nothing.

    Args:
        json: the same as --output json.
    """
    if json:
        everywhere = attrs.evolve(everywhere, output="json")
    output = Output(everywhere, _COLUMNS)
    with Session(everywhere) as session:
        findings = session.run(all_checks(session))
    if everywhere.asks_for_rows:
        for finding in findings:
            output.row({name: getattr(finding, name) or None for name in _COLUMNS})
        output.end()
    else:
        for finding in findings:
            output.text(_line(finding), indent=_INDENT)
    session.console.note(_closing(findings))
    return _status(findings)


def _line(finding: Finding) -> str:
    remedy = f" -> {finding.remedy}" if finding.remedy else ""
    return f"{finding.result:<{_INDENT}}{finding.check}: {finding.found}{remedy}"


def _closing(findings: Sequence[Finding]) -> str:
    failures, warnings = (
        sum(finding.result == result for finding in findings) for result in ("fail", "warning")
    )
    words = [f"{failures} to fix"] if failures else []
    words += [f"{warnings} to look at"] if warnings else []
    return f"{', '.join(words) or 'All good'}."


def _status(findings: Sequence[Finding]) -> Status:
    return worst(
        Status.CREDENTIALS if finding.is_about_credentials else Status.FAILED
        for finding in findings
        if finding.result == "fail"
    )
