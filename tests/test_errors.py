import copy
import inspect
import pickle
from functools import partial

import pytest

import clicksend_reseller
from clicksend_reseller import errors
from clicksend_reseller.errors import (
    APIConnectionError,
    APIResponseError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    ClientStateError,
    ConfigurationError,
    JournalError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ResellerError,
    TransferOutcomeUnknownError,
)
from clicksend_reseller.models import Outcome

# The tree of the docstring: each class with its parents and the outcome it has by itself.
TREE = {
    "ResellerError": ("Exception", Outcome.NOT_SENT),
    "ConfigurationError": ("ResellerError ValueError", Outcome.NOT_SENT),
    "ClientStateError": ("ResellerError RuntimeError", Outcome.NOT_SENT),
    "APIConnectionError": ("ResellerError", Outcome.NOT_SENT),
    "APITimeoutError": ("APIConnectionError TimeoutError", Outcome.NOT_SENT),
    "APIResponseError": ("ResellerError", Outcome.UNKNOWN),
    "APIStatusError": ("ResellerError", Outcome.REJECTED),
    "BadRequestError": ("APIStatusError", Outcome.REJECTED),
    "AuthenticationError": ("APIStatusError", Outcome.REJECTED),
    "PermissionDeniedError": ("APIStatusError", Outcome.REJECTED),
    "NotFoundError": ("APIStatusError", Outcome.REJECTED),
    "AlreadyExistsError": ("APIStatusError", Outcome.REJECTED),
    "InsufficientCreditError": ("APIStatusError", Outcome.REJECTED),
    "RateLimitError": ("APIStatusError", Outcome.REJECTED),
    "ServerError": ("APIStatusError", Outcome.REJECTED),
    "OutcomeUnknownError": ("ResellerError", Outcome.UNKNOWN),
    "TransferOutcomeUnknownError": ("OutcomeUnknownError", Outcome.UNKNOWN),
    "JournalError": ("ResellerError", Outcome.NOT_SENT),
    "KeyReusedError": ("JournalError", Outcome.NOT_SENT),
    "UnsettledTransferError": ("JournalError", Outcome.NOT_SENT),
}
CLASSES = [getattr(errors, name) for name in TREE]
PICKLES = range(pickle.HIGHEST_PROTOCOL + 1)


def travel(protocol, error):
    """Send an error to another process and back."""
    return pickle.loads(pickle.dumps(error, protocol))  # noqa: S301 - our own pickle


WAYS = {
    **{f"pickle {protocol}": partial(travel, protocol) for protocol in PICKLES},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def own_values(cls):
    """Give a class what only it takes."""
    if issubclass(cls, APIStatusError):
        return {
            "status_code": 429,
            "response_code": "TOO_MANY_REQUESTS",
            "response_msg": "Too many attempts.",
            "field_errors": {"username": ("is taken",)},
            "retry_after": 39.0,
        }
    if issubclass(cls, APIResponseError):
        return {"status_code": 200, "excerpt": "<html>"}
    if issubclass(cls, TransferOutcomeUnknownError):
        return {
            "client_user_id": 60,
            "amount": 12,
            "currency": "USD",
            "idempotency_key": "invoice-7",
        }
    return {}


def filled(cls):
    """Make an error with every attribute set to something of its own."""
    return cls(
        "the fact",
        operation="transfer_credit",
        attempts=3,
        permanent=True,
        outcome=Outcome.APPLIED,
        **own_values(cls),
    )


def test_tree_of_errors_is_the_one_in_the_docstring():
    """Callers catch by class, so the tree is a promise."""
    found = {
        name: " ".join(parent.__name__ for parent in cls.__bases__)
        for name, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, BaseException)
    }
    assert {name: parents for name, (parents, _) in TREE.items()} == found
    assert all(name in (errors.__doc__ or "") for name in TREE)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_is_named_exported_and_documented(cls):
    """There is one root, and whoever sees a class can find it and read about it."""
    assert issubclass(cls, ResellerError)
    assert cls.__name__.endswith("Error")
    assert cls.__name__ in errors.__all__
    assert cls is getattr(clicksend_reseller, cls.__name__)
    assert vars(cls).get("__doc__")


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_an_outcome(cls):
    """An error says what is known of the call, even where nobody set it."""
    error = cls("the fact", **own_values(cls))
    assert TREE[cls.__name__][1] is error.outcome
    assert (None, 0, False) == (error.operation, error.attempts, error.permanent)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_travels_with_all_it_knows(cls, way):
    """Errors cross processes and queues, and lose nothing there, notes included."""
    error = filled(cls)
    error.add_note("a note")
    travelled = way(error)
    assert cls is type(travelled)
    assert (error.args, vars(error)) == (travelled.args, vars(travelled))
    assert str(error) == str(travelled)


@pytest.mark.parametrize("cls", [APIStatusError, APIResponseError, ClientStateError])
def test_copy_shares_no_state(cls):
    """What is filled in later on a copy does not appear on the original."""
    error = filled(cls)
    copied = copy.copy(error)
    copied.operation = "get_account"
    assert "transfer_credit" == error.operation


def test_unknown_outcome_is_no_error_that_decorators_repeat():
    """Whoever retries connection, timeout or status errors must not catch it."""
    repeated = (
        *(APIConnectionError, APIResponseError, APIStatusError, APITimeoutError),
        *(OSError, TimeoutError, RuntimeError, ValueError),
    )
    assert not issubclass(OutcomeUnknownError, repeated)
    assert not issubclass(TransferOutcomeUnknownError, repeated)


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (ConfigurationError, ValueError),
        (ClientStateError, RuntimeError),
        (APITimeoutError, TimeoutError),
    ],
)
def test_builtin_kinds_can_be_caught_too(cls, builtin):
    """Code that knows only the standard library's names goes on working."""
    with pytest.raises(builtin, match="the fact"):
        raise cls("the fact")


ASK_FIRST = "do not repeat it before you have checked, by reading the account, whether it was"
COMPARE_FIRST = (
    "the credit may have been moved: do not send it again before you have checked; compare the "
    "client's balance with what it was, or look for the transfer in the ClickSend dashboard"
)
CHECK_THE_ID = "check the client_user_id and the base URL"
UNDER_KEY = "under the key 'inv-7'"
APPROVED = "the reseller API serves only accounts approved as resellers before 1 January 2024"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ResellerError("the fact"), "the fact; nothing was sent"),
        (
            APIConnectionError("the fact", operation="get_account", outcome=Outcome.UNKNOWN),
            "get_account: the fact",
        ),
        (
            APIStatusError("the fact", status_code=400, operation="create_account"),
            "create_account: the fact; nothing was changed",
        ),
        (
            APIResponseError("the fact", status_code=200, outcome=Outcome.APPLIED),
            "the fact; the change was made: do not repeat it",
        ),
        (
            AuthenticationError("the fact", status_code=401),
            "the fact; nothing was changed; check the user name and the API key",
        ),
        (
            PermissionDeniedError("the fact", status_code=403),
            f"the fact; nothing was changed; {APPROVED}",
        ),
        (
            NotFoundError("the fact", status_code=404, operation="get_account"),
            f"get_account: the fact; nothing was changed; {CHECK_THE_ID}; {APPROVED}",
        ),
        (
            OutcomeUnknownError("the fact", operation="create_account"),
            f"create_account: the fact; it may have been applied: {ASK_FIRST}",
        ),
        (
            TransferOutcomeUnknownError(
                "the fact", client_user_id=60, amount=12, currency="USD", attempts=1
            ),
            f"transfer of 12 USD to client 60, sent once: the fact; {COMPARE_FIRST}",
        ),
        (
            TransferOutcomeUnknownError(
                "the fact", client_user_id=60, amount=12, currency="USD", idempotency_key="inv-7"
            ),
            f"transfer of 12 USD to client 60 {UNDER_KEY}, not sent this time: the fact; "
            + COMPARE_FIRST,
        ),
        (JournalError("the fact"), "the fact; nothing was sent"),
    ],
)
def test_message_says_operation_fact_meaning_and_advice(error, text):
    """Who reads one line knows what happened, what it means and what to do."""
    assert text == str(error)
    assert "the fact" == error.message


@pytest.mark.parametrize("cls", CLASSES)
def test_error_in_a_list_shows_what_is_known(cls):
    """`asyncio.gather` gives lists of errors, and a list prints their repr."""
    shown = (
        f"{cls.__name__}('the fact', operation='transfer_credit', outcome='applied', attempts=3)"
    )
    assert shown == repr(filled(cls))


def test_field_errors_are_the_errors_own():
    """A caller's dict that changes later changes no error."""
    given = {"username": ("is taken",)}
    error = APIStatusError("the fact", status_code=400, field_errors=given)
    given.clear()
    assert {"username": ("is taken",)} == error.field_errors
