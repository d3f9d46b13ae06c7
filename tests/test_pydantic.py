"""The models given to pydantic, FastAPI's return types and bodies among them, over real HTTP."""

import contextlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import attrs
import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, TypeAdapter, ValidationError

import clicksend_reseller.fastapi
from clicksend_reseller import (
    Account,
    AccountFields,
    AccountPage,
    Currency,
    RateLimit,
    Secret,
    Subaccount,
    Transfer,
    TransferReceipt,
    to_dict,
)
from clicksend_reseller._secret import MASK
from clicksend_reseller.fastapi import ResellerDep, add_exception_handlers, reseller_lifespan
from clicksend_reseller.sandbox import Sandbox
from support.clients import FIELDS
from support.uvicorn_server import serving

CANARY = "canary-key-of-a-client"
ACCOUNT = Account(
    user_id=1001,
    username="ann",
    balance=Decimal("12.50"),
    active=True,
    banned=False,
    currency=Currency(currency_name_short="AUD"),
    subaccount=Subaccount(subaccount_id=7, api_key=Secret(CANARY)),
    extra={"on_trial": 0, "card_token": Secret(CANARY)},
)
RECEIPT = TransferReceipt(client_user_id=1001, amount=5, currency="AUD", account=ACCOUNT)
PAGE = AccountPage(accounts=(ACCOUNT,), total=1)
RATE = RateLimit(limit=20, remaining=1, resets_in=2.5, received_at=datetime(2026, 1, 1, tzinfo=UTC))
ANSWERED: dict[str, Any] = {
    "Account": ACCOUNT,
    "AccountPage": PAGE,
    "Currency": ACCOUNT.currency,
    "Subaccount": ACCOUNT.subaccount,
    "TransferReceipt": RECEIPT,
}
BODY: dict[str, Any] = to_dict(FIELDS, secrets=True)
TRANSFER: dict[str, Any] = {
    "idempotency_key": "inv-1",
    "client_user_id": 1001,
    "amount": 5,
    "currency": "AUD",
}


# --- pydantic itself


@pytest.mark.parametrize("name", ANSWERED)
def test_an_instance_is_accepted_as_it_is_and_serialised_like_to_dict(name):
    """Nothing is copied or changed on the way in; strings, and no secret, on the way out."""
    model = ANSWERED[name]
    adapter = TypeAdapter(type(model))
    assert adapter.validate_python(model) is model
    assert to_dict(model) == adapter.dump_python(model)
    assert to_dict(model) == json.loads(adapter.dump_json(model))
    assert CANARY not in adapter.dump_json(model).decode()


@pytest.mark.parametrize("mode", ["validation", "serialization"])
@pytest.mark.parametrize("name", [*ANSWERED, "RateLimit"])
def test_the_schema_has_the_model_s_name_and_fields(name, mode):
    """A client that is generated from it has a class of that name."""
    cls = getattr(clicksend_reseller, name)
    many: Any = list.__class_getitem__(cls)
    schema = TypeAdapter(many).json_schema(mode=mode)
    properties = schema["$defs"][name]["properties"]
    secret = {"api_key"} if cls is Subaccount else set()
    assert {field.name for field in attrs.fields(cls)} - secret == set(properties)
    assert name == schema["$defs"][name]["title"]
    assert "api_key" not in json.dumps(schema)


def test_money_is_a_string_in_the_schema_of_what_goes_out():
    """As it is on the wire: no reader turns it into a float."""
    schema = TypeAdapter(Account).json_schema(mode="serialization")
    assert "string" == schema["properties"]["balance"]["type"]
    assert {"user_id", "username", "balance", "active", "banned"} == set(schema["required"])


@pytest.mark.parametrize("name", ANSWERED)
def test_what_went_out_comes_back_as_the_model(name):
    """From a cache or a queue: the same, but for the secrets that were left out."""
    adapter = TypeAdapter(type(ANSWERED[name]))
    sent = adapter.dump_json(ANSWERED[name])
    back = adapter.validate_json(sent)
    assert sent.decode() == adapter.dump_json(back).decode().replace('"api_key":null,', "")
    assert type(ANSWERED[name]) is type(back)


def test_a_model_of_one_s_own_can_hold_them():
    """In a field, and optional."""

    class Shown(BaseModel):
        account: Account | None
        receipts: list[TransferReceipt]

    shown = Shown(account=ACCOUNT, receipts=[RECEIPT])
    assert shown.account is ACCOUNT
    assert to_dict(RECEIPT) == shown.model_dump(mode="json")["receipts"][0]
    assert CANARY not in shown.model_dump_json()


def test_an_account_s_error_shows_nothing_of_what_came():
    """What came may be an answer of the API, credentials of the client included."""
    raw = {"user_id": 1, "subaccount": {"api_key": CANARY, "subaccount_id": "x"}}
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Account).validate_python(raw)
    assert {("username",), ("balance",), ("active",), ("banned",)} < {
        error["loc"] for error in caught.value.errors()
    }
    assert CANARY not in f"{caught.value}{caught.value!r}{caught.value.errors()}"
    assert CANARY not in caught.value.json()


def test_a_rate_limit_can_be_given_too():
    """Its time is a date in the schema."""
    schema = TypeAdapter(RateLimit).json_schema(mode="serialization")
    assert "date-time" == schema["properties"]["received_at"]["format"]
    made = TypeAdapter(RateLimit).validate_python(to_dict(RATE))
    assert to_dict(made) == json.loads(TypeAdapter(RateLimit).dump_json(made))


BAD_FIELDS = {
    "NUL": ({**BODY, "user_first_name": "A\0"}, "user_first_name"),
    "missing": ({**BODY, "username": ...}, "username"),
    "password missing": ({**BODY, "password": ...}, "password"),
    "blank": ({**BODY, "country": " "}, "country"),
    "empty": ({**BODY, "country": ""}, "country"),
    "a number": ({**BODY, "user_phone": 15005550002}, "user_phone"),
    "password a list": ({**BODY, "password": [CANARY]}, "password"),
    "password blank": ({**BODY, "password": "  "}, "password"),
    "password the mask": ({**BODY, "password": MASK}, "password"),
    "password under another name": ({**BODY, "pasword": CANARY}, "pasword"),
    "a lone surrogate": ({**BODY, "password": f"{CANARY}\ud800"}, "password"),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_bad_fields_are_named_and_the_password_is_not_shown(name):
    """Neither as `input` of another field's error nor as its own."""
    values, field = BAD_FIELDS[name]
    given = {"password": CANARY, **{k: v for k, v in values.items() if v is not ...}}
    if name == "password missing":
        del given["password"]
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AccountFields).validate_python(given)
    (error,) = caught.value.errors()
    assert ((field,), MASK) == (error["loc"], error["input"])
    assert CANARY not in f"{caught.value}{caught.value!r}{error}"


@pytest.mark.parametrize("body", [CANARY, [CANARY], {"fields": {"password": CANARY}}, None])
def test_a_body_of_another_shape_shows_nothing(body):
    """The error of the whole object has the whole object as its input."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(AccountFields).validate_python(body)
    assert CANARY not in f"{caught.value}{caught.value.errors()}"


@pytest.mark.parametrize("secret", ["open-sesame", Secret("open-sesame")])
def test_good_fields_become_the_model(secret):
    """The password is a Secret from then on."""
    made = TypeAdapter(AccountFields).validate_python({**BODY, "password": secret})
    assert attrs.evolve(FIELDS, password="open-sesame") == made
    assert TypeAdapter(AccountFields).validate_python(made) is made


def test_the_password_is_write_only():
    """It stands in the schema of what comes in, marked, and not in that of what goes out."""
    adapter = TypeAdapter(AccountFields)
    password = adapter.json_schema()["properties"]["password"]
    assert (True, "password") == (password["writeOnly"], password["format"])
    assert "password" not in adapter.json_schema(mode="serialization")["properties"]
    assert b"password" not in adapter.dump_json(FIELDS)


BAD_TRANSFERS: dict[str, dict[str, Any]] = {
    "amount 0": {"amount": 0},
    "amount negative": {"amount": -5},
    "amount too large": {"amount": 2**31},
    "amount float": {"amount": 5.0},
    "amount text": {"amount": "5"},
    "amount True": {"amount": True},
    "id 0": {"client_user_id": 0},
    "id text": {"client_user_id": "../transfer-credit"},
    "currency small": {"currency": "aud"},
    "currency with a line": {"currency": "AUD\n"},
    "key empty": {"idempotency_key": ""},
    "key long": {"idempotency_key": "k" * 256},
    "key unprintable": {"idempotency_key": "a\nb"},
    "another field": {"allow_negative": True},
}


@pytest.mark.parametrize("name", BAD_TRANSFERS)
def test_a_bad_transfer_is_named_by_its_field(name):
    """What the client would refuse with a ValueError never reaches it."""
    bad = BAD_TRANSFERS[name]
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Transfer).validate_json(json.dumps({**TRANSFER, **bad}))
    (error,) = caught.value.errors()
    assert (tuple(bad), *bad.values()) == (error["loc"], error["input"])


def test_a_good_transfer_becomes_the_model():
    """From JSON and from an instance."""
    made = TypeAdapter(Transfer).validate_json(json.dumps(TRANSFER))
    assert Transfer(**TRANSFER) == made
    assert TypeAdapter(Transfer).validate_python(made) is made


def test_the_core_imports_no_pydantic():
    """Not even when accounts are made, printed and turned into dicts."""
    code = """
import sys
from clicksend_reseller import *
to_dict(TransferReceipt(client_user_id=1, amount=1, currency="AUD"))
print(sorted(name for name in sys.modules if "pydantic" in name))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "[]" == done.stdout.strip()


# --- FastAPI


def make_app(sandbox: Sandbox) -> FastAPI:
    """Make an application with an endpoint of each kind."""
    app = FastAPI(lifespan=reseller_lifespan(sandbox.client))
    add_exception_handlers(app)

    @app.get("/accounts/{user_id}")
    async def one(user_id: int, reseller: ResellerDep) -> Account:
        return await reseller.get_account(user_id)

    @app.get("/accounts")
    async def many(reseller: ResellerDep) -> list[Account]:
        return [account async for account in reseller.iter_accounts()]

    @app.get("/pages/{page}")
    async def page(page: int, reseller: ResellerDep) -> AccountPage:
        return await reseller.list_accounts(page=page)

    @app.post("/transfers")
    async def transfer(wanted: Transfer, reseller: ResellerDep) -> TransferReceipt:
        return await reseller.transfer_credit(wanted.client_user_id, wanted.amount, wanted.currency)

    @app.post("/accounts")
    async def create(fields: AccountFields, reseller: ResellerDep) -> Account:
        return await reseller.create_account(fields)

    add_bare_endpoints(app)
    return app


def add_bare_endpoints(app: FastAPI) -> None:
    """Add endpoints without a return annotation."""

    @app.get("/bare/account")
    async def bare_account(reseller: ResellerDep):
        return await reseller.get_account(1001)

    @app.get("/bare/page")
    async def bare_page(reseller: ResellerDep):
        return await reseller.list_accounts()

    @app.get("/bare/many")
    async def bare_many(reseller: ResellerDep):
        return {"accounts": [account async for account in reseller.iter_accounts()]}

    @app.post("/bare/transfers")
    async def bare_transfer(reseller: ResellerDep):
        return await reseller.transfer_credit(1001, 5, "AUD")

    @app.get("/bare/rate-limit")
    async def bare_limit(reseller: ResellerDep):
        await reseller.get_account(1001)
        return reseller.rate_limit

    @app.get("/bare/fields")
    async def bare_fields():
        return FIELDS


@contextlib.asynccontextmanager
async def asking(sandbox: Sandbox):
    """Serve the application, and give an HTTP client for it."""
    async with (
        serving(make_app(sandbox)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as http,
    ):
        yield http


ENDPOINTS: dict[str, tuple[str, str, Any]] = {
    "-> Account": ("GET", "/accounts/1001", None),
    "-> list[Account]": ("GET", "/accounts", None),
    "-> AccountPage": ("GET", "/pages/1", None),
    "-> TransferReceipt": ("POST", "/transfers", TRANSFER),
    "a body of fields": ("POST", "/accounts", {**BODY, "username": "new-one"}),
    "no annotation, an account": ("GET", "/bare/account", None),
    "no annotation, a page": ("GET", "/bare/page", None),
    "no annotation, accounts in a dict": ("GET", "/bare/many", None),
    "no annotation, a receipt": ("POST", "/bare/transfers", None),
    "no annotation, a rate limit": ("GET", "/bare/rate-limit", None),
    "no annotation, fields": ("GET", "/bare/fields", None),
}


@pytest.mark.parametrize("name", ENDPOINTS)
async def test_an_endpoint_of_each_kind_answers(name):
    """200 by real HTTP, with Decimals as strings and no key or password of anybody."""
    method, path, body = ENDPOINTS[name]
    async with asking(Sandbox()) as http:
        answer = await http.request(method, path, json=body)
    assert 200 == answer.status_code
    assert "api_key" not in answer.text
    assert "password" not in answer.text
    if "account" in path and isinstance(answer.json(), dict):
        assert isinstance(answer.json()["balance"], str)


async def test_what_an_endpoint_answers_is_to_dict():
    """Nothing is lost on the way: page, account and receipt, each by the annotation."""
    sandbox = Sandbox()
    async with asking(sandbox) as http, sandbox.client() as client:
        page = (await http.get("/pages/1")).json()
        assert to_dict(await client.list_accounts()) == page
        receipt = (await http.post("/transfers", json=TRANSFER)).json()
        account = to_dict(await client.get_account(1001))
        bare = (await http.get("/bare/account")).json()
    assert account == receipt["account"] == bare
    assert [5] == sandbox.transfers_to(1001)


async def test_the_schemas_stand_in_openapi():
    """Under the models' own names; no key of a client anywhere, and a password only to write."""
    async with asking(Sandbox()) as http:
        text = (await http.get("/openapi.json")).text
    description = json.loads(text)
    schemas = description["components"]["schemas"]
    assert {*ANSWERED, "AccountFields", "Transfer"} <= set(schemas)
    assert "api_key" not in text
    assert schemas["AccountFields"]["properties"]["password"]["writeOnly"]
    answers = description["paths"]["/accounts/{user_id}"]["get"]["responses"]
    shown = answers["200"]["content"]["application/json"]["schema"]
    assert {"$ref": "#/components/schemas/Account"} == shown


@pytest.mark.parametrize("name", BAD_FIELDS)
async def test_a_bad_body_is_a_422_that_names_the_field_and_shows_no_secret(name):
    """Whatever the fault, over real HTTP; nothing is sent to the API."""
    values, field = BAD_FIELDS[name]
    given = {"password": CANARY, **{k: v for k, v in values.items() if v is not ...}}
    if name == "password missing":
        del given["password"]
    sandbox = Sandbox()
    async with asking(sandbox) as http:
        body = json.dumps(given)
        answer = await http.post(
            "/accounts", content=body, headers={"Content-Type": "application/json"}
        )
        unlabelled = await http.post("/accounts", content=body)
    assert (422, 422) == (answer.status_code, unlabelled.status_code)
    assert ["body", field] == answer.json()["detail"][0]["loc"]
    for text in (answer.text, unlabelled.text):
        assert CANARY not in text
        assert FIELDS.password.get_secret_value() not in text
    assert () == tuple(sandbox.requests)


@pytest.mark.parametrize("name", BAD_TRANSFERS)
async def test_a_bad_transfer_is_a_422(name):
    """And no credit moves."""
    sandbox = Sandbox()
    async with asking(sandbox) as http:
        answer = await http.post("/transfers", json={**TRANSFER, **BAD_TRANSFERS[name]})
    assert 422 == answer.status_code
    assert ["body", *BAD_TRANSFERS[name]] == answer.json()["detail"][0]["loc"]
    assert () == sandbox.ledger
