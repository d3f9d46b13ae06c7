"""What does one of several processes do that share a limit? It calls, all at once, when told to.

Called as `limited_caller.py CALLS SECONDS`. Each line that it reads is the URL of a Redis whose
limit it shares, or "alone", and starts a round; it prints "ready" before each.
"""

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "examples" / "limits"))

from one_process import CallLimit
from several_processes import SharedCallLimit, bucket_key, connect

from clicksend_reseller import AsyncResellerClient, RetryPolicy

# The client's own pause would keep under the limit too, and prove nothing of the limiter.
ALONE = RetryPolicy(max_retries=0, max_retry_after=0.0)


async def call(limiter, calls: int) -> None:
    """Call, and leave the counting to the server."""
    async with AsyncResellerClient(limiter=limiter, retry=ALONE) as client:
        wanted = (client.get_own_account() for _ in range(calls))
        await asyncio.gather(*wanted, return_exceptions=True)


async def share(url: str, calls: int, seconds: float) -> None:
    """Call under a limit of 20 that all who call the same account share."""
    account = (os.environ["CLICKSEND_BASE_URL"], os.environ["CLICKSEND_USERNAME"])
    async with connect(url) as redis:
        await call(SharedCallLimit(redis, bucket_key(*account), 20, seconds), calls)


def main(calls: int, seconds: float) -> None:
    """Play one round for each line."""
    tell_ready()
    for line in sys.stdin:
        if line == "alone\n":
            asyncio.run(call(CallLimit(20, seconds), calls))
        else:
            asyncio.run(share(line.strip(), calls, seconds))
        tell_ready()


def tell_ready() -> None:
    """Say that the next round may begin."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
