"""Which files are read, and which are refused with every fault named?"""

import csv
import tracemalloc

import pytest

from clicksend_reseller import Transfer
from clicksend_reseller.cli.exit_status import CommandError, Status
from clicksend_reseller.cli.payments.rows import Payment
from clicksend_reseller.cli.payments.topup_file import read_file, write_plan
from support.heavy import rounds

HEADER = "client_user_id,amount,currency"


@pytest.fixture
def read(tmp_path):
    """Read a file with this content."""

    def reading(content, batch="june"):
        path = tmp_path / "list.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_file(path, batch)

    return reading


def refused(read, content, batch="june"):
    """Read a file that must be refused; give its message."""
    with pytest.raises(CommandError) as caught:
        read(content, batch)
    assert Status.USAGE == caught.value.status
    return caught.value.message


def row(line, client, amount, currency, *key_and_note):
    """Make a row of a file."""
    key, note = (*key_and_note, "")[:2]
    wanted = Transfer(idempotency_key=key, client_user_id=client, amount=amount, currency=currency)
    return Payment(transfer=wanted, line=line, note=note)


ONE = [row(2, 1001, 5, "AUD", "june/1001")]


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n1001,5,AUD\n",
        f"{HEADER}\n1001,5,AUD",
        f"{HEADER}\r\n1001,5,AUD\r\n",
        f"\ufeff{HEADER}\n1001,5,AUD\n",
        f'{HEADER}\n"1001","5","AUD"\n',
        f"{HEADER}\n 1001 , 5 , AUD \n",
        "Client_User_ID,Amount,Currency\n1001,5,AUD\n",
        f"{HEADER}\n1001,5,AUD\n\n,,\n",
    ],
    ids=["plain", "no end", "CRLF", "BOM", "quoted", "blanks", "capitals", "empty rows"],
)
def test_one_row_in_many_spellings(read, content):
    """What spreadsheets write means the same."""
    assert ONE == read(content)


def test_columns_may_stand_in_any_order_and_a_note_may_hold_commas(read):
    """The line is the one where the row begins, though the note has two."""
    content = 'note,currency,amount,client_user_id,key\n"a, b\nc",AUD,5,1001,k-1\nd,USD,6,1002,\n'
    rows = [
        row(2, 1001, 5, "AUD", "k-1", "a, b\nc"),
        row(4, 1002, 6, "USD", "june/1002", "d"),
    ]
    assert rows == read(content)


def test_the_key_depends_on_nothing_that_an_edit_changes(read):
    """Neither on the line nor on the other rows."""
    first = read(f"{HEADER}\n1001,5,AUD\n1002,5,AUD\n")
    second = read(f"{HEADER}\n1003,1,AUD\n1002,5,AUD\n1001,5,AUD\n")
    keys = {row.transfer.client_user_id: row.transfer.idempotency_key for row in second}
    assert {r.transfer.client_user_id: r.transfer.idempotency_key for r in first}.items() <= (
        keys.items()
    )


@pytest.mark.parametrize(
    "amount",
    ["", "0", "-5", "+5", "5.0", "5,5", "1 000", "1'000", "1e3", "007", "٣", "3000000000", "x"],
)
def test_an_amount_is_a_whole_number(read, amount):
    """No sign, no thousands, no decimals, no other digits."""
    message = refused(read, f'{HEADER}\n1001,"{amount}",AUD\n')
    assert "line 2: amount must be a whole number" in message
    assert "nothing was sent" in message


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("x,5,AUD", "client_user_id must be from 1"),
        ("1001,5,aud", "currency must be three capital letters, not 'aud'"),
        ("1001,5", "a row has 3 fields, not '2'"),
        ("1001,5,AUD,extra", "a row has 3 fields, not '4'"),
        ('1001,5,"AUD', "no CSV"),
    ],
)
def test_a_fault_is_named_with_its_line(read, line, reason):
    """And with what stands there."""
    message = refused(read, f"{HEADER}\n1003,5,AUD\n{line}\n")
    assert f"line 3: {reason}" in message


def test_thirty_faults_are_all_named(read):
    """Twenty in full, the rest by line under their reason."""
    bad = [f"{1000 + n},{'1.5' if n % 2 else '5'},{'AUD' if n % 2 else 'A'}" for n in range(30)]
    message = refused(read, "\n".join([HEADER, *bad]))
    for line in range(2, 22):
        assert f"  line {line}: " in message
    assert "lines 22, 24, 26, 28, 30: currency must be three capital letters" in message
    assert "lines 23, 25, 27, 29, 31: amount must be a whole number" in message
    assert "30 faults" in message


def test_the_same_client_twice_needs_keys(read):
    """Without them both rows would have one key, and one would never be paid."""
    message = refused(read, f"{HEADER}\n1001,5,AUD\n1001,6,AUD\n")
    assert (
        "line 3: client 1001 appears twice. Add a `key` column with a different key for" in message
    )
    assert 2 == len(read(f"{HEADER},key\n1001,5,AUD,a\n1001,6,AUD,b\n"))
    message = refused(read, f"{HEADER},key\n1001,5,AUD,a\n1002,6,AUD,a\n")
    assert "line 3: the key appears in an earlier line too, not 'a'" in message


def test_a_made_key_that_stands_in_the_column_of_another_row_is_noticed(read):
    """A plan that was edited by hand."""
    message = refused(read, f"{HEADER},key\n1001,5,AUD,\n1002,6,AUD,june/1001\n")
    assert "line 3: the key appears in an earlier line too" in message


def test_a_row_without_a_key_needs_a_batch(read):
    """A key is never invented: it would be another one the next time."""
    message = refused(read, f"{HEADER}\n1001,5,AUD\n", batch=None)
    assert "line 2: there is no key and no --batch NAME" in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is empty: its first line is client_user_id,amount,currency"),
        ("client_user_id;amount;currency\n1;2;AUD\n", "separated by ';': save it with commas"),
        ("id,amount,currency\n1,2,AUD\n", "the header is client_user_id,amount,currency"),
        (f"{HEADER},amount\n1,2,AUD,3\n", "the header is"),
        (f"{HEADER}\n1001,5,AUD\n".encode("utf-16"), "is not UTF-8"),
        (f"{HEADER},note\n1001,5,AUD,M\xfcller\n".encode("latin-1"), "is not UTF-8"),
    ],
    ids=["empty", "semicolons", "header", "twice", "UTF-16", "latin-1"],
)
def test_what_is_no_such_file_is_refused_whole(read, content, reason):
    """With the way out."""
    assert reason in refused(read, content)


def test_a_header_alone_is_nothing_to_do(live):
    """No row, no question, status 0."""
    (live.folder / "none.csv").write_text(f"{HEADER}\n")
    run = live.call("top-up", "--from", "none.csv", "--batch", "june")
    assert (0, "nothing to do") == (run.status, run.err.strip().splitlines()[-1])


def test_a_file_that_is_not_there_is_named(live):
    """Status 2."""
    run = live.call("top-up", "--from", "no.csv", "--batch", "june")
    assert (2, "no.csv cannot be read: No such file or directory\n") == (run.status, run.err)


def test_thirty_faulty_lines_send_nothing(live, served):
    """Status 2, before the API is asked anything."""
    lines = [HEADER, "1001,5,AUD", *(f"{2000 + n},x,AUD" for n in range(30))]
    (live.folder / "bad.csv").write_text("\n".join(lines))
    run = live.call("top-up", "--from", "bad.csv", "--batch", "june", "--yes", "--max-total", 9)
    assert (2, [], []) == (run.status, served.ledger, served.requests)
    assert "  lines 23-32: amount must be a whole number" in run.err


def test_a_plan_is_what_a_file_says(tmp_path):
    """Keys and notes survive, and an existing file is not overwritten."""
    rows = [
        row(0, 1001, 5, "AUD", "june/1001", "balance -3.2"),
        row(0, 1002, 6, "USD", 'odd "key", 1', ""),
    ]
    path = tmp_path / "plan.csv"
    write_plan(path, rows)
    assert [r.transfer for r in rows] == [r.transfer for r in read_file(path, None)]
    with pytest.raises(CommandError, match="is there already"):
        write_plan(path, rows)


@pytest.mark.heavy
def test_many_rows_take_bounded_memory(tmp_path):
    """About 600 bytes a row, and no copy of the file."""
    number = rounds(5_000, 100_000)
    path = tmp_path / "many.csv"
    with path.open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(HEADER.split(","))
        lines.writerows((1000 + n, 5, "AUD") for n in range(number))
    tracemalloc.start()
    try:
        rows = read_file(path, "june")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number == len(rows)
    assert peak < 1_000_000 + 900 * number
