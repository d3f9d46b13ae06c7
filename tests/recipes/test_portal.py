import asyncio
import contextlib
import re
import sqlite3

import httpx
import pytest
import pytest_asyncio

from clicksend_reseller.sandbox import Sandbox
from support.browser import axe_findings
from support.portal_process import APP, PortalProcess
from support.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="session")

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

    async def top_up(self, amount="12"):
        page = await self.open_form(amount)
        await submit(page)
        return page

    @property
    def ledger(self):
        return [int(amount) for amount in self.sandbox.transfers_to(self.somebody)]


async def submit(page):
    """Press the button of the top-up form."""
    await page.get_by_role("button", name="Send", exact=True).click()


async def state(page):
    """Give the transfer page's word."""
    await page.wait_for_url("**/transfers/*")
    return await page.locator("h1 + .tag").text_content()


async def settled(page):
    """Look again until it is no longer in flight."""
    async with asyncio.timeout(20):
        while (word := await state(page)) == IN_FLIGHT:
            await page.reload()
    return word


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def started(tmp_path_factory, browser):
    """Serve a sandbox, start the portal and open the browser, once for this file."""
    sandbox = Sandbox()
    async with sandbox.serve() as served:
        portal = PortalProcess(tmp_path_factory.mktemp("portal"), dict(served.env))
        await asyncio.to_thread(portal.start)
        desk = Desk(sandbox, served, portal)
        await desk.start(browser)
        yield desk
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
    assert f"12 AUD reached {desk.name}. The balance was 62.00 then." in await page.content()
    assert [12] == desk.ledger


async def test_a_double_click_pays_once(desk):
    """Two requests with one key: one of them sends."""
    desk.sandbox.fail("slow", operation="transfer_credit", seconds=0.3)
    page = await desk.open_form()
    await page.get_by_role("button", name="Send", exact=True).dblclick()
    assert PAID == await settled(page)
    assert [12] == desk.ledger


async def test_back_and_resubmit_pay_once(desk):
    """The form that Back shows has the old key, and says that it has been used."""
    page = await desk.top_up()
    assert PAID == await state(page)
    await page.go_back()
    assert "This form has been used" in await page.content()
    assert "12" == await page.get_by_label("Amount").input_value()
    await submit(page)
    assert PAID == await state(page)
    assert [12] == desk.ledger


async def test_back_and_another_amount_send_nothing(desk):
    """One form is one transfer, so the second amount is refused and not taken for the first."""
    page = await desk.top_up()
    await page.go_back()
    await page.get_by_label("Amount").fill("13")
    await submit(page)
    assert f"is on record for 12 AUD to client {desk.somebody}" in await page.content()
    assert [12] == desk.ledger


async def test_two_tabs_with_one_form_pay_once(desk):
    """A tab that was duplicated has the same address, and so the same key."""
    one = await desk.open_form()
    two = await one.context.new_page()
    await two.goto(one.url)
    await two.get_by_label("Amount").fill("12")
    desk.sandbox.fail("slow", operation="transfer_credit", seconds=0.3)
    await asyncio.gather(submit(one), submit(two))
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
    page = await desk.open_form()
    form = page.url
    pressing = asyncio.ensure_future(submit(page))
    await until(lambda: desk.ledger)
    desk.portal.kill()
    await asyncio.gather(pressing, return_exceptions=True)
    await asyncio.to_thread(desk.portal.start)

    await page.goto(form)
    await page.get_by_label("Amount").fill("12")
    await submit(page)
    assert IN_FLIGHT == await state(page)
    assert "Do not send it again." in await page.content()

    await asyncio.to_thread(age, desk.portal, seconds=151)
    await page.reload()
    assert UNKNOWN == await state(page)
    assert f"We do not know whether 12 AUD reached {desk.name}." in await page.content()
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
    compare = page.get_by_role("button", name="Compare balances")
    await compare.click()
    assert "inconclusive" == await page.locator(".verdict strong").text_content()

    await page.get_by_label(f"No other credit reached {desk.name}").check()
    await page.get_by_label(f"The account of {desk.name} is kept in AUD").check()
    await compare.click()
    verdict = page.locator(".verdict")
    assert "applied" == await verdict.locator("strong").text_content()
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
    address = page.url
    await page.get_by_role("button", name=button).click()
    assert (address, UNKNOWN) == (page.url, await state(page))  # no note, so it stays

    await page.get_by_role("link", name="Inbox").click()
    await page.get_by_role("link", name=f"To {desk.name}").click()
    age(desk.portal, 151)  # before that it may still be on its way
    await page.get_by_label("Note").fill("asked Ann")
    await page.get_by_role("button", name=button).click()
    assert word == await state(page)
    assert "asked Ann (the portal)" in await page.content()
    await page.get_by_role("link", name="Inbox").click()
    assert 0 == await page.get_by_role("link", name=f"To {desk.name}").count()
    assert [12] == desk.ledger


async def test_a_second_top_up_waits_for_the_open_one(desk):
    """It is not sent; once the first is resolved, the same form can send it."""
    first = await lose_an_answer(desk)
    desk.sandbox.clear_faults()
    page = await desk.top_up("7")
    assert NOT_SENT == await state(page)
    await first.get_by_label("Note").fill("it is there")
    await first.get_by_role("button", name="It arrived").click()
    await page.get_by_role("button", name="Send it now").click()
    assert PAID == await state(page)
    assert [12, 7] == desk.ledger


async def test_what_was_not_sent_can_be_withdrawn(desk):
    """Then no later press of any button sends it."""
    await lose_an_answer(desk)
    desk.sandbox.clear_faults()
    page = await desk.top_up("7")
    await page.get_by_label("Note").fill("no longer wanted")
    await page.get_by_role("button", name="Withdraw it").click()
    assert "did not arrive" == await state(page)
    assert [12] == desk.ledger


async def test_a_refusal_has_its_reason(desk):
    """Nothing is moved, and the page says why."""
    page = await desk.top_up("999999")
    assert REFUSED == await state(page)
    assert "999999 AUD was refused, and nothing was moved" in await page.content()
    assert [] == desk.ledger


# --- what people type


@pytest.mark.parametrize("amount", ["1,50", "-1"])
async def test_an_amount_that_makes_no_sense_leaves_the_form_filled(amount, desk):
    """It is said beside the field, the other field keeps its value, and nothing is sent."""
    page = await desk.open_form(amount)
    await page.get_by_label("Currency").fill("USD")
    await submit(page)
    fault = page.locator("#amount-wrong")
    assert "Whole units above zero, such as 12." == await fault.text_content()
    assert [amount, "USD"] == [
        await page.get_by_label(label).input_value() for label in ("Amount", "Currency")
    ]
    assert "true" == await page.get_by_label("Amount").get_attribute("aria-invalid")
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
    await submit(page)
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
    before, taken = len(walks()), await page.locator("time").get_attribute("datetime")
    desk.sandbox.spend(desk.somebody, 49)
    for _ in range(3):
        await page.reload()
    assert before == len(walks())
    assert taken == await page.locator("time").get_attribute("datetime")
    await page.get_by_role("button", name="Refresh").click()
    assert before + 1 == len(walks())
    row = page.get_by_role("row", name=desk.name)
    assert "1.00 AUD" in (await row.text_content() or "")


async def test_low_is_what_the_person_chooses(desk):
    """The word stands beside each balance under the threshold, and in the chart."""
    page = await desk.open()
    await page.get_by_role("button", name="Refresh").click()
    balances = [client.balance for client in desk.sandbox.world.clients.values()]
    for low in ("20", "10", "-10"):
        await page.get_by_label("Low under").fill(low)
        await page.get_by_role("button", name="Apply").click()
        count = sum(balance < int(low) for balance in balances)
        assert count == await page.locator("td").get_by_text("low", exact=True).count()
        assert count == await page.locator("svg.chart g.low").count()
    assert 0 == count


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
    await look("clients", both)
    await page.get_by_role("link", name=desk.name, exact=True).click()
    await page.get_by_role("link", name="Top up", exact=True).click()
    await look("form")
    await page.get_by_label("Amount").fill("-1")
    await submit(page)
    await look("form with a fault", both)
    await page.get_by_label("Amount").fill("12")
    await submit(page)
    await page.get_by_role("button", name="Compare balances").click()
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
    await tab_to("Send")
    await page.keyboard.press("Enter")
    assert PAID == await state(page)
    assert [12] == desk.ledger


async def test_another_site_can_change_nothing(desk):
    """A form on another page, one port away, is refused; so is another name for this machine."""
    form = await desk.open_form()
    key = await form.locator("input[name=idempotency_key]").get_attribute("value")
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
        texts.append(await page.content())
        assert "No login: this portal is for this machine only" in texts[-1]
    account = desk.sandbox.account(1001)
    for secret in (account["_subaccount"]["api_key"], "CLICKSEND_API_KEY"):
        assert secret not in "".join(texts) + desk.portal.log


async def test_the_portal_is_as_small_as_it_says():
    """One file under 200 lines, five pages and their frame, one style sheet, no script."""
    assert len(APP.read_text("utf-8").splitlines()) < 200
    files = sorted(path.name for path in APP.parent.rglob("*") if path.is_file())
    names = ["base", "client", "clients", "inbox", "top_up", "transfer"]
    shown = [name for name in files if not name.endswith(".pyc")]
    assert (
        sorted(["app.py", "icon.svg", "portal.css", *(f"{name}.html" for name in names)]) == shown
    )
    pages = "".join(path.read_text("utf-8") for path in APP.parent.rglob("*.html"))
    assert not re.search(r"<script|\son\w+=|javascript:", pages)
