"""How is the site built? `python3 noxfile.py -s docs` runs Sphinx with this file."""

from __future__ import annotations

from typing import Any

import attrs
from docutils.nodes import Element, TextElement
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import clicksend_reseller

project = "clicksend-reseller"
author = "the clicksend-reseller authors"
version = release = clicksend_reseller.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "clicksend-reseller"

default_role = "literal"  # in docstrings `x` is code
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # "Attributes:" becomes a list, beside no second entry for each name

# Names of other projects: without a network there is no index of them to link to.
nitpick_ignore_regex = [
    ("py:.*", r"(httpx|httpx2|ssl|contextlib|datetime|decimal|collections\.abc|types)\..*"),
    ("py:class", r"Decimal|datetime|Iterable|Mapping|Callable|AbstractAsyncContextManager"),
]
# Keywords and seams that a signature names; the docstring beside it says what they are.
nitpick_ignore = [
    ("py:class", "clicksend_reseller.models.AccountChanges"),
    ("py:class", "Armed"),
    ("py:class", "ClientOptions"),
    ("py:class", "HTTPXTransport"),
    ("py:class", "HTTPX2Transport"),
    ("py:class", "Where"),
]

# Where a class is documented, by the bare name that an annotation may use.
HOMES = {
    **dict.fromkeys(clicksend_reseller.__all__, "clicksend_reseller"),
    "Fault": "clicksend_reseller.sandbox",
    "Quirks": "clicksend_reseller.sandbox",
    "Entry": "clicksend_reseller.sandbox.world",
    "LoggedRequest": "clicksend_reseller.sandbox.world",
    "Served": "clicksend_reseller.sandbox.server",
}


def setup(app: Sphinx) -> None:
    app.connect("missing-reference", find_home)
    app.connect("autodoc-process-signature", hide_making)
    app.connect("autodoc-process-docstring", list_every_field, priority=400)  # before napoleon


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
    """Errors are caught, not made; and what a model is made of stands in its list of fields."""
    return ("", "") if what == "exception" or attrs.has(value) else None


def list_every_field(
    _app: Sphinx, what: str, _name: str, value: type, _options: object, lines: list[str]
) -> None:
    """Add to "Attributes:" the defaults, and the fields that speak for themselves."""
    if what != "class" or not attrs.has(value):
        return
    if "Attributes:" not in lines:
        lines += ["", "Attributes:"]
    while not lines[-1].strip():
        lines.pop()
    for field in attrs.fields(value):
        told = [n for n, line in enumerate(lines) if line.startswith(f"    {field.name}: ")]
        where = told[0] if told else len(lines)
        meaning = lines[where].partition(": ")[2] if told else ""
        lines[where : where + 1] = [f"    {field.name}: {default_of(field)}{meaning}"]
    lines.append("")


def default_of(field: attrs.Attribute[Any]) -> str:
    plain = field.default is not None and isinstance(field.default, str | int | float)
    return f"default `{field.default!r}`; " if plain else ""
