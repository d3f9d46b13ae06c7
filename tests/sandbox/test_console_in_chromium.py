import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import pytest_asyncio

from clicksend_reseller import AsyncResellerClient, TransferOutcomeUnknownError
from clicksend_reseller.sandbox import Sandbox
from support.browser import axe_findings

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOT_TOLD = "applied, the caller was not told"
SOON = 2_000  # milliseconds: what a person takes for "at once"
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 800}
NAME = '<script>document.title = "taken"</script>'

# Written only where it is asked for, so that a run of the tests leaves the tree as it was.
PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "console.png"
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


def not_told(page):
    """Find the words in the transfers."""
    return page.locator("#transfers tbody").get_by_text(NOT_TOLD)


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
    """Armed by click; the row comes within two seconds, and the page was not loaded again."""
    sandbox, served = desk
    page = await open_page(served.console_url)
    await arm(page, "lost")
    await page.evaluate("document.body.dataset.same = 'yes'")
    assert "unknown" == await transfer(served.url)
    await not_told(page).wait_for(timeout=SOON)
    assert "yes" == await page.evaluate("document.body.dataset.same")
    assert [False] == [entry.told for entry in sandbox.ledger]
    assert "1 applied, 1 of them not told" == await page.locator("#count").text_content()
    assert "988.00 AUD" == await page.locator(".credit").text_content()
    assert "62.00 AUD" == await balance(page, 1001).text_content()


async def test_the_console_needs_no_javascript(desk, open_page):
    """The same story with the script switched off, after a reload."""
    _, served = desk
    page = await open_page(served.console_url, java_script_enabled=False)
    await arm(page, "lost")
    assert "unknown" == await transfer(served.url)
    assert 0 == await not_told(page).count()
    await page.reload()
    assert 1 == await not_told(page).count()
    assert "reload to see what is new" == await page.locator("#link").text_content()


async def test_a_clients_name_stays_text(desk, open_page):
    """On the page as it is loaded, and where the script has put it."""
    sandbox, served = desk
    page = await open_page(served.console_url)
    await a_busy_day(sandbox, served.url)
    shown = page.locator("#accounts tbody").get_by_text(NAME)
    await shown.first.wait_for(timeout=SOON)
    await page.reload()
    assert 2 == await shown.count()
    assert "ClickSend sandbox" == await page.title()


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing(desk, open_page, scheme, viewport):
    """With nothing on it, with everything open on it, and with a fault that cannot be armed."""
    sandbox, served = desk
    page = await open_page(served.console_url, color_scheme=scheme, viewport=viewport)
    assert [] == await axe_findings(page)
    await a_busy_day(sandbox, served.url)
    await not_told(page).wait_for()
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


async def test_a_narrow_page_scrolls_its_tables_and_not_itself(desk, open_page):
    """A phone shows the page at its own width."""
    sandbox, served = desk
    await a_busy_day(sandbox, served.url)
    page = await open_page(served.console_url, viewport=PHONE)
    wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wider)
    box = page.get_by_role("region", name="Table of transfers")
    assert await box.evaluate("(box) => box.scrollWidth > box.clientWidth")


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
    await not_told(page).wait_for()
    await page.locator("#transfers tbody a").focus()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
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
    await balance(page, 1001).get_by_text("62.00").wait_for(timeout=SOON)


async def test_what_was_opened_stays_open(desk, open_page):
    """A reader of one request is not interrupted by the next."""
    _, served = desk
    page = await open_page(served.console_url)
    await transfer(served.url)
    await page.locator("#request-1 summary").click()
    await page.locator("#request-1 summary").evaluate("(it) => it.blur()")
    await transfer(served.url)
    await page.locator("#request-2").wait_for(timeout=SOON)
    assert await page.locator("#request-1").evaluate("(it) => it.open")
    assert not await page.locator("#request-2").evaluate("(it) => it.open")


async def test_a_looked_at_page_asks_for_nothing_while_nothing_changes(desk, open_page):
    """The page is fetched once to be there, and once for a new revision."""
    sandbox, served = desk
    page = await open_page(f"{served.console_url}icon.svg")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(served.console_url)
    await page.locator("#link.live").wait_for()
    sandbox.spend(1001, 1)
    await balance(page, 1001).get_by_text("49.00").wait_for(timeout=SOON)
    assert 2 == asked.count(served.console_url)


async def test_a_page_that_is_open_does_not_hold_the_sandbox_back(open_page):
    """SIGTERM: the stream is told, the process is gone within a second, and the page says so."""
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
        page = await open_page(console)
        await page.locator("#link.live").wait_for()
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.wait_for(process.wait(), 5)
        assert time.monotonic() - begun < 1
        await page.get_by_text("the sandbox is gone").wait_for(timeout=SOON)
        assert b"" == await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_the_picture_for_the_docs_can_be_taken(desk, open_page):
    """It shows the story: a transfer that was applied, and a caller who was not told."""
    sandbox, served = desk
    for amount, spent in ((12, 3), (20, 8), (5, 1)):
        await transfer(served.url, 1001, amount)
        sandbox.spend(1001, spent)
    page = await open_page(served.console_url, viewport=DESKTOP, color_scheme="light")
    await arm(page, "lost")
    assert "unknown" == await transfer(served.url, 1003, 25)
    await not_told(page).wait_for()
    picture = await page.screenshot(path=PICTURE if DRAWS else None, animations="disabled")
    assert picture.startswith(b"\x89PNG")
