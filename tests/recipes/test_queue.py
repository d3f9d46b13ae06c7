import asyncio
import importlib
import logging
import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
import pytest_asyncio
from procrastinate.jobs import Status
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from clicksend_reseller import KeyReusedError, RetryPolicy
from clicksend_reseller.journal import SQLJournal
from clicksend_reseller.journal import metadata as journal_metadata
from clicksend_reseller.sandbox import Sandbox
from support.heavy import rounds
from support.waiting import until

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "docs" / "examples" / "queue"


@pytest.fixture(scope="module")
def examples():
    """Import the examples, which import each other by file name."""
    sys.path.insert(0, str(EXAMPLES))
    yield importlib.import_module("payments"), importlib.import_module("worker")
    sys.path.remove(str(EXAMPLES))


def paid_to(sandbox, client_user_id):
    """Give what the ledger says a client got."""
    return [int(amount) for amount in sandbox.transfers_to(client_user_id)]


class Office:
    """PostgreSQL with the three sets of tables, and what bills are written with."""

    def __init__(self, database, engine, payments, worker):
        self.database = database
        self.engine = engine
        self.journal = SQLJournal(engine)
        self.payments = payments
        self.worker = worker

    async def bill(self, number, client_user_id, amount=5):
        await self.payments.bill(self.engine, self.journal, number, client_user_id, amount)

    async def work(self, client):
        """Run a worker until it has caught up, retries that wait included."""
        context = {"reseller": client}
        await self.payments.app.run_worker_async(
            wait=False, additional_context=context, install_signal_handlers=False
        )

    async def hurry(self):
        """Let what waits for another try wait no longer."""
        async with self.engine.begin() as own:
            await own.exec_driver_sql("UPDATE procrastinate_jobs SET scheduled_at = now()")

    async def jobs(self):
        """Count the jobs by status."""
        listed = await self.payments.app.job_manager.list_jobs_async()
        return dict(Counter(Status(job.status).value for job in listed))

    async def states(self):
        """Give the journal's word for each key."""
        return {entry.key: str(entry.state) async for entry in self.journal.entries()}


@pytest_asyncio.fixture
async def office(postgres, examples):
    """Make a database as migrations would."""
    payments, worker = examples
    database = postgres.url(postgres.new_database(), driver="psycopg")
    engine = create_async_engine(database)
    async with engine.begin() as own:
        await own.run_sync(journal_metadata.create_all)
        await own.run_sync(payments.metadata.create_all)
    with payments.app.replace_connector(worker.connector(database)):
        async with payments.app.open_async():
            await payments.app.schema_manager.apply_schema_async()
            office = Office(database, engine, payments, worker)
            async with office.journal:
                yield office
    await engine.dispose()


# --- one transaction


async def test_invoice_intent_and_job_are_one_transaction(office):
    """A number that is taken leaves nothing new behind, in any of the three tables."""
    await office.bill("invoice-1", 1001)
    with pytest.raises(IntegrityError, match="invoice_pkey"):
        await office.bill("invoice-1", 1002)
    async with office.engine.connect() as own:
        count = select(func.count()).select_from(office.payments.invoices)
        assert 1 == (await own.execute(count)).scalar_one()
    assert ({"invoice-1": "intended"}, {"todo": 1}) == (await office.states(), await office.jobs())


async def test_an_intent_that_is_refused_takes_the_invoice_and_the_job_with_it(office):
    """The journal knows the key for another amount, so nobody is billed."""
    await office.bill("invoice-1", 1001)
    async with office.engine.begin() as own:
        await own.execute(office.payments.invoices.delete())
    with pytest.raises(KeyReusedError, match="'invoice-1' is on record for"):
        await office.bill("invoice-1", 1001, amount=6)
    async with office.engine.connect() as own:
        rows = (await own.execute(select(office.payments.invoices))).all()
    assert ([], {"todo": 1}) == (rows, await office.jobs())


async def test_a_commit_that_fails_leaves_nothing(office):
    """The job is no exception: it is written on the connection of the others."""
    async with office.engine.begin() as own:
        await own.exec_driver_sql(
            "ALTER TABLE invoice ADD UNIQUE (client_user_id) DEFERRABLE INITIALLY DEFERRED"
        )
    await office.bill("invoice-1", 1001)
    with pytest.raises(IntegrityError):
        await office.bill("invoice-2", 1001)
    assert ({"invoice-1": "intended"}, {"todo": 1}) == (await office.states(), await office.jobs())


# --- how jobs end


async def test_a_job_pays_its_invoice(office):
    """The plain way."""
    sandbox = Sandbox()
    await office.bill("invoice-1", 1001)
    async with sandbox.client(journal=office.journal) as client:
        await office.work(client)
    assert ({"succeeded": 1}, [5]) == (await office.jobs(), paid_to(sandbox, 1001))
    assert {"invoice-1": "confirmed"} == await office.states()


async def test_a_lost_answer_ends_the_job_and_calls_somebody(office, caplog):
    """The job is not run again, because nothing but a person could do more."""
    sandbox = Sandbox()
    await office.bill("invoice-1", 1011)
    async with sandbox.client(journal=office.journal) as client:
        await office.work(client)
    assert ({"succeeded": 1}, [5]) == (await office.jobs(), paid_to(sandbox, 1011))
    assert {"invoice-1": "unknown"} == await office.states()
    (alert,) = [r for r in caplog.records if r.name == "payments" and r.levelno == logging.CRITICAL]
    assert alert.getMessage().startswith("somebody must look at invoice invoice-1: ")


async def test_a_job_that_sent_nothing_runs_again(office):
    """A refused connection is no reason to give up, and the key is the same."""
    sandbox = Sandbox()
    sandbox.fail("refuse", operation="transfer_credit")
    await office.bill("invoice-1", 1001)
    once = RetryPolicy(max_retries=0)
    async with sandbox.client(journal=office.journal, retry=once) as client:
        await office.work(client)
        assert ({"todo": 1}, ()) == (await office.jobs(), sandbox.ledger)
        await office.hurry()
        await office.work(client)
    assert ({"succeeded": 1}, [5]) == (await office.jobs(), paid_to(sandbox, 1001))


async def test_a_refusal_ends_the_job_at_once(office):
    """Nothing gets better by asking again: the job fails, and the reason is on record."""
    sandbox = Sandbox(credit="1")
    await office.bill("invoice-1", 1001)
    async with sandbox.client(journal=office.journal) as client:
        await office.work(client)
    assert ({"failed": 1}, ()) == (await office.jobs(), sandbox.ledger)
    assert {"invoice-1": "rejected"} == await office.states()


async def test_a_second_transfer_to_a_client_waits_and_gives_up_in_the_end(office):
    """While the first is unknown the second is not sent; ten tries are enough."""
    sandbox = Sandbox()
    for number in ("invoice-1", "invoice-2"):
        await office.bill(number, 1011)
    async with sandbox.client(journal=office.journal) as client:
        await office.work(client)
        assert {"succeeded": 1, "todo": 1} == await office.jobs()
        for _ in range(11):
            await office.hurry()
            await office.work(client)
    assert ({"succeeded": 1, "failed": 1}, [5]) == (
        await office.jobs(),
        paid_to(sandbox, 1011),
    )


# --- workers that are killed


class Workers:
    """Starts a worker at a time, and kills it when the ledger is as long as told."""

    def __init__(self, office, sandbox, served, *, with_key):
        self.sandbox = sandbox
        word = "with-key" if with_key else "without-key"
        self.command = [sys.executable, str(HERE / "queue_worker.py"), word]
        self.env = {**os.environ, **served.env, "DATABASE": office.database}

    async def run(self, *, until_ledger_has=None):
        """Give its exit status, or None where it had to be killed."""
        process = await asyncio.create_subprocess_exec(*self.command, env=self.env)

        def is_time():
            enough = until_ledger_has and len(self.sandbox.ledger) >= until_ledger_has
            return enough or process.returncode is not None

        await until(is_time, seconds=60)
        status = process.returncode
        if status is None:
            process.kill()
            await process.wait()
        return status


async def kill_and_go_on(office, *, with_key, jobs, kills):
    """Work off a queue with a worker that is killed at random points; give the sandbox's ledger."""
    points = sorted(random.Random(20261124).sample(range(1, jobs - 2), kills))
    sandbox = Sandbox(accounts=jobs + 12)
    sandbox.fail("slow", operation="transfer_credit", seconds=0.3, times=None)  # time to be killed
    clients = [1013 + n for n in range(jobs)]
    for client_user_id in clients:
        await office.bill(f"invoice-{client_user_id}", client_user_id)
    stalled = 0
    async with sandbox.serve() as served:
        workers = Workers(office, sandbox, served, with_key=with_key)
        for point in points:
            assert await workers.run(until_ledger_has=point) is None, "nothing left to kill"
            stalled += await office.payments.retry_stalled(0)
        assert 0 == await workers.run()
    assert stalled >= kills
    assert {"succeeded": jobs} == await office.jobs()
    return {each: len(paid_to(sandbox, each)) for each in clients}


@pytest.mark.heavy
async def test_with_the_key_a_killed_worker_never_pays_twice(office):
    """Stalled jobs are retried each time: each is paid once, or unknown and on record as such."""
    paid = await kill_and_go_on(office, with_key=True, jobs=rounds(8, 50), kills=rounds(1, 10))
    states = await office.states()
    assert {0, 1} >= set(paid.values())
    for client_user_id, times in paid.items():
        state = states[f"invoice-{client_user_id}"]
        assert state in ({"confirmed", "sent", "unknown"} if times else {"sent", "unknown"})
    assert "confirmed" in states.values()


@pytest.mark.heavy
async def test_without_the_key_the_same_queue_pays_twice(office):
    """The test above can fail: it is the key that keeps money, and not the queue."""
    paid = await kill_and_go_on(office, with_key=False, jobs=rounds(8, 50), kills=rounds(1, 10))
    assert max(paid.values()) >= 2


# --- the page


def test_the_page_shows_the_example():
    """What is read there is what is tested here, line by line."""
    page = (HERE.parents[1] / "docs" / "how-to" / "task-queue.md").read_text("utf-8")
    source = (EXAMPLES / "payments.py").read_text("utf-8")
    shown = source.partition("from __future__ import annotations\n\n")[2]
    assert f"```python\n{shown}```" in page
