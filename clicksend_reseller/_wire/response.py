"""An answer and its envelope."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs

from clicksend_reseller._wire import strict_json, structuring

SUCCESSES = range(200, 300)


@attrs.frozen(kw_only=True)
class Answer:
    """The answer to one request.

    Attributes:
        headers: names in lower case; the values of one that came more than once, a line each.
        flaw: why the content is incomplete, or empty.
        drop: closes the connection that it came on; None where that had not been used before,
            or that is not known.
    """

    status: int
    headers: Mapping[str, str] = attrs.field(repr=False)
    content: bytes = attrs.field(repr=False)
    flaw: str = ""
    drop: Callable[[], Awaitable[None]] | None = attrs.field(default=None, repr=False, eq=False)


@attrs.frozen(kw_only=True)
class Envelope:
    """The four fields of every answer (D).

    Attributes:
        http_code: the HTTP status where the answer says none; 0 where it cannot be read.
    """

    code: str
    http_code: int
    message: str
    rest: Mapping[str, Any] = attrs.field(repr=False)


def open_envelope(answer: Answer) -> tuple[Envelope | None, str]:
    if answer.flaw:
        return None, answer.flaw
    try:
        fields = strict_json.parse_object(answer.content)
    except UnicodeDecodeError:
        return None, "the answer is not UTF-8"
    except (ValueError, RecursionError) as exc:
        return None, f"the answer is not the documented JSON ({exc})"
    code = fields.get("response_code")
    if type(code) is int:  # G
        code = str(code)
    if type(code) is not str or not code:
        return None, "the answer has no response_code"
    message, http_code = fields.get("response_msg"), fields.get("http_code")
    return Envelope(
        code=code,
        http_code=answer.status if http_code is None else structuring.read_int(http_code) or 0,
        message=message if type(message) is str else "",
        rest=fields,
    ), ""
