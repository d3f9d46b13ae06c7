"""What may come in? Hypothesis strategies for the wire: good accounts, junk, odd bytes, secrets."""

import json
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from clicksend_reseller._wire.response import Answer
from support.good_answers import ACCOUNT

# Values as the parser of answers gives them: fractions are Decimals.
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(10**20), 10**20),
    st.decimals(allow_nan=False, allow_infinity=False, places=3),
    st.builds(Decimal, st.sampled_from(["1E+300000", "1E+3", "0E-9", "-0.0", "12.123456789"])),
    st.text(max_size=8),
    st.sampled_from(["0", "1", "true", "", "-", "1.5", "\ud800", "٣", "1\n", "1e5", "NaN"]),
)
telling_names = st.sampled_from(
    ["api_key", "API-KEY", "apiKey", "password", "passwd", "db_pwd", "access_token", "secret"]
)
names = st.one_of(st.text(max_size=8), telling_names, st.sampled_from([*ACCOUNT, "extra"]))
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)

money_strings = st.from_regex(r"-?[0-9]{1,14}(\.[0-9]{0,9})?", fullmatch=True) | st.text(max_size=6)


@st.composite
def accounts(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an account with some fields left out, some replaced by anything, some unknown."""
    account = dict(ACCOUNT)
    for name in draw(st.sets(st.sampled_from([*ACCOUNT]), max_size=3)):
        del account[name]
    for name in draw(st.sets(st.sampled_from([*ACCOUNT]), max_size=4)):
        account[name] = draw(json_values)
    for nested in ("_currency", "_subaccount"):
        if isinstance(account.get(nested), dict) and draw(st.booleans()):
            keys = st.sampled_from([*ACCOUNT[nested], "is_main", "min_recharge_amount", "api_key"])
            account[nested] = account[nested] | draw(st.dictionaries(keys, scalars, max_size=3))
    unknown: dict[str, Any] = draw(st.dictionaries(names, json_values, max_size=3))
    return account | unknown


def as_json(value: Any) -> bytes:
    """Write a value as it could have come: Decimals are numbers again."""
    return json.dumps(value, default=float).encode()


codes = st.sampled_from(
    ["SUCCESS", "BAD_REQUEST", "ALREADY_EXISTS", "INTERNAL_ERROR", "NEVER_SEEN", ""]
)
envelopes = st.fixed_dictionaries(
    {},
    optional={
        "http_code": st.sampled_from([200, 201, 400, 408, 500]) | scalars,
        "response_code": codes | scalars,
        "response_msg": st.text(max_size=8) | scalars,
        "data": accounts()
        | json_values
        | st.fixed_dictionaries({"data": st.lists(accounts() | json_values, max_size=3)}),
        "details": json_values,
        "_currency": json_values,
    },
)


@st.composite
def damaged(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """Draw an answer with a piece cut out and another put in."""
    content: bytes = draw(contents)
    start, length = draw(st.integers(0, len(content))), draw(st.integers(0, 20))
    return content[:start] + draw(st.binary(max_size=6)) + content[start + length :]


envelope_bytes = envelopes.map(as_json)
contents = st.one_of(
    st.binary(max_size=60), json_values.map(as_json), envelope_bytes, damaged(envelope_bytes)
)
statuses = st.sampled_from([200, 201, 204, 302, 400, 401, 404, 408, 429, 500, 503, 520, 600])
header_values = st.one_of(
    st.text(max_size=12),
    st.integers(-5, 10**12).map(str),
    st.from_regex(r"\A(Mon, )?[0-9]{1,3}[ -]Jan[ -][0-9]{1,5} [0-9:]{3,8} (GMT|[+-][0-9]{1,9})\Z"),
)
answers = st.builds(
    Answer,
    status=statuses,
    headers=st.dictionaries(
        st.sampled_from(["retry-after", "ratelimit-reset", "x-ratelimit-remaining"]), header_values
    ),
    content=contents,
    flaw=st.sampled_from(["", "", "", "the answer broke off"]),
)

# Long enough to be masked by value, and never a part of a mask or of a name.
canaries = st.text("bdfhjqvxz258/+=~", min_size=8, max_size=60)
