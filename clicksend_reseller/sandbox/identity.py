"""The proof that a server is a sandbox: it knows the credentials that it would be sent.

Whoever asks sends a number that was never used before and no credential. Only a server that has
the same credentials itself can answer, so a tunnel to the live account cannot pass for a sandbox,
and what passes for one is not trusted with a key that it did not have before.
"""

from __future__ import annotations

import hashlib
import hmac
import re

ROUTE = "/_sandbox/identity"

_CHALLENGE = re.compile(r"[0-9a-f]{32}", re.ASCII)


def is_challenge(text: str) -> bool:
    """Return True if a text is a challenge: 32 hexadecimal digits."""
    return _CHALLENGE.fullmatch(text) is not None


def answer_to(challenge: str, *, username: str, api_key: str) -> dict[str, str]:
    """Give the answer of the sandbox that has these credentials.

    Args:
        challenge: used once.
        username: of the sandbox.
        api_key: of the sandbox.
    """
    secret = f"{username}:{api_key}".encode()
    message = f"clicksend-reseller sandbox {challenge}".encode("ascii")
    proof = hmac.new(secret, message, hashlib.sha256).hexdigest()
    return {"server": "clicksend-reseller sandbox", "proof": proof}
