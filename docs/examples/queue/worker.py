"""How is a worker run? One client for the process, one journal, and the jobs as they come.

DATABASE is a URL such as postgresql+psycopg://user@host/database; the account is the environment's.
"""

from __future__ import annotations

import asyncio
import os

from payments import app
from procrastinate import PsycopgConnector
from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from clicksend_reseller import AsyncResellerClient
from clicksend_reseller.journal import SQLJournal


def connector(database: str) -> PsycopgConnector:
    """Lead procrastinate to the database that SQLAlchemy's URL names."""
    url = make_url(database).set(drivername="postgresql")
    return PsycopgConnector(conninfo=url.render_as_string(hide_password=False))


async def main(database: str) -> None:
    journal = SQLJournal(create_async_engine(database))  # its table is the migrations' to make
    client = AsyncResellerClient(journal=journal)
    with app.replace_connector(connector(database)):
        async with app.open_async(), journal, client:
            await app.run_worker_async(concurrency=5, additional_context={"reseller": client})


if __name__ == "__main__":
    asyncio.run(main(os.environ["DATABASE"]))
