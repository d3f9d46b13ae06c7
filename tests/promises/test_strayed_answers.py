"""An answer about somebody else is not believed where it may be another call's, come late."""

import asyncio
import contextlib
import json
import re
from decimal import Decimal

import httpx

from clicksend_reseller import AsyncResellerClient, CallEvent, TransferOutcomeUnknownError
from clicksend_reseller.journal import Assumptions, Verdict, reconcile_transfer
from support.clients import mocked_client
from support.good_answers import ACCOUNT, answer, envelope, good_answer, operation_of

ALL = Assumptions(exclusive=True, same_currency=True, max_spend=0, quiet_for=0.001)
LATE = 0.05  # seconds


class LateServer:
    """Answers well, and each answer comes a second time, when the next call waits for its own.

    Attributes:
        requests: the request lines, in order, each with the number of its connection.
    """

    def __init__(self, *, always: int | None = None) -> None:
        self.requests: list[tuple[int, str]] = []
        self._always = always
        self._connections = 0
        self._serving: list[asyncio.Task[None] | None] = []

    async def ended(self) -> None:
        """Wait until every connection has been closed."""
        await asyncio.gather(*filter(None, self._serving))

    async def serve(self, reader, writer) -> None:
        self._serving.append(asyncio.current_task())
        self._connections += 1
        number, before = self._connections, b""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode()
                self.requests.append((number, line))
                writer.write(before)  # the answer before, once more, as late as can be
                await asyncio.sleep(LATE if before else 0)
                before = self._answer(line)
                writer.write(before)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    def _answer(self, line: str) -> bytes:
        method, target, _ = line.split(" ")
        if self._always is not None:
            found = ACCOUNT | {"user_id": self._always}
            return answer(200, envelope(200, "SUCCESS", "Here are your data.", found))
        return good_answer(operation_of(method, target), target, b"", 300)


@contextlib.asynccontextmanager
async def late_client(late: LateServer):
    """Make a client of such a server."""
    server = await asyncio.start_server(late.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v3"
    async with server:
        async with AsyncResellerClient("user", "key", base_url=url) as client:
            yield client
        await late.ended()


async def test_an_answer_about_another_account_is_asked_for_again(caplog):
    """It came late on a kept connection, which is closed, and no attempt is counted."""
    late, events = LateServer(), list[CallEvent]()
    async with late_client(late) as client:
        client._calls._events._observer = events.append
        assert 1 == (await client.get_account(1)).user_id
        assert 2 == (await client.get_account(2)).user_id
        assert 3 == (await client.get_account(3, fresh=True)).user_id
    assert [1, 1, 2, 3] == [number for number, _ in late.requests]
    assert [1, 1, 1] == [event.attempt for event in events if event.kind == "finished"]
    assert "get_account: an answer about account 1 came, so it is asked again" in caplog.text


async def test_an_answer_about_another_page_is_asked_for_again():
    """A walk would else see one page twice, and another never."""
    late = LateServer()
    async with late_client(late) as client:
        pages = [await client.list_accounts(page=number, limit=5) for number in (1, 2)]
    assert [1, 6] == [page.accounts[0].user_id for page in pages]


async def test_the_own_account_is_read_on_a_connection_of_its_own():
    """Nothing in its answer would show that it is about a client."""
    async with late_client(LateServer()) as client:
        await client.get_account(7)
        assert 1 == (await client.get_own_account()).user_id


async def test_an_answer_on_a_fresh_connection_is_given_as_it_is(caplog):
    """It is the server's word, and said in the log; it is asked once more at most."""
    late = LateServer(always=9)
    async with late_client(late) as client:
        assert [9, 9] == [(await client.get_account(n)).user_id for n in (1, 2)]
    assert 3 == len(late.requests)
    given = "get_account: the API's answer is about account 9, given as it is"
    assert 2 == caplog.text.count(given)


async def test_a_mock_that_answers_about_another_account_still_works(caplog):
    """It is asked once, and a transfer's balance of somebody else is not the client's."""
    asked = []

    async def reply(request):
        asked.append(json.loads(await request.aread() or b"null"))
        return httpx.Response(200, json={"response_code": "SUCCESS", "data": ACCOUNT})

    async with mocked_client(reply) as client:
        assert 60 == (await client.get_account(1)).user_id
        receipt = await client.transfer_credit(1, 5, "AUD")
    assert (60, None) == (receipt.account and receipt.account.user_id, receipt.balance_after)
    assert 2 == len(asked)
    assert re.search(
        r"transfer_credit of .*: the API's answer is about account 60, given as it is", caplog.text
    )


async def test_a_reconciliation_reads_on_a_fresh_connection():
    """A late answer with the balance of before says NOT_APPLIED of what was applied."""
    late = LateServer()
    error = TransferOutcomeUnknownError("lost", client_user_id=2, amount=5, currency="AUD")
    async with late_client(late) as client:
        await client.get_account(2)
        await reconcile_transfer(client, error, ALL, before=50)
    assert [1, 2] == [number for number, _ in late.requests]


async def test_a_reconciliation_gives_no_verdict_from_another_s_account():
    """Its balance says nothing about the client's."""
    error = TransferOutcomeUnknownError("lost", client_user_id=2, amount=5, currency="AUD")
    async with late_client(LateServer(always=1)) as client:
        found = await reconcile_transfer(client, error, ALL, before=Decimal(ACCOUNT["balance"]))
    assert Verdict.INCONCLUSIVE is found.verdict
    assert "the API answered about account 1, not 2" in found.reasons
