import asyncio
import contextlib
import json
import logging
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

import clicksend_reseller.fastapi
from clicksend_reseller import (
    AsyncResellerClient,
    JournalEntry,
    Outcome,
    ResellerError,
    RetryPolicy,
    TransferState,
    errors,
    to_dict,
)
from clicksend_reseller.fastapi import ResellerDep, add_exception_handlers, reseller_lifespan
from clicksend_reseller.sandbox import Sandbox
from support.clients import FIELDS
from support.memory_journal import MemoryJournal, raises
from support.uvicorn_server import serving
from support.waiting import until

ONCE = RetryPolicy(max_retries=0)
USER, KEY = "user-of-ours", "key-of-ours-1"
PROBLEM = "application/problem+json"


def make_app(make_client, **options):
    """Make an application whose endpoints call the client and catch nothing."""
    app = FastAPI(lifespan=reseller_lifespan(make_client))
    add_exception_handlers(app, **options)

    @app.get("/clients/{user_id}")
    async def get(user_id: int, reseller: ResellerDep):
        return to_dict(await reseller.get_account(user_id))

    @app.post("/clients")
    async def create(reseller: ResellerDep, country: str = "US"):
        fields = FIELDS.__class__(
            **{**to_dict(FIELDS, secrets=True), "username": "taken", "country": country}
        )
        return to_dict(await reseller.create_account(fields))

    @app.put("/clients/{user_id}")
    async def update(user_id: int, reseller: ResellerDep):
        return to_dict(await reseller.update_account(user_id, FIELDS))

    @app.post("/transfers")
    async def transfer(
        reseller: ResellerDep, user_id: int = 1001, amount: int = 5, key: str | None = None
    ):
        receipt = await reseller.transfer_credit(user_id, amount, "AUD", idempotency_key=key)
        return to_dict(receipt)

    return app


@contextlib.asynccontextmanager
async def asking(app):
    """Serve the application, and give an HTTP client for it."""
    async with serving(app) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        yield http


@pytest.fixture
def sandbox():
    """Make a sandbox whose credentials are easy to find in a text."""
    return Sandbox(username=USER, api_key=KEY)


@pytest.fixture
def journal():
    """Make a journal with a key in each state."""
    journal = MemoryJournal()
    for state in TransferState:
        journal.put(
            JournalEntry(
                key=state.value, client_user_id=1001, amount=5, currency="AUD", state=state
            )
        )
    return journal


def problem(name, status, detail, outcome, **more):
    """Write down the body to expect."""
    return {
        "type": f"urn:problem-type:clicksend-reseller:{name}",
        "title": name.replace("-", " ").capitalize(),
        "status": status,
        "detail": detail,
        "outcome": outcome,
        **more,
    }


SAME = "Nothing was changed."
UNSENT = "Nothing was sent."
DOUBT = "It may have been applied. Do not send it again before you have checked."
GET, POST, PUT = ("GET", "/clients/1001"), ("POST", "/transfers"), ("PUT", "/clients/1001")
CREATE = ("POST", "/clients")

# The fault of the sandbox, the request, and the answer to it, class by class.
TABLE = {
    "BadRequestError": (
        None,
        ("POST", "/clients?country=Ruritania"),
        problem("value-refused", 422, SAME, "rejected", field_errors={"country": ["ANY"]}),
    ),
    "NotFoundError": (
        None,
        ("GET", "/clients/999999"),
        problem("client-not-found", 404, SAME, "rejected"),
    ),
    "AlreadyExistsError": (
        {"kind": "error", "status": 400, "response_code": "ALREADY_EXISTS"},
        CREATE,
        problem("user-name-taken", 409, SAME, "rejected"),
    ),
    "InsufficientCreditError": (
        None,
        ("POST", "/transfers?amount=999999"),
        problem("not-enough-credit", 402, SAME, "rejected"),
    ),
    "RateLimitError": (
        {"kind": "limit", "retry_after": 7},
        POST,
        problem("too-many-calls", 503, SAME, "rejected"),
    ),
    "APIConnectionError on a read": (
        {"kind": "lost"},
        GET,
        problem("upstream-unreachable", 502, SAME, "unknown"),
    ),
    "APIConnectionError on a transfer": (
        {"kind": "refuse"},
        POST,
        problem("upstream-unreachable", 502, UNSENT, "not_sent"),
    ),
    "APITimeoutError": (
        {"kind": "hang"},
        GET,
        problem("upstream-timeout", 504, SAME, "unknown"),
    ),
    "ServerError": (
        {"kind": "error", "status": 503},
        GET,
        problem("upstream-error", 502, SAME, "unknown"),
    ),
    "APIResponseError": (
        {"kind": "redirect"},
        GET,
        problem("upstream-unreadable", 502, SAME, "unknown"),
    ),
    "APIStatusError": (
        {"kind": "error", "status": 405, "response_code": "METHOD_NOT_ALLOWED"},
        POST,
        problem("upstream-error", 502, SAME, "rejected"),
    ),
    "AuthenticationError": (
        {"kind": "error", "status": 401},
        POST,
        problem("upstream-unusable", 502, SAME, "rejected"),
    ),
    "PermissionDeniedError": (
        {"kind": "error", "status": 403},
        GET,
        problem("upstream-unusable", 502, SAME, "rejected"),
    ),
    "OutcomeUnknownError of a create": (
        {"kind": "lost"},
        CREATE,
        problem("outcome-unknown", 500, DOUBT, "unknown"),
    ),
    "OutcomeUnknownError of an update": (
        {"kind": "page"},
        PUT,
        problem("outcome-unknown", 500, DOUBT, "unknown"),
    ),
    "TransferOutcomeUnknownError": (
        {"kind": "lost"},
        POST,
        problem("outcome-unknown", 500, DOUBT, "unknown"),
    ),
    "TransferOutcomeUnknownError by a 503": (
        {"kind": "error", "status": 503},
        POST,
        problem("outcome-unknown", 500, DOUBT, "unknown"),
    ),
}


@pytest.fixture(scope="module")
def answers():
    """Ask a service of its own for each row, all at once: a service takes a while to stop."""

    async def ask(fault, method, path):
        sandbox = Sandbox(username=USER, api_key=KEY)
        if fault:
            sandbox.fail(**fault)
        app = make_app(lambda: sandbox.client(retry=ONCE, timeout=0.2))
        async with asking(app) as http:
            return await http.request(method, path)

    async def ask_all():
        rows = (ask(fault, *request) for fault, request, _ in TABLE.values())
        return dict(zip(TABLE, await asyncio.gather(*rows), strict=True))

    return asyncio.run(ask_all())


@pytest.mark.parametrize("name", TABLE)
def test_an_error_is_answered_as_the_table_says(name, answers):
    """Class by class, by real requests: the status, every field of the body, no word of theirs."""
    answer, expected = answers[name], TABLE[name][-1]
    body = answer.json()
    if "field_errors" in body:
        body["field_errors"] = {field: ["ANY"] for field in body["field_errors"]}
    assert (expected, PROBLEM) == (body, answer.headers["content-type"])
    assert expected["status"] == answer.status_code
    assert ("7" if expected["status"] == 503 else None) == answer.headers.get("retry-after")


def test_no_answer_holds_a_credential(answers):
    """Nobody outside learns as whom this service calls the API, or a password that was sent."""
    text = "".join(f"{answer.headers}{answer.text}" for answer in answers.values())
    for secret in (USER, KEY, FIELDS.password.get_secret_value(), "sandbox"):
        assert secret not in text


async def test_a_transfer_in_doubt_is_202_with_its_location(sandbox, journal):
    """Who asks once more is told the same, and the ledger has it once."""
    app = make_app(
        lambda: sandbox.client(journal=journal),
        outcome_url=lambda error: f"/transfers/{error.idempotency_key}",
    )
    async with asking(app) as http:
        answers = [await http.post("/transfers?user_id=1011&key=invoice 1 é") for _ in range(2)]
    expected = problem("outcome-unknown", 202, DOUBT, "unknown", idempotency_key="invoice 1 é")
    for answer in answers:
        assert (202, expected) == (answer.status_code, answer.json())
        assert "/transfers/invoice%201%20%C3%A9" == answer.headers["location"]
    assert [5] == sandbox.transfers_to(1011)


async def test_a_create_in_doubt_is_500_though_transfers_have_a_location(sandbox):
    """There is no page that could tell what became of it."""
    sandbox.fail("lost")
    app = make_app(sandbox.client, outcome_url=lambda _error: "/never")
    async with asking(app) as http:
        answer = await http.post("/clients")
    assert (500, None) == (answer.status_code, answer.headers.get("location"))


JOURNALED = {
    TransferState.CONFIRMED: (200, None),
    TransferState.SENT: (500, "outcome-unknown"),
    TransferState.UNKNOWN: (500, "outcome-unknown"),
    TransferState.REFUTED: (500, "internal-error"),
}


@pytest.mark.parametrize("state", JOURNALED)
async def test_a_key_on_record_is_answered_by_its_state(state, sandbox, journal):
    """Nothing is sent; a JournalError is a fault of this service's."""
    app = make_app(lambda: sandbox.client(journal=journal))
    async with asking(app) as http:
        answer = await http.post(f"/transfers?key={state}")
    name = answer.json().get("type", "").removeprefix("urn:problem-type:clicksend-reseller:")
    assert JOURNALED[state] == (answer.status_code, name or None)
    assert () == sandbox.ledger


async def test_a_key_of_another_transfer_is_a_conflict(sandbox, journal):
    """What is on record is not told: it may be somebody else's."""
    app = make_app(lambda: sandbox.client(journal=journal))
    async with asking(app) as http:
        answer = await http.post("/transfers?amount=6&key=intended")
    assert problem("key-reused", 409, UNSENT, "not_sent") == answer.json()


async def test_another_transfer_under_way_is_a_conflict(sandbox):
    """One open transfer for each client, and the second has not been sent."""
    journal = MemoryJournal()
    app = make_app(lambda: sandbox.client(journal=journal))
    async with asking(app) as http:
        await http.post("/transfers?user_id=1011&key=one")
        answer = await http.post("/transfers?user_id=1011&key=two")
    assert (409, problem("transfer-unsettled", 409, UNSENT, "not_sent")) == (
        answer.status_code,
        answer.json(),
    )
    assert [5] == sandbox.transfers_to(1011)


async def test_a_journal_that_fails_is_a_fault_of_ours(sandbox, journal, caplog):
    """500, and its reason is in the log only."""
    journal.before["intend"] = raises(OSError("disk full"))
    app = make_app(lambda: sandbox.client(journal=journal))
    async with asking(app) as http:
        answer = await http.post("/transfers?key=new")
    assert problem("internal-error", 500, UNSENT, "not_sent") == answer.json()
    assert "disk full" in caplog.text


async def test_a_key_without_a_journal_is_told_to_the_log_only(sandbox, caplog):
    """A ConfigurationError says how the service is set up, which is nobody else's business."""
    async with asking(make_app(sandbox.client)) as http:
        answer = await http.post("/transfers?key=one")
    assert problem("upstream-unusable", 502, UNSENT, "not_sent") == answer.json()
    assert "needs a journal" in caplog.text


async def test_a_closed_client_is_a_fault_of_ours(sandbox):
    """ClientStateError: 500, not an upstream's failure."""
    client = sandbox.client()
    async with asking(make_app(lambda: client)) as http:
        await client.aclose()
        answer = await http.get("/clients/1001")
    assert (500, "internal-error") == (answer.status_code, answer.json()["type"].split(":")[-1])


async def test_an_update_that_was_applied_is_no_502():
    """Its account cannot be read, and whoever repeats a 502 would set the password again."""

    async def success(request):
        await request.aread()
        return httpx.Response(
            200, json={"http_code": 200, "response_code": "SUCCESS", "data": {"user_id": "?"}}
        )

    def make_client():
        transport = httpx.MockTransport(success)
        return AsyncResellerClient(USER, KEY, base_url="http://localhost", transport=transport)

    async with asking(make_app(make_client)) as http:
        answer = await http.put("/clients/1001")
    expected = problem("applied", 500, "It was applied. Do not send it again.", "applied")
    assert (500, expected) == (answer.status_code, answer.json())


async def test_a_limit_without_a_time_asks_for_a_minute(sandbox):
    """A 503 without Retry-After is repeated at once by some."""

    async def limited(request):
        await request.aread()
        return httpx.Response(429)

    def make_client():
        transport = httpx.MockTransport(limited)
        return AsyncResellerClient(USER, KEY, base_url="http://localhost", transport=transport)

    async with asking(make_app(make_client)) as http:
        answer = await http.post("/transfers")
    assert (503, "60") == (answer.status_code, answer.headers["retry-after"])


@pytest.mark.parametrize(("asked", "answered"), [(29.0, "29"), (29.2, "30"), (0.1, "1"), (0, "0")])
async def test_a_wait_is_never_given_shorter_than_it_is(asked, answered):
    """Whole seconds are all that the header takes, and who comes early is refused again."""
    app = FastAPI()
    add_exception_handlers(app)

    @app.get("/")
    async def limited():
        raise errors.RateLimitError("too many", status_code=429, retry_after=asked)

    async with asking(app) as http:
        answer = await http.get("/")
    assert (503, answered) == (answer.status_code, answer.headers["retry-after"])


def _classes(cls=ResellerError):
    yield cls
    for child in cls.__subclasses__():
        yield from _classes(child)


def test_no_write_in_doubt_gets_a_status_that_clients_repeat():
    """Whatever the class, and also for an operation that is not known yet."""
    for cls in {each for each in _classes() if each.__module__ == errors.__name__}:
        for outcome in ("unknown", "applied"):
            error = cls.__new__(cls)
            error.operation, error.outcome = "pay_twice", Outcome(outcome)
            assert 500 == clicksend_reseller.fastapi._problem(error)[0], cls


def test_every_class_has_a_place_in_the_table():
    """The nearest class of the tree decides; only journal, state and base are left for 500."""
    left = set()
    for cls in {each for each in _classes() if each.__module__ == errors.__name__}:
        error = cls.__new__(cls)
        error.operation, error.outcome = "get_account", Outcome.NOT_SENT
        if clicksend_reseller.fastapi._problem(error) == (500, "Internal error"):
            left.add(cls.__name__)
    assert {
        *("ResellerError", "ClientStateError", "JournalError"),
        *("OutcomeUnknownError", "TransferOutcomeUnknownError"),  # a read has none
    } == left


def test_the_page_of_the_reference_has_the_codes_table():
    """Row by row: the class, its status, and the end of its type."""
    page = Path(__file__).parents[1] / "docs" / "reference" / "fastapi.md"
    text = page.read_text("utf-8")
    row = r"^\| (?:any other )?`(\w+Error)` \| (\d{3})[^|]* \| `([a-z-]+)` \|$"
    table = clicksend_reseller.fastapi._PROBLEMS.items()
    assert {
        (cls.__name__, str(status), title.lower().replace(" ", "-"))
        for cls, (status, title) in table
    } | {("ServerError", "502", "upstream-error")} == set(re.findall(row, text, re.MULTILINE))
    others = re.findall(
        r"^\| (?!`|any other `)(.*) \| (\d{3}).* \| `([a-z-]+)` \|$", text, re.MULTILINE
    )
    in_doubt = clicksend_reseller.fastapi._IN_DOUBT
    assert [
        ("a transfer whose outcome is unknown, with `outcome_url`", "202", "outcome-unknown"),
        ("any write whose outcome is unknown", *_in_page(in_doubt[Outcome.UNKNOWN])),
        (
            "any write that was applied, though its answer cannot be read",
            *_in_page(in_doubt[Outcome.APPLIED]),
        ),
        (
            "any other, such as `JournalError` and `ClientStateError`",
            *_in_page(clicksend_reseller.fastapi._problem(errors.JournalError("x"))),
        ),
    ] == others


def _in_page(known):
    status, title = known
    return str(status), title.lower().replace(" ", "-")


# --- the lifespan


async def test_the_lifespan_opens_one_client_and_closes_it(sandbox):
    """Every request gets the same one."""
    made = []

    def make_client():
        made.append(sandbox.client())
        return made[-1]

    async with asking(make_app(make_client)) as http:
        answers = [await http.get("/clients/1001") for _ in range(2)]
    assert ([200, 200], 1) == ([answer.status_code for answer in answers], len(made))
    with pytest.raises(errors.ClientStateError, match="closed"):
        await made[0].get_account(1001)


async def test_the_lifespan_nests_in_one_of_the_users_own(sandbox):
    """Its state joins what else the application holds."""

    @contextlib.asynccontextmanager
    async def lifespan(app):
        async with reseller_lifespan(sandbox.client)(app) as state:
            yield {**state, "motto": "once"}

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def root(reseller: ResellerDep, request: Request):
        return [repr(reseller), request.state.motto]

    async with asking(app) as http:
        answer = await http.get("/")
    assert [repr(sandbox.client()), "once"] == answer.json()


async def test_without_the_lifespan_the_line_to_add_is_named():
    """The first request of a new service says what is missing."""
    transport = httpx.ASGITransport(make_app(Sandbox().client))  # runs no lifespan
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        with pytest.raises(RuntimeError, match=r"add app = FastAPI\(lifespan=reseller_lifespan\("):
            await http.get("/clients/1001")


# --- callers that leave


@pytest.mark.parametrize("with_middleware", [False, True])
async def test_the_fate_of_a_transfer_becomes_known_though_the_caller_hangs_up(
    with_middleware, sandbox
):
    """A client that leaves in mid-transfer: applied once, confirmed in the journal."""
    journal = MemoryJournal()
    sandbox.fail("slow", operation="transfer_credit", seconds=0.3)
    app = make_app(lambda: sandbox.client(journal=journal))
    if with_middleware:

        @app.middleware("http")
        async def passes(request, call_next):
            return await call_next(request)

    async with asking(app) as http:
        task = asyncio.ensure_future(http.post("/transfers?key=k"))
        await until(lambda: sandbox.ledger)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert {"k": [TransferState.SENT]} == journal.states
        await until(lambda: journal.states != {"k": [TransferState.SENT]})
        assert {"k": [TransferState.CONFIRMED]} == journal.states
    assert [5] == sandbox.transfers_to(1001)


async def test_a_service_that_stops_in_mid_transfer_learns_its_fate(sandbox, caplog):
    """The endpoint is cancelled by uvicorn; closing the client waits for what has left."""
    caplog.set_level(logging.WARNING, "clicksend_reseller")
    journal = MemoryJournal()
    sandbox.fail("slow", operation="transfer_credit", seconds=0.5)
    app = make_app(lambda: sandbox.client(journal=journal))
    async with httpx.AsyncClient(trust_env=False) as http:
        async with serving(app, grace=0) as url:
            task = asyncio.ensure_future(http.post(f"{url}/transfers?key=k"))
            await until(lambda: sandbox.ledger)
            assert {"k": [TransferState.SENT]} == journal.states
        assert {"k": [TransferState.CONFIRMED]} == journal.states
        assert 500 == (await task).status_code
    assert [5] == sandbox.transfers_to(1001)
    assert "was cancelled after it had left: its outcome is unknown" in caplog.text


# --- the name of the file


def run(code):
    """Run Python in a process of its own, and give what it prints as JSON."""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_the_file_shadows_nothing():
    """Inside the package `fastapi` still means the framework, whichever comes first."""
    code = """
import json, sys
import clicksend_reseller.fastapi as ours
import fastapi
print(json.dumps([fastapi.__name__, ours.__name__, ours.FastAPI is fastapi.FastAPI]))
"""
    assert ["fastapi", "clicksend_reseller.fastapi", True] == run(code)


def test_without_the_extra_the_line_that_adds_it_is_named():
    """`No module named 'fastapi'` in a file of that name would puzzle anybody."""
    code = """
import json, sys
sys.modules["fastapi"] = None
try:
    import clicksend_reseller.fastapi
except ModuleNotFoundError as error:
    print(json.dumps([str(error), error.name]))
"""
    line = 'this needs fastapi: pip install "clicksend-reseller[fastapi]"'
    assert [line, "fastapi"] == run(code)
