"""What Sentry, structlog and rich's tracebacks show of a call: no secret, with all locals."""

import io
import json

import pytest
import sentry_sdk
import structlog
from rich.console import Console
from rich.traceback import Traceback
from sentry_sdk.integrations.httpx import HttpxIntegration

from clicksend_reseller import AsyncResellerClient, ResellerError, Secret, to_dict
from clicksend_reseller.sandbox import Sandbox
from support.clients import FIELDS
from support.fault_server import FaultServer

KEY = "key-of-the-tests"
PASSWORD = FIELDS.password.get_secret_value()
BASIC = "dXNlcjprZXktb2YtdGhlLXRlc3Rz"  # user and key, as the header has them


def assert_clean(text):
    """Find nothing that only this process may know."""
    assert "ResellerError" in text or "OutcomeUnknownError" in text
    for secret in (KEY, PASSWORD, BASIC):
        assert secret not in text


def make_client(server, **options):
    """Make a client of these tests."""
    return AsyncResellerClient("user", KEY, base_url=server.url, **options)


def key_of(account):
    """Give the key that came with a client's account."""
    return account.subaccount.api_key.get_secret_value()


@pytest.mark.parametrize("fault", ["stall", "status_503", "lost_fin_applied"])
async def test_sentry_with_locals_and_breadcrumbs_shows_no_secret(fault, caplog):
    """The event as it would be sent: frames, their locals, log lines and their arguments."""
    caplog.set_level("DEBUG")
    sent = []
    with sentry_sdk.isolation_scope() as scope:
        client = sentry_sdk.Client(
            dsn="http://key@localhost/1",
            include_local_variables=True,
            # Of the libraries that are installed, the one that carries the secrets.
            auto_enabling_integrations=False,
            integrations=[HttpxIntegration()],
            max_request_body_size="always",
            before_send=lambda event, _hint: sent.append(event),
        )
        scope.set_client(client)
        async with FaultServer.striking(fault) as server:
            account = await Sandbox().client().get_account(1001)
            with pytest.raises(ResellerError) as caught:
                async with make_client(server, timeout=0.2, deadline=0.3) as reseller:
                    await reseller.update_account(1, FIELDS)
        scope.capture_exception(caught.value)
    assert sent
    text = json.dumps(sent, default=repr)
    assert "update_account" in text
    assert_clean(text)
    assert key_of(account) not in text


async def test_rich_tracebacks_with_locals_show_no_secret():
    """As a terminal or a notebook prints them."""
    async with FaultServer.striking("stall") as server:
        fields, key = FIELDS, Secret(KEY)
        try:
            async with make_client(server, timeout=0.2, deadline=0.3) as reseller:
                await reseller.update_account(1, fields)
        except ResellerError as error:
            shown = Traceback.from_exception(
                type(error), error, error.__traceback__, show_locals=True, locals_max_string=10_000
            )
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(shown)
    text = console.export_text()
    assert "fields" in text
    assert repr(key) in text
    assert_clean(text)


async def test_structlog_shows_no_secret_of_models_and_errors(capsys):
    """As JSON with locals, and as the console prints it."""
    async with FaultServer.striking("stall") as server, Sandbox().client() as sandbox:
        account = await sandbox.get_account(1001)
        log = structlog.wrap_logger(
            structlog.PrintLogger(),
            processors=[
                structlog.processors.ExceptionRenderer(
                    structlog.tracebacks.ExceptionDictTransformer(show_locals=True)
                ),
                structlog.processors.JSONRenderer(default=repr),
            ],
        )
        try:
            async with make_client(server, timeout=0.2, deadline=0.3) as reseller:
                await reseller.update_account(1, FIELDS)
        except ResellerError:
            log.exception("failed", account=account, fields=FIELDS, plain=to_dict(account))
    text = capsys.readouterr().out
    assert '"event": "failed"' in text
    assert_clean(text)
    assert key_of(account) not in text
