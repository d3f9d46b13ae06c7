"""Settings of the site, for Sphinx; `python3 noxfile.py -s docs` builds it with this file."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import attrs
from docutils import nodes
from docutils.nodes import Element, TextElement
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import clicksend_reseller
from clicksend_reseller import journal, sandbox

project = "clicksend-reseller"
author = "the clicksend-reseller authors"
copyright = "2026, the clicksend-reseller authors"  # noqa: A001 - Sphinx's name for it
version = release = clicksend_reseller.__version__

sys.path.insert(0, str(Path(__file__).parent))  # for site_search.py
extensions = [
    "myst_parser",
    "site_search",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_llm.txt",
]

# A second build beside the first writes llms.txt, llms-full.txt and each page as Markdown.
llms_txt_description = (
    "Async Python SDK for the ClickSend Reseller API: a transfer is never sent twice, and every "
    "failure says whether the request never left, was refused, or cannot be known."
)
llms_txt_full_build = True
llms_txt_suppress_unknown_node_warnings = True  # Markdown has no <abbr>
html_theme = "furo"
html_title = "clicksend-reseller"
html_theme_options = {"top_of_page_buttons": []}  # its icon stands outside every landmark
html_static_path = ["_static"]
html_css_files = ["site.css"]
copybutton_selector = (
    ".highlight-python pre, .highlight-shell pre, .highlight-toml pre, .highlight-docker pre"
)

default_role = "literal"  # in docstrings `x` is code
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
toc_object_entries_show_parents = "hide"  # a long name would be broken inside a word
maximum_signature_line_length = 72  # a longer one has a line for each argument
viewcode_line_numbers = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # "Attributes:" becomes a list, beside no second entry for each name

# Names of other projects: without a network there is no index of them to link to.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(fastapi|httpx|httpx2|opentelemetry|sqlalchemy|starlette|ssl|contextlib|datetime|decimal|collections\.abc|types)\..*",
    ),
    ("py:exc", "SQLAlchemyError"),
    ("py:class", r"clicksend_reseller\.[.\w]+\.(BatchRun|Where)"),  # made by the package alone
    ("py:class", r"Decimal|datetime|Iterable|Mapping|Callable|AbstractAsyncContextManager"),
]
# Keywords and options that a signature names; the docstring beside it says what they are.
nitpick_ignore = [
    ("py:class", "clicksend_reseller.models.AccountChanges"),
    ("py:class", "Armed"),
    ("py:class", "Client"),
    ("py:class", "ClientOptions"),
    ("py:class", "HTTPXTransport"),
    ("py:class", "HTTPX2Transport"),
    ("py:class", "Where"),
]

# Where a class is documented, by the bare name that an annotation may use.
HOMES = {
    **dict.fromkeys(clicksend_reseller.__all__, "clicksend_reseller"),
    **dict.fromkeys(journal.__all__, "clicksend_reseller.journal"),
    "Fault": "clicksend_reseller.sandbox",
    "Quirks": "clicksend_reseller.sandbox",
    "Entry": "clicksend_reseller.sandbox.service.state",
    "LoggedRequest": "clicksend_reseller.sandbox.service.state",
    "Served": "clicksend_reseller.sandbox.serving.server",
}


# How sure a statement about the API is; the site explains each letter where it stands.
LETTERS = {
    "(D)": "documented by ClickSend",
    "(L)": "reported from live calls by third parties",
    "(G)": "a guess: the package is ready for it and does not depend on it",
}

# Values that a caller makes; of all other models only the fields are shown.
MADE_BY_CALLERS = {
    clicksend_reseller.AccountFields,
    clicksend_reseller.RetryPolicy,
    clicksend_reseller.Transfer,
    journal.Assumptions,
    sandbox.Quirks,
}

# What the theme leaves out and a screen reader needs; axe looks at it in the session `docs`.
NAMED_FOR_READERS = {
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="All pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="This page">',
    # A long line of code is scrolled with the keyboard too.
    '<div class="highlight"><pre>': '<div class="highlight"><pre tabindex="0">',
}


ARGUMENTS = re.compile(r"<dl>\s*((?:<dd><em class=\"sig-param.*?</dd>\s*)+)</dl>", re.DOTALL)


def setup(app: Sphinx) -> None:
    app.connect("build-finished", name_for_readers)
    app.connect("missing-reference", find_home)
    app.connect("autodoc-process-signature", hide_making)
    app.connect("autodoc-process-docstring", list_every_field, priority=400)  # before napoleon
    app.connect("doctree-read", explain_letters)


def name_for_readers(app: Sphinx, _failure: Exception | None) -> None:
    for page in Path(app.outdir).rglob("*.html"):
        html = page.read_text("utf-8")
        for bare, named in NAMED_FOR_READERS.items():
            html = html.replace(bare, named)
        html = ARGUMENTS.sub(as_lines, html)
        page.write_text(html, "utf-8")


def as_lines(arguments: re.Match[str]) -> str:
    """Make lines of a long signature's arguments: they are a list of definitions without terms."""
    lines = arguments[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f'<span class="sig-lines">{lines}</span>'


def find_home(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, content: TextElement
) -> Element | None:
    """Link a name that an annotation takes from where it is defined to where it is public."""
    name = node["reftarget"].rpartition(".")[2]
    if name not in HOMES:
        return None
    target = f"{HOMES[name]}.{name}"
    python = env.domains.python_domain
    return python.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, content)


def hide_making(
    _app: Sphinx, what: str, _name: str, value: type, _options: object, *_signature: object
) -> tuple[str, str] | None:
    """Hide how errors and answers are made: nobody but the package makes them."""
    if what == "class" and value in MADE_BY_CALLERS:
        return f"(*, {', '.join(argument(field) for field in attrs.fields(value))})", ""
    return ("", "") if what == "exception" or attrs.has(value) else None


def argument(field: attrs.Attribute[Any]) -> str:
    """Write a field as an argument; attrs' own code names no default."""
    kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", "Any")
    return f"{field.name}: {kind}" + (
        "" if field.default is attrs.NOTHING else f" = {field.default!r}"
    )


def explain_letters(_app: Sphinx, document: nodes.document) -> None:
    """Give each letter in a text a tooltip."""
    for text in list(document.findall(nodes.Text)):
        parts = re.split(r"(\([DLG]\))", text)
        if len(parts) > 1 and not isinstance(text.parent, nodes.literal | nodes.literal_block):
            text.parent.replace(text, [explained(part) for part in parts if part])


def explained(part: str) -> Element | nodes.Text:
    if part not in LETTERS:
        return nodes.Text(part)
    return nodes.abbreviation(part, part, explanation=LETTERS[part])


def list_every_field(
    _app: Sphinx, what: str, _name: str, value: type, _options: object, lines: list[str]
) -> None:
    """Add to "Attributes:" the defaults, and the fields that need no words."""
    if what != "class" or not attrs.has(value):
        return
    if "Attributes:" not in lines:
        lines += ["", "Attributes:"]
    while not lines[-1].strip():
        lines.pop()
    for field in attrs.fields(value):
        at = [n for n, line in enumerate(lines) if line.startswith(f"    {field.name}: ")]
        where = at[0] if at else len(lines)
        meaning = lines[where].partition(": ")[2] if at else ""
        lines[where : where + 1] = [f"    {field.name}: {default_of(field)}{meaning}"]
    lines.append("")


def default_of(field: attrs.Attribute[Any]) -> str:
    plain = field.default is not None and isinstance(field.default, str | int | float)
    return f"default `{field.default!r}`; " if plain else ""
