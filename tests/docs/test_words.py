"""Docs, docstrings, messages and help are in plain words: odd ones do not come back."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if "_build" not in path.parts
)

PACKAGE = ROOT / "clicksend_reseller"
SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "docs").rglob("*.py")])
TEMPLATES = sorted([*PACKAGE.rglob("*.jinja"), *(ROOT / "docs" / "examples").rglob("*.html")])

# What must not come back, and what to write in its place.
WORDS = {
    r"annex(es)?": "extra",
    r"bears? out": "shows",
    r"in doubt": "unknown outcome",
    r"fates?": "what became of it",
    r"floors?": "layer",
    r"heed(s|ed)?": "respect",
    r"house": "package, architecture",
    r"hush": "redact",
    r"in earnest": "in production",
    r"mend(s|ed|ing)?": "fix, remove the cause",
    r"never felt": "the call continues",
    r"old copy": "a restored backup",
    r"patien(ce|tly)": "retries",
    r"roads?": "flow",
    r"rooms?": "module",
    r"seams?": "transport, option",
    r"so-manieth": "the number",
    r"speaks? for|speaks? of": "shows, is about",
    r"stands? in another line": "appears twice",
    r"strangers?": "a new user",
    r"strikes?|struck": "is used",
    r"time-outs?": "timeout",
    r"told": "the answer was delivered",
    r"tells": "says, shows",
    r"witness(es)?": "evidence",
}


def prose_of(page):
    """Leave out code and addresses, which keep the names that they have."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!-- search:.*?-->", "", text, flags=re.DOTALL)
    # The command line's own help is the package's text, which is looked at below.
    text = re.sub(r"<!-- written by .*?<!-- end -->", "", text, flags=re.DOTALL)
    return re.sub(r"`[^`]*`|\]\([^)]*\)", "", text)


def odd_words(text):
    """Name each word of the list that a text has, with the line that it is in."""
    return [
        f"{found[0]!r} in {line.strip()[:80]!r}: write {plain}"
        for line in text.splitlines()
        for word, plain in WORDS.items()
        for found in re.finditer(rf"\b(?:{word})\b", line, re.IGNORECASE)
    ]


def texts_of(path):
    """Give the docstrings, messages and help texts of a file, without names and code."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        match node:
            case ast.Constant(value=str(text)) if re.search(r"\w\s+\w", text):
                text = re.sub(r"`[^`]*`|:\w+", "", text)
                yield re.sub(r"^ *\w+: ", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_is_in_plain_words(page):
    """A reader whose first language is another follows at once."""
    assert [] == odd_words(prose_of(page))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_messages_and_help_are_in_plain_words(path):
    """Who reads an error, a help text or the source reads the words of the docs."""
    assert [] == [word for text in texts_of(path) for word in odd_words(text)]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_of_console_and_portal_is_in_plain_words(path):
    """What a browser shows, without tags, attributes and expressions."""
    text = re.sub(r"\{[{%#].*?[}%#]\}|<[^>]*>", " ", path.read_text("utf-8"), flags=re.DOTALL)
    assert [] == odd_words(text)


def test_the_list_finds_a_word():
    """The test above is no empty one."""
    assert odd_words("Each room of the house.") != []
    assert odd_words("The journal was told.") != []


def test_the_readme_is_read_aloud_in_two_minutes():
    """Without code, tables, pictures and the list of links: 160 words a minute."""
    text = (ROOT / "README.md").read_text("utf-8").partition("## Read on")[0]
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(\||!\[|#).*$", "", text, flags=re.MULTILINE)
    words = re.findall(r"[\w'’.-]*\w", re.sub(r"\]\([^)]*\)", "", text))
    assert len(words) <= 2 * 160
