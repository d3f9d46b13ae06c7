"""The answers of the Reseller API: one function over all routes; nothing in it waits."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import attrs

from clicksend_reseller._wire.operations import ENDPOINTS
from clicksend_reseller.sandbox.service.accounts import (
    account_json,
    in_old_style,
    read_client,
    with_int_phones,
)
from clicksend_reseller.sandbox.service.forms import (
    account_form,
    client_id_in,
    international_phone,
    read_json,
    transfer_form,
)
from clicksend_reseller.sandbox.service.messages import (
    NAME_IS_TAKEN,
    NO_SUCH_CLIENT,
    NO_SUCH_ROUTE,
    SHORT_OF_CREDIT,
    TOO_MANY,
    UNAUTHORIZED,
    RefusalError,
    Reply,
    Request,
    success,
)
from clicksend_reseller.sandbox.service.pages import page_of
from clicksend_reseller.sandbox.service.state import ShortOfCreditError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clicksend_reseller.sandbox.service.accounts import Client
    from clicksend_reseller.sandbox.service.quirks import Quirks
    from clicksend_reseller.sandbox.service.state import SandboxState

BASE_PATH = "/v3"

# Method, path, operation; an id is digits and nothing else.
_ROUTES = tuple(
    (
        endpoint.method,
        re.compile(BASE_PATH + endpoint.route.replace("{client_user_id}", "([0-9]{1,10})")),
        endpoint.name,
    )
    for endpoint in ENDPOINTS
)
_LIST = f"{BASE_PATH}/reseller/accounts"

# The currency of a new client; a country that is not here gets the reseller's.
_CURRENCIES = {"AU": "AUD", "US": "USD", "GB": "GBP", "NZ": "NZD", "DE": "EUR", "FR": "EUR"}


@attrs.frozen(kw_only=True)
class Target:
    """What a request is about.

    Attributes:
        operation: the client's method; None for an unknown route.
        client_user_id: from the path, or from the body of a transfer.
    """

    operation: str | None = None
    client_user_id: int | None = None


def identify(request: Request) -> Target:
    """Find what a request is about, whether it is well formed or not."""
    # The trailing slash of the list is a guess.
    path = _LIST if request.path == f"{_LIST}/" else request.path
    for method, pattern, operation in _ROUTES:
        found = pattern.fullmatch(path)
        if found and method == request.method:
            return Target(operation=operation, client_user_id=_client(found, operation, request))
    return Target()


def _client(found: re.Match[str], operation: str, request: Request) -> int | None:
    if operation == "transfer_credit":
        return client_id_in(read_json(request.body))
    return int(found[1]) if found.re.groups else None


def answer(state: SandboxState, request: Request) -> Reply:
    """Do what is asked and say what the API would say."""
    target = identify(request)
    if target.operation is None:
        return NO_SUCH_ROUTE
    calls, reset = state.count_call(target.operation)
    limit = state.setup.quirks.rate_limit
    if limit is None:
        return _allowed(state, request, target)
    if calls > limit:
        return with_rate(TOO_MANY, limit=limit, remaining=0, reset=reset)
    reply = _allowed(state, request, target)
    return with_rate(reply, limit=limit, remaining=limit - calls, reset=reset)


def with_rate(reply: Reply, *, limit: int, remaining: int, reset: int) -> Reply:
    """Add the rate headers; a 429 says the reset in Retry-After too (L)."""
    headers = {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "ratelimit-reset": str(reset),
    }
    if reply.status == 429:
        headers["retry-after"] = str(reset)
    return attrs.evolve(reply, headers={**reply.headers, **headers})


def _allowed(state: SandboxState, request: Request, target: Target) -> Reply:
    if request.authorization != credentials(state.setup.username, state.setup.api_key):
        return UNAUTHORIZED
    try:
        return _HANDLERS[target.operation or ""](state, request, target)
    except RefusalError as refusal:
        return refusal.reply


def credentials(username: str, api_key: str) -> str:
    """Give the header that proves who is asking."""
    return f"Basic {b64encode(f'{username}:{api_key}'.encode()).decode()}"


def _list(state: SandboxState, request: Request, _target: Target) -> Reply:
    quirks = state.setup.quirks
    clients = sorted(state.clients.values(), key=lambda client: client.user_id)
    page = page_of(clients, request.query, quirks, lambda client: _account_in_reads(state, client))
    if quirks.currency_beside_data:
        page = _without_nested(page)
    return success("Here are you data.", page)


def _without_nested(page: dict[str, Any]) -> dict[str, Any]:
    moved = ("_currency", "_subaccount")
    rows = [{name: row[name] for name in row if name not in moved} for row in page["data"]]
    return {**page, "data": rows, **{name: {} for name in moved}}


def _get(state: SandboxState, _request: Request, target: Target) -> Reply:
    return success("Here are your data.", _account_in_reads(state, _find(state, target)))


def _create(state: SandboxState, request: Request, _target: Target) -> Reply:
    fields = _account_form(state, request)
    _refuse_a_taken_name(state, fields["username"], besides=None)
    currency = _CURRENCIES.get(fields["country"], "")
    client = read_client(
        _initial_row(fields),
        next_id=state.next_id,
        currency=currency if currency in state.setup.rates else state.setup.currency,
    )
    state.add(client)
    status = state.setup.quirks.create_status
    return success("New reseller has been added.", _account_now(state, client), status=status)


def _update(state: SandboxState, request: Request, target: Target) -> Reply:
    client = _find(state, target)
    fields = _account_form(state, request)
    _refuse_a_taken_name(state, fields["username"], besides=client)
    changed = {name: fields[name] for name in fields if name != "password"}
    updated = attrs.evolve(client, row={**client.row, **changed})
    state.add(updated)
    return success("Reseller account has been updated.", _account_now(state, updated))


def _transfer(state: SandboxState, request: Request, _target: Target) -> Reply:
    setup = state.setup
    form = transfer_form(
        request.body,
        currencies=setup.rates,
        negative_amounts=setup.quirks.negative_amounts,
    )
    client = _find(state, Target(client_user_id=form.client_user_id))
    try:
        paid = state.transfer(client, form.amount, form.currency)
    except ShortOfCreditError:
        return SHORT_OF_CREDIT
    return success("Your balance has been successfully transferred.", _account_now(state, paid))


def _own(state: SandboxState, _request: Request, _target: Target) -> Reply:
    setup = state.setup
    fields = {"user_id": 1, "username": setup.username, "account_name": "The reseller"}
    own = read_client(fields, next_id=1, currency=setup.currency)
    return success(
        "Here's your account", _styled(account_json(own, state.credit_in_reads()), setup.quirks)
    )


_HANDLERS = {
    "list_accounts": _list,
    "create_account": _create,
    "get_account": _get,
    "update_account": _update,
    "transfer_credit": _transfer,
    "get_own_account": _own,
}


def _find(state: SandboxState, target: Target) -> Client:
    client = state.clients.get(target.client_user_id or 0)
    if client is None:
        raise RefusalError(NO_SUCH_CLIENT)
    return client


def _account_form(state: SandboxState, request: Request) -> dict[str, str]:
    return account_form(request.body, state.setup.quirks.password_rule)


def _refuse_a_taken_name(state: SandboxState, username: str, *, besides: Client | None) -> None:
    for client in state.clients.values():
        if client != besides and client.row["username"] == username:
            raise RefusalError(NAME_IS_TAKEN)


def _initial_row(fields: Mapping[str, str]) -> dict[str, Any]:
    # A new client is not active and has no balance until someone acts (D).
    kept = {name: fields[name] for name in fields if name != "password"}
    phone = international_phone(fields["user_phone"], fields["country"])
    return {
        **kept,
        "user_phone": phone,
        "active": 0,
        "account_billing_email": fields["user_email"],
        "account_billing_mobile": phone,
        "default_country_sms": fields["country"],
    }


def _account_in_reads(state: SandboxState, client: Client) -> dict[str, Any]:
    return _styled(account_json(client, state.balance_in_reads(client)), state.setup.quirks)


def _account_now(state: SandboxState, client: Client) -> dict[str, Any]:
    return _styled(account_json(client, client.balance), state.setup.quirks)


def _styled(row: dict[str, Any], quirks: Quirks) -> dict[str, Any]:
    if quirks.rows == "old" or (quirks.rows == "mixed" and row["user_id"] % 2):
        row = in_old_style(row)
    return with_int_phones(row) if quirks.int_phones else row
