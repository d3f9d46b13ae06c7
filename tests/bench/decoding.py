"""What does it cost to turn a page of 100 accounts into models?"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from statistics import median

from bench import accounts, peer_cattrs, peer_pydantic, pinning
from bench.measure import Effort, Figure, cpu_of, interleave, numbers_from, ratio
from clicksend_reseller import AccountPage
from clicksend_reseller._wire import decoding, operations
from clicksend_reseller._wire.response import Answer

PAGE = accounts.page_answer(1, 1, accounts.rows(1))


async def figures(effort: Effort) -> list[Figure]:
    """Measure the reading of the same bytes, side by side.

    Each round has a process of its own: the seed of the hashes and the places in memory make
    `json.loads` alone 15 % slower in one process than in another.
    """
    times = max(5, effort.calls // 10)
    rounds = [
        numbers_from([sys.executable, "-m", "bench.decoding", str(times)])
        for _ in range(effort.rounds)
    ]
    seconds = {name: [each[name] for each in rounds] for name in PEERS}
    question, against = "decode a page of 100 accounts", "pydantic's `model_validate_json`"
    return [
        ratio(question, seconds["ours"], seconds["pydantic"], against=against, target=1.0),
        ratio(question, seconds["ours"], seconds["cattrs"], against="plain cattrs and `json`"),
        ratio(question, seconds["ours"], seconds["json"], against="`json.loads`, dicts"),
    ]


def read_page(content: bytes) -> AccountPage:
    """Read an answer's page as the client does."""
    answer = Answer(status=200, headers={}, content=content)
    return decoding.read(_LIST, answer)


_LIST = operations.list_accounts(page=1, limit=100)


def _check_peers() -> None:
    """See to it that all three understand the page alike, so that they do the same work."""
    ours, by_cattrs = read_page(PAGE), peer_cattrs.read_page(PAGE)
    by_pydantic = peer_pydantic.read_page(PAGE)
    assert list(ours) == by_cattrs
    for one, other in zip(ours, by_pydantic.data, strict=True):
        assert (one.balance, one.user_phone) == (other.balance, other.user_phone)
        assert one.extra == other.model_extra
        assert (one.currency is None, one.subaccount is None) == (
            other.currency is None,
            other.subaccount is None,
        )


PEERS: Mapping[str, Callable[[bytes], object]] = {
    "ours": read_page,
    "pydantic": peer_pydantic.read_page,
    "cattrs": peer_cattrs.read_page,
    "json": json.loads,
}


async def _compare(times: int) -> dict[str, float]:
    _check_peers()

    def measured(read: Callable[[bytes], object]) -> Callable[[], float]:
        return lambda: cpu_of(lambda: read(PAGE), times=times)

    seconds = await interleave({name: measured(PEERS[name]) for name in PEERS}, rounds=5)
    return {name: median(each) for name, each in seconds.items()}


if __name__ == "__main__":
    pinning.take_first_core()
    print(json.dumps(asyncio.run(_compare(int(sys.argv[1])))))  # noqa: T201 - to figures()
