"""Where is a browser for a test? One Chromium for the whole run; each page a profile of its own.

Tests that use it run in the session's event loop: `pytest.mark.asyncio(loop_scope="session")`.
"""

import asyncio

import pytest_asyncio

from support.programs import missing, program

PATIENCE = 30  # seconds, for one step of a page on a machine that is busy with other tests

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
    # The shell is the same engine without the windows, whose own pages cost as much as the tests'.
    chromium = program("chromium-headless-shell", "chromium")
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
        context.set_default_timeout(PATIENCE * 1000)
        page = await context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", hear)
        page.on("response", see)
        await page.goto(url)
        return page

    yield open_page
    for context in contexts:
        async with asyncio.timeout(PATIENCE):
            await context.close()
    assert complaints == []


# What a reader cannot read: text outside the window or outside the box that clips it, a closed
# list that cuts its choice, and a page that must be scrolled sideways.
_UNREADABLE = """() => {
  const found = [], root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`the page is ${root.scrollWidth} wide`);
  const clips = (each) => getComputedStyle(each).overflowX !== "visible"
    && each !== root && each !== document.body;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode, text = node.data.trim(), parent = node.parentElement;
    if (!text || parent.closest("select, script")) continue;
    if (!parent.checkVisibility({visibilityProperty: true})) continue;
    const above = [];
    for (let each = parent; each; each = each.parentElement) above.push(each);
    if (above.some((each) => getComputedStyle(each).clipPath !== "none")) continue; // for the ear
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      if (box.width < 1 || box.right < 0) continue;
      const frames = above.filter(clips).map((each) => each.getBoundingClientRect());
      frames.push({left: 0, right: root.clientWidth});
      const leaves = (frame) => box.left < frame.left - 1 || box.right > frame.right + 1;
      if (frames.some(leaves)) found.push(`cut: ${text}`);
    }
  }
  const pen = document.createElement("canvas").getContext("2d");
  for (const list of document.querySelectorAll("select")) {
    const style = getComputedStyle(list);
    pen.font = style.font;
    const padding = parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
    const room = list.clientWidth - padding - 18; // the arrow
    for (const option of list.options) {
      if (pen.measureText(option.text).width > room) found.push(`cut: ${option.text}`);
    }
  }
  return found;
}"""


async def unreadable(page):
    """Give what is on the page and cannot be read whole at its width."""
    return await page.evaluate(_UNREADABLE)


async def read(page):
    """Give the page's markup.

    Playwright itself waits without an end for a page that is on its way to another one.
    """
    async with asyncio.timeout(PATIENCE):
        return await page.content()


async def axe_findings(page):
    """Ask axe what stands in the way of people who read and steer the page in other ways."""
    from axe_playwright_python.async_playwright import Axe  # noqa: PLC0415 - loaded late, as above

    results = await Axe().run(page)
    return [
        (found["id"], node["html"])
        for found in results.response["violations"]
        for node in found["nodes"]
    ]
