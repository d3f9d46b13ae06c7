"""A whole list as a file that a reader loads without a hint."""

import subprocess
import threading
from pathlib import Path

import polars as pl
import pytest

from support.command_line import COMMAND, Home, served_sandbox
from support.heavy import rounds

NUMBER = rounds(1_000, 100_000)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory):
    """Serve many clients, with what makes a reader stumble in a late row."""
    odd = {
        "user_id": 9_000_000,
        "username": 'quo"ted, näme\nnew line',
        "balance": "0.5",
        "account_name": None,
        "user_phone": "+0012",
        "country": "NO",
        "delivery_to": "late",
        "currency": "EUR",
    }
    with served_sandbox("--accounts", str(NUMBER - 1)) as served:
        served.add_account(**odd)
        yield Home(tmp_path_factory.mktemp("crowd"), served.url)


def exported(home, name, *words):
    """Export to a file of this name; give it."""
    file = home.folder / name
    run = home.run("accounts", "export", "--to", file, "-q", *words)
    assert (0, "", "") == (run.status, run.out, run.err)
    return file


@pytest.mark.heavy
def test_polars_loads_csv_without_a_hint(crowd):
    """No column changes its type after the first hundred rows."""
    check(pl.read_csv(exported(crowd, "all.csv")), balance=0.5)


@pytest.mark.heavy
def test_polars_loads_jsonl_without_a_hint(crowd):
    """The same rows and columns, and money is a string."""
    check(pl.read_ndjson(exported(crowd, "all.jsonl")), balance="0.500000")


def check(table, *, balance):
    """Compare what was read with what was put in."""
    assert NUMBER == table.height
    types = dict(zip(table.columns, table.dtypes, strict=True))
    assert (pl.Int64, pl.Boolean, pl.String) == tuple(
        types[name] for name in ("user_id", "active", "delivery_to")
    )
    (odd,) = table.filter(pl.col("user_id") == 9_000_000).to_dicts()
    assert ('quo"ted, näme\nnew line', balance, "NO", "late", "EUR") == tuple(
        odd[name] for name in ("username", "balance", "country", "delivery_to", "currency")
    )


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["csv", "jsonl"])
def test_rows_stream_in_bounded_memory(crowd, name):
    """The first rows come long before the last, and memory does not grow with the list."""
    process = subprocess.Popen(
        [*COMMAND, "accounts", "export", "-o", name, "-q"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=crowd.env,
        cwd=crowd.folder,
    )
    peak = 0
    rows = 0

    def watch():
        nonlocal peak
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                return
            lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
            peak = max(peak, int(lines.get("VmHWM", "0 kB").split()[0]))
            threading.Event().wait(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with process:
        assert process.stdout
        for _ in process.stdout:
            rows += 1
    watcher.join()
    assert 0 == process.returncode
    assert rows >= NUMBER
    assert peak < 150_000  # kB; 100,000 accounts held would be far more
