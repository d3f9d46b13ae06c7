"""The route by which a served sandbox proves that it is one."""

import hashlib
import hmac

import httpx
import pytest

from clicksend_reseller.sandbox import Sandbox
from clicksend_reseller.sandbox.background import serve_beside
from clicksend_reseller.sandbox.identity import ROUTE

CHALLENGE = "0123456789abcdef0123456789abcdef"
MALFORMED = {
    "missing": None,
    "empty": "",
    "one digit too short": CHALLENGE[:-1],
    "one digit too long": CHALLENGE + "0",
    "far too long": "0" * 20_000,
    "not hexadecimal": "g" * 32,
    "upper case": CHALLENGE.upper(),
    "with a prefix": f"0x{CHALLENGE[2:]}",
    "with a line end": CHALLENGE + "\n",
    "with a space before": f" {CHALLENGE[1:]}",
    "digits of another script": "\N{ARABIC-INDIC DIGIT ONE}" * 32,
    "full-width letters": "\N{FULLWIDTH LATIN SMALL LETTER A}" * 32,
    "with a zero byte": CHALLENGE[:-1] + "\0",
}


@pytest.fixture(scope="module")
def served():
    """Serve a sandbox with credentials of its own."""
    with serve_beside(Sandbox(accounts=0, username="ada", api_key="engine-1843")) as served:
        yield served


def ask(served, params):
    """Ask for the proof, without credentials."""
    root = served.url.removesuffix("/v3")
    return httpx.get(f"{root}{ROUTE}", params=params, trust_env=False)


def test_a_challenge_is_answered_with_the_proof(served):
    """Whoever has the credentials can compute it, and nobody else."""
    words = f"clicksend-reseller sandbox {CHALLENGE}".encode()
    proof = hmac.new(b"ada:engine-1843", words, hashlib.sha256).hexdigest()
    answer = ask(served, {"challenge": CHALLENGE})
    assert (200, {"server": "clicksend-reseller sandbox", "proof": proof}) == (
        answer.status_code,
        answer.json(),
    )


@pytest.mark.parametrize("challenge", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_challenge_gets_no_proof(served, challenge):
    """An error that says what a challenge is, and nothing that depends on the credentials."""
    answer = ask(served, {} if challenge is None else {"challenge": challenge})
    assert 422 == answer.status_code
    assert {"error"} == set(answer.json())
    assert "challenge must be 32 hexadecimal digits" in answer.json()["error"]


def test_of_two_challenges_only_the_last_one_counts(served):
    """A proof is never one of a text that was not checked."""
    good, bad = ("challenge", CHALLENGE), ("challenge", "0" * 31)
    assert 422 == ask(served, [good, bad]).status_code
    assert ask(served, {"challenge": CHALLENGE}).json() == ask(served, [bad, good]).json()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_the_proof_is_only_read(served, method):
    """No other method has an answer there."""
    root = served.url.removesuffix("/v3")
    answer = httpx.request(method, f"{root}{ROUTE}?challenge={CHALLENGE}", trust_env=False)
    assert 405 == answer.status_code
