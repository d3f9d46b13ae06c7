import json

import pytest

from clicksend_reseller.sandbox.service.api import answer, credentials
from clicksend_reseller.sandbox.service.messages import Request

PASS = credentials("sandbox", "sandbox")


@pytest.fixture
def make_request():
    """Build a request with the right credentials, its body from a dict or as bytes."""

    def make(method, target, body=b"", authorization=PASS):
        path, _, query = target.partition("?")
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return Request(
            method=method,
            path=f"/v3{path}",
            query=query,
            authorization=authorization,
            body=content,
        )

    return make


@pytest.fixture
def ask(make_request):
    """Ask a sandbox's state directly, and give the status with the decoded answer."""

    def ask(sandbox, method, target, body=b"", **options):
        reply = answer(sandbox.state, make_request(method, target, body, **options))
        return reply.status, json.loads(reply.body)

    return ask


@pytest.fixture
def pay(ask):
    """Transfer credit and give the response code."""

    def pay(sandbox, client_user_id, amount, currency="AUD"):
        body = {"client_user_id": client_user_id, "balance": amount, "currency": currency}
        return ask(sandbox, "PUT", "/reseller/transfer-credit", body)[1]["response_code"]

    return pay
