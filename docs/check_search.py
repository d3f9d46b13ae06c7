"""Questions to the search of the built site, asked in Chromium as a reader would.

`python docs/check_search.py SITE` ends with 1 and names each question whose page is not among
the first three results.
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page

from check_site import chromium

FIRST = 3

# What is typed, and the pages that answer it.
QUESTIONS = {
    "429": ("how-to/rate-limits",),
    "rate limit": ("how-to/rate-limits",),
    "too many requests": ("how-to/rate-limits",),
    "timeout": ("how-to/timeouts-and-retries",),
    "set a timeout": ("how-to/timeouts-and-retries",),
    "retry": ("how-to/timeouts-and-retries",),
    "cancel": ("how-to/timeouts-and-retries",),
    "idempotency key": ("reference/journal", "how-to/pay-a-list"),
    "error handling": ("how-to/handle-errors",),
    "errors": ("how-to/handle-errors", "reference/errors"),
    "troubleshooting": ("how-to/troubleshooting",),
    "FAQ": ("how-to/troubleshooting",),
    "create account": ("how-to/create-and-update-clients",),
    "password": ("how-to/create-and-update-clients",),
    "list clients": ("how-to/list-and-find-clients",),
    "low balance": ("how-to/list-and-find-clients", "how-to/top-up-low-balances"),
    "pagination": ("how-to/list-and-find-clients",),
    "transfer credit": ("tutorial/first-transfer",),
    "pay a list": ("how-to/pay-a-list",),
    "lost answer": ("tutorial/lost-answer",),
    "Decimal": ("reference/models",),
    "proxy": ("how-to/transports",),
    "httpx": ("how-to/transports",),
    "FastAPI": ("how-to/fastapi", "reference/fastapi"),
    "celery": ("how-to/task-queue",),
    "Django": ("how-to/other-frameworks",),
    "notebook": ("how-to/other-frameworks",),
    "script": ("how-to/other-frameworks",),
    "deadline": ("how-to/timeouts-and-retries", "reference/client"),
    "pandas": ("how-to/other-frameworks",),
    "OpenAPI": ("how-to/fastapi", "reference/fastapi", "reference/sandbox"),
    "pytest": ("how-to/test-your-code",),
    "mock": ("how-to/test-your-code",),
    "log": ("how-to/logging-and-metrics",),
    "metrics": ("how-to/logging-and-metrics",),
    "docker": ("how-to/docker",),
    "API key": ("how-to/use-it-live", "reference/environment"),
    "environment variables": ("reference/environment",),
    "exit status": ("reference/cli",),
    "sync": ("reference/client", "how-to/other-frameworks"),
    "benchmark": ("reference/benchmarks",),
    "refund": ("how-to/troubleshooting",),
    "SMS": ("how-to/troubleshooting",),
    "401 unauthorized": ("how-to/troubleshooting",),
    "404 not found": ("how-to/troubleshooting",),
    "duplicate payment": ("explanation/never-twice", "tutorial/lost-answer"),
    "send twice": ("explanation/never-twice",),
    "phone number format": ("how-to/create-and-update-clients",),
    "concurrency": ("how-to/rate-limits",),
    "reseller access": ("how-to/use-it-live",),
    "own balance": ("how-to/use-it-live",),
    "how much credit do I have": ("how-to/use-it-live",),
    "fake server": ("how-to/test-your-code", "reference/sandbox"),
    "simulate error": ("how-to/test-your-code", "reference/sandbox"),
    "type hints": ("reference/models",),
    "upgrade": ("changelog",),
    "error 503": ("how-to/troubleshooting", "how-to/handle-errors", "how-to/fastapi"),
}


def unanswered(site: Path) -> list[str]:
    """List each question whose page is not among the first results."""
    with chromium() as browser:
        page = browser.new_page()
        found = {question: first_results(page, site, question) for question in QUESTIONS}
    return [
        f"the search for {question!r} finds {results}, and none of {QUESTIONS[question]}"
        for question, results in found.items()
        if not set(results) & set(QUESTIONS[question])
    ]


def first_results(page: Page, site: Path, question: str) -> list[str]:
    """Ask one question; name the pages of the first results, in their order."""
    search = (site / "search.html").resolve()
    page.goto(f"{search.as_uri()}?q={quote(question)}")
    page.locator("#search-results p.search-summary", has_text="search").wait_for()  # its last word
    links = page.locator("#search-results ul.search > li > a")
    targets = [links.nth(n).get_attribute("href") or "" for n in range(min(FIRST, links.count()))]
    return [target.partition("#")[0].partition("?")[0].removesuffix(".html") for target in targets]


def main(site: Path) -> int:
    """Ask them all."""
    faults = unanswered(site)
    good = f"{len(QUESTIONS)} questions to the search, each answered by the first {FIRST} results"
    print("\n".join(faults) or good)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
