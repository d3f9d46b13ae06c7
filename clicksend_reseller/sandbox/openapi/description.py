"""The Reseller API in OpenAPI 3.1: a file, and what this sandbox alone can say.

ClickSend's own descriptions contradict each other and their page. This one says what the
sandbox does; a letter says how sure it is of the live API: D documented, L seen live, G a guess.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from clicksend_reseller import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILE = files("clicksend_reseller.sandbox") / "openapi" / "openapi.json"


def describe(currencies: Iterable[str]) -> dict[str, Any]:
    """Give the whole document.

    Args:
        currencies: those that a transfer can be made in.
    """
    document: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
    document["info"]["version"] = __version__
    transfer = document["components"]["schemas"]["Transfer"]
    known = transfer["properties"]["currency"]["enum"] = sorted(currencies)
    transfer["examples"][0]["currency"] = known[0]
    return document
