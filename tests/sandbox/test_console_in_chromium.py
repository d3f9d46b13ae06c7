import pytest
import pytest_asyncio

from clicksend_reseller import AsyncResellerClient, TransferOutcomeUnknownError
from clicksend_reseller.sandbox import Sandbox

pytestmark = pytest.mark.asyncio(loop_scope="session")

NOT_TOLD = "applied, the caller was not told"
SOON = 2_000  # milliseconds, as the specification of the console has it


@pytest_asyncio.fixture(loop_scope="session")
async def desk():
    """Serve a sandbox of its own, as it stands on a developer's desk."""
    sandbox = Sandbox()
    async with sandbox.serve() as served:
        yield sandbox, served


async def transfer(served, user_id=1001):
    """Send a transfer as a program would, and give what its client says of it."""
    async with AsyncResellerClient("sandbox", "sandbox", base_url=served.url) as client:
        try:
            await client.transfer_credit(user_id, 12, "AUD")
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


async def test_a_lost_answer_shows_by_itself(desk, open_page):
    """Armed by click; the row comes within two seconds, and the page was not loaded again."""
    sandbox, served = desk
    page = await open_page(served.console_url)
    await arm(page, "lost")
    await page.evaluate("document.body.dataset.same = 'yes'")
    assert "unknown" == await transfer(served)
    await not_told(page).wait_for(timeout=SOON)
    assert "yes" == await page.evaluate("document.body.dataset.same")
    assert [False] == [entry.told for entry in sandbox.ledger]
    assert "1 applied, 1 of them not told" == await page.locator("#count").text_content()
    assert "988.00 AUD" == await page.locator(".credit").text_content()


async def test_the_console_needs_no_javascript(desk, open_page):
    """The same story with the script switched off, after a reload."""
    _, served = desk
    page = await open_page(served.console_url, java_script_enabled=False)
    await arm(page, "lost")
    assert "unknown" == await transfer(served)
    assert 0 == await not_told(page).count()
    await page.reload()
    assert 1 == await not_told(page).count()
