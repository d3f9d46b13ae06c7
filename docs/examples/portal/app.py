"""A portal to top up clients by hand: FastAPI, plain forms, a journal, and no JavaScript.

It moves the money of the account that the environment names; `python3 noxfile.py -s portal`
starts it beside a sandbox. It has no login: it listens on loopback and keeps other sites out.
`bars.py` draws balances, `words.py` says in plain words what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import secrets
import sys
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import attrs
import uvicorn
from fastapi import FastAPI, Form, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware

from clicksend_reseller import (
    Account,
    AsyncResellerClient,
    JournalEntry,
    JournalError,
    KeyReusedError,
    ResellerError,
    Transfer,
    TransferState,
)
from clicksend_reseller.fastapi import ResellerDep, reseller_lifespan
from clicksend_reseller.journal import Assumptions, SQLJournal, reconcile_transfer

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # also where Python is told not to look beside the script

from bars import charts, comparison  # noqa: E402 - found by the line above
from words import page_of, problem_of, verdict_in_words  # noqa: E402 - the same

MAY_BE_ALIVE = timedelta(seconds=150)  # until then only the process that sent it can know more
FRESH = timedelta(seconds=30)  # own credit is read at most this often: 20 calls a minute are few
ROWS = 25

pages = Jinja2Templates(HERE / "templates")
pages.env.filters["money"] = lambda value: re.sub(r"(\.\d\d\d*?)0+$", r"\1", f"{value:,f}")
pages.env.filters["clock"] = lambda moment: f"{moment:%d %b %Y, %H:%M:%S} UTC"


class TopUp(BaseModel):
    idempotency_key: str = Field(pattern=r"^top-up-[A-Za-z0-9_-]{12}$")
    amount: str = Field(pattern=r"^\s*[1-9][0-9]{0,8}\s*$")
    currency: str = Field(pattern=r"^[A-Z]{3}$")


class Comparison(BaseModel):
    compare: bool = False
    exclusive: bool = False
    same_currency: bool = False
    max_spend: Decimal = Field(default=Decimal(0), ge=0)
    quiet_for: float = Field(default=0, ge=0)


class Finding(BaseModel):
    applied: bool
    round: int  # what the page said, on which it was decided
    state: TransferState
    note: str = ""


@attrs.frozen
class Seen:
    """An account, and when it was read."""

    account: Account
    at: datetime


class Memory:
    """What the portal has read, and why a transfer did not leave. Gone with the process."""

    def __init__(self) -> None:
        self.clients: dict[int, Seen] = {}
        self.listed_at: datetime | None = None
        self.own: Seen | None = None
        self.own_asked_at: datetime | None = None
        self.reasons: dict[str, str] = {}


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
    journal = SQLJournal(os.environ["PORTAL_JOURNAL"])
    with_client = reseller_lifespan(lambda: AsyncResellerClient(journal=journal))
    async with journal, with_client(app) as state:
        yield {**state, "journal": journal, "memory": Memory()}


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.mount("/static", StaticFiles(directory=HERE / "static"))
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])


async def show(request: Request, name: str, values: dict[str, Any], status: int = 200) -> Response:
    """Show a page; own credit and what is unresolved stand on each."""
    own, unresolved = await own_account(request), None
    with contextlib.suppress(ResellerError):  # a page about a broken journal can be shown too
        unresolved = [entry async for entry in request.state.journal.unresolved(older_than=0)]
    common = {"memory": request.state.memory, "own": own, "unresolved": unresolved}
    return pages.TemplateResponse(request, name, common | values, status)


async def own_account(request: Request, *, fresh: bool = False) -> Seen | None:
    """Give the reseller's own account, read a moment ago; None where it cannot be read."""
    memory: Memory = request.state.memory
    now = datetime.now(UTC)
    if fresh or memory.own_asked_at is None or now - memory.own_asked_at > FRESH:
        memory.own, memory.own_asked_at = None, now
        with contextlib.suppress(ResellerError, TimeoutError):  # a page does not wait for it
            async with asyncio.timeout(5):
                account = await request.state.reseller.get_own_account()
            memory.own = Seen(account, datetime.now(UTC))
    return memory.own


async def read(request: Request, reseller: AsyncResellerClient, user_id: int) -> Account:
    account = await reseller.get_account(user_id)
    request.state.memory.clients[user_id] = Seen(account, datetime.now(UTC))
    return account


@app.get("/")
async def clients(
    request: Request, reseller: ResellerDep, low: str = "20", q: str = "", page: str = "1"
) -> Response:
    memory = request.state.memory
    if memory.listed_at is None:  # and not at every look: the API may allow 20 calls a minute
        begun = datetime.now(UTC)
        async for account in reseller.iter_accounts():
            memory.clients[account.user_id] = Seen(account, begun)
        memory.listed_at = begun
    is_low = re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,6})?", low.strip(), re.ASCII)
    limit = Decimal(low.strip()) if is_low else Decimal(20)
    found = [seen for seen in memory.clients.values() if matches(seen.account, q.strip().lower())]
    found.sort(key=lambda seen: (seen.account.balance, seen.account.user_id))
    shown = page_of(found, page, ROWS)
    values = {"shown": shown, "charts": charts(shown.rows, limit), "q": q.strip(), "low": low}
    values |= {"is_low": bool(is_low), "link": lambda n: urlencode({"q": q, "low": low, "page": n})}
    return await show(request, "clients.html", values, 200 if is_low else 422)


def matches(account: Account, words: str) -> bool:
    fields = (account.user_id, account.username, account.account_name, account.user_email)
    return any(words in str(field or "").lower() for field in fields)


@app.post("/refresh")
async def refresh(request: Request) -> Response:
    request.state.memory.clients.clear()
    request.state.memory.listed_at = request.state.memory.own_asked_at = None
    return RedirectResponse("/", 303)


@app.get("/clients/{user_id}")
async def client(request: Request, reseller: ResellerDep, user_id: int) -> Response:
    account = await read(request, reseller, user_id)
    entries = request.state.journal.entries(client_user_id=user_id)
    values = {"account": account, "entries": [entry async for entry in entries][::-1]}
    return await show(request, "client.html", values)


@app.get("/clients/{user_id}/top-up")
async def form(
    request: Request,
    reseller: ResellerDep,
    user_id: int,
    key: str = "",
) -> Response:
    """Show the form, and what was typed once more where it made no sense. It sends nothing."""
    amount, currency = [request.query_params.get(name) for name in ("amount", "currency")]
    if not re.fullmatch(TopUp.model_fields["idempotency_key"].metadata[0].pattern, key):
        # It stands in the address, so that Back and Reload come to the same form.
        return RedirectResponse(f"?key=top-up-{secrets.token_urlsafe(9)}", 303)
    account = await read(request, reseller, user_id)
    sent = await request.state.journal.get(key)
    values = {"account": account, "key": key, "sent": sent, "amount_typed": amount}
    values |= {"currency": currency, "faults": faults_in(amount, currency)}
    return await show(request, "top_up.html", values, 422 if values["faults"] else 200)


def faults_in(amount: str | None, currency: str | None) -> set[str]:
    """Name the fields that were filled in and make no sense."""
    given = {"amount": amount, "currency": currency}
    patterns = {name: TopUp.model_fields[name].metadata[0].pattern for name in given}
    return {
        name
        for name, text in given.items()
        if text is not None and not re.search(patterns[name], text, re.ASCII)
    }


@app.get("/clients/{user_id}/top-up/review")
async def review(request: Request, reseller: ResellerDep, user_id: int) -> Response:
    """Show once more what would be sent, and what it would cost."""
    given = request.query_params
    wanted = {name: given.get(name, "") for name in ("key", "amount", "currency")}
    if faults_in(wanted["amount"], wanted["currency"]):
        return RedirectResponse(f"/clients/{user_id}/top-up?{urlencode(wanted)}", 303)
    account = await read(request, reseller, user_id)
    own = await own_account(request, fresh=True)
    same = own and own.account.currency_code == wanted["currency"]
    left = own.account.balance - int(wanted["amount"]) if own and same else None
    values = {"account": account, "wanted": wanted, "left": left}
    values["sent"] = sent = await request.state.journal.get(wanted["key"])
    values["is_other"] = is_other = bool(sent) and not is_for(sent, user_id, wanted)
    return await show(request, "review.html", values, 409 if is_other else 200)


def is_for(entry: JournalEntry, user_id: int, wanted: dict[str, str]) -> bool:
    ours = (user_id, int(wanted["amount"]), wanted["currency"])
    return ours == (entry.client_user_id, entry.amount, entry.currency)


@app.post("/clients/{user_id}/top-up")
async def top_up(
    request: Request, reseller: ResellerDep, user_id: int, asked: Annotated[TopUp, Form()]
) -> Response:
    wanted = Transfer(client_user_id=user_id, **asked.model_dump() | {"amount": int(asked.amount)})
    try:
        entry = await request.state.journal.intend(wanted)
    except KeyReusedError:  # said by a page that can be reloaded
        given = {"key": asked.idempotency_key, "amount": asked.amount, "currency": asked.currency}
        return RedirectResponse(f"/clients/{user_id}/top-up/review?{urlencode(given)}", 303)
    if entry.state == "intended":
        await send(request, reseller, wanted)
    return RedirectResponse(f"/transfers/{asked.idempotency_key}", 303)


async def send(request: Request, reseller: AsyncResellerClient, transfer: Transfer) -> None:
    """Note the balance, to compare it later, and send; what becomes of it is on record."""
    key, memory = transfer.idempotency_key or "", request.state.memory
    memory.reasons.pop(key, None)
    try:
        account = await read(request, reseller, transfer.client_user_id)
        await request.state.journal.note_balance(key, account.balance)
        await reseller.transfer_credit(**attrs.asdict(transfer))
    except ResellerError as error:
        memory.reasons[key] = problem_of(error).words
        logging.getLogger("portal").warning("%s", error)
    memory.own_asked_at = None
    with contextlib.suppress(ResellerError):  # the list shows what the client has now
        await read(request, reseller, transfer.client_user_id)


@app.get("/transfers/{key:path}")
async def transfer(
    request: Request, reseller: ResellerDep, key: str, asked: Annotated[Comparison, Query()]
) -> Response:
    if (entry := await request.state.journal.get(key)) is None:
        raise HTTPException(404, "There is no such transfer.")
    is_old = entry.sent_at is not None and datetime.now(UTC) - entry.sent_at > MAY_BE_ALIVE
    is_open = entry.state == "unknown" or (entry.state == "sent" and is_old)
    values: dict[str, Any] = {"entry": entry, "is_open": is_open, "asked": asked}
    values |= {"reason": request.state.memory.reasons.get(key), "found": None, "bars": None}
    values["no_note"] = lacks = "no-note" in request.query_params
    if entry.state == "intended":
        values["blocker"] = await blocker(request, entry)
    elif is_open:
        values |= await balances(request, reseller, entry, asked)
    elif entry.client_user_id not in request.state.memory.clients:
        with contextlib.suppress(ResellerError):  # then it goes by its number
            await read(request, reseller, entry.client_user_id)
    return await show(request, "transfer.html", values, 422 if lacks else 200)


async def blocker(request: Request, entry: JournalEntry) -> JournalEntry | None:
    """Give the transfer that this one waits for."""
    journal: SQLJournal = request.state.journal
    async for other in journal.unresolved(older_than=0):
        if other.client_user_id == entry.client_user_id and other.key != entry.key:
            return other
    return None


async def balances(
    request: Request, reseller: AsyncResellerClient, entry: JournalEntry, asked: Comparison
) -> dict[str, Any]:
    """Compare the balance before a transfer of unknown outcome with the present one."""
    assume = Assumptions(**asked.model_dump(exclude={"compare"}))
    try:
        found = await reconcile_transfer(reseller, entry, assume)
        account = await read(request, reseller, entry.client_user_id)
    except ResellerError as error:
        return {"unread": problem_of(error).words}
    bars = comparison(found) if found.before is not None else None
    says = verdict_in_words(found) if asked.compare else None
    return {"found": found, "bars": bars, "says": says, "currency": account.currency_code}


@app.post("/transfers/{key:path}")
async def resolve(request: Request, key: str, said: Annotated[Finding, Form()]) -> Response:
    place = f"/transfers/{quote(key, safe='')}"
    if not said.note.strip():
        return RedirectResponse(f"{place}?no-note#note", 303)
    if (entry := await request.state.journal.get(key)) is None:
        raise HTTPException(404, "There is no such transfer.")
    seen = attrs.evolve(entry, round=said.round, state=said.state)
    decision = {"by": "the portal", "note": said.note, "seen": seen}
    with contextlib.suppress(JournalError):  # somebody else was quicker: the page shows what is so
        await request.state.journal.resolve(key, said.applied, **decision)
    return RedirectResponse(place, 303)


@app.get("/inbox")
async def inbox(request: Request) -> Response:
    return await show(request, "inbox.html", {})


@app.exception_handler(ResellerError)
@app.exception_handler(HTTPException)
@app.exception_handler(RequestValidationError)
async def explain(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    return await show(request, "base.html", {"problem": problem.words}, problem.status)


@app.middleware("http")
async def keep_others_out(request: Request, call_next: RequestResponseEndpoint) -> Response:
    here, site = f"http://{request.headers.get('host')}", request.headers.get("sec-fetch-site")
    is_own = request.headers.get("origin", here) == here and site in {None, "none", "same-origin"}
    if not is_own and request.method != "GET":
        return PlainTextResponse("Another site may not use this portal.", 403)
    response = await call_next(request)
    response.headers["Content-Security-Policy"] = "default-src 'self'; frame-ancestors 'none'"
    response.headers["Cache-Control"] = "no-store"  # Back asks again, and shows what is so now
    return response


if __name__ == "__main__":
    port = int(os.environ.get("PORTAL_PORT", "8731"))
    print(f"portal:  http://127.0.0.1:{port}/", flush=True)
    uvicorn.run(app, port=port, log_level="warning")
