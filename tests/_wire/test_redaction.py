import json
import pickle
import time
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from clicksend_reseller._secret import MASK, Secret
from clicksend_reseller._wire import redaction
from support.strategies import canaries, json_values, names, telling_names

CANARY = "canary-7f3a9c"


def text_of(value):
    """Print a value in the ways in which it could be printed."""
    return f"{value!r} {value} {pickle.dumps(value)!r}"


# --- names


@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apikey", "API-Key", "x-api-key", "password", "passwd", "db_pwd"),
        *("access_token", "client_secret", "credentials", "Authorization", "privateKey"),
        *("private_key", "a" * 99 + "token"),
    ],
)
def test_telling_names(name):
    """What stands under these is a secret, however it is spelled."""
    assert redaction.is_sensitive_name(name)


@pytest.mark.parametrize("name", ["", "key", "user_id", "pass", "author", "a" * 99, "api key"])
def test_names_that_tell_nothing(name):
    """What stands under these is shown."""
    assert not redaction.is_sensitive_name(name)


# --- conceal


def test_values_under_telling_names_are_concealed_at_any_depth():
    """Scalars become Secrets; what is no secret stays as it came."""
    raw = {
        "price_rate": 0,
        "token": CANARY,
        "_partner": [
            {"name": "x", "apiKey": CANARY, "nested": {"secret_ids": [7, Decimal("1.5")]}}
        ],
        "password": {"old": CANARY, "set": True, "gone": None},
    }
    expected = {
        "price_rate": 0,
        "token": Secret(CANARY),
        "_partner": [
            {
                "name": "x",
                "apiKey": Secret(CANARY),
                "nested": {"secret_ids": [Secret("7"), Secret("1.5")]},
            }
        ],
        "password": {"old": Secret(CANARY), "set": True, "gone": None},
    }
    concealed = redaction.wrap_secrets(raw)
    assert expected == concealed
    assert CANARY not in text_of(concealed)


def test_concealed_secrets_stay_the_same():
    """A value that is a Secret already is not wrapped twice."""
    secret = Secret(CANARY)
    assert redaction.wrap_secrets({"token": secret})["token"] is secret


def nested(depth, wrap, innermost):
    """Wrap a value so many times."""
    for _ in range(depth):
        innermost = wrap(innermost)
    return innermost


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"x": inner}])
@pytest.mark.parametrize(("depth", "kept"), [(63, True), (64, False), (900, False)])
def test_what_nests_too_deeply_becomes_none(wrap, depth, kept):
    """An unknown field that nests without end costs itself, not the account."""
    expected = nested(depth, wrap, "x") if kept else nested(64, wrap, None)
    assert {"odd": expected} == redaction.wrap_secrets({"odd": nested(depth, wrap, "x")})


@given(fields=st.dictionaries(names, json_values, max_size=4), secret=canaries, data=st.data())
def test_no_concealed_field_shows_a_canary(fields, secret, data):
    """Whatever else an object holds, a secret under a telling name is in no print of it."""
    assume(secret not in text_of(fields))
    hidden = data.draw(st.sampled_from([secret, [secret], {"x": secret}, {"x": [{"y": secret}]}]))
    fields[data.draw(telling_names)] = hidden
    assert secret not in text_of(redaction.wrap_secrets(fields))
    assert secret not in text_of(redaction.wrap_secrets({"data": [fields]}))


# --- hide


@pytest.mark.parametrize(
    ("text", "secrets", "expected"),
    [
        ("the key canary-7f3a9c is wrong", (CANARY,), f"the key {MASK} is wrong"),
        ("canary-7f3a9ccanary-7f3a9c", (CANARY,), MASK * 2),
        ("canary-7f3a9c", (), CANARY),
        ("the username is taken", ("k",), "the username is taken"),
        ("seven77 is shown", ("seven77",), "seven77 is shown"),
        ("eight888 is not", ("eight888",), f"{MASK} is not"),
        (r'{"p": "quo\"te\\line"}', ('quo"te\\line',), f'{{"p": "{MASK}"}}'),
        (r'{"p": "p\u00e4ssw\u00f6rd"}', ("pässwörd",), f'{{"p": "{MASK}"}}'),
        ('{"p": "pässwörd"}', ("pässwörd",), f'{{"p": "{MASK}"}}'),
        (r'{"p": "pä\"sswörd"}', ('pä"sswörd',), f'{{"p": "{MASK}"}}'),
        (r'{"p": "abc\/defg="}', ("abc/defg=",), f'{{"p": "{MASK}"}}'),
        (r'{"p": "\u00e4bc\/defg="}', ("äbc/defg=",), f'{{"p": "{MASK}"}}'),
        ("longer-secret-1", ("secret-1", "longer-secret-1"), MASK),
    ],
)
def test_known_secrets_are_masked_by_value(text, secrets, expected):
    """As they are or as JSON writes them; short ones would mangle prose."""
    assert expected == redaction.hide(text, secrets)


# --- excerpt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("<html>maintenance</html>", "<html>maintenance</html>"),
        ('{"message": "no route"}', '{"message": "no route"}'),
        ("Authorization failed.", "Authorization failed."),
        ("<b>Invalid token</b>", "<b>Invalid token</b>"),
        ('{"api_key": "hunter2", "x": 1}', f'{{"api_key": {MASK}, "x": 1}}'),
        ('{"api_key":"hun\\"ter2","x":1}', f'{{"api_key":{MASK},"x":1}}'),
        ('{"password": 12345, "x": 1}', f'{{"password": {MASK}, "x": 1}}'),
        ('{"password": "hunter', f'{{"password": {MASK}'),
        ('{"password": "hunter\\', f'{{"password": {MASK}\\'),
        ("{'password': 'hunter2', 'x': 1}", f"{{'password': {MASK}, 'x': 1}}"),
        ("'password' => 'hunter2', 'x' => 1", f"'password' => {MASK}, 'x' => 1"),
        ("username=ann&password=hunter2&x=1", f"username=ann&password={MASK}&x=1"),
        ("<password>hunter2</password>", f"<password>{MASK}</password>"),
        ("Authorization: Basic YW5uOmh1bnRlcjI=", f"Authorization: {MASK}"),
        ("authorization: Bearer hunter2 x", f"authorization: {MASK} x"),
        ('{"secret": {"value": "hunter2"}}', f'{{"secret": {MASK}'),
        ('{"tokens": ["hunter2", "hunter3"]}', f'{{"tokens": {MASK}'),
        (
            r'{"log": "{\"token\": \"hunter 2\", \"x\": 1}"}',
            rf'{{"log": "{{\"token\": {MASK}, \"x\": 1}}"}}',
        ),
        (
            "{&quot;token&quot;:&quot;hunter 2&quot;,&quot;x&quot;:1}",
            f"{{&quot;token&quot;:{MASK},&quot;x&quot;:1}}",
        ),
        ("{&#039;token&#039;:&#039;hunter 2&#039;}", f"{{&#039;token&#039;:{MASK}}}"),
        ("x" * 300, "x" * 200),
        ("line\r\nforged\x1b[31m\u202e", r"line\r\nforged\x1b[31m\u202e"),
        ("\x00" * 200, r"\x00" * 50),
    ],
)
def test_excerpts_are_short_printable_and_show_no_secret(text, expected):
    """An excerpt helps to see who answered, and can be logged."""
    shown = redaction.excerpt(text, ())
    assert "hunter" not in shown
    assert expected == shown
    assert len(shown) <= 200
    assert shown.isprintable()


SHAPES = [
    lambda name, value: {name: value},
    lambda name, value: {name: [1, value]},
    lambda name, value: {name: {"old": {"x": value}}},
    lambda name, value: [{"a": 1, name: value}],
    lambda name, value: {"log": json.dumps({name: value})},
]


@given(
    before=json_values,
    name=telling_names,
    secret=canaries,
    shape=st.sampled_from(SHAPES),
    cut=st.integers(0, 100),
)
def test_no_excerpt_shows_a_canary_under_a_telling_name(before, name, secret, shape, cut):
    """A cut answer, a nested one, one inside a string: the secret is not in the excerpt."""
    assume(secret not in json.dumps(before, default=str))
    for indent in (None, 1):
        text = json.dumps([before, shape(name, secret)], indent=indent, default=str)
        assert secret not in redaction.excerpt(text[: len(text) - cut], ())


@pytest.mark.parametrize("before", range(180, 201))
def test_no_excerpt_shows_a_part_of_a_secret_of_the_call(before):
    """It is masked before the text is cut: half a password is half of it given away."""
    shown = redaction.excerpt(
        "x" * before + " canary-of-the-call and more", ("canary-of-the-call",)
    )
    assert "c" not in shown


@given(before=st.text(max_size=250), after=st.text(max_size=250), secret=canaries)
def test_no_excerpt_shows_a_secret_of_the_call(before, after, secret):
    """Wherever a server echoes it, at the edge of the excerpt too."""
    assume(secret not in before + after)
    echoed = json.dumps(secret)[1:-1].replace("/", r"\/")
    for form in (secret, echoed):
        shown = redaction.excerpt(before + form + after, (secret,))
        assert secret not in shown
        assert form not in shown


@pytest.mark.parametrize(
    "piece", ["token", "a", "token ", "token\\", '"token"', "api-key-", "token=\\'"]
)
def test_excerpt_takes_no_time_whatever_the_text(piece):
    """A text made for the pattern must not stop the event loop: it took a minute once."""
    text = piece * (4000 // len(piece))
    began = time.process_time()
    redaction.excerpt(text, (CANARY,))
    assert time.process_time() - began < 0.5
