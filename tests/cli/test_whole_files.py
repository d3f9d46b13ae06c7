"""A file that is exported to stays what it is: a FIFO, a link, its mode and owner."""

import os
import signal
import stat
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from support.command_line import COMMAND


def lines(text):
    """Count the rows below the header."""
    return len(text.splitlines()) - 1


def test_a_fifo_is_written_into(live):
    """Whoever reads it gets the rows, and it is still one."""
    fifo = live.folder / "rows"
    os.mkfifo(fifo)
    read = []
    reader = threading.Thread(target=lambda: read.append(fifo.read_text("utf-8")))
    reader.start()
    assert 0 == live.call("accounts", "export", "--to", fifo).status
    reader.join(timeout=10)
    assert 12 == lines(read[0])
    assert stat.S_ISFIFO(fifo.lstat().st_mode)


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="Linux keeps files in memory there")  # noqa: PTH112, S108
def test_a_file_in_memory_is_a_file(live):
    """Not all that lies under /dev is a device."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        file = Path(folder, "rows.csv")
        assert 0 == live.call("accounts", "export", "--to", file).status
        assert 12 == lines(file.read_text("utf-8"))


def test_a_link_is_followed(live):
    """Its target is new, and it is still a link; one that leads nowhere makes its target."""
    for name, text in (("old.csv", "stale"), ("new.csv", None)):
        target, link = live.folder / "data" / name, live.folder / f"link-{name}"
        target.parent.mkdir(exist_ok=True)
        if text:
            target.write_text(text)
        link.symlink_to(target)
        assert 0 == live.call("accounts", "export", "--to", link).status
        assert link.is_symlink()
        assert 12 == lines(target.read_text("utf-8"))


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_mode_and_owner_are_kept(live, mode):
    """What was private stays private."""
    file = live.folder / "rows.csv"
    file.touch()
    file.chmod(mode)
    if os.getuid() == 0:
        os.chown(file, 12345, 23456)
    before = file.stat()
    assert 0 == live.call("accounts", "export", "--to", file).status
    after = file.stat()
    assert (before.st_mode, before.st_uid, before.st_gid) == (
        after.st_mode,
        after.st_uid,
        after.st_gid,
    )
    assert 12 == lines(file.read_text("utf-8"))


def test_a_new_file_has_the_usual_mode(live):
    """Not the private one of a temporary file."""
    umask = os.umask(0o027)
    try:
        assert 0 == live.call("accounts", "export", "--to", "rows.csv").status
    finally:
        os.umask(umask)
    assert 0o640 == (live.folder / "rows.csv").stat().st_mode & 0o777


def test_a_second_name_of_a_file_shows_the_same(live):
    """A hard link is the same file afterwards, too."""
    file, other = live.folder / "rows.csv", live.folder / "other.csv"
    file.write_text("x" * 100_000)
    other.hardlink_to(file)
    assert 0 == live.call("accounts", "export", "--to", file).status
    assert 12 == lines(other.read_text("utf-8"))
    assert other.samefile(file)


@pytest.mark.parametrize("redirected", ["pipe", "file"])
def test_dev_stdout_is_what_the_shell_has_opened(live, redirected):
    """It is not replaced, and a log that is appended to is not cut."""
    words = [*COMMAND, "accounts", "export", "--to", "/dev/stdout"]
    log = live.folder / "log"
    log.write_text("before\n")
    inode = log.stat().st_ino
    with log.open("a") as stream:
        done = subprocess.run(
            words,
            stdout=subprocess.PIPE if redirected == "pipe" else stream,
            env=live.env,
            cwd=live.folder,
            check=True,
            text=True,
        )
    assert os.path.islink("/dev/stdout")  # noqa: PTH114 - the very link
    if redirected == "pipe":
        assert 12 == lines(done.stdout)
    else:
        assert ("before", 13) == (log.read_text().split("\n")[0], lines(log.read_text()))
        assert inode == log.stat().st_ino


def test_a_stop_leaves_no_half_a_file(live, served):
    """SIGTERM ends it at once; nobody else's file is removed, whatever its number is."""
    others = live.folder / ".rows.csv.1.part"
    others.write_text("another container's")
    served.fail("slow", operation="list_accounts", seconds=30)
    child = live.start("accounts", "export", "--to", "rows.csv")
    for _ in range(200):
        if len(list(live.folder.glob(".rows.csv.*.part"))) == 2:
            break
        time.sleep(0.05)
    child.terminate()
    child.communicate(timeout=10)
    assert -signal.SIGTERM == child.returncode
    assert [others] == list(live.folder.glob(".rows.csv.*"))
    assert not (live.folder / "rows.csv").exists()


def test_a_formula_is_defused_on_request(live, served):
    """A spreadsheet runs what begins with =, +, - or @; a negative amount stays one."""
    served.add_account(
        username='=HYPERLINK("http://x.test")', account_name="@SUM(A1)", balance="-4"
    )
    columns = ("--columns", "username,account_name,balance")
    plain = live.call("accounts", "export", *columns).out.splitlines()[-1]
    assert '"=HYPERLINK(""http://x.test"")","@SUM(A1)","-4.000000"' == plain
    run = live.call("accounts", "export", "--excel", *columns)
    expected = '"\'=HYPERLINK(""http://x.test"")","\'@SUM(A1)","-4.000000"'
    assert expected == run.out.splitlines()[-1]
    assert 2 == live.call("accounts", "export", "--excel", "-o", "json").status
