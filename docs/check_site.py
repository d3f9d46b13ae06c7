"""Checks of the built site: each link inside it leads somewhere, and everybody can read it.

`python docs/check_site.py SITE` ends with 1 and names what does not hold. axe looks at some
pages, in both colour schemes, in the Chromium that is on this machine.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

LOOKED_AT = (
    "index.html",
    "tutorial/first-transfer.html",
    "reference/errors.html",
    "reference/client.html",
    "explanation/never-twice.html",
    "how-to/timeouts-and-retries.html",
    "how-to/troubleshooting.html",
)


class Page(HTMLParser):
    """What a page points to, and what can be pointed to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.places = {""}
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what one tag points to, and its own name."""
        for name, value in attrs:
            if name in {"href", "src"} and value and tag != "link":
                self.targets.append(value)
            if name == "id" and value:
                self.places.add(value)


def broken_links(site: Path) -> list[str]:
    """List each link that stays in the site and leads nowhere."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    return [
        f"{path.relative_to(site.resolve())}: {target}"
        for path, page in pages.items()
        for target in page.targets
        if not leads_somewhere(path, target, pages)
    ]


def leads_somewhere(path: Path, target: str, pages: dict[Path, Page]) -> bool:
    """Follow a link from a page, unless it leaves the site."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return True
    where = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if where not in pages:
        return where.exists()
    return unquote(parts.fragment) in pages[where].places


def findings(site: Path) -> list[str]:
    """List what axe finds on the pages looked at."""
    with chromium() as browser:
        return [
            f"{name}, {scheme}: {found}"
            for scheme in ("light", "dark")
            for name in LOOKED_AT
            for found in look_at(browser, (site / name).resolve(), scheme)
        ]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Lend the browser of this machine."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=["--no-sandbox", "--disable-background-networking"],
        )
        try:
            yield browser
        finally:
            browser.close()


def look_at(browser: Browser, path: Path, scheme: str) -> list[str]:
    """Let axe read one page."""
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(path.as_uri())
    violations = Axe().run(page).response["violations"]
    context.close()
    return [
        f"{violation['id']} at {node['target']}"
        for violation in violations
        for node in violation["nodes"]
    ]


def main(site: Path) -> int:
    """Look for both."""
    faults = [*broken_links(site), *findings(site)]
    pages = len(list(site.rglob("*.html")))
    good = f"{pages} pages, each link leads somewhere; axe finds nothing on {len(LOOKED_AT)}"
    print("\n".join(faults) or good)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
