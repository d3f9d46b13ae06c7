"""What the site's search finds beyond Sphinx's default: numbers, and the words that people type.

Sphinx drops every word that is a number, when it writes the index and again when it reads a
question. Here "429" is written and asked for as "n429".

A page names the words that it answers in a comment, which shows nowhere::

    <!-- search: rate limit, too many requests -->

They become main entries of the index, which the search puts first.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

_COMMENT = re.compile(r"<!-- search: (.+?) -->", re.DOTALL)


class SearchEnglishWithNumbers(SearchEnglish):
    """Sphinx's English, in which a number is a word."""

    js_splitter_code = r"""
var splitQuery = function (query) {
  return query
    .split(/[^\p{Letter}\p{Number}_\p{Emoji_Presentation}]+/gu)
    .filter((term) => term)
    .map((term) => (/^\d+$/.test(term) ? "n" + term : term));
};
"""

    def split(self, input: str) -> list[str]:  # noqa: A002 - Sphinx's name for it
        """Split a text into words, and mark the numbers."""
        return [f"n{word}" if word.isdigit() else word for word in super().split(input)]


def write_entries(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Turn a page's comment into entries of the index."""
    source[0] = _COMMENT.sub(_entries, source[0])


def _entries(comment: re.Match[str]) -> str:
    words = " ".join(comment[1].split()).split(", ")
    return f"```{{index}} {', '.join(f'! {word}' for word in words)}\n```"


def setup(app: Sphinx) -> dict[str, bool]:
    """Join the build; `conf.py` names this file as an extension."""
    app.add_search_language(SearchEnglishWithNumbers)
    app.connect("source-read", write_entries)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
