"""How does a queue pay each invoice at most once? A job carries the invoice's number as its key."""

from __future__ import annotations

import logging
from typing import Any

from procrastinate import App, BaseRetryStrategy, JobContext, PsycopgConnector, RetryDecision
from procrastinate.jobs import Job
from sqlalchemy import Column, Integer, MetaData, String, Table
from sqlalchemy.ext.asyncio import AsyncEngine

from clicksend_reseller import (
    APIConnectionError,
    Outcome,
    OutcomeUnknownError,
    Transfer,
    UnsettledTransferError,
)
from clicksend_reseller.journal import SQLJournal

app = App(connector=PsycopgConnector())  # where it connects, the program that opens it says
logger = logging.getLogger("payments")

metadata = MetaData()
invoices = Table(
    "invoice",
    metadata,
    Column("number", String, primary_key=True),
    Column("client_user_id", Integer, nullable=False),
    Column("amount", Integer, nullable=False),
)


class OnlyWhatWasNotSent(BaseRetryStrategy):
    """Run a job again where nothing had left, or another transfer was in the way."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        """Say when, and end at the tenth time."""
        unsent = isinstance(exception, APIConnectionError) and exception.outcome is Outcome.NOT_SENT
        waits = isinstance(exception, UnsettledTransferError)
        if not (unsent or waits) or job.attempts >= 10:
            return None
        return RetryDecision(retry_in={"seconds": 2**job.attempts})


@app.task(name="top_up", retry=OnlyWhatWasNotSent(), pass_context=True)
async def top_up(
    context: JobContext, *, invoice: str, client_user_id: int, amount: int, currency: str
) -> str:
    reseller = context.additional_context["reseller"]
    try:
        # The business's own number: a job's id would be another one after a second enqueuing.
        await reseller.transfer_credit(client_user_id, amount, currency, idempotency_key=invoice)
    except OutcomeUnknownError as error:
        logger.critical("somebody must look at invoice %s: %s", invoice, error)
        return "unknown"  # the job is done: nobody but a person can do more
    return "paid"


async def bill(
    engine: AsyncEngine, journal: SQLJournal, number: str, client_user_id: int, amount: int
) -> None:
    """Write invoice, intent and job in one transaction: all of them are there, or none."""
    values: dict[str, Any] = {"client_user_id": client_user_id, "amount": amount}
    transfer = Transfer(idempotency_key=number, currency="AUD", **values)
    async with engine.begin() as own:
        await own.execute(invoices.insert().values(number=number, **values))
        await journal.intend(transfer, connection=own)
        psycopg = (await own.get_raw_connection()).driver_connection
        job = top_up.configure(connection=psycopg)
        await job.defer_async(invoice=number, currency="AUD", **values)


async def retry_stalled(seconds: float = 30) -> int:
    """Queue the jobs of dead workers again; procrastinate's docs run this every few minutes."""
    stalled = list(await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=seconds))
    for job in stalled:
        await app.job_manager.retry_job(job)
    return len(stalled)
