"""The pictures in the docs show what the code says."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from clicksend_reseller.journal import EDGES
from pictures import FINAL, FLOW, PICTURES, layers

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


def test_the_flow_of_a_call_is_numbered_once():
    """The page has the picture's steps, in the picture's order and words."""
    page = (DOCS / "explanation" / "architecture.md").read_text("utf-8")
    assert [words for words, _ in FLOW] == re.findall(r"^\d\. \*\*(.+?)\*\*", page, re.MULTILINE)
    modules = {module for row in layers() for module in row}
    assert modules >= {module.partition(".")[0] for _, module in FLOW}


def test_nothing_that_is_called_final_has_a_way_out():
    """Each step is drawn with an arrowhead, and none begins at a final state."""
    assert FINAL
    assert [] == [edge for edge in EDGES if edge.source in FINAL]
    ways = {(edge.source, edge.target) for edge in EDGES if edge.source is not None}
    picture = PICTURES["states.svg"]()
    assert len(ways) == picture.count('class="tip"')
    assert len(FINAL) == picture.count('class="mark')
