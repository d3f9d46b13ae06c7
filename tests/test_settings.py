import pickle
import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clicksend_reseller import _settings
from clicksend_reseller._secret import MASK, Secret
from clicksend_reseller._settings import Credentials
from clicksend_reseller.errors import ConfigurationError

CANARY = "canary-7f3a9c"
VARIABLES = ("CLICKSEND_USERNAME", "CLICKSEND_API_KEY", "CLICKSEND_BASE_URL")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Start from an environment that says nothing, and give a way to say something."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


# --- credentials


def test_credentials_come_from_the_arguments_first(environment):
    """An argument is never mixed up with what the environment says."""
    environment("CLICKSEND_USERNAME", "from-env")
    environment("CLICKSEND_API_KEY", "key-from-env")
    expected = Credentials(username="ann", api_key=Secret(CANARY))
    assert expected == _settings.credentials("ann", CANARY)
    assert expected == _settings.credentials("ann", Secret(CANARY))


def test_credentials_come_from_the_environment_else(environment):
    """A service passes nothing and sets two variables."""
    environment("CLICKSEND_USERNAME", "from-env")
    environment("CLICKSEND_API_KEY", CANARY)
    expected = Credentials(username="from-env", api_key=Secret(CANARY))
    assert expected == _settings.credentials(None, None)


@pytest.mark.parametrize(
    ("username", "api_key", "message"),
    [
        (None, CANARY, "no username: pass username= or set CLICKSEND_USERNAME"),
        ("ann", None, "no api_key: pass api_key= or set CLICKSEND_API_KEY"),
        ("an:n", CANARY, "username has a colon, which HTTP Basic cannot send"),
        ("änn", CANARY, "username has characters that are not printable ASCII"),
        ("ann\r\nX: y", CANARY, "username has characters that are not printable ASCII"),
        ("ann", CANARY + "\n", "api_key has characters that are not printable ASCII"),
        ("ann", CANARY + "é", "api_key has characters that are not printable ASCII"),
        ("ann", CANARY + "\x7f", "api_key has characters that are not printable ASCII"),
        ("ann", MASK, "api_key: this is the mask of a secret, not the secret"),
        ("ann", Secret(MASK), "api_key: this is the mask of a secret, not the secret"),
    ],
)
def test_unsound_credentials_are_named_and_never_shown(username, api_key, message):
    """The message says which one is wrong and what to do; the key stands in none."""
    with pytest.raises(ConfigurationError) as caught:
        _settings.credentials(username, api_key)
    assert caught.value.message.startswith(message)
    assert CANARY not in f"{caught.value!r} {caught.value}"
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("username", "api_key", "missing"),
    [("", CANARY, "username"), ("ann", "", "api_key"), ("ann", Secret(""), "api_key")],
)
def test_empty_string_is_no_credential(environment, username, api_key, missing):
    """A setting that came out empty must not fall back to somebody else's account."""
    environment("CLICKSEND_USERNAME", "from-env")
    environment("CLICKSEND_API_KEY", "key-from-env")
    with pytest.raises(ConfigurationError, match=f"no {missing}: pass {missing}="):
        _settings.credentials(username, api_key)


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("CLICKSEND_USERNAME", "", "no username"),
        ("CLICKSEND_USERNAME", "a:b", "username has a colon"),
        ("CLICKSEND_API_KEY", "", "no api_key"),
        ("CLICKSEND_API_KEY", f"{CANARY}\n", "api_key has characters"),
        ("CLICKSEND_API_KEY", MASK, "api_key: this is the mask of a secret"),
    ],
)
def test_environment_is_checked_like_an_argument(environment, variable, value, message):
    """A line end copied into a variable is found before the first request."""
    environment("CLICKSEND_USERNAME", "ann")
    environment("CLICKSEND_API_KEY", CANARY)
    environment(variable, value)
    with pytest.raises(ConfigurationError, match=message) as caught:
        _settings.credentials(None, None)
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("username", "api_key"), [(5, CANARY), (b"ann", CANARY), ("ann", 5), ("ann", CANARY.encode())]
)
def test_credentials_are_strings(username, api_key):
    """Anything else is a slip of the caller's, shown by its type alone."""
    with pytest.raises(TypeError) as caught:
        _settings.credentials(username, api_key)
    assert CANARY not in str(caught.value)


def test_key_that_was_pickled_is_no_key():
    """A secret that lost its value on the way says so, and no other key is used in its place."""
    travelled = pickle.loads(pickle.dumps(Secret(CANARY)))  # noqa: S301 - our own pickle
    with pytest.raises(ConfigurationError, match="api_key: this secret did not travel"):
        _settings.credentials("ann", travelled)


def test_no_print_of_credentials_shows_the_key():
    """They stand in frames that error reporters print."""
    assert CANARY not in repr(_settings.credentials("ann", CANARY))


# --- base URL

GOOD_URLS = {
    "https://rest.clicksend.com/v3": "https://rest.clicksend.com/v3",
    "https://rest.clicksend.com/v3/": "https://rest.clicksend.com/v3",
    "https://rest.clicksend.com/v3//": "https://rest.clicksend.com/v3",
    "https://rest.clicksend.com": "https://rest.clicksend.com",
    "https://proxy.example:8443/clicksend/v3": "https://proxy.example:8443/clicksend/v3",
    "https://192.0.2.7/v3": "https://192.0.2.7/v3",
    "http://localhost:8000/v3": "http://localhost:8000/v3",
    "http://127.0.0.1:8000": "http://127.0.0.1:8000",
    "http://[::1]:8000/v3": "http://[::1]:8000/v3",
    "https://[::1]/v3": "https://[::1]/v3",
    "https://[2001:db8::7]:8443/v3": "https://[2001:db8::7]:8443/v3",
}
OTHER_SPELLINGS = {
    "HTTPS://REST.ClickSend.com/v3": "https://rest.clicksend.com/v3",
    "https://rest.clicksend.com:443/v3": "https://rest.clicksend.com/v3",
    "https://rest.clicksend.com:/v3": "https://rest.clicksend.com/v3",
    "https://rest.clicksend.com:0443/v3": "https://rest.clicksend.com/v3",
    "https://[2001:DB8:0:0::7]:443": "https://[2001:db8::7]",
    "http://[0:0:0:0:0:0:0:1]/v3": "http://[::1]/v3",
    "http://LOCALHOST:80": "http://localhost",
    "https://rest.clicksend.com:80/V3": "https://rest.clicksend.com:80/V3",
}


@pytest.mark.parametrize(("url", "expected"), [*GOOD_URLS.items(), *OTHER_SPELLINGS.items()])
def test_base_urls_have_one_spelling(environment, url, expected):
    """A journal's keys hold for one base URL: another spelling is not another account."""
    assert expected == _settings.base_url(url)
    environment("CLICKSEND_BASE_URL", url)
    assert expected == _settings.base_url(None)


def test_base_url_is_the_live_one_where_nothing_is_said(environment):
    """An empty variable says nothing either."""
    assert "https://rest.clicksend.com/v3" == _settings.base_url(None)
    environment("CLICKSEND_BASE_URL", "")
    assert "https://rest.clicksend.com/v3" == _settings.base_url(None)


INSECURE = "must begin with https://, because credentials and money travel there"
ODD_CHARACTERS = "has spaces, backslashes or characters that are not ASCII"
PORT = "has a port that is no number up to 65535"
USERINFO = "has a user name or password in it: pass username= and api_key="
BAD_URLS = {
    "": "is empty",
    "rest.clicksend.com/v3": "must begin with https://",
    "//rest.clicksend.com/v3": "must begin with https://",
    "ftp://rest.clicksend.com": "must begin with https://",
    "file:///etc/passwd": "must begin with https://",
    "http://rest.clicksend.com/v3": INSECURE,
    "http://localhost.evil.example": INSECURE,
    "http://evil.example/localhost": INSECURE,
    "http://127.0.0.1.evil.example": INSECURE,
    "http://2130706433": INSECURE,
    "http://0x7f.1": INSECURE,
    "http://127.1": INSECURE,
    "http://127.0.0.2": INSECURE,
    "http://0.0.0.0": INSECURE,
    "http://[2001:db8::7]": INSECURE,
    "http://[::ffff:127.0.0.1]": "has no host that can be used",
    "https://[::ffff:127.0.0.1]": "has no host that can be used",
    "https://[::1%25lo]": "has no host that can be used",
    "https://": "has no host that can be used",
    "https:///v3": "has no host that can be used",
    "https://:443": "has no host that can be used",
    "https://-evil.example": "has no host that can be used",
    "https://a..example": "has no host that can be used",
    "https://.example": "has no host that can be used",
    "https://a_b.example": "has no host that can be used",
    "https://%65vil.example": "has no host that can be used",
    "https://rest.clicksend.com?x=1": "has a query or fragment",
    "https://rest.clicksend.com/v3?": "has a query or fragment",
    "https://rest.clicksend.com/v3#": "has a query or fragment",
    "https://rest.clicksend.com/v3#f": "has a query or fragment",
    "https://rest.clicksend.com:0": "has port 0",
    "https://rest.clicksend.com:65536": PORT,
    "https://rest.clicksend.com:https": PORT,
    "https://[::1": "is no URL",
    "https://rest.clicksend.com/v3/../v2": "has . or .. in its path",
    "https://rest.clicksend.com/./v3": "has . or .. in its path",
    "https://rest.clicksend.com\\@evil.example": ODD_CHARACTERS,
    "https:\\\\rest.clicksend.com": ODD_CHARACTERS,
    "https://rest.clicksend.com/v3\n": ODD_CHARACTERS,
    " https://rest.clicksend.com/v3": ODD_CHARACTERS,
    "https://rest.clicksend.com/a b": ODD_CHARACTERS,
    "https://rest.clicksend.com/\x00": ODD_CHARACTERS,
    "https://réseller.example": ODD_CHARACTERS,
    "https://evil。example": ODD_CHARACTERS,
    f"https://ann:{CANARY}@rest.clicksend.com": USERINFO,
    f"https://{CANARY}@rest.clicksend.com": USERINFO,
    f"https://:{CANARY}@rest.clicksend.com": USERINFO,
    "https://rest.clicksend.com@evil.example": USERINFO,
    "https://@rest.clicksend.com": USERINFO,
    f"https://ann:{CANARY}@[::1": "is no URL",
    f"https://ann:{CANARY}/v3": PORT,
    f"https:/ann:{CANARY}/v3": "has no host that can be used",
    f"ann:{CANARY}/v3": "must begin with https://",
    f"https://rest.clicksend.com/v3?key={CANARY}": "has a query or fragment",
    f"https://rest.clicksend.com:99999/v3?key={CANARY}": "has a query or fragment",
    f"https://rest.clicksend.com#{CANARY}": "has a query or fragment",
    f"ftp://x.example?key={CANARY}": "has a query or fragment",
}


@pytest.mark.parametrize(("url", "fault"), BAD_URLS.items())
def test_unsound_base_urls_are_refused(environment, url, fault):
    """Credentials and money go to this address, so it is only ever the obvious one."""
    with pytest.raises(ConfigurationError) as caught:
        _settings.base_url(url)
    assert caught.value.message.startswith("base_url ")
    assert caught.value.message.endswith(f" {fault}")
    assert CANARY not in str(caught.value)
    if url and "\x00" not in url:
        environment("CLICKSEND_BASE_URL", url)
        with pytest.raises(ConfigurationError):
            _settings.base_url(None)


@pytest.mark.parametrize("host", ["1:2", "192.0.2.7", CANARY, "evil.example", "v1.x", ""])
def test_brackets_hold_an_address_of_ip_version_6(host):
    """Older releases of Python let anything pass between them."""
    with pytest.raises(ConfigurationError) as caught:
        _settings.base_url(f"https://[{host}]/v3")
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://reseller.example:80/v3", "base_url 'http://reseller.example:80/v3' must"),
        ("http://[2001:db8::7]:80/v3", "base_url 'http://[2001:db8::7]:80/v3' must"),
        ("reseller.example", "base_url 'reseller.example' must"),
        ("https://reseller.example/v3?a=b#c", "base_url 'https://reseller.example/v3…' has"),
        ("https://reseller.example:port", "base_url has"),
        ("https://ann@reseller.example", "base_url has"),
    ],
)
def test_only_a_harmless_part_of_a_base_url_is_shown(url, shown):
    """A typing slip is seen at once; userinfo, query and what a slip makes of them are not."""
    with pytest.raises(ConfigurationError, match=f"^{re.escape(shown)}"):
        _settings.base_url(url)


@pytest.mark.parametrize("url", [5, b"https://rest.clicksend.com", httpx.URL("https://x.example")])
def test_base_url_is_a_string(url):
    """Another library's URL is not looked into."""
    with pytest.raises(TypeError, match="base_url must be a str, not"):
        _settings.base_url(url)


hosts = st.sampled_from(["localhost", "127.0.0.1", "[::1]", "[2001:DB8::7]", "evil.example", "a@b"])
urls = st.tuples(
    st.sampled_from(["https://", "http://", "HTTPS:", "//", ""]),
    hosts | st.text("ab.-@:[]1/\\%#?", max_size=8),
    st.sampled_from(["", ":8000", ":443", ":", ":x"]),
    st.sampled_from(["", "/", "/v3", "/v3/", "/..", "?x"]) | st.text(max_size=5),
).map("".join)


@given(url=urls | st.text(max_size=20))
def test_what_is_checked_is_what_the_http_library_connects_to(url):
    """Two readers of one URL must not see two hosts: that is how credentials go astray."""
    try:
        checked = _settings.base_url(url)
    except ConfigurationError:
        return
    seen = httpx.URL(f"{checked}/account")
    assert checked + "/account" == str(seen)
    assert "https" == seen.scheme or seen.host in {"localhost", "127.0.0.1", "::1"}
    assert b"" == seen.userinfo + seen.query
    assert checked == _settings.base_url(checked)


# --- numbers and exclusive options


@pytest.mark.parametrize(("value", "expected"), [(20, 20.0), (0.001, 0.001), (1e300, 1e300)])
def test_seconds_are_positive_numbers(value, expected):
    """Ints are welcome; the rest of the package works with floats."""
    seconds = _settings.seconds("timeout", value)
    assert (float, expected) == (type(seconds), seconds)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        *((value, ConfigurationError) for value in [0, 0.0, -1, float("nan"), float("inf")]),
        (10**400, ConfigurationError),
        *((value, TypeError) for value in [None, True, "20", b"20", [20]]),
    ],
)
def test_other_seconds_are_refused(value, error):
    """There is no endless wait and no switched-off limit."""
    with pytest.raises(error, match="timeout must be"):
        _settings.seconds("timeout", value)


@pytest.mark.parametrize("value", [1, 10_000])
def test_counts_are_whole_numbers_from_1(value):
    """One at a time is the least."""
    assert value == _settings.count("max_concurrency", value)


@pytest.mark.parametrize(
    ("value", "error"),
    [(0, ConfigurationError), (-1, ConfigurationError)]
    + [(value, TypeError) for value in [None, True, 1.0, "1"]],
)
def test_other_counts_are_refused(value, error):
    """A client with no places would wait for ever."""
    with pytest.raises(error, match="max_concurrency must be"):
        _settings.count("max_concurrency", value)


def test_journal_bounds_the_time_of_an_attempt():
    """Nobody may judge a row whose attempt is still alive."""
    _settings.check_journaled(120.0)
    with pytest.raises(ConfigurationError, match=r"timeout must be at most 120 s, not 120\.5"):
        _settings.check_journaled(120.5)


WAYS = ("transport", "http_client", "proxy", "ssl_context")


@pytest.mark.parametrize(
    ("given_ways", "sound"),
    [
        ((), True),
        *(((way,), True) for way in WAYS),
        (("proxy", "ssl_context"), True),
        (("transport", "http_client"), False),
        (("transport", "proxy"), False),
        (("transport", "ssl_context"), False),
        (("http_client", "proxy"), False),
        (("http_client", "ssl_context"), False),
        (("transport", "proxy", "ssl_context"), False),
        (WAYS, False),
    ],
)
def test_ways_to_the_api_exclude_each_other(given_ways, sound):
    """An option that would be ignored is refused, so that nobody relies on it."""
    options = {way: object() if way in given_ways else None for way in WAYS}
    if sound:
        _settings.check_exclusive(**options)
    else:
        message = f"{' and '.join(given_ways)} cannot be given together"
        with pytest.raises(ConfigurationError, match=message):
            _settings.check_exclusive(**options)
