"""A portal to top up clients by hand: FastAPI, plain forms, a journal, and no JavaScript.

It moves the money of the account that the environment names; `python3 noxfile.py -s portal`
starts it beside a sandbox. It has no login: it listens on loopback and keeps other sites out.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import attrs
import uvicorn
from fastapi import FastAPI, Form, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, Field
from starlette.middleware.base import RequestResponseEndpoint
from starlette.middleware.trustedhost import TrustedHostMiddleware

from clicksend_reseller import Account, AsyncResellerClient, JournalError, ResellerError, Transfer
from clicksend_reseller.fastapi import ResellerDep, reseller_lifespan
from clicksend_reseller.journal import Assumptions, SQLJournal, reconcile_transfer

MAY_BE_ALIVE = timedelta(seconds=150)  # until then only the process that sent it can know more

pages = Jinja2Templates(Path(__file__).parent / "templates")
pages.env.filters["money"] = lambda value: re.sub(r"(\.\d\d\d*?)0+$", r"\1", f"{value:,f}")
pages.env.filters["clock"] = lambda moment: f"{moment:%d %b %Y, %H:%M:%S} UTC"


class TopUp(BaseModel):
    idempotency_key: str = Field(pattern=r"^top-up-[A-Za-z0-9_-]{12}$")
    amount: str = ""
    currency: str = ""


class Comparison(BaseModel):
    compare: bool = False
    exclusive: bool = False
    same_currency: bool = False
    max_spend: Decimal = Field(default=Decimal(0), ge=0)
    quiet_for: float = Field(default=0, ge=0)


class Finding(BaseModel):
    applied: bool
    note: str = Field(pattern=r"\S")


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, Any]]:
    journal = SQLJournal(os.environ["PORTAL_JOURNAL"])
    with_client = reseller_lifespan(lambda: AsyncResellerClient(journal=journal))
    async with journal, with_client(app) as state:
        yield {**state, "journal": journal, "seen": {}, "taken": []}


app = FastAPI(lifespan=lifespan, openapi_url=None)
app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])


@app.get("/")
async def clients(request: Request, reseller: ResellerDep, low: Decimal = Decimal(20)) -> Response:
    seen, taken = request.state.seen, request.state.taken
    if not taken:  # and not at every look: the API may allow 20 calls a minute
        seen |= {account.user_id: account async for account in reseller.iter_accounts()}
        taken.append(datetime.now(UTC))
    accounts = sorted(seen.values(), key=lambda account: account.balance)
    show = {"accounts": accounts, "low": low, "taken": taken[0]}
    return pages.TemplateResponse(request, "clients.html", show)


@app.post("/refresh")
async def refresh(request: Request) -> Response:
    request.state.seen.clear()
    request.state.taken.clear()
    return RedirectResponse("/", 303)


@app.get("/clients/{user_id}")
async def client(request: Request, reseller: ResellerDep, user_id: int) -> Response:
    account = await read(request, reseller, user_id)
    entries = request.state.journal.entries(client_user_id=user_id)
    show = {"account": account, "entries": [entry async for entry in entries][::-1]}
    return pages.TemplateResponse(request, "client.html", show)


@app.get("/clients/{user_id}/top-up")
async def form(request: Request, reseller: ResellerDep, user_id: int, key: str = "") -> Response:
    if not key:  # it stands in the address, so that Back and Reload come to the same form
        return RedirectResponse(f"?key=top-up-{secrets.token_urlsafe(9)}", 303)
    show = {"account": await read(request, reseller, user_id), "key": key}
    show["sent"] = await request.state.journal.get(key)
    return pages.TemplateResponse(request, "top_up.html", show)


@app.post("/clients/{user_id}/top-up")
async def top_up(
    request: Request, reseller: ResellerDep, user_id: int, asked: Annotated[TopUp, Form()]
) -> Response:
    is_amount = re.fullmatch(r"\s*[1-9][0-9]{0,8}\s*", asked.amount)
    if not is_amount or not re.fullmatch(r"[A-Z]{3}", asked.currency):
        show = {"account": await read(request, reseller, user_id), "key": asked.idempotency_key}
        show |= {"given": asked, "is_amount": is_amount}
        return pages.TemplateResponse(request, "top_up.html", show, 422)
    wanted = Transfer(client_user_id=user_id, **asked.model_dump() | {"amount": int(asked.amount)})
    if (await request.state.journal.intend(wanted)).state == "intended":
        await send(request, reseller, wanted)
    return RedirectResponse(f"/transfers/{asked.idempotency_key}", 303)


async def send(request: Request, reseller: AsyncResellerClient, transfer: Transfer) -> None:
    """Note the balance, to compare it later, and send; what becomes of it is on record."""
    account = await read(request, reseller, transfer.client_user_id)
    await request.state.journal.note_balance(transfer.idempotency_key, account.balance)
    try:
        await reseller.transfer_credit(**attrs.asdict(transfer))
    except ResellerError as error:
        logging.getLogger("portal").warning("%s", error)


@app.get("/transfers/{key:path}")
async def transfer(
    request: Request, reseller: ResellerDep, key: str, asked: Annotated[Comparison, Query()]
) -> Response:
    if (entry := await request.state.journal.get(key)) is None:
        return PlainTextResponse("There is no such transfer.", 404)
    if entry.client_user_id not in request.state.seen:
        with contextlib.suppress(ResellerError):  # then it goes by its number
            await read(request, reseller, entry.client_user_id)
    is_old = entry.sent_at is not None and datetime.now(UTC) - entry.sent_at > MAY_BE_ALIVE
    is_open = entry.state == "unknown" or (entry.state == "sent" and is_old)
    show = {"entry": entry, "is_open": is_open, "asked": asked}
    if is_open and asked.compare:
        assume = Assumptions(**asked.model_dump(exclude={"compare"}))
        show["found"] = await reconcile_transfer(reseller, entry, assume)
    return pages.TemplateResponse(request, "transfer.html", show)


@app.post("/transfers/{key:path}")
async def resolve(request: Request, key: str, said: Annotated[Finding, Form()]) -> Response:
    await request.state.journal.resolve(key, said.applied, by="the portal", note=said.note)
    return RedirectResponse(f"/transfers/{quote(key, safe='')}", 303)


@app.get("/inbox")
async def inbox(request: Request) -> Response:
    entries = [entry async for entry in request.state.journal.unresolved(older_than=0)]
    return pages.TemplateResponse(request, "inbox.html", {"entries": entries})


async def read(request: Request, reseller: AsyncResellerClient, user_id: int) -> Account:
    account = request.state.seen[user_id] = await reseller.get_account(user_id)
    return account


@app.exception_handler(ResellerError)
async def explain(request: Request, error: Exception) -> Response:
    status = 409 if isinstance(error, JournalError) else 502
    return pages.TemplateResponse(request, "base.html", {"problem": str(error)}, status)


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
