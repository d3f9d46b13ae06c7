import json

import attrs
import httpx
import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from clicksend_reseller import __version__
from clicksend_reseller._wire.limits import MAX_INT
from clicksend_reseller._wire.operations import ENDPOINTS
from clicksend_reseller.sandbox import Quirks, Sandbox
from clicksend_reseller.sandbox.background import serve_beside
from clicksend_reseller.sandbox.openapi.description import describe
from clicksend_reseller.sandbox.service.accounts import in_old_style
from clicksend_reseller.sandbox.service.api import BASE_PATH, answer
from clicksend_reseller.sandbox.service.exchange import exchange
from clicksend_reseller.sandbox.service.faults import BREAKING, KINDS, OPERATIONS
from clicksend_reseller.sandbox.service.forms import FIELDS
from clicksend_reseller.sandbox.service.messages import Reply
from clicksend_reseller.sandbox.service.money import RATES
from support.wire_samples import FOLDER
from support.wire_samples import OPERATIONS as OPERATIONS_OF

DOCUMENT = describe(RATES)
SAMPLES = sorted(FOLDER.glob("*.json"))

ADA = DOCUMENT["components"]["schemas"]["AccountFields"]["examples"][0]
TRANSFER = DOCUMENT["components"]["schemas"]["Transfer"]["examples"][0]

# Each operation, asked for as the description's own examples have it, and otherwise.
REQUESTS = [
    ("list_accounts", "GET", "/reseller/accounts", b""),
    ("list_accounts", "GET", "/reseller/accounts?page=99&limit=100", b""),
    ("list_accounts", "GET", "/reseller/accounts?page=-1&limit=x", b""),
    ("create_account", "POST", "/reseller/accounts", ADA),
    ("create_account", "POST", "/reseller/accounts", ADA),
    ("create_account", "POST", "/reseller/accounts", {}),
    *(("get_account", "GET", f"/reseller/accounts/{n}", b"") for n in range(1000, 1014)),
    ("update_account", "PUT", "/reseller/accounts/1003", {**ADA, "username": "another"}),
    ("update_account", "PUT", "/reseller/accounts/1003", ADA),
    ("update_account", "PUT", "/reseller/accounts/1003", b"\xff"),
    ("update_account", "PUT", "/reseller/accounts/9", ADA),
    ("transfer_credit", "PUT", "/reseller/transfer-credit", TRANSFER),
    ("transfer_credit", "PUT", "/reseller/transfer-credit", {**TRANSFER, "balance": 100_000}),
    ("transfer_credit", "PUT", "/reseller/transfer-credit", {**TRANSFER, "client_user_id": 9}),
    ("transfer_credit", "PUT", "/reseller/transfer-credit", b"[]"),
    ("get_own_account", "GET", "/account", b""),
]

QUIRKS = [
    Quirks(),
    Quirks(int_phones=True, rows="old", create_status=201, next_page_url="other-host"),
    Quirks(rows="mixed", currency_beside_data=True, next_page_url="none", min_limit=15),
    Quirks(rate_limit=2, password_rule="strong", negative_amounts=False),
]

# Shapes that this description leaves out: guesses, and a 429 whose headers are not known.
ODD_SAMPLES = {
    "err_400_response_code_int",
    "err_429_documented_name",
    "ok_200_empty_body",
    "ok_200_html",
    "transfer_error_in_200",
}


def described(operation):
    """Find an operation of the description by its name."""
    for path in DOCUMENT["paths"].values():
        for found in path.values():
            if found["operationId"] == operation:
                return found
    raise AssertionError(operation)


def resolved(part):
    """Follow a reference inside the document."""
    if "$ref" not in part:
        return part
    target = DOCUMENT
    for name in part["$ref"].removeprefix("#/").split("/"):
        target = target[name]
    return target


def complaints(operation, reply):
    """List what the description does not say of an answer to this operation."""
    responses = described(operation)["responses"]
    told = responses.get(str(reply.status)) or responses.get(f"{reply.status // 100}XX")
    if told is None:
        return [f"no word of {reply.status}"]
    told = resolved(told)
    content = told["content"].get(reply.headers["content-type"])
    if content is None:
        return [f"no word of {reply.headers['content-type']} in {reply.status}"]
    body = reply.body.decode()
    value = body if reply.headers["content-type"] == "text/html" else json.loads(body or "0")
    return flaws(value, content["schema"]) + flaws_of_headers(reply.headers, told["headers"])


def flaws(value, schema):
    """List what a value has against a schema; the components go along for its references."""
    validator = OAS31Validator({**schema, "components": DOCUMENT["components"]})
    return [error.message for error in validator.iter_errors(value)]


def flaws_of_headers(headers, told):
    """List the headers that are missing, and those that hold something else."""
    found = [
        f"no header {name}"
        for name, header in told.items()
        if resolved(header).get("required") and name not in headers
    ]
    for name in told.keys() & headers.keys():
        found += flaws(int(headers[name]), resolved(told[name])["schema"])
    return found


def test_the_document_is_openapi():
    """Its own schema finds no fault with it."""
    validate(DOCUMENT)


def test_every_route_is_described():
    """The document has the endpoints that the client knows, and no other."""
    described = {
        (method.upper(), path, operation["operationId"])
        for path, operations in DOCUMENT["paths"].items()
        for method, operation in operations.items()
    }
    assert {(each.method, each.route, each.name) for each in ENDPOINTS} == described
    assert [BASE_PATH] == [server["url"] for server in DOCUMENT["servers"]]


def test_every_field_of_an_answer_is_described():
    """A field that is added to the rows, or taken from them, shows here."""
    row = Sandbox(accounts=1).account(1001)
    shapes = {
        "Account": row | in_old_style(row),
        "Currency": row["_currency"],
        "Subaccount": row["_subaccount"],
        "AccountFields": FIELDS,
    }
    properties = {
        name: set(DOCUMENT["components"]["schemas"][name]["properties"]) for name in shapes
    }
    assert {name: set(shape) for name, shape in shapes.items()} == properties
    assert set(FIELDS) == set(DOCUMENT["components"]["schemas"]["AccountFields"]["required"])


def test_an_id_is_described_with_the_bounds_that_the_sandbox_has():
    """In the path, in an account and in a transfer."""
    schemas = DOCUMENT["components"]["schemas"]
    described = [
        DOCUMENT["components"]["parameters"]["client_user_id"]["schema"],
        schemas["Account"]["properties"]["user_id"],
        schemas["Transfer"]["properties"]["client_user_id"],
    ]
    assert [(1, MAX_INT)] * 3 == [(each["minimum"], each["maximum"]) for each in described]


def test_the_file_names_no_version_and_no_currencies_of_its_own():
    """Both are put in when it is read: the package's version, the sandbox's currencies."""
    assert __version__ == DOCUMENT["info"]["version"]
    transfer = describe(["XXX", "NZD"])["components"]["schemas"]["Transfer"]
    assert ["NZD", "XXX"] == transfer["properties"]["currency"]["enum"]
    assert "NZD" == transfer["examples"][0]["currency"]


@pytest.fixture
def answers(make_request):
    """Ask a sandbox for everything, and give each answer with what it was an answer to."""

    def answers(sandbox, **options):
        for operation, method, target, body in REQUESTS:
            request = make_request(method, target, body, **options)
            yield operation, target, answer(sandbox.state, request)

    return answers


@pytest.mark.parametrize("quirks", QUIRKS)
@pytest.mark.parametrize("options", [{}, {"authorization": "Basic nonsense"}])
def test_every_answer_is_described(answers, quirks, options):
    """Whatever the habits: status, content type, headers and body stand in the document."""
    for accounts in (12, 0):
        sandbox = Sandbox(accounts=accounts, quirks=quirks, clock=lambda: 60.0)
        for operation, target, reply in answers(sandbox, **options):
            assert (target, []) == (target, complaints(operation, reply))


def test_the_requests_above_see_every_status(answers):
    """A status that none of them reaches would be described without a proof."""
    seen = {
        reply.status
        for quirks in QUIRKS
        for _, _, reply in answers(Sandbox(quirks=quirks, clock=lambda: 60.0))
    }
    assert {200, 201, 400, 404, 429} == seen


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ("get_account", {"status": 418}),
        ("list_accounts", {"status": 404}),
        ("get_account", {"headers": {"content-type": "text/plain"}}),
        ("get_account", {"body": b'{"http_code": 200}'}),
        ("get_account", {"headers": {"content-type": "application/json", "ratelimit-reset": "-1"}}),
        ("get_account", {"status": 429}),
    ],
)
def test_an_answer_outside_the_description_is_seen(make_request, operation, change):
    """The comparison above is no empty one."""
    right = answer(Sandbox().state, make_request("GET", "/reseller/accounts/1001"))
    assert [] == complaints("get_account", right)
    assert [] != complaints(operation, attrs.evolve(right, **change))


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in BREAKING | {"empty"}])
def test_the_answers_of_faults_are_described(make_request, kind, operation):
    """Those that are whole answers: a page, an error, a limit, a redirect, a late one."""
    sandbox = Sandbox()
    sandbox.fail(kind)
    method, target, body = next(row[1:] for row in REQUESTS if row[0] == operation)
    done = exchange(sandbox.state, make_request(method, target, body))
    assert done.fault is not None
    assert [] == complaints(operation, done.reply)


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples_of_the_wire_are_described(path):
    """The description is as wide as what is known of the live API, but for the odd ones."""
    sample = json.loads(path.read_text("utf-8"))
    body = sample["body"]
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    reply = Reply(status=sample["http_status"], headers=sample["headers"], body=content)
    operation = OPERATIONS_OF[sample["operation"]][-1].name
    found = complaints(operation, reply)
    assert (path.stem in ODD_SAMPLES) == bool(found), found


def test_the_sandbox_serves_its_description():
    """For its own currencies; where the API stands is told relative to the document."""
    rates = {"AUD": RATES["AUD"], "NZD": RATES["NZD"]}
    with serve_beside(Sandbox(accounts=1, rates=rates)) as served:
        response = httpx.get(f"{served.console_url}openapi.json")
        assert (200, "application/json") == (response.status_code, response.headers["content-type"])
        assert json.loads(json.dumps(describe(rates))) == response.json()
        base = response.url.join(response.json()["servers"][0]["url"])
        assert served.url == str(base)
    transfer = response.json()["components"]["schemas"]["Transfer"]["properties"]
    assert ["AUD", "NZD"] == transfer["currency"]["enum"]
