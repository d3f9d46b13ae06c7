"""What one module offers, the others know."""

import ast
import builtins
import inspect
import re
import sys
from pathlib import Path

import pytest
from sqlalchemy import exc as sqlalchemy_errors

import clicksend_reseller
from clicksend_reseller import AsyncResellerClient, fastapi, journal, otel
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
    """Name the functions of `_wire.operations` that make an operation."""
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


def asynchronous_callables():
    """Find what a user awaits or walks over: what reaches a network, a database or a loop."""
    for module in (clicksend_reseller, journal):
        for name in module.__all__:
            value = getattr(module, name)
            if waits(value):
                yield name, value
            if inspect.isclass(value):
                for method, function in inspect.getmembers(value, waits):
                    if not method.startswith("_"):
                        yield f"{name}.{method}", function


def waits(value):
    """Return True if a function is awaited or walked over."""
    return inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value)


# Their docstrings say that they wait, and nothing of theirs can fail.
CANNOT_FAIL = {"AccountIterator.aclose", "Batch.aclose"}
CAN_FAIL = {
    name: function for name, function in asynchronous_callables() if name not in CANNOT_FAIL
}


def test_every_operation_is_among_the_calls_that_can_fail():
    """The test below leaves none of them out."""
    assert {f"AsyncResellerClient.{name}" for name in ASKED} <= set(CAN_FAIL)


@pytest.mark.parametrize("name", [*CAN_FAIL, "AsyncResellerClient.iter_accounts"])
def test_every_call_that_can_fail_says_how(name):
    """Its errors stand in the docstring, each one a class that there is."""
    function = CAN_FAIL.get(name, AsyncResellerClient.iter_accounts)
    _, _, raises = (inspect.getdoc(function) or "").partition("\nRaises:\n")
    named = re.findall(r"^    (\w+):", raises, re.MULTILINE)
    assert named, name
    assert [] == [each for each in named if not is_an_error(each)]


def is_an_error(name):
    """Return True if an exception of this name can be caught."""
    value = getattr(builtins, name, None) or getattr(sqlalchemy_errors, name, None)
    if value is None and name in clicksend_reseller.__all__:
        value = getattr(clicksend_reseller, name)
    return inspect.isclass(value) and issubclass(value, BaseException)


# --- who may import what: named here, so that what is new is refused until somebody allows it

PACKAGE = Path(clicksend_reseller.__file__).parent
CORE = {"attrs", "cattrs", "httpcore", "httpcore2", "httpx", "httpx2", "tenacity"}
BESIDE = {
    "cli": {"attrs", "cyclopts", "rich", "sqlalchemy"},
    "fastapi": {"attrs", "fastapi", "pydantic"},
    "journal": {"attrs", "sqlalchemy"},
    "otel": {"attrs", "opentelemetry"},
    "sandbox": {
        *("anyio", "attrs", "httpx", "httpx2"),
        *("jinja2", "pytest", "starlette", "uvicorn"),
    },
}
# Loaded only where pydantic asks for it.
ON_DEMAND = {"_pydantic": {"attrs", "pydantic", "pydantic_core"}}
# Four modules have facts and rules that would otherwise be in several places.
PRIVATE = re.compile(
    r"\._(?!_version__$|_main__|settings$|wire$|wire\.(?:keys|limits|money|operations)\b)"
)


def imports_of(path):
    """Give the modules that a file imports, wherever in it and for whatever reason."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files():
    """Give each file of the package with the part that it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        yield pytest.param(path, first, id=str(path.relative_to(PACKAGE)))


@pytest.mark.parametrize(("path", "part"), list(files()))
def test_a_file_imports_the_libraries_of_its_part_only(path, part):
    """The core has four and what httpx stands on; an extra has those that it brings."""
    tops = {name.partition(".")[0] for name in imports_of(path)}
    foreign = tops - sys.stdlib_module_names - {"clicksend_reseller"}
    assert set() == foreign - {**BESIDE, **ON_DEMAND}.get(part, CORE)


@pytest.mark.parametrize(("path", "part"), list(files()))
def test_an_extra_uses_the_public_names_like_any_user(path, part):
    """No module of the core whose name begins with an underscore, and no name either."""
    if part not in BESIDE:
        assert [] == [name for name in imports_of(path) if is_of(name, BESIDE)]
        return
    foreign = [
        name
        for name in imports_of(path)
        if name.startswith("clicksend_reseller.") and not is_of(name, {part})
    ]
    private = [name for name in foreign if PRIVATE.search(name)]
    assert [] == private


def is_of(name, parts):
    """Return True if a module belongs to one of these extras."""
    _, _, rest = name.partition("clicksend_reseller.")
    return rest.partition(".")[0] in parts
