import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from decimal import Decimal

import httpx

from clicksend_reseller import AsyncResellerClient
from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.background import serve_beside
from clicksend_reseller.sandbox.console.view import PageQuery, console_page
from clicksend_reseller.sandbox.serialize import state
from clicksend_reseller.sandbox.service.exchange import exchange, refuse
from clicksend_reseller.sandbox.service.messages import Request

TRANSFER = {"client_user_id": 1001, "balance": 1, "currency": "AUD"}


def test_an_answer_that_has_arrived_is_told_in_the_ledger():
    """However quick the test is, it does not overtake the server that notes the end."""
    with (
        serve_beside(Sandbox()) as served,
        httpx.Client(auth=("sandbox", "sandbox"), base_url=served.url) as http,
    ):
        for n in range(30):
            http.put("/reseller/transfer-credit", json=TRANSFER)
            assert [True] * (n + 1) == [entry.told for entry in served.ledger]


USES = {
    "spend": lambda sandbox: sandbox.spend(1001, 1),
    "fail": lambda sandbox: sandbox.fail("lost"),
    "faults": lambda sandbox: sandbox.faults,
    "clear_faults": lambda sandbox: sandbox.clear_faults(),
    "clear_fault": lambda sandbox: sandbox.clear_fault(1),
    "add_account": lambda sandbox: sandbox.add_account(),
    "reset": lambda sandbox: sandbox.reset(),
    "a request": lambda sandbox: exchange(sandbox.state, Request(method="GET", path="/v3")),
    "a refusal": lambda sandbox: refuse(sandbox.state, "GET", "/v3"),
    "the state": lambda sandbox: state(sandbox.state),
    "the page": lambda sandbox: console_page(sandbox.state, PageQuery()),
}


def test_whoever_uses_the_state_waits_for_its_lock():
    """Nothing is read halfway or changed at the same time, from whichever thread it comes."""
    sandbox, done = Sandbox(), list[str]()

    def use(name):
        USES[name](sandbox)
        done.append(name)

    with ThreadPoolExecutor(len(USES)) as threads, sandbox.state.lock:
        using = [threads.submit(use, name) for name in USES]
        wait(using, timeout=0.1)
        assert [] == done
    assert set(USES) == set(done)


def test_no_credit_is_lost_between_threads():
    """Four callers pay while the test spends and another looks: every cent is accounted for."""
    sandbox, each = Sandbox(), 10
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with serve_beside(sandbox) as served, ThreadPoolExecutor(5) as callers:

            def pay():
                url = f"{served.url}/reseller/transfer-credit"
                with httpx.Client(auth=("sandbox", "sandbox")) as http:
                    return [http.put(url, json=TRANSFER).status_code for _ in range(each)]

            def look():
                url = f"{served.console_url}state"
                return [httpx.get(url).status_code for _ in range(each)]

            looking = callers.submit(look)
            paying = [callers.submit(pay) for _ in range(4)]
            for _ in range(each):
                sandbox.spend(1001, 1)
                sandbox.fail("slow", operation="get_account")
                sandbox.clear_faults()
                sandbox.add_account()
            assert [200] * each == looking.result()
            assert [[200] * each] * 4 == [calls.result() for calls in paying]
    finally:
        sys.setswitchinterval(interval)
    assert Decimal(50 + 3 * each) == sandbox.balance(1001)
    assert Decimal(1000 - 4 * each) == sandbox.credit
    assert 4 * each == len(sandbox.ledger)


async def test_it_stands_beside_a_running_loop():
    """An async test serves from its thread and calls over the socket; the thread then ends."""
    before = set(threading.enumerate())
    with serve_beside(Sandbox()) as served:
        names = [served.env[f"CLICKSEND_{name}"] for name in ("USERNAME", "API_KEY")]
        async with AsyncResellerClient(*names, base_url=served.url) as client:
            await client.transfer_credit(1001, 3, "AUD")
        assert served.console_url == served.url.removesuffix("/v3") + "/_sandbox/"
        assert Decimal(53) == served.balance(1001)
    assert before == set(threading.enumerate())
