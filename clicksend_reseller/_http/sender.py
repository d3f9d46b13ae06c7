"""One request and its answer: Operation in, Answer or error out.

It knows no HTTP library: httpx's client and httpx2's are one shape here, and what their
exceptions mean is decided here, once.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import platform
from typing import Any

import attrs

from clicksend_reseller._http import environment, exceptions
from clicksend_reseller._http.body import OneShotBody
from clicksend_reseller._http.connections import (
    FRESH,
    USED,
    HTTPClient,
    OwnClient,
)
from clicksend_reseller._version import __version__
from clicksend_reseller._wire import redaction
from clicksend_reseller._wire.operations import Operation
from clicksend_reseller._wire.response import Answer
from clicksend_reseller.errors import APIConnectionError, APITimeoutError, ResellerError
from clicksend_reseller.models import Outcome

# A page of 100 accounts is under 200 kB; 8 MB of tiny objects block the loop for a second.
MAX_ANSWER = 2 * 1024 * 1024


class Sender:
    """Sends operations to one base URL with one set of credentials.

    Args:
        client: what sends.
        base_url: of the API.
        username: half of the credentials.
        api_key: the other half.
        is_direct: the connections are ours, and go through no proxy.
    """

    def __init__(
        self,
        client: HTTPClient,
        *,
        base_url: str,
        username: str,
        api_key: str,
        is_direct: bool = False,
    ) -> None:
        basic = base64.b64encode(f"{username}:{api_key}".encode()).decode()
        self.secrets = (api_key, basic)
        self._client = client
        self._base_url = base_url
        self._is_direct = is_direct
        headers = {
            "Accept": "application/json",
            # 400 MB out of a nested gzip get past any cap on decoded bytes.
            "Accept-Encoding": "identity",
            "Authorization": f"Basic {basic}",
            "User-Agent": f"clicksend-reseller/{__version__} (Python {platform.python_version()})",
        }
        if not (isinstance(client, OwnClient) and client.has_own_connections):
            # A late second answer on a kept connection would be taken for the next call's, and a
            # foreign pool keeps it for a write too.
            headers["Connection"] = "close"
        self._headers = headers
        if isinstance(client, OwnClient):
            # Merged into each request they cost 55 µs; somebody else's client is not touched.
            client.headers = headers
            self._headers = {}

    async def send(
        self,
        operation: Operation[Any],
        body: OneShotBody | None,
        *,
        seconds: float,
        fresh: bool = False,
    ) -> Answer:
        """Send a request and read its answer, within so many seconds.

        Args:
            operation: what is asked.
            body: of a write.
            seconds: for all of it.
            fresh: on a connection that has not been used before, as each write is.

        Raises:
            APIConnectionError: no answer; NOT_SENT or UNKNOWN.
            ResellerError: what the body's claim refused with.
        """
        answer: Answer | None = None
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.send(
                    self._request(operation, body, seconds, fresh=fresh),
                    stream=True,
                    auth=None,
                    follow_redirects=False,
                )
                answer = _without_content(response)
                return await _read(response, answer)
        except Exception as exc:
            # A foreign transport may raise anything, and the error must still say what is known.
            if answer is not None and answer.status == 429:
                return answer
            if body is not None and not body.left and isinstance(body.refusal, ResellerError):
                raise body.refusal from body.refusal.__cause__
            exceptions.redact_exception(exc, self.secrets)
            raise self._to_error(exc, body, seconds) from exc
        finally:
            # A transport may go on by itself after it was cancelled or has failed.
            if body is not None:
                body.shut()

    def _request(
        self, operation: Operation[Any], body: OneShotBody | None, seconds: float, *, fresh: bool
    ) -> Any:
        headers = self._headers
        if body is not None:
            headers = headers | {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
            }
        # The whole attempt has one limit, ours. Connecting ends a little before it, so that a read
        # that never left has another exception of the library's than one that got no answer.
        connect_timeout = seconds - max(0.05 * seconds, min(0.25, 0.125 * seconds))
        target = self._base_url + operation.path
        if operation.query:
            target += "?" + "&".join(f"{name}={value:d}" for name, value in operation.query.items())
        request = self._client.build_request(
            operation.method,
            target,
            content=body,
            headers=headers,
            extensions={
                # A kept one may be closed under our feet, and a lost answer is not had again. Or a
                # stray answer still comes on it, and would be taken for the answer to a write.
                FRESH: fresh or operation.fresh or operation.writes,
                "timeout": {
                    "connect": connect_timeout,
                    "pool": connect_timeout,
                    "read": None,
                    "write": None,
                },
            },
        )
        if body is not None and hasattr(request, "aread"):
            _keep_one_shot(request, body)
        return request

    def _to_error(self, exc: Exception, body: OneShotBody | None, seconds: float) -> ResellerError:
        unsent = exceptions.is_unsent(exc) if body is None else not body.left
        cls = APITimeoutError if exceptions.is_late(exc) else APIConnectionError
        fact = "nothing could be sent" if unsent else "no answer came"
        is_ours = type(exc) is TimeoutError
        reason = f"within {seconds:g} s" if is_ours else f"({exceptions.describe(exc)})"
        text, permanent = redaction.printable(f"{fact} {reason}"), exceptions.is_permanent(exc)
        return cls(
            text + self.proxy_advice() if unsent and not permanent else text,
            outcome=Outcome.NOT_SENT if unsent else Outcome.UNKNOWN,
            permanent=permanent,
        )

    def proxy_advice(self) -> str:
        """Give the end of an error's text: what may keep a connection from being made."""
        advice = environment.advice(self._base_url) if self._is_direct else ""
        return f"; {advice}" if advice else ""


def _keep_one_shot(request: Any, body: OneShotBody) -> None:
    """Let a hook or a wrapper read the body, and leave it behind as a body that is given once.

    httpx puts plain bytes in its place, which a transport that sends again would send again.
    """
    stream, aread = request.stream, request.aread

    async def read() -> bytes:
        is_first = not body.asked
        content: bytes = await aread()
        if is_first:
            request.stream = stream
            body.rewind()
        return content

    request.aread = read


def _without_content(response: Any) -> Answer:
    """Make the answer of a response whose content has not been read."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}\n{value}" if name in headers else value
    return Answer(
        status=response.status_code,
        headers=headers,
        content=b"",
        flaw="the answer did not end in time",
        drop=response.extensions.get(USED),
    )


async def _read(response: Any, answer: Answer) -> Answer:
    content, flaw = bytearray(), ""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    try:
        if encoding not in {"", "identity"}:
            flaw = f"the answer came encoded as {encoding!r:.30}, which was not asked for"
        else:
            # Not aiter_raw: an answer that a mock has read before can be read here again.
            async for chunk in response.stream:
                content += chunk
                if len(content) > MAX_ANSWER:
                    flaw = f"the answer is longer than {MAX_ANSWER} bytes"
                    break
    except Exception as exc:
        if not exceptions.is_broken_answer(exc):
            raise
        flaw = f"the answer broke off ({exceptions.describe(exc)})"
    finally:
        with contextlib.suppress(Exception):  # what has been read counts
            await response.aclose()
    return attrs.evolve(answer, content=bytes(content), flaw=flaw)
