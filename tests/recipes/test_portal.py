import asyncio
import contextlib
import os
import re
import sqlite3
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio

from clicksend_reseller.sandbox import Sandbox
from support.browser import axe_findings, read, unreadable
from support.portal_process import APP, PortalProcess
from support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Written only where it is asked for, as the console's are.
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"
DRAWS = os.environ.get("CLICKSEND_RESELLER_PICTURES") == "1"

# The transfer page's word for each state.
PAID, REFUSED, NOT_SENT, IN_FLIGHT, UNKNOWN = "paid", "refused", "not sent", "in flight", "unknown"


class Desk:
    """A sandbox, the portal beside it, and a browser without JavaScript."""

    def __init__(self, sandbox, served, portal):
        self.sandbox = sandbox
        self.served = served
        self.portal = portal
        self.somebody = 8000

    def let_in_somebody(self):
        self.somebody += 1
        self.sandbox.add_account(
            user_id=self.somebody, account_name=self.name, currency="AUD", balance="50"
        )

    @property
    def name(self):
        return f"Ada {self.somebody}"

    async def start(self, browser):
        self.plain = await browser.new_context(java_script_enabled=False)
        self.scripted = await browser.new_context()
        self.plain.set_default_timeout(20_000)
        self.scripted.set_default_timeout(20_000)

    async def open(self, path="", *, scripted=False):
        page = await (self.scripted if scripted else self.plain).new_page()
        await page.goto(f"{self.portal.url}{path}")
        return page

    async def open_form(self, amount="12"):
        page = await self.open(f"clients/{self.somebody}/top-up")
        await page.get_by_label("Amount").fill(amount)
        return page

    async def open_review(self, amount="12"):
        page = await self.open_form(amount)
        await review(page)
        return page

    async def top_up(self, amount="12"):
        page = await self.open_review(amount)
        await send(page)
        return page

    @property
    def ledger(self):
        return [int(amount) for amount in self.sandbox.transfers_to(self.somebody)]


async def review(page):
    """Press the button of the top-up form, and wait for what is asked then."""
    await page.get_by_role("button", name="Review", exact=True).click()
    await page.wait_for_url("**/top-up/review?*")


def send_button(page):
    """Find the one button that sends."""
    return page.get_by_role("button", name=re.compile("^Send "))


async def send(page):
    """Send what was reviewed, and wait for the page that says what became of it."""
    await send_button(page).click()
    await page.wait_for_url("**/transfers/*")


async def submit(page):
    """Review the form, and send it."""
    await review(page)
    await send(page)


def key_in(page):
    """Give the key in a page's address."""
    (key,) = parse_qs(urlsplit(page.url).query)["key"]
    return key


async def state(page):
    """Give the transfer page's word."""
    await page.wait_for_url("**/transfers/*")
    return await page.locator("h1 + .tag").text_content()


async def settled(page):
    """Look again until it is no longer in flight."""
    async with asyncio.timeout(60):
        while (word := await state(page)) == IN_FLIGHT:
            await page.reload()
    return word


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def started(tmp_path_factory, browser):
    """Serve a sandbox, start the portal and open the browser, once for this file."""
    sandbox = Sandbox(accounts=200)
    async with sandbox.serve() as served:
        portal = PortalProcess(tmp_path_factory.mktemp("portal"), dict(served.env))
        await asyncio.to_thread(portal.start)
        desk = Desk(sandbox, served, portal)
        await desk.start(browser)
        try:
            yield desk
        finally:
            portal.kill()
            await desk.plain.close()
            await desk.scripted.close()


@pytest_asyncio.fixture(loop_scope="session")
async def desk(started):
    """Have no fault armed, and a client that no other test has anything to do with."""
    started.sandbox.clear_faults()
    started.let_in_somebody()
    yield started
    for page in [*started.plain.pages, *started.scripted.pages]:
        await page.close()


# --- once


async def test_a_top_up_is_paid(desk):
    """The plain way: one form, one transfer, one page that says so."""
    page = await desk.top_up()
    assert PAID == await state(page)
    assert f"12 AUD reached {desk.name}. The balance was 62.00 then." in await read(page)
    assert [12] == desk.ledger


async def test_a_double_click_pays_once(desk):
    """Two requests with one key: one of them sends."""
    desk.sandbox.fail("slow", operation="transfer_credit", seconds=0.3)
    page = await desk.open_review()
    await send_button(page).dblclick()
    assert PAID == await settled(page)
    assert [12] == desk.ledger


async def test_back_and_resubmit_pay_once(desk):
    """The form that Back shows has the old key, and says that it has been used."""
    page = await desk.top_up()
    assert PAID == await state(page)
    await page.go_back()
    assert "This form has been used" in await read(page)
    await page.go_back()
    assert "This form has been used" in await read(page)
    assert "12" == await page.get_by_label("Amount").input_value()
    await submit(page)
    assert PAID == await state(page)
    assert [12] == desk.ledger


async def test_back_and_another_amount_send_nothing(desk):
    """One form is one transfer, so the second amount is refused and not taken for the first."""
    page = await desk.top_up()
    await page.go_back()
    review_of_12 = page.url
    await page.go_back()
    await page.get_by_label("Amount").fill("13")
    await review(page)
    assert "This form was used for another transfer" in await read(page)
    assert 0 == await send_button(page).count()
    data = {"idempotency_key": key_in(page), "amount": "13", "currency": "AUD"}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{desk.portal.url}clients/{desk.somebody}/top-up", data=data)
        again = await http.get(f"{desk.portal.url}{answer.headers['location'].lstrip('/')}")
    assert (303, 409) == (answer.status_code, again.status_code)
    assert review_of_12 != page.url
    assert [12] == desk.ledger


async def test_two_tabs_with_one_form_pay_once(desk):
    """A tab that was duplicated has the same address, and so the same key."""
    one = await desk.open_review()
    two = await one.context.new_page()
    await two.goto(one.url)
    desk.sandbox.fail("slow", operation="transfer_credit", seconds=0.3)
    await asyncio.gather(send(one), send(two))
    assert [PAID, PAID] == [await settled(page) for page in (one, two)]
    assert [12] == desk.ledger


async def test_two_forms_are_two_transfers(desk):
    """A new form is a new key: who wants to pay twice can."""
    assert [PAID, PAID] == [await state(await desk.top_up()) for _ in range(2)]
    assert [12, 12] == desk.ledger


async def test_a_reload_of_the_result_pays_once(desk):
    """What is shown after a POST is a GET."""
    page = await desk.top_up()
    for _ in range(3):
        await page.reload()
        assert PAID == await state(page)
    assert [12] == desk.ledger


async def test_a_portal_killed_in_mid_transfer_pays_once(desk):
    """Restarted, it knows that the transfer had left, and asks a person about it in the end."""
    desk.sandbox.fail("slow", operation="transfer_credit", seconds=30)
    page = await desk.open_review()
    form = page.url
    pressing = asyncio.ensure_future(send(page))
    try:
        await until(lambda: desk.ledger, seconds=20)
    finally:  # or every test after it would wait for a portal that is dead
        desk.portal.kill()
        pressing.cancel()  # no page comes any more, and it would wait for one to the end
        await asyncio.gather(pressing, return_exceptions=True)
        await asyncio.to_thread(desk.portal.start)

    await page.goto(form)
    await send(page)
    assert IN_FLIGHT == await state(page)
    assert "Do not send it again." in await read(page)

    await asyncio.to_thread(age, desk.portal, seconds=151)
    await page.reload()
    assert UNKNOWN == await state(page)
    assert f"We do not know whether 12 AUD reached {desk.name}." in await read(page)
    await page.get_by_label("Note").fill("seen in the dashboard")
    await page.get_by_role("button", name="It arrived").click()
    assert PAID == await state(page)
    assert [12] == desk.ledger


def age(portal, seconds):
    """Let what was sent have been sent earlier."""
    with contextlib.closing(sqlite3.connect(portal.journal)) as own, own:
        own.execute(
            "UPDATE clicksend_transfer SET sent_at = datetime(sent_at, ?)", [f"-{seconds} seconds"]
        )


# --- what nobody knows


async def lose_an_answer(desk):
    """Top up, and lose the answer."""
    desk.sandbox.fail("lost", operation="transfer_credit")
    return await desk.top_up()


async def test_a_lost_answer_is_said_to_be_one(desk):
    """Armed by click in the sandbox's own console; what may have happened did, once."""
    console = await desk.scripted.new_page()
    await console.goto(desk.served.console_url)
    await console.get_by_label("Kind").select_option("lost")
    await console.get_by_label("Operation").select_option("transfer_credit")
    await console.get_by_role("button", name="Arm", exact=True).click()
    await console.get_by_role("list", name="Armed faults").get_by_text("transfer_credit").wait_for()

    page = await desk.top_up()
    assert UNKNOWN == await state(page)
    words = f"We do not know whether 12 AUD reached {desk.name}. Do not send it again."
    assert words == await page.locator(".notice").text_content()
    assert [12] == desk.ledger


async def test_balances_can_be_compared(desk):
    """Without assumptions nothing follows; with them there is a verdict, and reasons for it."""
    page = await lose_an_answer(desk)
    words = (await page.locator(".compared").text_content() or "").split()
    assert ["Before", "50.00", "AUD", "Now", "62.00", "AUD"] == words[:6]
    assert await page.get_by_text("with the transfer and nothing else: 62.00.").is_visible()
    compare = page.get_by_role("button", name="Compare balances")
    await compare.click()
    said = page.locator(".verdict strong")
    await said.get_by_text("The balance rose by 12. That proves nothing: ").wait_for()

    await page.get_by_label(f"No other credit reached {desk.name}").check()
    await page.get_by_label(f"The account of {desk.name} is kept in AUD").check()
    await compare.click()
    verdict = page.locator(".verdict")
    await said.get_by_text(
        "The balance rose by 12. You said that nothing else was credited, "
        "so the transfer must have arrived."
    ).wait_for()
    await verdict.get_by_text("press “It arrived” below").wait_for()
    assert ["50.00", "62.00"] == (await verdict.locator("dd").all_text_contents())[:2]
    assert "no other credit: yes; same currency: yes; spent at most 0" in (
        await verdict.text_content() or ""
    )
    assert UNKNOWN == await state(page)
    assert [12] == desk.ledger


@pytest.mark.parametrize(
    ("button", "word"), [("It arrived", PAID), ("It did not", "did not arrive")]
)
async def test_a_person_writes_down_what_became_of_it(button, word, desk):
    """It stands in the inbox until then; a note is needed, and nothing is sent."""
    page = await lose_an_answer(desk)
    await page.get_by_label("Note").fill(" ")
    await page.get_by_role("button", name=button).click()
    await page.get_by_text("A few words, such as").wait_for()
    assert UNKNOWN == await state(page)

    await page.get_by_role("link", name="Inbox").click()
    await page.get_by_role("link", name=f"To {desk.name}").click()
    age(desk.portal, 151)  # before that it may still be on its way
    await page.get_by_label("Note").fill("asked Ann")
    await page.get_by_role("button", name=button).click()
    await page.get_by_text("asked Ann (the portal)").wait_for()
    assert word == await state(page)
    await page.get_by_role("link", name="Inbox").click()
    assert 0 == await page.get_by_role("link", name=f"To {desk.name}").count()
    assert [12] == desk.ledger


async def test_a_second_top_up_waits_for_the_open_one(desk):
    """It is not sent; once the first is resolved, the same form can send it."""
    first = await lose_an_answer(desk)
    desk.sandbox.clear_faults()
    page = await desk.top_up("7")
    assert NOT_SENT == await state(page)
    assert 0 == await page.get_by_role("button", name="Send it now").count()
    assert "could not be reached" not in await read(page)
    waits = page.locator(".notice").get_by_role("link", name=f"12 AUD to {desk.name}")
    assert first.url.endswith(await waits.get_attribute("href") or "-")
    await first.get_by_label("Note").fill("it is there")
    await first.get_by_role("button", name="It arrived").click()
    await first.get_by_text("it is there (the portal)").wait_for()
    await page.reload()
    await page.get_by_role("button", name="Send it now").click()
    await page.locator(".tag.good").wait_for()
    assert PAID == await state(page)
    assert [12, 7] == desk.ledger


async def test_what_was_not_sent_can_be_withdrawn(desk):
    """Then no later press of any button sends it."""
    await lose_an_answer(desk)
    desk.sandbox.clear_faults()
    page = await desk.top_up("7")
    await page.get_by_label("Note").fill("no longer wanted")
    await page.get_by_role("button", name="Withdraw it").click()
    await page.get_by_text("no longer wanted (the portal)").wait_for()
    assert "did not arrive" == await state(page)
    assert [12] == desk.ledger


async def test_a_page_that_is_out_of_date_withdraws_nothing(desk):
    """It was sent since, and its answer lost: nobody has said that it did not arrive."""
    first = await lose_an_answer(desk)
    stale = await desk.top_up("7")
    await first.get_by_label("Note").fill("it is there")
    await first.get_by_role("button", name="It arrived").click()
    await first.get_by_text("it is there (the portal)").wait_for()
    page = await desk.open(urlsplit(stale.url).path[1:])
    desk.sandbox.fail("lost", operation="transfer_credit")
    await page.get_by_role("button", name="Send it now").click()
    await page.get_by_role("button", name="It arrived").wait_for()
    age(desk.portal, 151)
    await stale.get_by_label("Note").fill("no longer wanted")
    await stale.get_by_role("button", name="Withdraw it").click()
    await stale.get_by_role("button", name="It arrived").wait_for()
    assert UNKNOWN == await state(stale)
    assert [12, 7] == desk.ledger


async def test_a_refusal_has_its_reason(desk):
    """Nothing is moved, and the page says why."""
    page = await desk.top_up("999999")
    assert REFUSED == await state(page)
    assert "999999 AUD was refused, and nothing was moved" in await read(page)
    assert [] == desk.ledger


# --- what people type


@pytest.mark.parametrize("amount", ["1,50", "-1"])
async def test_an_amount_that_makes_no_sense_leaves_the_form_filled(amount, desk):
    """It is said beside the field, the other field keeps its value, and nothing is sent."""
    page = await desk.open_form(amount)
    await page.get_by_label("Currency").fill("USD")
    await page.get_by_role("button", name="Review").click()
    fault = page.locator("#amount-wrong")
    assert "Whole units above zero, such as 12." == await fault.text_content()
    assert [amount, "USD"] == [
        await page.get_by_label(label).input_value() for label in ("Amount", "Currency")
    ]
    assert "true" == await page.get_by_label("Amount").get_attribute("aria-invalid")
    await page.get_by_role("link", name="Clients").first.click()
    await page.go_back()  # to a page of the portal, not to a question of the browser
    assert amount == await page.get_by_label("Amount").input_value()
    assert [] == desk.ledger

    await page.get_by_label("Amount").fill("12")
    await submit(page)
    assert PAID == await state(page)
    assert [12] == desk.ledger


async def test_no_value_that_makes_no_sense_is_sent(desk):
    """What a browser would not send either is refused all the same."""
    url = f"{desk.portal.url}clients/{desk.somebody}/top-up"
    given = {"idempotency_key": "top-up-abcdefghijkl", "amount": "12", "currency": "AUD"}
    wrong = [
        *({"amount": amount} for amount in ("", "0", "1.0", "twelve", "１２", "9" * 30)),
        *({"currency": currency} for currency in ("", "aud", "AUDX", "ÄUD")),
        *({"idempotency_key": key} for key in ("", "short", "x" * 300, "top-up-a/b/c/d/e/f/")),
    ]
    async with httpx.AsyncClient(trust_env=False) as http:
        answers = [await http.post(url, data={**given, **change}) for change in wrong]
    assert {422} == {answer.status_code for answer in answers}
    assert [] == desk.ledger


async def test_a_currency_that_makes_no_sense_leaves_the_form_filled(desk):
    """The same for the other field."""
    page = await desk.open_form()
    await page.get_by_label("Currency").fill("aud")
    await page.get_by_role("button", name="Review").click()
    assert "Three capital letters" in (await page.locator("#currency-wrong").text_content() or "")
    assert "12" == await page.get_by_label("Amount").input_value()
    assert [] == desk.ledger


async def test_a_script_as_a_name_is_a_name(desk):
    """Shown on each page as it is, and never run."""
    name = "<script>alert(1)</script>"
    desk.sandbox.add_account(user_id=7001, account_name=name, currency="AUD", balance="50")
    page = await desk.open("", scripted=True)
    dialogs = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    await page.get_by_role("button", name="Refresh").click()
    await page.goto(f"{desk.portal.url}?q=7001")
    await page.get_by_role("link", name=name, exact=True).click()
    assert name == await page.get_by_role("heading", level=1).text_content()
    await page.get_by_role("link", name="Top up", exact=True).click()
    await page.get_by_label("Amount").fill("12")
    desk.sandbox.fail("lost", operation="transfer_credit")
    await submit(page)
    assert f"12 AUD to {name}" == await page.get_by_role("heading", level=1).text_content()
    await page.get_by_role("link", name="Inbox").click()
    await page.get_by_role("link", name=f"To {name}").wait_for()
    assert [] == dialogs
    assert 0 == await page.locator("script").count()


# --- the list


async def test_the_list_is_a_snapshot(desk):
    """It is read once, and again when somebody asks; its time stands on the page."""

    def walks():
        return [each for each in desk.sandbox.requests if each.operation == "list_accounts"]

    page = await desk.open()
    await page.get_by_role("button", name="Refresh").click()
    await page.goto(f"{desk.portal.url}?q={desk.somebody}")
    row = page.get_by_role("row").filter(has_text=desk.name)
    before, taken = len(walks()), await page.locator("time").first.get_attribute("datetime")
    desk.sandbox.spend(desk.somebody, 49)
    for _ in range(3):
        await page.reload()
    assert "50.00 AUD" in (await row.text_content() or "")
    assert before == len(walks())
    assert taken == await page.locator("time").first.get_attribute("datetime")
    assert 0 == await row.locator("time").count()
    await page.goto(f"{desk.portal.url}clients/{desk.somebody}")
    await page.goto(f"{desk.portal.url}?q={desk.somebody}")
    assert "1.00 AUD" in (await row.text_content() or "")
    assert taken < (await row.locator("time").get_attribute("datetime") or "")
    await page.get_by_role("button", name="Refresh").click()
    await page.wait_for_url(desk.portal.url)
    await page.get_by_role("heading", name="Clients").wait_for()
    assert before < len(walks())


async def test_low_is_what_the_person_chooses(desk):
    """The word stands beside each balance under the threshold, and in the chart."""
    page = await desk.open()
    await page.get_by_role("button", name="Refresh").click()
    balances = [client.balance for client in desk.sandbox.state.clients.values()]
    for low in (20, 10, int(min(balances)) - 1):
        await page.get_by_label("Low under").fill(f"{low}")
        await page.get_by_role("button", name="Apply").click()
        await page.wait_for_url(f"**low={low}")
        count = sum(balance < low for balance in balances)
        assert count == await page.locator("td").get_by_text("low", exact=True).count()
        assert count == await page.locator(".chart tr.low").count()
    assert 0 == count


async def test_each_currency_has_a_chart_to_its_own_scale(desk):
    """Negative to the left of zero, a line at the limit, all in the order of the numbers."""
    page = await desk.open("?q=100&low=20", scripted=True)
    names = await page.locator("main h2").all_text_contents()
    assert ["No currency shown", "AUD", "USD"] == names
    aud = page.locator("section", has=page.get_by_role("heading", name="AUD"))
    boxes = [await bar.bounding_box() for bar in await aud.locator("rect").all()]
    zero, limit = [
        await aud.locator(f"line.{name}").first.bounding_box() for name in ("zero", "limit")
    ]
    assert all(boxes)
    assert zero
    assert limit
    lowest, *others = [(box["x"], box["x"] + box["width"]) for box in boxes if box]
    assert lowest[1] == pytest.approx(zero["x"], abs=1.5)  # client 1005 is in debt
    assert lowest[0] < zero["x"] < limit["x"]
    for left, _ in others:
        assert left == pytest.approx(zero["x"], abs=1.5)
    ends = [right for _, right in others]
    assert sorted(ends) == ends
    assert max(ends) > limit["x"]


async def test_two_hundred_clients_are_found_and_paged(desk):
    """By number, name or address; the lowest balance first, 25 on a page."""
    page = await desk.open()
    await page.get_by_role("link", name="Higher balances").click()
    await page.get_by_text(re.compile("Page 2 of ")).wait_for()
    assert 25 == await page.locator(".chart tbody tr").count()
    await page.get_by_label("Search").fill("client 1199")
    await page.get_by_role("button", name="Apply").click()
    await page.get_by_role("link", name="Client 1199", exact=True).wait_for()
    assert 1 == await page.locator(".chart tbody tr").count()
    await page.goto(f"{desk.portal.url}?q=nobody-at-all")
    await page.get_by_text("No client is called that.").wait_for()


async def test_a_review_shows_what_it_changes(desk):
    """Name, balance, amount, and own credit before and after; it sends nothing by itself."""
    page = await desk.open_review()
    credit = desk.sandbox.credit
    said = " ".join((await page.locator(".sums").text_content() or "").split())
    assert said == (
        f"To{desk.name}, client {desk.somebody} Balance now50.00 AUD Amount12 AUD "
        f"Your credit now{credit:.2f} AUD Your credit then{credit - 12:.2f} AUD"
    )
    assert [] == desk.ledger
    await page.get_by_role("link", name="Change it").click()
    assert "12" == await page.get_by_label("Amount").input_value()


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("nope", 404, "There is no such page."),
        ("?low=abc", 422, "A number, such as 20 or 7.50."),
        ("?page=x", 200, "Clients"),
        ("clients/999999", 404, "The service knows no such client."),
        ("clients/abc", 404, "The number of a client is a whole number."),
        ("transfers/nope", 404, "There is no such transfer."),
        ("refresh", 405, "That page takes no such request."),
        ("clients/1001/top-up?key=top-up-abcdefghijkl&amount=x", 422, "Whole units above zero"),
    ],
)
async def test_a_fault_is_a_page_in_the_portals_own_words(desk, path, status, words):
    """Never bare JSON or the name of an operation; own credit stands on these pages too."""
    async with httpx.AsyncClient(trust_env=False, follow_redirects=True) as http:
        answer = await http.get(f"{desk.portal.url}{path}")
    assert (status, "text/html; charset=utf-8") == (
        answer.status_code,
        answer.headers["content-type"],
    )
    assert words in answer.text
    assert "Your credit:" in answer.text
    assert not re.search(r"get_account|list_accounts|detail", answer.text)


@pytest.mark.parametrize("width", [390, 768, 1280])
async def test_every_text_can_be_read_at_every_width(desk, width):
    """Each kind of page, with a long name and an unknown transfer; nothing scrolls sideways."""
    name = "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaft"
    user_id = 7100 + width
    desk.sandbox.add_account(user_id=user_id, account_name=name, balance="-1234567.123456")
    before, desk.somebody = desk.somebody, user_id
    transfer = await lose_an_answer(desk)
    page = await desk.open("", scripted=True)
    await page.set_viewport_size({"width": width, "height": 860})
    cut = {}
    await page.get_by_role("button", name="Refresh").click()
    paths = ["", "?q=Wolfe", f"clients/{user_id}", f"clients/{user_id}/top-up", "inbox", "nope"]
    for path in [*paths, f"{transfer.url.removeprefix(desk.portal.url)}?compare=1&exclusive=1"]:
        await page.goto(f"{desk.portal.url}{path}")
        cut[path] = await unreadable(page)
    desk.somebody = before
    assert {path: [] for path in cut} == cut


@pytest.mark.parametrize("width", [1280, 390], ids=["wide", "narrow"])
async def test_the_picture_for_the_docs_can_be_taken(desk, width):
    """It shows what a person sees who must find out what became of a transfer."""
    desk.sandbox.add_account(user_id=7300 + width, account_name="Ada's Café", balance="50")
    before, desk.somebody = desk.somebody, 7300 + width
    transfer = await lose_an_answer(desk)
    page = await desk.open("", scripted=True)
    await page.set_viewport_size({"width": width, "height": 860})
    await page.goto(f"{transfer.url}?compare=1&exclusive=1&same_currency=1")
    name = "portal.png" if width == 1280 else "portal-narrow.png"
    picture = await page.screenshot(path=PICTURES / name if DRAWS else None)
    desk.somebody = before
    assert picture.startswith(b"\x89PNG")


# --- for everybody, and for nobody else


async def test_axe_finds_nothing_on_any_page(desk):
    """Each page in light, and those with the most colours in dark too."""
    desk.sandbox.fail("lost", operation="transfer_credit")
    page = await desk.open(scripted=True)
    await page.get_by_role("button", name="Refresh").click()
    found = {}

    async def look(name, schemes=("light",)):
        for scheme in schemes:
            await page.emulate_media(color_scheme=scheme)
            found[f"{name}, {scheme}"] = await axe_findings(page)

    both = ("light", "dark")
    await page.goto(f"{desk.portal.url}?q={desk.somebody}")
    await look("clients", both)
    await page.get_by_role("link", name=desk.name, exact=True).click()
    await page.get_by_role("link", name="Top up", exact=True).click()
    await page.get_by_label("Amount").fill("-1")
    await page.get_by_role("button", name="Review").click()
    await page.locator("#amount-wrong").wait_for()
    await look("form with a fault", both)
    await page.get_by_label("Amount").fill("12")
    await review(page)
    await look("review")
    await send(page)
    await page.get_by_role("button", name="Compare balances").click()
    await page.locator(".verdict").wait_for()
    await look("unknown, with a verdict", both)
    await page.get_by_role("link", name="Inbox").click()
    await look("inbox")
    await page.goto(f"{desk.portal.url}clients/{desk.somebody}")
    await look("client")
    await page.goto(f"{desk.portal.url}clients/999999")
    await look("problem")
    assert {page: [] for page in found} == found


async def test_the_keyboard_is_enough(desk):
    """From the list to a paid top-up without a mouse, and one always sees where one is."""
    page = await desk.open("", scripted=True)
    await page.get_by_role("button", name="Refresh").press("Enter")
    await page.get_by_label("Search").fill(str(desk.somebody))
    await page.keyboard.press("Enter")
    await page.get_by_role("link", name=desk.name, exact=True).wait_for()

    async def tab_to(label):
        for _ in range(200):
            await page.keyboard.press("Tab")
            focused = page.locator(":focus-visible")
            name = await focused.get_attribute("aria-label") or await focused.inner_text()
            if label in {name, await focused.get_attribute("name")}:
                return
        pytest.fail(f"no way to {label}")

    await tab_to("Skip to the content")
    await tab_to(f"Top up {desk.name}")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/top-up?key=*")
    await tab_to("amount")
    await page.keyboard.type("12")
    await tab_to("Review")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/review?*")
    await tab_to("Send 12 AUD")
    await page.keyboard.press("Enter")
    assert PAID == await state(page)
    assert [12] == desk.ledger


async def test_another_site_can_change_nothing(desk):
    """A form on another page, one port away, is refused; so is another name for this machine."""
    form = await desk.open_form()
    key = key_in(form)
    page = await desk.open("", scripted=True)
    await page.goto(desk.served.url)  # the sandbox's address: another origin
    await page.evaluate(
        """([url, key]) => {
            const form = document.createElement("form");
            form.method = "post"; form.action = url;
            const values = {idempotency_key: key, amount: "12", currency: "AUD"};
            for (const [name, value] of Object.entries(values)) {
                const field = document.createElement("input");
                field.name = name; field.value = value; form.append(field);
            }
            document.body.append(form); form.submit();
        }""",
        [f"{desk.portal.url}clients/{desk.somebody}/top-up", key],
    )
    await page.get_by_text("Another site may not use this portal.").wait_for()

    data = {"idempotency_key": key, "amount": "12", "currency": "AUD"}
    url = f"{desk.portal.url}clients/{desk.somebody}/top-up"
    foreign = (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
    )
    async with httpx.AsyncClient(trust_env=False) as http:
        answers = [await http.post(url, data=data, headers=headers) for headers in foreign]
    assert [403, 403, 403, 403, 400] == [answer.status_code for answer in answers]
    assert [] == desk.ledger


async def test_every_page_says_who_may_use_it_and_holds_no_secret(desk):
    """Loopback, no login; no key, password or client's secret anywhere, log included."""
    texts = []
    for path in ("", "clients/1001", "clients/1001/top-up", "inbox"):
        page = await desk.open(path)
        texts.append(await read(page))
        assert "No login: this portal is for this machine only" in texts[-1]
    account = desk.sandbox.account(1001)
    for secret in (account["_subaccount"]["api_key"], "CLICKSEND_API_KEY"):
        assert secret not in "".join(texts) + desk.portal.log


async def test_the_portal_is_as_small_as_it_says():
    """Three files, none of 400 lines, six pages and their frame, one style sheet, no script."""
    for module in APP.parent.glob("*.py"):
        assert len(module.read_text("utf-8").splitlines()) < 400
    files = sorted(path.name for path in APP.parent.rglob("*") if path.is_file())
    names = ["base", "client", "clients", "inbox", "review", "top_up", "transfer"]
    code = ["app.py", "bars.py", "words.py"]
    shown = [name for name in files if not name.endswith(".pyc")]
    assert sorted([*code, "icon.svg", "portal.css", *(f"{name}.html" for name in names)]) == shown
    pages = "".join(path.read_text("utf-8") for path in APP.parent.rglob("*.html"))
    assert not re.search(r"<script|\son\w+=|javascript:", pages)
