"""Which answers are on file? The samples of `tests/samples/`, each with the operations it answers.

Values are invented, shapes come from the sources; each file says how sure its shape is.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from clicksend_reseller import Account, AccountFields, ResellerError
from clicksend_reseller._wire import decoding, operations
from clicksend_reseller._wire.operations import Operation
from clicksend_reseller._wire.response import Answer
from support.good_answers import envelope

FOLDER = Path(__file__).parents[1] / "samples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))

FIELDS = AccountFields(
    username="acme2",
    password="correct horse",
    user_email="owner@acme2.test",
    user_phone="500-555-0002",
    user_first_name="John",
    user_last_name="Example",
    account_name="Acme Two",
    country="US",
)

LIST = operations.list_accounts(page=1, limit=15)
GET = operations.get_account(117)
OWN = operations.get_own_account()
UPDATE = operations.update_account(117, FIELDS)
CREATE = operations.create_account(FIELDS)
TRANSFER = operations.transfer_credit(60, 12, "USD", allow_negative=False)

READS: tuple[Operation[Any], ...] = (LIST, GET, OWN)
WRITES: tuple[Operation[Any], ...] = (UPDATE, CREATE, TRANSFER)
OPERATIONS: dict[str, tuple[Operation[Any], ...]] = {
    "account": (OWN,),
    "any": READS + WRITES,
    "create": (CREATE,),
    "get": (GET,),
    "list": (LIST,),
    "transfer": (TRANSFER,),
    "update": (UPDATE,),
}


@attrs.frozen(kw_only=True)
class Sample:
    """An answer, and what it may be an answer to."""

    operations: tuple[Operation[Any], ...]
    answer: Answer


def load(name: str) -> Sample:
    """Read a sample by the name of its file, without the ending."""
    sample = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    body = sample["body"]
    return Sample(
        operations=OPERATIONS[sample["operation"]],
        answer=Answer(
            status=sample["http_status"],
            headers=sample["headers"],
            content=(body if isinstance(body, str) else json.dumps(body)).encode(),
        ),
    )


# A row with no more than the required fields, and the account that it gives.
BARE = {"user_id": 60, "username": "acme", "balance": "1.50", "active": 1, "banned": 0}


def bare(**changes: Any) -> Account:
    """Make the account of a bare row, with some fields changed."""
    known: dict[str, Any] = {
        "user_id": 60,
        "username": "acme",
        "balance": Decimal("1.50"),
        "active": True,
        "banned": False,
    }
    return Account(**{**known, **changes})


def answer(
    status: int, content: bytes = b"", *, flaw: str = "", headers: dict[str, str] | None = None
) -> Answer:
    """Make an answer as the transport gives it."""
    return Answer(status=status, headers=headers or {}, content=content, flaw=flaw)


def said(http_code: object, code: object, data: object = None) -> bytes:
    """Wrap data in an envelope without prose."""
    return envelope(http_code, code, "", data)


def success(data: object) -> Answer:
    """Make the answer of a success."""
    return answer(200, said(200, "SUCCESS", data))


def failure(operation: Operation[Any], came: Answer, *, secrets: Sequence[str] = ()) -> Any:
    """Read an answer that is no success, and give the error, of whatever class it is."""
    with pytest.raises(ResellerError) as caught:
        decoding.read(operation, came, secrets=secrets)
    return caught.value
