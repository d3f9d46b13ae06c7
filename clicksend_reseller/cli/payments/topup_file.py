"""The CSV file of a list: whole amounts, under keys that survive an edit of the file."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

from clicksend_reseller import Transfer
from clicksend_reseller._wire.keys import normalized
from clicksend_reseller._wire.limits import MAX_INT
from clicksend_reseller.cli.output.csv_files import Faults, read_rows
from clicksend_reseller.cli.output.whole_files import replaced
from clicksend_reseller.cli.payments.amounts import fault_of_currency, fault_of_key, number
from clicksend_reseller.cli.payments.rows import Payment

NEEDED = ("client_user_id", "amount", "currency")
OPTIONAL = ("key", "note")


def read_file(path: Path, batch: str | None) -> list[Payment]:
    """Read the whole file and check it before anything is done.

    The key of a row is its column, else ``BATCH/client_user_id``: never the file's name or a
    line number, which an edit changes.

    Args:
        path: of the file.
        batch: begins the keys of rows that have none.

    Raises:
        CommandError: the file is no such file, or has faults, all of them named.
    """
    faults = Faults(path)
    reader = _Reader(faults, batch)
    rows = [
        row
        for line, fields in read_rows(path, NEEDED, OPTIONAL, faults)
        if (row := reader.row(line, fields)) is not None
    ]
    faults.refuse()
    return rows


def write_plan(path: Path, rows: Iterable[Payment]) -> None:
    """Write what `read_file` reads, keys included.

    Raises:
        CommandError: it is there already, or cannot be written.
    """
    with replaced(path, overwrite=False) as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow([*NEEDED, *OPTIONAL])
        for row in rows:
            record = row.record
            lines.writerow([*(record[name] for name in (*NEEDED, "key")), row.note])


class _Reader:
    def __init__(self, faults: Faults, batch: str | None) -> None:
        self._faults = faults
        self._batch = batch
        self._keys: dict[str, int] = {}

    def row(self, line: int, fields: Mapping[str, str]) -> Payment | None:
        """Check a row; None where it has a fault."""
        client = number(fields["client_user_id"])
        amount = number(fields["amount"])
        if client is None:
            self._faults.add(
                line, f"client_user_id must be from 1 to {MAX_INT}", fields["client_user_id"]
            )
        if amount is None:
            self._faults.add(
                line,
                "amount must be a whole number from 1, without sign or thousands",
                fields["amount"],
            )
        if fault := fault_of_currency(fields["currency"]):
            self._faults.add(line, fault, fields["currency"])
        key = self._key(line, fields)
        if client is None or amount is None or fault or key is None:
            return None
        wanted = Transfer(
            idempotency_key=key, client_user_id=client, amount=amount, currency=fields["currency"]
        )
        return Payment(transfer=wanted, line=line, note=fields.get("note", ""))

    def _key(self, line: int, fields: Mapping[str, str]) -> str | None:
        key = normalized(fields.get("key", ""))
        if not key and self._batch is None:
            self._faults.add(line, "there is no key and no --batch NAME to make one of")
            return None
        is_own = bool(key)
        key = key or f"{self._batch}/{fields['client_user_id']}"
        if fault := fault_of_key(key):
            self._faults.add(line, fault, key)
            return None
        first = self._keys.setdefault(key, line)
        if first == line:
            return key
        if is_own:
            self._faults.add(line, "the key appears in an earlier line too", key)
        else:
            self._faults.add(
                line,
                "the client appears twice",
                words=f"client {fields['client_user_id']} appears twice. Add a `key` column with "
                "a different key for each row.",
            )
        return None
