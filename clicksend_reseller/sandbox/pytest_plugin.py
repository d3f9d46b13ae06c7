"""Fixtures for pytest, a marker, and the trace of a sandbox in each test that fails.

Only pytest is imported here: whoever has this package installed imports this file with every
run of pytest, used or not. `-p no:clicksend_reseller` leaves it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from clicksend_reseller import AsyncResellerClient
    from clicksend_reseller.sandbox import Sandbox
    from clicksend_reseller.sandbox.background import ServedSandbox

_MARKER = "reseller_sandbox"
_SANDBOX: pytest.StashKey[Sandbox] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, so that strict markers let it pass."""
    config.addinivalue_line(
        "markers",
        f"{_MARKER}(**options): what the sandbox of this test is like: arguments of Sandbox "
        "(accounts=3, credit='5') and of Quirks (rate_limit=20)",
    )


@pytest.fixture
def reseller_sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """The ClickSend Reseller API in process: arm faults, ask the ledger. New for each test."""
    sandbox = _sandbox_of(request.node)
    request.node.stash[_SANDBOX] = sandbox
    return sandbox


@pytest.fixture
def reseller_client(reseller_sandbox: Sandbox) -> AsyncResellerClient:
    """A client of the test's sandbox, in process; it need not be closed, as it holds no socket."""
    # Made here and bound to a loop by its first call, so it fits whatever runs the test.
    return reseller_sandbox.client()


@pytest.fixture
def served_reseller_sandbox(reseller_sandbox: Sandbox) -> Iterator[ServedSandbox]:
    """The test's sandbox on a real socket: `url`, `env`, and all that a Sandbox can do."""
    from clicksend_reseller.sandbox.background import serve_beside  # noqa: PLC0415 - see the top

    try:
        serving = serve_beside(reseller_sandbox)
    except ImportError as exc:
        raise pytest.fail.Exception(str(exc), pytrace=False) from None
    with serving as served:
        yield served


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failure what happened in the test's sandbox."""
    report = yield
    sandbox = item.stash.get(_SANDBOX, None)
    if report.failed and sandbox is not None:
        from clicksend_reseller.sandbox.trace import trace  # noqa: PLC0415 - see the top

        report.sections.append(("reseller sandbox", trace(sandbox)))
    return report


def _sandbox_of(node: pytest.Item) -> Sandbox:
    asked: dict[str, Any] = {}
    for marker in node.iter_markers(_MARKER):  # the closest one first
        if marker.args:
            pytest.fail(f"{_MARKER} takes named arguments only: accounts=3", pytrace=False)
        asked = {**marker.kwargs, **asked}
    try:
        return _make_sandbox(asked)
    except (TypeError, ValueError) as exc:
        raise pytest.fail.Exception(f"{_MARKER}: {exc}", pytrace=False) from None


def _make_sandbox(asked: dict[str, Any]) -> Sandbox:
    import inspect  # noqa: PLC0415 - see the top

    from clicksend_reseller.sandbox import Quirks, Sandbox  # noqa: PLC0415 - see the top

    arguments, quirks = (list(inspect.signature(kind).parameters) for kind in (Sandbox, Quirks))
    for name in asked:
        if name not in {*arguments, *quirks}:
            raise ValueError(
                f"unknown name {name!r}: a sandbox takes {', '.join(arguments)}; "
                f"its quirks are {', '.join(quirks)}"
            )
    given = {name: asked[name] for name in asked if name in arguments}
    quirk_options = {name: asked[name] for name in asked if name in quirks}
    if not quirk_options:
        return Sandbox(**given)
    if "quirks" in given:
        raise ValueError("name the quirks one by one, or pass quirks=Quirks(…), but not both")
    return Sandbox(quirks=Quirks(**quirk_options), **given)
