"""What does a call of the official SDK cost? A script for the environment that has it.

Its argument is a base URL. For each number on its input it makes so many calls, one after the
other, and prints the CPU seconds of one.
"""

from __future__ import annotations

import sys
import time
from typing import Any


def main(base_url: str) -> None:
    """Answer numbers with seconds."""
    import clicksend  # type: ignore[import-not-found]  # noqa: PLC0415 - in that environment alone

    configuration = clicksend.Configuration(
        host=base_url, username="someone", password="a-key-for-the-bench"
    )
    with clicksend.ApiClient(configuration) as client:
        api: Any = clicksend.ResellerApi(client)
        for line in sys.stdin:
            began = time.process_time()
            for _ in range(int(line)):
                api.view_specific_client_account("10000")
            print((time.process_time() - began) / int(line), flush=True)  # noqa: T201 - to peer_official


if __name__ == "__main__":
    main(sys.argv[1])
