"""What is live, and which journal guards a key? Only a server that proves it is a sandbox."""

import json
import socket
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from clicksend_reseller.cli.options import GlobalOptions
from clicksend_reseller.cli.session.sandbox_check import Identity, identity_of
from clicksend_reseller.cli.session.target import find_target
from clicksend_reseller.sandbox.identity import answer_to
from support.command_line import Home, served_sandbox
from support.live_tunnel import say, tunnel

CAP = ("--yes", "--max-total", 500, "--new-journal")


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Set what a place is made of; the journals are under the folder of the test."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("CLICKSEND_JOURNAL", raising=False)

    def set_(url, username="sandbox", api_key="sandbox"):
        monkeypatch.setenv("CLICKSEND_BASE_URL", url)
        monkeypatch.setenv("CLICKSEND_USERNAME", username)
        monkeypatch.setenv("CLICKSEND_API_KEY", api_key)

    return set_


@pytest.mark.parametrize(
    "base_url",
    [
        "https://rest.clicksend.com/v3",
        "https://REST.clicksend.com:443/v3/",
        "https://gateway.example.test/clicksend/v3",
        "https://10.0.0.7:8443/v3",
        "https://localhost:8730/v3",
        "http://localhost:1/v3",
    ],
)
def test_whatever_may_be_live_has_one_journal(environment, tmp_path, base_url):
    """The same account behind another host is the same money, on loopback too."""
    environment(base_url)
    place = find_target(GlobalOptions())
    assert tmp_path / "clicksend-reseller" / "journal.db" == place.journal_file
    assert place.host.startswith("LIVE ")


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_a_sandbox_has_a_journal_of_its_own(environment, tmp_path, served, name):
    """By any name of this machine it is one."""
    environment(served.url.replace("127.0.0.1", name))
    place = find_target(GlobalOptions())
    port = urlsplit(served.url).port
    expected = tmp_path / "clicksend-reseller" / f"http-localhost-{port}-v3.db"
    assert expected == place.journal_file
    assert place.host.startswith("sandbox ")


def test_two_names_of_one_api_do_not_pay_a_batch_twice(live, served):
    """The second run finds the keys on record for the first name, and refuses."""
    file = live.folder / "list.csv"
    file.write_text("client_user_id,amount,currency\n1001,5,AUD\n")
    other = Home(live.folder, served.url.replace("127.0.0.1", "localhost"))
    words = ("top-up", "--from", file, "--batch", "june", "--yes", "--max-total", 5)
    assert (0, 2) == (live.call(*words).status, other.call(*words).status)
    assert [(1001, "5.000000")] == served.paid


# --- a tunnel to the live account


def test_a_tunnel_on_loopback_is_live_with_the_journal_of_the_account(live, served):
    """Another port is no other account: the second one finds the keys of the first."""
    file = live.folder / "list.csv"
    file.write_text("client_user_id,amount,currency\n1001,5,AUD\n")
    words = ("top-up", "--from", file, "--batch", "june", *CAP)
    with tunnel(served.url) as first, tunnel(served.url) as second:
        run = Home(live.folder, first.url).call(*words)
        again = Home(live.folder, second.url).call(*words)
    assert f"host        LIVE {urlsplit(first.url).netloc}" in run.err
    assert (0, 2) == (run.status, again.status)
    assert [(1001, "5.000000")] == served.paid
    assert (live.folder / "state" / "clicksend-reseller" / "journal.db").exists()


def test_the_question_carries_no_credential(served):
    """Nothing of what the command knows goes to a stranger, not in any header either."""
    with tunnel(served.url) as opened:
        assert Identity.NONE is identity_of(opened.url, "me@shop.test", "LIVE-KEY-4711")
    [(method, path, headers)] = opened.asked
    assert "GET" == method
    assert {"host"} == {name.lower() for name in headers}
    assert not any(word in f"{path}{headers}" for word in ("LIVE-KEY", "me@shop", "TElWRS1"))


def lie(handler, **with_):
    """Answer as the sandbox with these credentials would."""
    challenge = parse_qs(urlsplit(handler.path).query)["challenge"][0]
    say(handler, json.dumps(answer_to(challenge, **with_)).encode())


def echo(handler):
    """Give the question back, as pages of errors do."""
    say(
        handler,
        json.dumps({"server": "clicksend-reseller sandbox", "proof": handler.path}).encode(),
    )


def stale(handler):
    """Answer as a cache would, with what a sandbox said to somebody else."""
    say(handler, json.dumps(answer_to("0" * 32, username="me", api_key="LIVE")).encode())


LIARS = {
    "knows another key": lambda handler: lie(handler, username="sandbox", api_key="sandbox"),
    "echo": echo,
    "stale": stale,
    "health": lambda handler: say(handler, b'{"status": "ok"}'),
    "true": lambda handler: say(handler, b"true"),
    "deep": lambda handler: say(handler, b"[" * 4000),
    "not text": lambda handler: say(handler, b"\xff\xfe{"),
    "long": lambda handler: say(handler, b" " * 10_000_000),
    "right, but an error": lambda handler: say(
        handler, json.dumps(answer_to("0" * 32, username="me", api_key="LIVE")).encode(), 404
    ),
}


@pytest.mark.parametrize("liar", LIARS)
def test_a_liar_is_live(served, liar):
    """It does not know the key of the live account, so it cannot say what a sandbox would."""
    with tunnel(served.url, LIARS[liar]) as opened:
        assert Identity.SANDBOX is not identity_of(opened.url, "me", "LIVE")


def test_a_right_answer_under_an_error_status_is_no_proof(served):
    """The sandbox says 200."""

    def refuse(handler):
        challenge = parse_qs(urlsplit(handler.path).query)["challenge"][0]
        answer = answer_to(challenge, username="me", api_key="LIVE")
        say(handler, json.dumps(answer).encode(), 403)

    with tunnel(served.url, refuse) as opened:
        assert Identity.NONE is identity_of(opened.url, "me", "LIVE")


@pytest.mark.parametrize("drips", [False, True], ids=["silent", "dripping"])
def test_a_server_that_hangs_is_live_soon(served, drips):
    """The whole answer has one limit, so a byte now and then does not stretch it."""

    def hang(handler):
        for _ in range(50):
            if drips:
                handler.wfile.write(b"H")
                handler.wfile.flush()
            time.sleep(0.05)  # a drip, shorter than a read may wait

    with tunnel(served.url, hang) as opened:
        began = time.monotonic()
        assert Identity.NONE is identity_of(opened.url, "sandbox", "sandbox", seconds=0.3)
        assert time.monotonic() - began < 1.5


def test_without_credentials_nothing_is_proved(served):
    """An empty key is the one that everybody knows."""
    assert Identity.OTHER_CREDENTIALS is identity_of(served.url, None, None)
    assert Identity.OTHER_CREDENTIALS is identity_of(served.url, "sandbox", "")
    assert Identity.SANDBOX is identity_of(served.url, "sandbox", "sandbox")


def test_a_proxy_that_sends_the_question_to_a_sandbox_fools_nobody(live, served):
    """It proves the sandbox's credentials, which are not those that move money behind it."""
    with served_sandbox() as decoy:

        def ask_the_decoy(handler):
            with socket.create_connection(
                (urlsplit(decoy.url).hostname, urlsplit(decoy.url).port)
            ) as connection:
                netloc = urlsplit(decoy.url).netloc
                asked = f"GET {handler.path} HTTP/1.0\r\nHost: {netloc}\r\n\r\n"
                connection.sendall(asked.encode())
                while piece := connection.recv(65_536):
                    handler.wfile.write(piece)
            handler.close_connection = True

        with tunnel(served.url, ask_the_decoy) as opened:
            assert Identity.SANDBOX is identity_of(opened.url, "sandbox", "sandbox")
            assert Identity.OTHER_CREDENTIALS is identity_of(opened.url, "me", "LIVE-KEY")
            run = Home(live.folder, opened.url).call(
                "transfer", 1001, 5, "AUD", "--key", "k", *CAP, CLICKSEND_API_KEY="LIVE-KEY"
            )
    assert (4, []) == (run.status, served.paid)


# --- what was said to be a sandbox


def test_sandbox_with_an_address_is_refused_where_none_answers(live, served):
    """The person said that it is one: nothing is sent, and the live journal is left alone."""
    with tunnel(served.url) as opened:
        word = f"--sandbox={opened.url}"
        run = live.call("transfer", 1001, 5, "AUD", "--key", "k", *CAP, word)
        doctor = live.call("doctor", word)
    assert (1, []) == (run.status, served.paid)
    assert f"{urlsplit(opened.url).netloc} does not answer as a sandbox" in run.err
    assert not (live.folder / "state" / "clicksend-reseller" / "journal.db").exists()
    assert 1 == doctor.status
    assert "fail     api: LIVE" in doctor.out


def test_sandbox_with_other_credentials_is_4(live, served):
    """Where the environment is about that sandbox, its credentials are the ones to prove."""
    run = live.call("balance", f"--sandbox={served.url}", CLICKSEND_API_KEY="another")
    assert 4 == run.status
    assert "other credentials than these" in run.err
    assert [] == served.requests


def test_the_doctor_says_what_a_loopback_address_is_not(live, served):
    """A tunnel may be meant: a warning."""
    with tunnel(served.url) as opened:
        run = Home(live.folder, opened.url).call("doctor")
    assert 0 == run.status
    assert f"warning  api: LIVE {urlsplit(opened.url).netloc}" in run.out
