import socket
import subprocess
import sys
import threading
from decimal import Decimal

import httpx
import pytest

from clicksend_reseller.sandbox import RemoteSandbox, Sandbox


@pytest.fixture(scope="module")
def url():
    """Serve a sandbox in another process."""
    command = [sys.executable, "-m", "clicksend_reseller.sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


@pytest.fixture
def remote(url):
    """Ask it by its URL, from the beginning."""
    remote = RemoteSandbox(url)
    remote.reset()
    return remote


def pay(url, client_user_id=1001, amount=12):
    """Send a transfer as a program beside the test would."""
    body = {"client_user_id": client_user_id, "balance": amount, "currency": "AUD"}
    try:
        return httpx.put(
            f"{url}/reseller/transfer-credit",
            json=body,
            auth=("sandbox", "sandbox"),
            trust_env=False,
        ).status_code
    except httpx.TransportError as exc:
        return type(exc).__name__


def test_a_fault_is_armed_and_the_ledger_is_read(remote, url):
    """The story of a lost answer, with the program and the sandbox in other processes."""
    fault = remote.fail("lost", operation="transfer_credit", times=1, seconds=0.5)
    assert (1, "lost", 0.5) == (fault.id, fault.kind, fault.seconds)
    assert ["RemoteProtocolError", 200] == [pay(url), pay(url, 1002, 3)]
    assert [(1, 1001, Decimal(12), False), (2, 1002, Decimal(3), True)] == [
        (entry.n, entry.client_user_id, entry.amount, entry.told) for entry in remote.ledger
    ]
    assert [Decimal(12)] == remote.transfers_to(1001)
    assert (Decimal(985), Decimal(62)) == (remote.credit, remote.balance(1001))
    assert ["lost", None] == [request["fault"] for request in remote.requests]


def test_it_says_what_a_sandbox_in_process_says(remote):
    """Accounts, balances and refusals are the same, word for word."""
    near = Sandbox()
    for sandbox in (near, remote):
        sandbox.add_account(user_id=7, balance=Decimal("5.5"), currency="EUR")
        sandbox.spend(7, Decimal("1.25"))
        sandbox.fail("page", times=None)
        sandbox.clear_faults()
    assert near.account(7) == remote.account(7)
    assert (near.balance(7), near.credit) == (remote.balance(7), remote.credit)
    for fails in (
        lambda sandbox: sandbox.fail("explode"),
        lambda sandbox: sandbox.spend(7, 0),
        lambda sandbox: sandbox.spend(9, 1),
        lambda sandbox: sandbox.add_account(user_id=7),
        lambda sandbox: sandbox.balance(9),
    ):
        assert said(fails, near) == said(fails, remote)


def said(fails, sandbox):
    """Give the error that a call ends in."""
    with pytest.raises((KeyError, ValueError)) as caught:
        fails(sandbox)
    return type(caught.value), str(caught.value)


def test_the_environment_and_the_console_lead_there_and_no_proxy_does(remote, url, monkeypatch):
    """What `eval` has set is enough; a proxy of the machine's is not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("CLICKSEND_BASE_URL", url)
    places = [None, url, url.removesuffix("v3"), url.removesuffix("v3") + "_sandbox/"]
    assert [Decimal(1000)] * 4 == [RemoteSandbox(place).credit for place in places]


@pytest.mark.parametrize(
    "url", ["", "https://rest.clicksend.com/v3", "http://sandbox.test:8730", "127.0.0.1:8730"]
)
def test_nothing_but_a_sandbox_on_this_machine_is_asked(url, monkeypatch):
    """Above all not the live API."""
    monkeypatch.delenv("CLICKSEND_BASE_URL", raising=False)
    with pytest.raises(ValueError, match=r"a sandbox is at http://127\.0\.0\.1:8730 or so"):
        RemoteSandbox(url)


def test_where_nobody_answers_the_way_to_start_one_is_named():
    """Refused, or silent for longer than the time limit."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(ConnectionError, match=r"timed out.*start one with `python -m"):
            RemoteSandbox(f"http://127.0.0.1:{port}", timeout=0.05).reset()
    with pytest.raises(ConnectionError, match=r"refused.*start one with `python -m"):
        RemoteSandbox(f"http://127.0.0.1:{port}").reset()


@pytest.mark.parametrize("answer", [b"HTTP/1.1 404 Not Found\r\n\r\n<html>", b"SSH-2.0\r\n\r\n"])
def test_another_server_is_not_taken_for_a_sandbox(answer):
    """Whatever it says, the error is one that names where we asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=speak, args=[server, answer]).start()
        port = server.getsockname()[1]
        with pytest.raises((KeyError, ConnectionError), match=f"127.0.0.1:{port}/_sandbox/"):
            RemoteSandbox(f"http://127.0.0.1:{port}").reset()


def speak(server, answer):
    """Say the same to whoever comes, once."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(answer)
