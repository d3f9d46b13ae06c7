"""Does every room keep up with the others? What one of them offers, the others know."""

import inspect
import re
from pathlib import Path

import pytest

import clicksend_reseller
from clicksend_reseller import AsyncResellerClient, fastapi, otel
from clicksend_reseller._wire import operations
from clicksend_reseller.cli import app
from clicksend_reseller.sandbox.service.api import identify
from clicksend_reseller.sandbox.service.faults import OPERATIONS
from clicksend_reseller.sandbox.service.messages import Request
from support.clients import FIELDS

DOCS = Path(__file__).resolve().parents[2] / "docs"
ASKED = {
    op.name: op
    for op in (
        operations.list_accounts(page=1, limit=100),
        operations.create_account(FIELDS),
        operations.get_account(1),
        operations.update_account(1, FIELDS),
        operations.transfer_credit(1, 1, "AUD", allow_negative=False),
        operations.get_own_account(),
    )
}


COMMANDS = {
    "list_accounts": ("accounts", "list"),
    "create_account": ("accounts", "create"),
    "get_account": ("accounts", "get"),
    "update_account": ("accounts", "update"),
    "transfer_credit": ("", "transfer"),
    "get_own_account": ("", "balance"),
}


def makers():
    """Name the functions of _operations that make one."""
    return {
        name
        for name, function in inspect.getmembers(operations, inspect.isfunction)
        if not name.startswith("_") and "Operation[" in str(function.__annotations__.get("return"))
    }


def test_every_operation_is_asked_for_below():
    """A new endpoint is not left out of these tests."""
    assert makers() == set(ASKED)


@pytest.mark.parametrize("name", ASKED)
def test_every_operation_is_a_method_of_the_client(name):
    """Its value carries the name of the method, which errors and events then show."""
    assert inspect.iscoroutinefunction(getattr(AsyncResellerClient, name))


@pytest.mark.parametrize("name", ASKED)
def test_every_operation_is_a_route_of_the_sandbox(name):
    """What cannot be tried without an account cannot be tested."""
    operation = ASKED[name]
    request = Request(
        method=operation.method,
        path=f"/v3{operation.path}",
    )
    assert name == identify(request).operation
    assert name in OPERATIONS


@pytest.mark.parametrize("name", ASKED)
def test_every_operation_is_a_command(name):
    """What a program can do, a person at a shell can do too."""
    assert COMMANDS[name] in {(group, command) for group, command, *_ in app._COMMANDS}


def test_every_operation_is_traced_by_its_route():
    """A span without one would be an error in the log of whoever observes."""
    routes = {
        name: (operation.method, operation.path.replace("/1", "/{client_user_id}"))
        for name, operation in ASKED.items()
    }
    assert routes == otel._ROUTES


def test_every_read_is_known_where_services_answer():
    """A read whose answer was lost is not told as a change that may have been made."""
    assert {name for name, operation in ASKED.items() if not operation.writes} == fastapi._READS


@pytest.mark.parametrize("name", ASKED)
def test_every_operation_stands_in_the_wire_reference(name):
    """With its verb and its path."""
    operation = ASKED[name]
    path = operation.path.replace("/1", "/{client_user_id}")
    text = (DOCS / "reference" / "wire.md").read_text("utf-8")
    assert re.search(rf"^\| `{name}` \| `{operation.method} {re.escape(path)}", text, re.MULTILINE)


def public_callables():
    """Find what a user can call: functions, methods, and the making of what takes arguments."""
    for name in clicksend_reseller.__all__:
        value = getattr(clicksend_reseller, name)
        if inspect.isfunction(value):
            yield name, value
        if inspect.isclass(value):
            for method, function in inspect.getmembers(value, inspect.isfunction):
                if not method.startswith("_") and function.__module__.startswith("clicksend"):
                    yield f"{name}.{method}", function


@pytest.mark.parametrize(("name", "function"), list(public_callables()))
def test_every_public_call_is_documented(name, function):
    """What is public says what it is for; a caller who reads nothing else reads this."""
    assert inspect.getdoc(function), name


@pytest.mark.parametrize("name", [name for name, _ in inspect.getmembers(AsyncResellerClient)])
def test_every_call_that_can_fail_says_how(name):
    """Each method of the client that reaches the network has its errors in the docstring."""
    method = getattr(AsyncResellerClient, name)
    if name.startswith("_") or not inspect.iscoroutinefunction(method) or name == "aclose":
        return
    assert "Raises:" in (inspect.getdoc(method) or "")
