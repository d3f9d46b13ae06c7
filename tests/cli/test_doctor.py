"""What the doctor finds, and what it says to do."""

import json

import pytest

from support.command_line import Home


def findings(run):
    """Each check with its result, remedy and words."""
    return {row["check"]: row for row in json.loads(run.out)}


def results(run):
    """Each check with its result."""
    return {check: row["result"] for check, row in findings(run).items()}


def test_a_sound_set_up_is_all_ok(fresh, served):
    """One line each, status 0, and nothing was moved."""
    run = fresh.call("doctor", "--json")
    expected = dict.fromkeys(
        ("versions", "api", "credentials", "proxies", "dns", "tcp", "tls"), "ok"
    )
    expected |= {"account": "ok", "clients": "ok", "rate limit": "ok"}
    assert (0, {**expected, "journal": "ok"}) == (run.status, results(run))
    assert [] == served.ledger
    assert {"GET"} == {request["method"] for request in served.requests}


def test_it_reads_as_lines(live):
    """For a person."""
    lines = live.call("doctor").out.splitlines()
    assert all(line.split()[0] in {"ok", "warning", "fail"} for line in lines)
    assert any("from CLICKSEND_BASE_URL" in line for line in lines)


def test_missing_credentials_are_4_with_a_remedy(home):
    """And the checks that need none are made all the same."""
    run = home.call("doctor", "--json", CLICKSEND_BASE_URL="http://127.0.0.1:1/v3")
    found = findings(run)
    assert (4, "fail", "fail") == (
        run.status,
        found["credentials"]["result"],
        found["tcp"]["result"],
    )
    assert [] == [row for row in found.values() if row["result"] == "fail" and not row["remedy"]]


def test_an_account_that_is_no_reseller_is_4_and_explained(live, served):
    """403 and 404 mean the same here."""
    for status in (403, 404):
        served.fail("error", operation="list_accounts", status=status)
        run = live.call("doctor", "--json")
        assert 4 == run.status
        assert "approved before 1 January 2024" in findings(run)["clients"]["remedy"]


def test_a_wrong_key_is_4(live):
    """401."""
    run = live.call("doctor", "--json", CLICKSEND_API_KEY="wrong")
    assert (4, "fail") == (run.status, results(run)["account"])


def test_a_service_that_is_down_is_1(tmp_path):
    """Nobody listens: the connection is named, and what to check."""
    home = Home(tmp_path, "http://127.0.0.1:1/v3")
    run = home.call("doctor", "--json")
    assert 1 == run.status
    assert "firewall" in findings(run)["tcp"]["remedy"]


def test_proxies_in_the_environment_are_named_as_ignored(live):
    """A warning is no failure."""
    run = live.call("doctor", "--json", HTTPS_PROXY="http://user:secret@proxy.test:1")
    assert (0, "warning") == (run.status, results(run)["proxies"])
    assert "secret" not in run.out


def test_the_journal_is_looked_at(live):
    """Its mode, and what is unresolved in it."""
    assert 6 == live.call("transfer", 1011, 5, "AUD", "--key", "k", "--yes").status
    (file,) = (live.folder / "state" / "clicksend-reseller").glob("*.db")
    file.chmod(0o644)
    found = findings(live.call("doctor", "--json"))
    assert f"chmod 600 {file}" == found["journal mode"]["remedy"]
    assert "warning" == found["unresolved"]["result"]
    assert "1 " in found["unresolved"]["found"]


@pytest.mark.parametrize(
    ("mode", "result"),
    [
        (0o600, "ok"),
        (0o400, "ok"),
        (0o640, "warning"),
        (0o620, "warning"),
        (0o604, "warning"),
        (0o602, "warning"),
    ],
)
def test_a_journal_that_others_can_read_or_write_is_a_warning(live, mode, result):
    """It says whom this reseller pays, and a line of it can bar or free a transfer."""
    assert 0 == live.call("transfer", 1001, 5, "AUD", "--key", "k", "--yes").status
    (file,) = (live.folder / "state" / "clicksend-reseller").glob("*.db")
    file.chmod(mode)
    found = findings(live.call("doctor", "--json"))["journal mode"]
    assert (result, f"{mode:04o}") == (found["result"], found["found"][:4])
