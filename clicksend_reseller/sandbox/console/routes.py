"""The console's page, its forms and its files."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl

import jinja2
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from clicksend_reseller.sandbox.console.formats import (
    clock_time,
    format_amount,
    format_json,
    iso_time,
    padding,
)
from clicksend_reseller.sandbox.console.rows import format_sent_amount
from clicksend_reseller.sandbox.console.view import PageQuery, console_page
from clicksend_reseller.sandbox.service.faults import make_served_fault
from clicksend_reseller.sandbox.service.pages import positive_number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from clicksend_reseller.sandbox.control import SandboxControl

# Nothing is loaded from elsewhere, no script stands in the page, and no other page frames it.
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}

HOME = "/_sandbox/"

_FOLDER = files("clicksend_reseller.sandbox") / "console"
_FILES = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_READERS: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(("client_user_id", "times", "after", "status", "retry_after"), int),
    **dict.fromkeys(("chance", "seconds"), float),
    "applied": {"yes": True, "no": False}.__getitem__,
}


def console_routes(sandbox: SandboxControl) -> list[BaseRoute]:
    """Make the routes of the page, its forms and its files, under ``/_sandbox``."""
    console = _Console(sandbox)
    return [
        Route("/", console.page),
        *(Route(f"/{name}", _file(name, media_type)) for name, media_type in _FILES.items()),
        Route("/console/faults", console.arm, methods=["POST"]),
        Route("/console/faults/clear", console.clear, methods=["POST"]),
        Route("/console/faults/{id:int}/clear", console.disarm, methods=["POST"]),
        Route("/console/accounts/{id:int}/spend", console.spend, methods=["POST"]),
        Route("/console/reset", console.reset, methods=["POST"]),
    ]


class _Console:
    """Each form does what it says and leads back to the page: a reload sends nothing again."""

    def __init__(self, sandbox: SandboxControl) -> None:
        self._sandbox = sandbox
        self._template = _template()

    async def page(self, request: Request) -> Response:
        return self._page(request, dict(request.query_params))

    async def arm(self, request: Request) -> Response:
        form = await _form(request)
        try:
            self._arm(form)
        except ValueError as exc:
            return self._page(request, {}, problem=str(exc), given=form)
        return _redirect_home("faults")

    def _arm(self, form: Mapping[str, str]) -> None:
        kind, where = form.get("kind", ""), _where(form)
        fault = make_served_fault(kind, **where)
        self._check_client(fault.client_user_id)
        self._sandbox.fail(kind, **where)

    def _check_client(self, user_id: int | None) -> None:
        if user_id is not None and user_id not in self._sandbox.state.clients:
            raise ValueError(
                f"no client {user_id} in this sandbox, so the fault would never be used: "
                "look the number up under Accounts"
            )

    async def clear(self, _request: Request) -> Response:
        self._sandbox.clear_faults()
        return _redirect_home("faults")

    async def disarm(self, request: Request) -> Response:
        self._sandbox.clear_fault(request.path_params["id"])
        return _redirect_home("faults")

    async def spend(self, request: Request) -> Response:
        user_id = request.path_params["id"]
        # A page may be older than a reset: then there is nobody to spend, and the page says so.
        if user_id in self._sandbox.state.clients:
            self._sandbox.spend(user_id, 1)
        return _redirect_home("accounts", _asked(await _form(request)))

    async def reset(self, _request: Request) -> Response:
        self._sandbox.reset()
        return _redirect_home("credit")

    def _page(
        self,
        request: Request,
        asked: Mapping[str, str],
        *,
        problem: str = "",
        given: Mapping[str, str] | None = None,
    ) -> Response:
        values = console_page(self._sandbox.state, _asked(asked), problem=problem, given=given)
        html = self._template.render(values, origin=f"http://{request.headers['host']}")
        status = 422 if problem else 200
        return Response(html, status, HEADERS, media_type="text/html")


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (_FOLDER / name).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        money=format_amount,
        asked=format_sent_amount,
        padding=cast("Any", padding),  # jinja types no filter of this shape
        clock=clock_time,
        iso=iso_time,
        pretty=format_json,
    )
    return environment.get_template("page.html.jinja")


def _file(name: str, media_type: str) -> Callable[[Request], Response]:
    content = (_FOLDER / name).read_bytes()

    def give(_request: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=media_type)

    return give


def _redirect_home(section: str, asked: PageQuery | None = None) -> Response:
    return RedirectResponse(f"{HOME}{asked.query if asked else ''}#{section}", status_code=303)


def _asked(given: Mapping[str, str]) -> PageQuery:
    return PageQuery(
        search=given.get("q", "").strip(),
        page=positive_number(given.get("page", "")) or 1,
        more=given.get("more") == "1",
        request=positive_number(given.get("request", "")),
    )


async def _form(request: Request) -> dict[str, str]:
    # By hand: for this one encoding the framework would need another package.
    text = (await request.body()).decode("utf-8", "replace")
    return dict(parse_qsl(text, keep_blank_values=True))


def _where(form: Mapping[str, str]) -> dict[str, Any]:
    given = {name: text.strip() for name, text in form.items() if name != "kind"}
    where = {name: _read(name, text) for name, text in given.items() if text}
    # An empty number of times is the form's way of saying "for ever".
    return where | ({"times": None} if given.get("times") == "" else {})


def _read(name: str, text: str) -> object:
    try:
        return _READERS.get(name, str)(text)
    except (ValueError, KeyError):
        raise ValueError(f"{name} cannot be {text[:40]!r}") from None
