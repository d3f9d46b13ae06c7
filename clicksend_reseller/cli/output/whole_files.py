"""A file that is written whole or not at all, and stays what it is: a link, its mode, its owner."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Generator
from pathlib import Path
from types import FrameType
from typing import IO, Any, cast

from clicksend_reseller.cli.exit_status import CommandError, Status

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
# /dev/stdout is a link to whatever the shell has opened, which is not to be replaced.
_STREAMS = ("/dev/fd/", "/dev/std", "/proc/")


@contextlib.contextmanager
def replaced(path: Path, *, overwrite: bool = True) -> Generator[IO[str]]:
    """Write a file that is there whole or not at all.

    A link is followed. What is no plain file, such as a FIFO or `/dev/stdout`, is written into.

    Raises:
        CommandError: it cannot be written, or is there already and must not be lost.
    """
    if not overwrite and os.path.lexists(path):
        raise CommandError(
            Status.USAGE, f"{path} is there already: delete it or choose another name"
        )
    try:
        found = _stat(path)
        is_stream = str(path.absolute()).startswith(_STREAMS)
        if is_stream or (found is not None and not stat.S_ISREG(found.st_mode)):
            number = os.open(path, os.O_WRONLY | os.O_APPEND)
            with cast("IO[str]", os.fdopen(number, **_TEXT)) as device:
                yield device
            return
        with _beside(path.resolve(), found) as stream:
            yield stream
    except OSError as exc:
        raise CommandError(
            Status.FAILED, f"{path} cannot be written: {exc.strerror or exc}"
        ) from None


_TEXT: dict[str, Any] = {
    "mode": "w",
    "encoding": "utf-8",
    "newline": "",
    "errors": "backslashreplace",
}


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _beside(target: Path, found: os.stat_result | None) -> Generator[IO[str]]:
    number, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    with _removed_when_stopped(part), contextlib.ExitStack() as at_end:
        at_end.callback(part.unlink, missing_ok=True)
        with cast("IO[str]", os.fdopen(number, **_TEXT)) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        if found is None:
            part.chmod(0o666 & ~_umask())
            part.replace(target)
        elif found.st_nlink == 1 and _becomes_alike(part, found):
            part.replace(target)
        else:
            _copy_into(part, target)


def _becomes_alike(part: Path, found: os.stat_result) -> bool:
    """Give a file the owner and mode of the one that it replaces; False where that is denied."""
    try:
        os.chown(part, found.st_uid, found.st_gid)
        part.chmod(stat.S_IMODE(found.st_mode))
    except OSError:
        return False
    return True


def _copy_into(part: Path, target: Path) -> None:
    """Write into a file that has other names too, or an owner that a new one could not have."""
    with part.open("rb") as source, target.open("r+b") as stream:
        shutil.copyfileobj(source, stream)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def _removed_when_stopped(part: Path) -> Generator[None]:
    """Leave no half a file behind when a service is stopped, which otherwise ends at once."""
    before: dict[int, Any] = {}

    def stop(number: int, _frame: FrameType | None) -> None:
        part.unlink(missing_ok=True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask
