"""What signals mean while something is under way, and after it."""

import asyncio
import os
import signal

import pytest

from clicksend_reseller.cli.session.interrupts import Interrupts

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers_are_put_back():
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_asks_and_the_second_ends(number):
    """Ctrl-C, a stopped service and a closed terminal mean the same."""

    async def story(interrupts):
        os.kill(os.getpid(), number)
        await asyncio.wait_for(interrupts.once.wait(), 5)
        assert not interrupts.twice.is_set()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(interrupts.twice.wait(), 5)

    with asyncio.Runner() as runner, Interrupts(runner.get_loop()) as interrupts:
        runner.run(story(interrupts))


def test_a_late_ctrl_c_changes_nothing():
    """The status stands: 6 must not become 130 while the connections are being closed."""
    with asyncio.Runner() as runner:
        with Interrupts(runner.get_loop()):
            pass
        os.kill(os.getpid(), signal.SIGINT)
        runner.run(asyncio.sleep(0))


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_was_ignored_stays_ignored(number):
    """`nohup` means that a closed terminal stops nothing."""
    signal.signal(number, signal.SIG_IGN)

    async def story(interrupts):
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.05)  # a handler would have run
        assert not interrupts.once.is_set()

    with asyncio.Runner() as runner, Interrupts(runner.get_loop()) as interrupts:
        runner.run(story(interrupts))
    assert signal.SIG_IGN is signal.getsignal(number)


def test_a_stopped_service_yields_after_the_end():
    """What is left is to write and to close: where that hangs, SIGTERM ends it as ever."""
    before = signal.getsignal(signal.SIGTERM)
    with asyncio.Runner() as runner, Interrupts(runner.get_loop()):
        pass
    assert before is signal.getsignal(signal.SIGTERM)
