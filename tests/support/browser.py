"""Where is a browser for a test? One Chromium for the whole run; each page a profile of its own.

Tests that use it run in the session's event loop: `pytest.mark.asyncio(loop_scope="session")`.
"""

import pytest_asyncio

from support.programs import missing, program

ARGUMENTS = [
    "--no-sandbox",  # Chromium refuses to run as root with it
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser():
    """Start Chromium once."""
    try:
        from playwright.async_api import async_playwright  # noqa: PLC0415 - many runs need none
    except ImportError:
        missing("playwright")
    chromium = program("chromium")
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser):
    """Open a page at an address; an error of its script, or a part that is missing, is a failure.

    A page itself may well answer 422 or be gone: that is for its test to judge.
    """
    contexts, complaints = [], []

    def hear(line):
        if line.type == "error" and not line.text.startswith("Failed to load resource"):
            complaints.append(line.text)

    def see(response):
        if response.status >= 400 and not response.request.is_navigation_request():
            complaints.append(f"{response.status} {response.url}")

    async def open_page(url, **options):
        context = await browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", hear)
        page.on("response", see)
        await page.goto(url)
        return page

    yield open_page
    for context in contexts:
        await context.close()
    assert complaints == []


async def axe_findings(page):
    """Ask axe what stands in the way of people who read and steer the page in other ways."""
    from axe_playwright_python.async_playwright import Axe  # noqa: PLC0415 - loaded late, as above

    results = await Axe().run(page)
    return [
        (found["id"], node["html"])
        for found in results.response["violations"]
        for node in found["nodes"]
    ]
