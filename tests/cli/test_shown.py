"""What the docs show of the command line is what it is."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from support.command_line import parsed

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def writer():
    """Load the script that writes them."""
    spec = importlib.util.spec_from_file_location("command_line_docs", DOCS / "command_line.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_code_offers(writer):
    """`python docs/command_line.py` would write the same page."""
    page = (DOCS / "reference" / "cli.md").read_text("utf-8")
    assert writer.with_reference(page) == page


@pytest.mark.parametrize("name", ["session-transfer", "session-top-up"])
def test_a_picture_of_a_session_is_what_a_run_prints(writer, name):
    """Played again at a pseudo-terminal, it says the same words in the same order."""
    drawn = (DOCS / "pictures" / f"{name}.svg").read_text("utf-8")
    assert writer.words_of(writer.picture(name, writer.play(name))) == writer.words_of(drawn)
    assert "url(http" not in drawn
    assert f"<title>{writer.SESSIONS[name][0]}</title>" in drawn


def test_the_cron_line_is_a_command():
    """With a cap, and with the percent sign that cron needs escaped."""
    page = (DOCS / "how-to" / "top-up-low-balances.md").read_text("utf-8")
    (line,) = re.findall(r"```none\n\S+ \S+ \S+ \S+ \S+ +(.*)\n```", page)
    assert r"$(date +\%F)" in line
    words = shlex.split(line.replace(r"$(date +\%F)", "2026-11-24"))
    parsed(words[1:])
    assert "--max-total" in words


def commands_of(page):
    """Give what a page says to type."""
    text = page.read_text("utf-8")
    blocks = re.findall(r"^```shell\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return {line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()}


def test_the_commands_of_a_session_are_in_the_text_beside_its_picture(writer):
    """Who types what the page says sees what its picture shows."""
    pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md")]
    for name, (_, steps) in writer.SESSIONS.items():
        showing = [page for page in pages if f"pictures/{name}.svg)" in page.read_text("utf-8")]
        assert showing
        for page in showing:
            assert {typed for typed, _ in steps} <= commands_of(page), page
