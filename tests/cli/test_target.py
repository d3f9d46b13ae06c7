"""Which journal guards a key? One for all that may be live; loopback has one for each URL."""

import pytest

from clicksend_reseller.cli.options import GlobalOptions
from clicksend_reseller.cli.session.target import find_target
from support.command_line import Home


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://rest.clicksend.com/v3", "journal.db"),
        ("https://REST.clicksend.com:443/v3/", "journal.db"),
        ("https://gateway.example.test/clicksend/v3", "journal.db"),
        ("https://10.0.0.7:8443/v3", "journal.db"),
        ("http://127.0.0.1:8730/v3", "http-localhost-8730-v3.db"),
        ("http://localhost:8730/v3", "http-localhost-8730-v3.db"),
        ("http://[::1]:8730/v3", "http-localhost-8730-v3.db"),
        ("http://localhost/v3", "http-localhost-80-v3.db"),
        ("http://localhost:8731/v3", "http-localhost-8731-v3.db"),
    ],
)
def test_whatever_may_be_live_has_one_journal(monkeypatch, tmp_path, base_url, name):
    """The same account behind another host is the same money; a sandbox by any name is one."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("CLICKSEND_BASE_URL", base_url)
    monkeypatch.delenv("CLICKSEND_JOURNAL", raising=False)
    assert tmp_path / "clicksend-reseller" / name == find_target(GlobalOptions()).journal_file


def test_two_names_of_one_api_do_not_pay_a_batch_twice(live, served):
    """The second run finds the keys on record for the first name, and refuses."""
    file = live.folder / "list.csv"
    file.write_text("client_user_id,amount,currency\n1001,5,AUD\n")
    other = Home(live.folder, served.url.replace("127.0.0.1", "localhost"))
    words = ("top-up", "--from", file, "--batch", "june", "--yes", "--max-total", 5)
    assert (0, 2) == (live.call(*words).status, other.call(*words).status)
    assert [(1001, "5.000000")] == served.paid
