"""A story in a network namespace of its own: the link goes down after a transfer's claim.

    unshare -n python dead_link.py http|https gives_up|is_killed

It prints how often the server applied the transfer, after the link has come back.
"""

import array
import asyncio
import fcntl
import os
import signal
import socket
import ssl
import struct
import sys
from pathlib import Path
from typing import Any

from clicksend_reseller import AsyncResellerClient, RetryPolicy, TransferOutcomeUnknownError
from support import tls
from support.event_loop import a_few_turns
from support.fault_server import FaultServer
from support.memory_journal import MemoryJournal
from support.waiting import until

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1

# The kernel sends again what it holds after at most about a second.
PATIENCE = 10.0


def set_link(*, up: bool) -> None:
    """Switch the namespace's loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = array.array("B", struct.pack("16sh14x", b"lo", 0))
        fcntl.ioctl(sock, _GET_FLAGS, request)
        (flags,) = struct.unpack_from("h", request, 16)
        flags = flags | _UP if up else flags & ~_UP
        fcntl.ioctl(sock, _SET_FLAGS, struct.pack("16sh14x", b"lo", flags))


def is_something_held(port: int) -> bool:
    """Return True if the kernel has bytes for this port that nobody has confirmed or read yet."""
    end, nothing = f":{port:04X}", "00000000"
    for line in Path("/proc/self/net/tcp").read_text().splitlines()[1:]:
        _, here, there, _, queues, *_ = line.split()
        unconfirmed, unread = queues.split(":")
        if (there.endswith(end) and unconfirmed != nothing) or (
            here.endswith(end) and unread != nothing
        ):
            return True
    return False


class GoingDark(MemoryJournal):
    """Records the claim, and then the link is dead."""

    def __init__(self, ending: str) -> None:
        super().__init__()
        self._ending = ending

    async def claim(self, *args: Any, **options: Any) -> bool:
        claimed = await super().claim(*args, **options)
        set_link(up=False)
        if self._ending == "is_killed":
            asyncio.get_running_loop().call_later(0.2, os.kill, os.getpid(), signal.SIGKILL)
        return claimed


async def pay(url: str, ending: str, **options: Any) -> None:
    """Transfer, in vain."""
    async with AsyncResellerClient("u", "k", base_url=url, **options) as client:
        await client.get_account(1)  # loads what the first call loads, before time counts
    options |= {"timeout": 2.0, "retry": RetryPolicy(max_retries=0)}
    journal = GoingDark(ending)
    async with AsyncResellerClient("u", "k", base_url=url, journal=journal, **options) as client:
        try:
            await client.transfer_credit(1, 5, "AUD", idempotency_key="one")
        except TransferOutcomeUnknownError:
            return
    raise AssertionError("it went through")


async def story(scheme: str, ending: str) -> int:
    """Let somebody pay over a link that dies, and count what is applied once it is back."""
    secure = scheme == "https"
    set_link(up=True)
    async with FaultServer(ssl_context=tls.server_context() if secure else None) as server:
        if ending == "gives_up":
            options = {"ssl_context": tls.client_context()} if secure else {}
            await pay(server.url, ending, **options)
        else:
            authority = tls.authority().cert_pem.bytes().decode()
            command = (sys.executable, __file__, "pay", server.url, authority if secure else "")
            payer = await asyncio.create_subprocess_exec(*command)
            assert -signal.SIGKILL == await payer.wait()
        set_link(up=True)
        await until(lambda: not is_something_held(server.port), seconds=PATIENCE)
        await a_few_turns()
        return sum(server.applied.values())


if __name__ == "__main__":
    if sys.argv[1] == "pay":
        context = ssl.create_default_context(cadata=sys.argv[3]) if sys.argv[3] else None
        asyncio.run(pay(sys.argv[2], "is_killed", ssl_context=context))
    else:
        print(asyncio.run(story(*sys.argv[1:])))  # noqa: T201 - to the test
