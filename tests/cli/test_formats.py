"""How rows look as text, without a terminal or a network."""

import io
import json

import pytest
from rich.console import Console

from clicksend_reseller.cli.output.console import printable
from clicksend_reseller.cli.output.formats import Record, csv_line, writer

COLUMNS = ("user_id", "username", "balance", "active", "note")
ROWS: list[Record] = [
    {"user_id": 1, "username": "a", "balance": "50", "active": True, "note": None},
    {"user_id": 2, "username": 'b "q", c', "balance": "50.25", "active": False, "note": "x\ty\n"},
]


def written(name, rows, columns=COLUMNS):
    """Write rows in a format; give the text."""
    pieces: list[str] = []
    made = writer(name, columns, pieces.append, None)
    for row in rows:
        made.row(row)
    made.end()
    return "".join(pieces)


def test_tabs_are_one_line_a_row():
    """What would break a line is shown instead."""
    text = "user_id\tusername\tbalance\tactive\tnote\n1\ta\t50\tyes\t\n"
    assert text + '2\tb "q", c\t50.25\tno\tx\\ty\\n\n' == written("table", ROWS)


def test_csv_quotes_strings_and_money_and_nothing_else():
    """So that a reader tells the types from any row."""
    text = 'user_id,username,balance,active,note\n1,"a","50",true,\n'
    assert text + '2,"b ""q"", c","50.25",false,"x\ty\n"\n' == written("csv", ROWS)


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS])
def test_json_is_a_list_and_jsonl_a_row_a_line(rows):
    """An empty list is a list."""
    assert rows == json.loads(written("json", rows))
    assert rows == [json.loads(line) for line in written("jsonl", rows).splitlines()]


def test_columns_have_their_order():
    """As they were asked for."""
    assert '{"note": null, "user_id": 1}\n' == written("jsonl", ROWS[:1], ("note", "user_id"))


def test_an_odd_string_is_one_field():
    """Quotes, commas, ends of lines."""
    assert '"a""b","",1,\n' == csv_line(['a"b', "", 1, None])


@pytest.mark.parametrize("width", [200, 80, 40, 20])
def test_a_drawn_table_holds_every_value_at_any_width(width):
    """Beside each other where they fit, else below each other, never cut off."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, force_terminal=False)
    made = writer("table", COLUMNS, print, console)
    for row in ROWS:
        made.row(row)
    made.end()
    text = stream.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    together = "".join(text.split())
    for value in ("user_id", "50.25", 'b"q",c', "x\\ty\\n"):
        assert value in together
    assert "…" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain ü", "plain ü"), ("\x1b[2J", "\\x1b[2J"), ("a\u202eb", "a\\u202eb"), ("\r", "\\r")],
)
def test_what_a_terminal_would_obey_is_shown(text, shown):
    """Escape sequences and marks that turn text round."""
    assert shown == printable(text)
