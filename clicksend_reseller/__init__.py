"""Async Python SDK with typed models for the ClickSend Reseller API.

Names are loaded when they are first used: importing this package loads no HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clicksend_reseller._calls.journaling import JournalEntry, TransferJournal, TransferState
    from clicksend_reseller._calls.retry import RetryPolicy
    from clicksend_reseller._http.connections import HTTPClient
    from clicksend_reseller._http.httpx2_client import httpx2_client
    from clicksend_reseller._version import __version__
    from clicksend_reseller._wire.decoding import to_dict
    from clicksend_reseller.client import AsyncResellerClient
    from clicksend_reseller.errors import (
        AlreadyExistsError,
        APIConnectionError,
        APIResponseError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BadRequestError,
        ClientStateError,
        ConfigurationError,
        InsufficientCreditError,
        JournalError,
        KeyReusedError,
        NotFoundError,
        OutcomeUnknownError,
        PermissionDeniedError,
        RateLimitError,
        ResellerError,
        ServerError,
        TransferOutcomeUnknownError,
        UnsettledTransferError,
    )
    from clicksend_reseller.models import (
        Account,
        AccountFields,
        AccountPage,
        CallEvent,
        Currency,
        Outcome,
        RateLimit,
        Secret,
        Subaccount,
        Transfer,
        TransferReceipt,
    )
    from clicksend_reseller.paging import AccountIterator, WalkReport

__all__ = [
    "APIConnectionError",
    "APIResponseError",
    "APIStatusError",
    "APITimeoutError",
    "Account",
    "AccountFields",
    "AccountIterator",
    "AccountPage",
    "AlreadyExistsError",
    "AsyncResellerClient",
    "AuthenticationError",
    "BadRequestError",
    "CallEvent",
    "ClientStateError",
    "ConfigurationError",
    "Currency",
    "HTTPClient",
    "InsufficientCreditError",
    "JournalEntry",
    "JournalError",
    "KeyReusedError",
    "NotFoundError",
    "Outcome",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimit",
    "RateLimitError",
    "ResellerError",
    "RetryPolicy",
    "Secret",
    "ServerError",
    "Subaccount",
    "Transfer",
    "TransferJournal",
    "TransferOutcomeUnknownError",
    "TransferReceipt",
    "TransferState",
    "UnsettledTransferError",
    "WalkReport",
    "__version__",
    "httpx2_client",
    "to_dict",
]

# Where a public name is defined; the others are errors and models.
_HOMES = {
    "AccountIterator": "paging",
    "AsyncResellerClient": "client",
    "HTTPClient": "_http.connections",
    "JournalEntry": "_calls.journaling",
    "RetryPolicy": "_calls.retry",
    "TransferJournal": "_calls.journaling",
    "TransferState": "_calls.journaling",
    "WalkReport": "paging",
    "__version__": "_version",
    "httpx2_client": "_http.httpx2_client",
    "to_dict": "_wire.decoding",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "errors" if name.endswith("Error") else "models")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
