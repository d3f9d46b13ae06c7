"""The client: for each method a signature, a docstring and one line."""

from __future__ import annotations

import ssl
from contextlib import AbstractAsyncContextManager
from typing import Any, Self

from clicksend_reseller import _settings
from clicksend_reseller._calls.attempt import Attempts
from clicksend_reseller._calls.events import EventEmitter, Observer
from clicksend_reseller._calls.executor import Executor
from clicksend_reseller._calls.journaling import TransferJournal
from clicksend_reseller._calls.retry import RetryPolicy
from clicksend_reseller._calls.tasks import Closing
from clicksend_reseller._calls.throttle import Throttle
from clicksend_reseller._http.connections import AsyncBaseTransport, HTTPClient, make_client
from clicksend_reseller._http.sender import Sender
from clicksend_reseller._wire import operations
from clicksend_reseller.models import (
    Account,
    AccountFields,
    AccountPage,
    RateLimit,
    Secret,
    TransferReceipt,
)
from clicksend_reseller.paging import AccountIterator

__all__ = ["AsyncResellerClient"]


class AsyncResellerClient:
    """The ClickSend Reseller API: client accounts, and credit moved to them.

    Make one for a process and an event loop, and close it at the end::

        async with AsyncResellerClient() as client:
            account = await client.get_account(1001)

    A transfer is never sent twice by one call, and every error says in `outcome` whether the
    request never left, was refused, or cannot be known. Every method raises a `ResellerError`,
    and a `ValueError` or `TypeError` for arguments that make no sense, before anything is sent.
    The reseller API serves only accounts approved as resellers before 1 January 2024 (D).

    Args:
        username: else CLICKSEND_USERNAME.
        api_key: else CLICKSEND_API_KEY.
        base_url: else CLICKSEND_BASE_URL, else the live API; http for loopback hosts only.
        timeout: seconds for one attempt, from its first byte to its last.
        deadline: seconds for a whole call: queueing, attempts, waits. Every method takes one of
            its own. Never wrap a transfer in `asyncio.timeout`: it ends in a bare TimeoutError,
            which does not say whether credit was moved.
        retry: how often to repeat what may be repeated, and after which waits.
        max_concurrency: exchanges at once; further calls queue.
        limiter: any async context manager that can be entered again; entered once for each
            attempt, inside the deadline, before a journal's claim, and held through the
            exchange. What it raises on entering reaches the caller: nothing was sent. One that
            hangs on leaving holds the result back until the deadline at most.
        journal: records transfers, so that each key is sent at most once across crashes. The
            client does not close it.
        observer: called with a `CallEvent` at each step; what it raises is logged, no more.
        proxy: its URL; no proxy is ever read from the environment.
        ssl_context: for a private authority, the server's or an https proxy's; else one for the
            process, with httpx's roots.
        transport: an httpx transport in place of ours, for tests or another stack; it must not
            send a request again by itself. One that makes a request of its own from a copy of
            the body and repeats that is outside the guarantee. Its connections are yours: each
            request asks to close its own, and one that others keep open may lose a transfer
            (`httpx.Limits(max_keepalive_connections=0)` keeps none).
        http_client: an `AsyncClient` of httpx or httpx2 in place of ours, under the same
            conditions (`httpx2_client()` makes one); it is never closed by this client.

    Raises:
        ConfigurationError: credentials, base URL or options are missing, unsound or exclude
            each other.
        TypeError: an option is of the wrong kind.
    """

    def __init__(
        self,
        username: str | None = None,
        api_key: str | Secret | None = None,
        *,
        base_url: str | None = None,
        timeout: float = 20.0,
        deadline: float = 120.0,
        retry: RetryPolicy = RetryPolicy(),
        max_concurrency: int = 10,
        limiter: AbstractAsyncContextManager[Any, Any] | None = None,
        journal: TransferJournal | None = None,
        observer: Observer | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        transport: AsyncBaseTransport | None = None,
        http_client: HTTPClient | None = None,
    ) -> None:
        credentials = _settings.credentials(username, api_key)
        del api_key  # a traceback with locals would show it
        _settings.check_kinds(
            retry=retry, limiter=limiter, journal=journal, proxy=proxy, ssl_context=ssl_context
        )
        _settings.check_observer(observer)
        self._base_url = _settings.base_url(base_url)
        self._username = credentials.username
        self._journal = journal
        seconds = _settings.seconds("timeout", timeout)
        if journal is not None:
            _settings.check_journaled(seconds)
        _settings.check_exclusive(
            transport=transport, http_client=http_client, proxy=proxy, ssl_context=ssl_context
        )
        client, close = make_client(
            http_client=http_client, transport=transport, ssl_context=ssl_context, proxy=proxy
        )
        closing = Closing()
        sender = Sender(
            client,
            base_url=self._base_url,
            username=credentials.username,
            api_key=credentials.api_key.get_secret_value(),
            is_direct=transport is None and http_client is None and proxy is None,
        )
        throttle = Throttle(
            max_concurrency=_settings.count("max_concurrency", max_concurrency),
            max_pause=retry.max_retry_after,
            limiter=limiter,
            sleep=closing.sleep,
        )
        events = EventEmitter(observer, self._base_url)
        self._attempts = Attempts(
            sender, throttle, events, closing, timeout=seconds, pause=retry.base_delay
        )
        self._calls = Executor(
            self._attempts,
            events,
            closing,
            policy=retry,
            deadline=_settings.seconds("deadline", deadline),
            journal=journal,
            realm=self.realm,
            close_transport=close,
        )

    # --- accounts

    async def list_accounts(
        self, *, page: int = 1, limit: int = 100, deadline: float | None = None
    ) -> AccountPage:
        """List one page of the client accounts.

        Args:
            page: counted from 1.
            limit: accounts on a page; the server may give fewer, see `per_page` (D).
            deadline: seconds for this call; None is the client's.

        Returns:
            The page as the server gave it; an empty list has `last_page` 0 (L).

        Raises:
            ResellerError: see the class; a list changes nothing, whatever its outcome.
            ValueError: page or limit is less than 1, or the deadline is not more than 0.
        """
        operation = operations.list_accounts(page=page, limit=limit)
        return await self._calls.perform(operation, deadline=_settings.call_deadline(deadline))

    def iter_accounts(
        self,
        *,
        limit: int = 100,
        start_page: int = 1,
        prefetch: int = 0,
        deadline: float | None = None,
    ) -> AccountIterator:
        """Walk over all client accounts, each once, in the server's order.

        Args:
            limit: accounts on a page.
            start_page: where to begin, to go on with a walk that was broken off.
            prefetch: pages fetched ahead of the one being read; 0 is one after the other.
            deadline: seconds for each page; None is the client's.

        Returns:
            `async for account in …`, or `.pages()`; `.report` says how it went.

        Raises:
            ResellerError: from the iteration; accounts already given stay good, and a note on
                the error names the page to resume at.
            ValueError: a number is out of range.
        """
        seconds = _settings.call_deadline(deadline)
        return AccountIterator(
            lambda page, limit: self.list_accounts(page=page, limit=limit, deadline=seconds),
            limit=limit,
            start_page=start_page,
            prefetch=prefetch,
        )

    async def get_account(
        self, client_user_id: int, *, fresh: bool = False, deadline: float | None = None
    ) -> Account:
        """Get a client account.

        Args:
            client_user_id: the account's `user_id`: the wire's two names for one number.
            fresh: read on a connection that has not been used before, so that no late answer to
                an earlier call can be taken for this one: for a balance that decides something.
            deadline: seconds for this call; None is the client's.

        Raises:
            NotFoundError: no such client, or no reseller access.
            ResellerError: see the class; a read changes nothing, whatever its outcome.
            ValueError: the id is not from 1 to 2**31 - 1, or the deadline is not more than 0.
        """
        operation = operations.get_account(client_user_id, fresh=fresh)
        return await self._calls.perform(operation, deadline=_settings.call_deadline(deadline))

    async def create_account(
        self, fields: AccountFields, *, deadline: float | None = None
    ) -> Account:
        """Create a client account.

        Args:
            fields: all eight are required.
            deadline: seconds for this call; None is the client's. One that passes frees the
                caller; a request that has left goes on to the end of its own `timeout`.

        Raises:
            AlreadyExistsError: the user name is taken.
            BadRequestError: the API found fault with fields, see `field_errors`.
            OutcomeUnknownError: it may have been created: look for the user name in the list
                before trying again.
            ResellerError: see the class and `outcome`.
        """
        operation = operations.create_account(fields)
        return await self._calls.perform(operation, deadline=_settings.call_deadline(deadline))

    async def update_account(
        self, client_user_id: int, fields: AccountFields, *, deadline: float | None = None
    ) -> Account:
        """Replace a client account's fields. Every update sets the client's password again.

        It is repeated after a lost answer, since twice means the same as once; a delayed first
        copy can still undo a later update, within the deadline.

        Args:
            client_user_id: the account's `user_id`.
            fields: all eight; `AccountFields.from_account` takes them from an account.
            deadline: seconds for this call; None is the client's.

        Raises:
            OutcomeUnknownError: it may have been applied: read the account to see.
            ResellerError: see the class and `outcome`.
        """
        operation = operations.update_account(client_user_id, fields)
        return await self._calls.perform(operation, deadline=_settings.call_deadline(deadline))

    # --- credit

    async def transfer_credit(
        self,
        client_user_id: int,
        amount: int,
        currency: str,
        *,
        idempotency_key: str | None = None,
        allow_negative: bool = False,
        deadline: float | None = None,
    ) -> TransferReceipt:
        """Move credit from the reseller to a client. It is sent at most once.

        Limit its time with `deadline`, never with `asyncio.timeout` or `asyncio.wait_for`: they
        end in a bare TimeoutError, which does not say whether the credit was moved.

        Args:
            client_user_id: the account's `user_id`.
            amount: whole units of `currency`; the wire calls it `balance`.
            currency: three capital letters; need not be the client's own (D), the rate is the
                API's and unknown.
            idempotency_key: your own name for this transfer, such as an invoice number; needs a
                journal, since the API itself knows no such key (D).
            allow_negative: let a negative amount take credit back from the client (G).
            deadline: seconds for this call; None is the client's. One that passes frees the
                caller, with an error that says whether the transfer had left; one that had goes
                on to the end of its own `timeout`, so that log and journal learn the result.

        Returns:
            A receipt; its `account` is the client afterwards, None if that could not be read.

        Raises:
            TransferOutcomeUnknownError: it may have been moved: do not send it again before you
                have checked.
            InsufficientCreditError: the reseller's own credit does not cover it.
            RateLimitError: refused by a 429, and not repeated unless the policy says so.
            JournalError: the journal forbids it or failed; nothing was sent.
            ResellerError: see the class and `outcome`.
            ConfigurationError: a key was given, and there is no journal.
            ValueError: amount, currency or deadline make no sense.
        """
        operation = operations.transfer_credit(
            client_user_id, amount, currency, allow_negative=allow_negative
        )
        return await self._calls.transfer(
            operation, idempotency_key, deadline=_settings.call_deadline(deadline)
        )

    async def get_own_account(self, *, deadline: float | None = None) -> Account:
        """Get the reseller's own account; its `balance` is the credit that can be moved.

        Args:
            deadline: seconds for this call; None is the client's.

        Raises:
            ResellerError: see the class; a read changes nothing, whatever its outcome.
        """
        return await self._calls.perform(
            operations.get_own_account(), deadline=_settings.call_deadline(deadline)
        )

    # --- the client itself

    @property
    def rate_limit(self) -> RateLimit | None:
        """What the last answer with rate headers said, None before there was one."""
        return self._attempts.rate_limit

    @property
    def journal(self) -> TransferJournal | None:
        """The journal that was given."""
        return self._journal

    @property
    def realm(self) -> str:
        """Base URL and user name; a key used in one realm never answers for another."""
        return f"{self._base_url} as {self._username}"

    async def aclose(self) -> None:
        """Refuse new calls, wait for writes that have left to end, and close the connections.

        Raises:
            ClientStateError: on another event loop than the client's.
        """
        await self._calls.aclose()

    async def __aenter__(self) -> Self:
        self._calls.check_state()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if not hasattr(self, "_username"):  # not initialized
            return "AsyncResellerClient()"
        return f"AsyncResellerClient(username={self._username!r}, base_url={self._base_url!r})"
