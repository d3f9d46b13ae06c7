"""Do the pictures in the docs show what the code says?"""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from pictures import PICTURES

DOCS = Path(__file__).resolve().parents[2] / "docs"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_what_the_tables_give(name):
    """`python docs/pictures.py` draws it again after a table has changed."""
    assert PICTURES[name]() == (DOCS / "pictures" / name).read_text("utf-8")


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_speaks_to_those_who_do_not_see_it(name):
    """A title and a description, in well-formed XML, and no script."""
    root = ET.fromstring(PICTURES[name]())  # noqa: S314 - our own text
    assert root.findtext(f"{SVG}title")
    assert len(root.findtext(f"{SVG}desc") or "") > 60
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
    assert root.find(f"{SVG}script") is None


@pytest.mark.parametrize("name", PICTURES)
def test_the_picture_is_shown_with_words_beside_it(name):
    """Some page shows it, and says in words what is on it."""
    pages = [DOCS.parent / "README.md", *DOCS.rglob("*.md")]
    shown = re.compile(rf"!\[[^]]{{40,}}\]\([./\w-]*pictures/{re.escape(name)}\)")
    assert any(shown.search(page.read_text("utf-8")) for page in pages)
