import asyncio
import html
import json
import re
import threading
from decimal import Decimal

import httpx
import pytest
import pytest_asyncio

from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.console.formats import format_amount
from clicksend_reseller.sandbox.serving import events
from clicksend_reseller.sandbox.serving.server import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOT_DELIVERED = "applied, the answer was not delivered"
TRANSFER = {"client_user_id": 1001, "balance": 12, "currency": "AUD"}


class Desk:
    """One sandbox served for the whole file, reset before each test."""

    now = 60.0
    served: Served

    def __init__(self):
        self.sandbox = Sandbox(accounts=120, clock=lambda: self.now)

    def wait(self):
        self.now += 1

    def browser(self):
        """A browser without a script: it keeps the address and follows redirects."""
        return httpx.AsyncClient(
            base_url=self.served.console_url, trust_env=False, follow_redirects=True
        )

    def program(self):
        return httpx.AsyncClient(
            base_url=self.served.url, auth=("sandbox", "sandbox"), trust_env=False
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served_once():
    """Serve one sandbox with more clients than a page holds; its time stands still."""
    desk = Desk()
    async with desk.sandbox.serve() as desk.served:
        yield desk


@pytest.fixture
def desk(served_once):
    """Begin anew on the same address."""
    served_once.sandbox.reset()
    return served_once


def section(page, name):
    """Read one section of the page as a person does."""
    start = page.text.index(f'<section id="{name}"')
    return in_plain_text(page.text[start : page.text.index("</section>", start)])


def text_of(page):
    """Read a page as a person does: without tags, and each gap a space."""
    return in_plain_text(page.text)


def in_plain_text(markup):
    """Take the tags out, and make each gap a space."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", markup)).split())


async def test_the_page_is_locked_up(desk):
    """Nothing from elsewhere is loaded, nothing is kept, and nobody frames it."""
    async with desk.browser() as browser:
        page = await browser.get("")
        script = await browser.get("console.js")
    assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
    assert "text/javascript; charset=utf-8" == script.headers["content-type"]
    for answer in (page, script):
        assert answer.headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "no-store" == answer.headers["cache-control"]
    assert not re.search(r"<style|<script>|\sstyle=|\son\w+=|https?://(?!127)", page.text)


async def test_the_short_address_leads_to_the_page(desk):
    """Somebody types it without the slash, or the host alone; it is no request to the API."""
    home = desk.served.console_url
    async with desk.browser() as browser:
        for address in (home.removesuffix("/"), home.removesuffix("_sandbox/")):
            assert home == str((await browser.get(address)).url)
    assert () == desk.sandbox.requests


async def test_the_page_has_one_heading_and_one_voice(desk):
    """One h1, one polite count, and each field has a label of its own."""
    async with desk.browser() as browser:
        text = (await browser.get("")).text
    assert (1, 1) == (text.count("<h1"), text.count("aria-live"))
    assert '<p id="count" class="quiet" aria-live="polite">' in text
    fields = re.findall(r'<(?:select|input)(?! type="hidden")[^>]* id="(\w+)"', text)
    assert sorted(fields) == sorted(re.findall(r'<label for="(\w+)"', text))
    assert 12 == len(fields)


async def test_a_fault_is_armed_and_the_page_is_asked_for_again(desk):
    """A reload sends nothing twice: the form's answer is a 303."""
    form = {"kind": "lost", "operation": "transfer_credit", "client_user_id": " 1002 "}
    more = {"applied": "no", "times": "2", "after": "1", "chance": "0.5", "status": ""}
    async with desk.browser() as browser:
        page = await browser.post("console/faults", data={**form, **more})
    assert [303] == [answer.status_code for answer in page.history]
    assert f"{desk.served.console_url}#faults" == str(page.url)
    (armed,) = desk.sandbox.faults
    fault = armed.fault
    assert ("lost", "transfer_credit", 1002, False, 2, 1, 0.5) == (
        fault.kind,
        fault.operation,
        fault.client_user_id,
        fault.applied,
        fault.times,
        fault.after,
        fault.chance,
    )
    words = "lost on transfer_credit of 1002 dollars , not applied, after 1, chance 0.5"
    assert f"{words} used 0 of 2" in text_of(page)


async def test_no_number_of_times_is_for_ever(desk):
    """As the empty field says."""
    async with desk.browser() as browser:
        page = await browser.post("console/faults", data={"kind": "slow", "times": ""})
    assert [None] == [armed.fault.times for armed in desk.sandbox.faults]
    assert "slow on any request used 0 of any number" in text_of(page)


async def test_faults_are_cleared_by_one_or_all(desk):
    """A fault that was cleared already, on a page that is older, is no error."""
    for kind in ("lost", "page", "empty"):
        desk.sandbox.fail(kind)
    async with desk.browser() as browser:
        for _ in range(2):
            page = await browser.post("console/faults/2/clear")
        assert ["lost", "empty"] == [armed.fault.kind for armed in desk.sandbox.faults]
        page = await browser.post("console/faults/clear")
    assert (200, ()) == (page.status_code, desk.sandbox.faults)
    assert "None is armed." in text_of(page)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"kind": "explode"}, "unknown fault 'explode': the faults are refuse, reset"),
        ({"kind": "refuse"}, "it does reset, lost"),
        ({}, "unknown fault ''"),
        ({"kind": "lost", "operation": "pay"}, "unknown operation 'pay'"),
        ({"kind": "lost", "times": "<b>"}, "times cannot be '<b>'"),
        ({"kind": "lost", "times": "0"}, "times is a whole number from 1 on, not 0"),
        ({"kind": "lost", "applied": "perhaps"}, "applied cannot be 'perhaps'"),
        ({"kind": "lost", "chance": "nan"}, "chance is a number from 0 to 1, not nan"),
        ({"kind": "lost", "seconds": "1" * 5000}, "seconds is a number from 0 to 3600"),
        ({"kind": "lost", "times": "1" * 5000}, "times cannot be '1111"),
        ({"kind": "lost", "colour": "red"}, "unknown field 'colour': a fault has operation"),
        ({"kind": "slow", "applied": "no"}, "a 'slow' fault cannot have applied=False"),
    ],
)
async def test_an_impossible_fault_comes_back_with_the_reason(desk, form, words):
    """The page says what is wrong, keeps what was typed, and nothing is armed."""
    async with desk.browser() as browser:
        page = await browser.post("console/faults", data={**form, "response_code": "MINE"})
    assert (422, ()) == (page.status_code, desk.sandbox.faults)
    assert words in text_of(page)
    assert 'aria-describedby="problem"' in page.text
    assert 'name="response_code" autocomplete="off" placeholder="" value="MINE"' in page.text


async def test_a_client_spends_one_and_the_reader_stays_where_he_was(desk):
    """Search and page come back; a client who is gone is no error."""
    async with desk.browser() as browser:
        asked = {"q": "client1", "page": "2"}
        page = await browser.post("console/accounts/1063/spend", data=asked)
        gone = await browser.post("console/accounts/9/spend", data={"page": "x"})
    assert f"{desk.served.console_url}?q=client1&page=2#accounts" == str(page.url)
    assert (200, f"{desk.served.console_url}#accounts") == (gone.status_code, str(gone.url))
    before = Sandbox(accounts=120).balance(1063)
    assert before - 1 == desk.sandbox.balance(1063)
    words = f"Balance of 1063: {format_amount(before)} at first, {format_amount(before - 1)} now"
    assert words in text_of(page)


async def test_a_reset_by_click_is_a_reset(desk):
    """And the page shows the beginning."""
    desk.sandbox.spend(1001, 5)
    desk.sandbox.fail("lost")
    async with desk.browser() as browser:
        page = await browser.post("console/reset")
    assert (Decimal(50), ()) == (desk.sandbox.balance(1001), desk.sandbox.faults)
    assert f"{desk.served.console_url}#credit" == str(page.url)


def listed(page):
    """Give the ids in the table of accounts."""
    return [int(number) for number in re.findall(r'action="/_sandbox/console/accounts/(\d+)', page)]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", range(1001, 1051)),
        ("?page=2", range(1051, 1101)),
        ("?page=3", range(1101, 1121)),
        ("?page=4", range(1101, 1121)),
        ("?page=0", range(1001, 1051)),
        ("?page=%D9%A2", range(1001, 1051)),
        ("?page=" + "9" * 5000, range(1001, 1051)),
        ("?q=DOLL", [1002]),
        ("?q=+1007+", [1007]),
        ("?q=owner1008@", [1008]),
        ("?q=client+1012", [1012]),
        ("?q=nobody", []),
    ],
)
async def test_accounts_come_by_fifty_and_can_be_searched(desk, query, ids):
    """By number, user name, account name or address; a page beyond the last is the last."""
    async with desk.browser() as browser:
        page = await browser.get(query)
    assert list(ids) == listed(page.text)


async def test_a_page_of_accounts_leads_to_the_next(desk):
    """And keeps what was searched for."""
    async with desk.browser() as browser:
        page = await browser.get("?q=client&page=2")
    links = re.findall(r'href="(/_sandbox/\?[^"]*)" rel="(\w+)"', html.unescape(page.text))
    expected = [("?q=client", "prev"), ("?q=client&page=3", "next")]
    assert [(f"/_sandbox/{query}#accounts", rel) for query, rel in expected] == links
    assert "Page 2 of 3, 120 clients" in text_of(page)


async def test_a_transfer_says_whether_its_answer_was_delivered(desk):
    """In words, once for each transfer; the fixed accounts' own faults are named, too."""
    async with desk.program() as program, desk.browser() as browser:
        await program.put("/reseller/transfer-credit", json=TRANSFER)
        lost = {**TRANSFER, "client_user_id": 1011}
        with pytest.raises(httpx.RemoteProtocolError):
            await program.put("/reseller/transfer-credit", json=lost)
        page = await browser.get("")
    said = section(page, "transfers")
    assert (1, 1) == (said.count(NOT_DELIVERED), said.count("applied, the answer was delivered"))
    assert "2 applied, 1 of the answers not delivered; 0 not applied" in said
    assert f"1011 answer-lost 12.00 AUD {NOT_DELIVERED} 42.00 976.00" in said
    assert "Client 1011 every transfer: lost" in section(page, "accounts")


async def test_the_page_shows_the_last_of_many(desk):
    """A dozen, so that requests and accounts are within reach; a click shows the earlier ones."""
    async with desk.program() as program, desk.browser() as browser:
        for _ in range(13):
            await program.put("/reseller/transfer-credit", json={**TRANSFER, "balance": 1})
        page, more = [await browser.get(query) for query in ("", "?more=1")]
        for _ in range(12):
            await program.get("/account")
        later, old = [await browser.get(query) for query in ("", "?request=1")]
    for shown, count in ((page, 12), (more, 13)):
        assert count == section(shown, "transfers").count("answer was delivered")
        assert count == shown.text.count('class="request"')
    assert 2 == text_of(page).count("The last 12. Show earlier ones")
    assert "The last" not in text_of(more)
    assert 'href="/_sandbox/?request=2#answer-2"' in later.text
    assert '<details id="request-1" class="request" open>' in old.text


async def test_a_refused_transfer_stands_among_the_transfers_with_its_reason(desk):
    """The newest first, whatever became of each; nothing of a refused one was moved."""
    wanted = [
        TRANSFER,
        {**TRANSFER, "balance": 99_999},
        {**TRANSFER, "client_user_id": 5},
        {"balance": "x" * 50, "currency": {"api_key": "engine-1843-s"}},
    ]
    async with desk.program() as program, desk.browser() as browser:
        for body in wanted:
            await program.put("/reseller/transfer-credit", json=body)
        desk.sandbox.fail("reset", operation="transfer_credit")
        with pytest.raises(httpx.ReadError):
            await program.put("/reseller/transfer-credit", json=TRANSFER)
        page = await browser.get("")
    said = section(page, "transfers")
    rows = [
        "1001 plain 12.00 AUD not applied, but the caller cannot know unchanged unchanged",
        f"nobody {'x' * 40}… refused BAD_REQUEST: Invalid input.",
        "5 12.00 AUD refused NOT_FOUND: Reseller account not found. unchanged unchanged",
        "1001 plain 99999.00 AUD refused INSUFFICIENT_CREDIT: Insufficient credit. unchanged",
        "1001 plain 12.00 AUD applied, the answer was delivered 62.00 988.00",
    ]
    places = [said.index(row) for row in rows]
    assert sorted(places) == places
    assert "1 applied, 0 of the answers not delivered; 4 not applied" in said
    assert "engine-1843-s" not in page.text


async def test_a_request_shows_its_answer_and_its_outcome(desk):
    """Status, envelope and what became of it; of a long answer the envelope without its data."""
    async with desk.program() as program, desk.browser() as browser:
        await program.put("/reseller/transfer-credit", json={**TRANSFER, "currency": "XTS"})
        await program.get("/reseller/accounts?limit=100")
        await program.get("/reseller/accounts/1001")
        desk.sandbox.fail("page")
        await program.get("/account")
        page = await browser.get("")
    said = section(page, "requests")
    assert "not applied, answer 400 PUT /v3/reseller/transfer-credit" in said
    assert 'HTTP 400 { "http_code": 400, "response_code": "BAD_REQUEST"' in said
    assert '"currency": "Currency is not supported."' in said
    assert re.search(r'"response_msg": "Here are you data.", "data": "left out: [\d,]+ bytes', said)
    assert '"api_key": "**********"' in said
    assert "HTML page 502 GET /v3/account" in said
    assert "HTTP 502 <html><body>502 Bad Gateway</body></html>" in said
    assert '"answer"' not in await _json_of(desk)


async def _json_of(desk):
    async with desk.browser() as browser:
        return (await browser.get("requests")).text


async def test_a_fault_for_nobody_is_not_armed(desk):
    """It would never strike; and one whose client went with a reset says so in the list."""
    desk.sandbox.add_account(user_id=9999)
    desk.sandbox.fail("lost", client_user_id=9998)
    form = {"kind": "lost", "client_user_id": "9997"}
    async with desk.browser() as browser:
        refused = await browser.post("console/faults", data=form)
        page = await browser.post("console/faults", data={**form, "client_user_id": "9999"})
    assert 422 == refused.status_code
    assert "no client 9997 in this sandbox" in text_of(refused)
    assert [9998, 9999] == [armed.fault.client_user_id for armed in desk.sandbox.faults]
    assert 1 == text_of(page).count("there is no such client")


async def test_money_over_time_is_drawn_and_described(desk):
    """Transfers are marks by what became of them, spending too; a table has the same."""
    async with desk.program() as program, desk.browser() as browser:
        await program.put("/reseller/transfer-credit", json=TRANSFER)
        desk.wait()
        await program.put("/reseller/transfer-credit", json={**TRANSFER, "balance": 99_999})
        desk.wait()
        desk.sandbox.spend(1001, "2.5")
        desk.sandbox.fail("lost")
        desk.wait()
        with pytest.raises(httpx.RemoteProtocolError):
            await program.put("/reseller/transfer-credit", json=TRANSFER)
        page = await browser.get("")
    accounts = page.text[page.text.index('<section id="accounts"') :]
    marks = re.findall(r'<use class="(\w+)" href="#mark-(\w+)"', accounts)
    assert [(what, what) for what in ("paid", "refused", "spent", "unknown")] == marks
    words = section(page, "accounts")
    assert "Balance of 1001: 50.00 at first, 71.50 now" in words
    assert "71.50 50.00" in words  # the scale
    assert f"+12.00, transfer 2, {NOT_DELIVERED} 71.50" in words
    assert "-2.50, spent 59.50" in words
    assert "refused: INSUFFICIENT_CREDIT: Insufficient credit. 62.00" in words
    assert "+12.00, transfer 1, applied, the answer was delivered 62.00" in words
    credit = section(page, "credit")
    assert f"transfer 2 to 1001, {NOT_DELIVERED} 976.00" in credit
    assert "at first 1000.00" in credit


async def test_no_secret_stands_on_the_page_or_in_the_log(desk):
    """Credentials, passwords and keys are masked in headers, query and body, at any depth."""
    secret = "engine-1843-s"
    deep = json.loads('{"a":' * 30 + f'"{secret}"' + "}" * 30)
    bodies = [
        {"password": secret},
        {"list": [{"API_KEY": secret}, [{"token": {"x": secret}}]]},
        deep,
        [secret],
    ]
    headers = ["Basic " + secret, "Bearer " + secret, secret, f"{secret} x"]
    async with desk.program() as program, desk.browser() as browser:
        for body, header in zip(bodies, headers, strict=True):
            await program.post(
                f"/reseller/accounts?api_key={secret}&x=1&my_Token={secret}",
                json=body,
                headers={"authorization": header},
                auth=None,
            )
        shown = [await browser.get(path) for path in ("", "requests", "state")]
    assert [] == [answer.url.path for answer in shown if secret in answer.text]
    assert "Authorization: Basic ********** {" in text_of(shown[0])
    assert "POST /v3/reseller/accounts?api_key=**********&x=1&my_Token=********** " in text_of(
        shown[0]
    )
    assert secret not in repr(desk.sandbox.requests)


async def test_what_a_client_is_called_stays_text(desk):
    """Also where it looks like a tag."""
    name = '<script>alert("1")</script>'
    desk.sandbox.add_account(username=name, account_name=name, user_id=7)
    desk.sandbox.fail("lost", client_user_id=7)
    async with desk.browser() as browser:
        pages = [await browser.get("", params={"q": q}) for q in ("", name)]
    for page in pages:
        assert "<script>" not in page.text
        assert text_of(page).count(name) >= 3
    assert [7] == listed(pages[1].text)


# --- the stream


async def heard(lines, count):
    """Take so many revisions from a stream."""
    said = []
    async with asyncio.timeout(10):
        async for line in lines:
            if line.startswith("data: "):
                said.append(int(line.removeprefix("data: ")))
            if len(said) == count:
                break
    return said


async def test_the_stream_gives_the_revision_now_and_after_each_change(desk):
    """Nothing but the number: whoever wants more asks for it."""
    revision = desk.sandbox.state.revision
    async with desk.browser() as browser, browser.stream("GET", "events") as stream:
        assert "text/event-stream; charset=utf-8" == stream.headers["content-type"]
        lines = stream.aiter_lines()
        assert [revision] == await heard(lines, 1)
        desk.sandbox.spend(1001, 1)
        assert [revision + 1] == await heard(lines, 1)
        for _ in range(50):
            desk.sandbox.spend(1001, "0.01")
        assert [revision + 51] == await heard(lines, 1)


async def test_a_silent_stream_says_that_it_lives(desk, monkeypatch):
    """Or a proxy, or a page, would take it for dead."""
    monkeypatch.setattr(events, "KEEPALIVE_SECONDS", 0.01)
    async with desk.browser() as browser, browser.stream("GET", "events") as stream:
        lines = stream.aiter_lines()
        await heard(lines, 1)
        assert ["", ": nothing new"] == [await anext(lines), await anext(lines)]


async def test_a_change_in_another_thread_is_heard(desk, monkeypatch):
    """The server has a loop of its own, which no other thread may touch but by its one door."""
    monkeypatch.setattr(events, "COALESCE_SECONDS", 0)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)  # it says so where another thread touches it
    try:
        async with desk.browser() as browser, browser.stream("GET", "events") as stream:
            lines = stream.aiter_lines()
            (revision,) = await heard(lines, 1)
            changing = threading.Thread(target=desk.sandbox.spend, args=[1001, 1])
            changing.start()
            assert [revision + 1] == await heard(lines, 1)
            changing.join()
    finally:
        loop.set_debug(False)


async def test_a_closed_stream_is_forgotten(desk):
    """Or every page that was ever open would hear of every change."""
    async with desk.browser() as browser, browser.stream("GET", "events") as stream:
        await heard(stream.aiter_lines(), 1)
        assert 1 == len(desk.sandbox.state.watchers)
    while desk.sandbox.state.watchers:  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.005)


async def test_a_stop_tells_the_streams(monkeypatch):
    """They end with a word and whole, so that a page knows that nobody is there."""
    monkeypatch.setattr(events, "COALESCE_SECONDS", 0)
    sandbox = Sandbox()
    async with httpx.AsyncClient(trust_env=False) as client:
        async with sandbox.serve() as served:
            request = client.build_request("GET", f"{served.console_url}events")
            stream = await client.send(request, stream=True)
            lines = stream.aiter_lines()
            await heard(lines, 1)
        assert "event: over" in [line async for line in lines]
    assert [] == sandbox.state.watchers
