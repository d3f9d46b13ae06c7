"""The quirks by which a sandbox can differ from the plain API.

Nobody outside can see the live reseller API, so whatever is uncertain about it is a switch here.
"""

from __future__ import annotations

import json
from typing import Any, Literal

import attrs

from clicksend_reseller.sandbox.service.validators import flag, number, one_of, or_none, whole


@attrs.frozen(kw_only=True)
class Quirks:
    """Habits of the API, each with how sure it is: D documented, L seen live, G a guess.

    Attributes:
        max_limit: a larger ``limit`` is cut to this, and ``per_page`` says so (D).
        min_limit: a smaller ``limit`` is raised to this (D: 15 is documented elsewhere).
        rate_limit: calls per fixed clock minute and operation (L: 20 on the own account).
        int_phones: phone numbers leave as numbers (D: only on the documentation page).
        rows: "old" rows have ``setting_beta`` and lack the time zone; "mixed" is every other (D).
        empty_last_page: the ``last_page`` of an empty list (L: 0).
        create_status: the HTTP status of a creation, 200 or 201 (G).
        password_rule: "strong" wants eight characters with a letter and a digit (G).
        negative_amounts: a transfer may take credit back (G).
        currency_beside_data: ``_currency`` and ``_subaccount`` beside the rows of a page (D).
        next_page_url: "bare" is a path alone, "other-host" names the live host (L).
        read_lag: balances in reads are this many seconds behind the transfers (G).
    """

    max_limit: int = attrs.field(default=100, validator=whole(1))
    min_limit: int | None = attrs.field(default=None, validator=or_none(whole(1)))
    rate_limit: int | None = attrs.field(default=None, validator=or_none(whole(1)))
    int_phones: bool = attrs.field(default=False, validator=flag)
    rows: Literal["new", "old", "mixed"] = attrs.field(
        default="new", validator=one_of("new", "old", "mixed")
    )
    empty_last_page: int = attrs.field(default=0, validator=one_of(0, 1))
    create_status: int = attrs.field(default=200, validator=one_of(200, 201))
    password_rule: Literal["none", "strong"] = attrs.field(
        default="none", validator=one_of("none", "strong")
    )
    negative_amounts: bool = attrs.field(default=True, validator=flag)
    currency_beside_data: bool = attrs.field(default=False, validator=flag)
    next_page_url: Literal["bare", "other-host", "none"] = attrs.field(
        default="bare", validator=one_of("bare", "other-host", "none")
    )
    read_lag: float = attrs.field(default=0.0, validator=number(0, 3600))


def parse_quirks(texts: list[str]) -> Quirks:
    """Read texts such as ``name=value``; a bare name switches a quirk on.

    Raises:
        ValueError: an unknown name, or a value that the quirk does not have.
    """
    values = dict(_read(text) for text in texts)
    names = [field.name for field in attrs.fields(Quirks)]
    for name in values:
        if name not in names:
            raise ValueError(f"unknown quirk {name!r}: the quirks are {', '.join(names)}")
    return Quirks(**values)


def _read(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    try:
        return name, json.loads(value) if equals else True
    except ValueError:
        return name, value
