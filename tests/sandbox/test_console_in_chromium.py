import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from clicksend_reseller import AsyncResellerClient, TransferOutcomeUnknownError
from clicksend_reseller.sandbox import Sandbox
from support.browser import axe_findings, unreadable
from support.heavy import rounds

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOT_DELIVERED = "applied, the answer was not delivered"
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 800}
WIDTHS = (390, 768, 1280)
# Each scheme and each width once in every run; all pairs under `heavy`.
LOOKS = [
    pytest.param("light", DESKTOP, id="light-desktop"),
    pytest.param("dark", PHONE, id="dark-phone"),
    pytest.param("light", PHONE, id="light-phone"),
    pytest.param("dark", DESKTOP, id="dark-desktop"),
][: rounds(2, 4)]
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaft"
NAME = '<script>document.title = "taken"</script>'

# Written only where it is asked for, so that a run of the tests leaves the tree as it was.
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
DRAWS = os.environ.get("CLICKSEND_RESELLER_PICTURES") == "1"


@pytest_asyncio.fixture(loop_scope="session")
async def desk():
    """Serve a sandbox of its own, as it stands on a developer's desk."""
    sandbox = Sandbox()
    async with sandbox.serve() as served:
        yield sandbox, served


async def transfer(url, user_id=1001, amount=12):
    """Send a transfer as a program would, and give what its client says of it."""
    async with AsyncResellerClient("sandbox", "sandbox", base_url=url) as client:
        try:
            await client.transfer_credit(user_id, amount, "AUD")
        except TransferOutcomeUnknownError as error:
            return str(error.outcome)
    return "applied"


async def arm(page, kind):
    """Arm a fault by click."""
    await page.get_by_label("Kind").select_option(kind)
    await page.get_by_role("button", name="Arm", exact=True).click()
    await page.get_by_role("list", name="Armed faults").get_by_text(kind, exact=True).wait_for()


def not_delivered(page):
    """Find the words in the transfers."""
    return page.locator("#transfers tbody").get_by_text(NOT_DELIVERED)


def balance(page, user_id):
    """Find what a client has, in the table of accounts."""
    row = page.locator("#accounts tbody tr").filter(has=page.get_by_text(str(user_id), exact=True))
    return row.first.locator("td.number").first


async def a_busy_day(sandbox, url):
    """Let there be something of everything on the page."""
    for amount, spent in ((12, 3), (20, 8), (5, 1)):
        await transfer(url, 1001, amount)
        sandbox.spend(1001, spent)
    await transfer(url, 1011, 25)
    sandbox.add_account(user_id=7, username=NAME, account_name=NAME, active=0)
    sandbox.fail("error", operation="transfer_credit", client_user_id=7, applied=True, times=2)
    sandbox.fail("slow", times=None, chance=0.5)


async def test_a_lost_answer_shows_by_itself(desk, open_page):
    """Armed by click; the row comes by itself, and the page was not loaded again."""
    sandbox, served = desk
    page = await open_page(served.console_url)
    await arm(page, "lost")
    await page.evaluate("document.body.dataset.same = 'yes'")
    assert "unknown" == await transfer(served.url)
    await not_delivered(page).wait_for()
    assert "yes" == await page.evaluate("document.body.dataset.same")
    assert [False] == [entry.told for entry in sandbox.ledger]
    assert "1 applied, 1 of the answers not delivered; 0 not applied" == (
        await page.locator("#count").text_content()
    )
    assert "988.00 AUD" == await page.locator("#credit .credit").text_content()
    assert "62.00 AUD" == await balance(page, 1001).text_content()


async def test_the_console_needs_no_javascript(desk, open_page):
    """The same story with the script switched off, after a reload."""
    _, served = desk
    page = await open_page(served.console_url, java_script_enabled=False)
    await arm(page, "lost")
    assert "unknown" == await transfer(served.url)
    assert 0 == await not_delivered(page).count()
    await page.reload()
    assert 1 == await not_delivered(page).count()
    assert "reload to see what is new" == await page.locator("#link").text_content()


async def test_a_clients_name_stays_text(desk, open_page):
    """On the page as it is loaded, and where the script has put it."""
    sandbox, served = desk
    page = await open_page(served.console_url)
    await a_busy_day(sandbox, served.url)
    shown = page.locator("#accounts tbody").get_by_text(NAME)
    await shown.first.wait_for()
    await page.reload()
    assert 2 == await shown.count()
    assert "ClickSend sandbox" == await page.title()


@pytest.mark.heavy
@pytest.mark.parametrize(("scheme", "viewport"), LOOKS)
async def test_axe_finds_nothing(desk, open_page, scheme, viewport):
    """With nothing on it, with everything open on it, and with a fault that cannot be armed."""
    sandbox, served = desk
    page = await open_page(served.console_url, color_scheme=scheme, viewport=viewport)
    assert [] == await axe_findings(page)
    await a_busy_day(sandbox, served.url)
    await not_delivered(page).wait_for()
    await page.evaluate(
        "document.querySelectorAll('details').forEach((each) => (each.open = true))"
    )
    assert [] == await axe_findings(page)
    await page.get_by_label("Times").fill("never")
    response = page.wait_for_event("response", lambda answer: answer.status == 422)
    await asyncio.gather(response, page.get_by_role("button", name="Arm", exact=True).click())
    await page.get_by_text("times cannot be 'never'").wait_for()
    assert [] == await axe_findings(page)


async def test_both_colour_schemes_are_there(desk, open_page):
    """The reader's own choice, without a switch on the page."""
    _, served = desk
    colours = []
    for scheme in ("light", "dark"):
        page = await open_page(served.console_url, color_scheme=scheme)
        colours.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert ["rgb(246, 247, 249)", "rgb(18, 21, 25)"] == colours


async def with_everything(sandbox, url):
    """Let there be long names, large amounts, many decimals and a refusal too."""
    sandbox.add_account(
        user_id=8, username=LONG_NAME, account_name=LONG_NAME, balance="1234567.123456"
    )
    sandbox.fail("lost", operation="transfer_credit", client_user_id=8)
    assert "unknown" == await transfer(url, 8, 30)
    await a_busy_day(sandbox, url)
    for kind in ("error", "slow"):
        sandbox.fail(kind, client_user_id=8, times=None, chance=0)
    async with httpx.AsyncClient(auth=("sandbox", "sandbox"), trust_env=False) as program:
        for body in (
            {"client_user_id": 8, "balance": 9_999_999, "currency": "AUD"},
            {"balance": LONG_NAME * 3},
        ):
            await program.put(f"{url}/reseller/transfer-credit", json=body)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("accounts", [12, 200])
async def test_every_text_can_be_read_at_every_width(open_page, accounts, width):
    """With everything closed, and with everything open; nothing scrolls sideways."""
    sandbox = Sandbox(accounts=accounts)
    async with sandbox.serve() as served:
        await with_everything(sandbox, served.url)
        page = await open_page(served.console_url, viewport={"width": width, "height": 860})
        assert [] == await unreadable(page)
        await page.evaluate(
            "document.querySelectorAll('details').forEach((each) => (each.open = true))"
        )
        assert [] == await unreadable(page)


@pytest.mark.parametrize("width", WIDTHS)
async def test_decimal_points_stand_below_each_other(desk, open_page, width):
    """Whatever number of decimals an amount has."""
    sandbox, served = desk
    sandbox.add_account(user_id=8, balance="1.123456")
    sandbox.add_account(user_id=9, balance="1234.5")
    page = await open_page(served.console_url, viewport={"width": width, "height": 860})
    points = await page.evaluate("""[...document.querySelectorAll("#accounts td.sum .amount")].map(
        (each) => {
            const range = document.createRange(), text = each.firstChild;
            range.setStart(text, text.data.indexOf("."));
            range.setEnd(text, text.data.indexOf(".") + 1);
            return range.getBoundingClientRect().left;
        })""")
    assert 14 == len(points)
    assert max(points) - min(points) < 1.5


async def test_the_columns_do_not_wait_for_each_other(desk, open_page):
    """One gap between the sections of a column, however long the other column is."""
    sandbox, served = desk
    for n in range(6):
        sandbox.fail("slow", after=n)
    page = await open_page(served.console_url, viewport=DESKTOP)
    gaps = await page.evaluate("""[...document.querySelectorAll("section + section")].map(
        (each) => each.getBoundingClientRect().top
            - each.previousElementSibling.getBoundingClientRect().bottom)""")
    assert [16, 16, 16] == gaps


@pytest.mark.parametrize("scripted", [True, False], ids=["script", "no script"])
async def test_a_transfer_leads_to_its_request(desk, open_page, scripted):
    """It is opened, marked and in sight, with the reason of a refusal."""
    _, served = desk
    for amount in (12, 12):
        await transfer(served.url, 1001, amount)
    async with httpx.AsyncClient(auth=("sandbox", "sandbox"), trust_env=False) as program:
        body = {"client_user_id": 1001, "balance": 99_999, "currency": "AUD"}
        await program.put(f"{served.url}/reseller/transfer-credit", json=body)
        for _ in range(12):
            await program.get(f"{served.url}/account")
    page = await open_page(served.console_url, java_script_enabled=scripted)
    await page.get_by_role("link", name="Request 3").click()
    await page.wait_for_url("**#answer-3")
    answer = page.locator("#answer-3")
    await answer.get_by_text("not applied, answer 400").wait_for()
    await answer.get_by_text('"response_code": "INSUFFICIENT_CREDIT"').wait_for()
    back = [
        await page.locator(f"#request-{n}").evaluate("(it) => getComputedStyle(it).backgroundColor")
        for n in (3, 15)
    ]
    assert back[0] != back[1]
    box = await answer.bounding_box()
    assert box
    assert 0 <= box["y"] < DESKTOP["height"]


async def test_a_reset_asks_first(desk, open_page):
    """One click changes nothing; the second does."""
    sandbox, served = desk
    await transfer(served.url)
    page = await open_page(served.console_url, java_script_enabled=False)
    await page.get_by_text("Reset everything").click()
    assert 1 == len(sandbox.ledger)
    await page.get_by_role("button", name="Yes, reset").click()
    await page.get_by_text("Nothing was moved yet.").wait_for()
    assert () == sandbox.ledger


async def test_the_result_of_a_search_has_no_heavy_frame(desk, open_page):
    """Also where the search was sent by keyboard."""
    _, served = desk
    page = await open_page(served.console_url)
    await page.get_by_label("Search").fill("dollars")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**q=dollars#accounts")
    await page.get_by_role("link", name="All clients").wait_for()
    framed = "(it) => getComputedStyle(it).outlineStyle"
    assert "none" == await page.locator("#accounts").evaluate(framed)


async def test_a_sandbox_that_is_gone_is_a_bar_and_comes_back(open_page):
    """No click ends on the browser's own error page; the page goes on by itself."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with Sandbox().serve(port=port) as served:
        page = await open_page(served.console_url)
        await page.locator("#link.live").wait_for()
        assert await page.get_by_role("alert").is_hidden()
    await page.get_by_role("alert").wait_for()
    box = await page.get_by_role("alert").bounding_box()
    assert box
    assert (0, 1280) == (box["y"], box["width"])
    for button in await page.get_by_role("button").all():
        assert await button.is_disabled()
    await page.get_by_role("link", name="Ledger").click()
    assert served.console_url == page.url
    again = Sandbox()
    again.spend(1001, 1)
    async with again.serve(port=port):
        await page.locator("#link.live").wait_for()
        await balance(page, 1001).get_by_text("49.00").wait_for()
        assert await page.get_by_role("alert").is_hidden()
        assert await page.get_by_role("button", name="Let 1001 spend 1").is_enabled()


async def tab_to(page, name):
    """Press Tab until the focus is on what has this name, and give whether it can be seen."""
    for _ in range(80):
        await page.keyboard.press("Tab")
        focused = page.locator("*:focus")
        if await focused.and_(named(page, name)).count():
            return await focused.evaluate("(it) => getComputedStyle(it).outlineStyle") != "none"
    raise AssertionError(name)


def named(page, name):
    """Find a control by what a screen reader calls it."""
    return page.get_by_label(name, exact=True).or_(
        page.get_by_role("button", name=name, exact=True)
    )


async def test_the_keyboard_is_enough(desk, open_page):
    """Arm, spend and open a request without a mouse, and see where one is."""
    sandbox, served = desk
    page = await open_page(served.console_url)
    seen = [await tab_to(page, "Kind")]
    await page.keyboard.type("cut")
    seen.append(await tab_to(page, "Client"))
    await page.keyboard.type("1001")
    await page.keyboard.press("Enter")
    await page.get_by_role("list", name="Armed faults").get_by_text("cut", exact=True).wait_for()
    assert [("cut", "transfer_credit", 1001)] == [
        (armed.fault.kind, armed.fault.operation, armed.fault.client_user_id)
        for armed in sandbox.faults
    ]
    seen.append(await tab_to(page, "Let 1002 spend 1"))
    await page.keyboard.press("Enter")
    await page.get_by_text("Balance of 1002: 20.00 at first, 19.00 now").first.wait_for(
        state="attached"
    )
    assert "unknown" == await transfer(served.url)
    await not_delivered(page).wait_for()
    await page.locator("#transfers tbody a").focus()
    await page.keyboard.press("Enter")
    await page.locator("#request-1 pre").get_by_text('"client_user_id": 1001').wait_for()
    assert [True, True, True] == seen


async def test_the_section_that_holds_the_focus_is_left_alone(desk, open_page):
    """Nobody loses the button that he is about to press; what he missed comes when he leaves."""
    _, served = desk
    page = await open_page(served.console_url)
    button = page.get_by_role("button", name="Let 1001 spend 1")
    await button.focus()
    await transfer(served.url)
    await page.locator("#transfers tbody tr").wait_for()
    assert await button.evaluate("(it) => it === document.activeElement")
    assert "50.00 AUD" == await balance(page, 1001).text_content()
    await button.evaluate("(it) => it.blur()")
    await balance(page, 1001).get_by_text("62.00").wait_for()


async def test_what_was_opened_stays_open(desk, open_page):
    """A reader of one request is not interrupted by the next."""
    _, served = desk
    page = await open_page(served.console_url)
    await transfer(served.url)
    await page.locator("#request-1 summary").click()
    await page.locator("#request-1 summary").evaluate("(it) => it.blur()")
    await transfer(served.url)
    await page.locator("#request-2").wait_for()
    assert await page.locator("#request-1").evaluate("(it) => it.open")
    assert not await page.locator("#request-2").evaluate("(it) => it.open")


async def test_a_looked_at_page_asks_for_nothing_while_nothing_changes(desk, open_page):
    """The page is fetched once to be there, and once for a new revision."""
    sandbox, served = desk
    # Not a page of the sandbox's that names no icon: the browser would ask for /favicon.ico, and
    # the sandbox counts each request that it does not know as a change.
    page = await open_page("about:blank")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(served.console_url)
    # The stream is open before its first event is here, which would be heard after the two below.
    await page.evaluate(
        "async () => { while (heard === undefined) await new Promise((go) => setTimeout(go, 5)) }"
    )
    sandbox.spend(1001, 1)
    # A stream that begins at this moment gives the revision twice, while the page is fetched.
    changed = "events.dispatchEvent(new MessageEvent('changed', {data: revision}))"
    await page.evaluate(f"(revision) => [{changed}, {changed}]", str(sandbox.state.revision))
    await balance(page, 1001).get_by_text("49.00").wait_for()
    # The stream has given the newest revision, and the page has it: there is nothing to ask for.
    await page.locator(f"body[data-revision='{sandbox.state.revision}']").wait_for()
    assert 2 == asked.count(served.console_url)


async def test_a_page_that_is_open_does_not_hold_the_sandbox_back(open_page):
    """SIGTERM: the stream ends, the process is gone a second later at most, and the page says so.

    What holds it back does so each time; a busy machine does so now and then, without a page too.
    """
    for _ in range(5):
        alone, followed = await seconds_to_leave(None), await seconds_to_leave(open_page)
        if followed < alone + 1:
            return
    pytest.fail("the page made the process stay a second or more, five times")


async def seconds_to_leave(open_page):
    """Measure how long a sandbox takes to end on a signal, while a page follows it or nobody."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "clicksend_reseller.sandbox",
        "--port",
        "0",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        assert process.stderr
        _, console, _ = [(await process.stdout.readline()).decode().strip() for _ in range(3)]
        page = await open_page(console) if open_page else None
        if page:
            await page.locator("#link.live").wait_for()
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.wait_for(process.wait(), 20)
        seconds = time.monotonic() - begun
        if page:
            await page.get_by_text("The sandbox is gone.").wait_for()
        assert b"" == await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return seconds


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["wide", "narrow"])
async def test_the_picture_for_the_docs_can_be_taken(desk, open_page, viewport):
    """It shows the story: a transfer that was applied, and an answer that was not delivered."""
    sandbox, served = desk
    for amount, spent in ((12, 3), (20, 8), (5, 1)):
        await transfer(served.url, 1001, amount)
        sandbox.spend(1001, spent)
    page = await open_page(served.console_url, viewport=viewport, color_scheme="light")
    await arm(page, "lost")
    assert "unknown" == await transfer(served.url, 1003, 25)
    await not_delivered(page).wait_for()
    if viewport is PHONE:
        await page.locator("#transfers").evaluate("(it) => it.scrollIntoView()")
    path = PICTURES / ("console-narrow.png" if viewport is PHONE else "console.png")
    picture = await page.screenshot(path=path if DRAWS else None, animations="disabled")
    assert picture.startswith(b"\x89PNG")
