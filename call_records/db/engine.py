"""How the database is spoken to: one place for its time limits and the size of the pool.

Apart from the store, so that a process that needs nothing but the database starts in a fraction of the time.
"""

from __future__ import annotations

from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from call_records.db import json_text

CONNECT_SECONDS = 5.0  # a database that takes longer is as good as away; the spool keeps what comes meanwhile
STATEMENT_SECONDS = 10.0  # the slowest page query at a million calls measured far below one second
LOCK_SECONDS = 5.0  # two writers of one call hold it for milliseconds
POOL_SIZE = 5
POOL_EXTRA = 10  # 50 people open pages at once; PostgreSQL's default allows 100 connections
POOL_WAIT_SECONDS = 5.0


def open_engine(address: URL) -> AsyncEngine:
    """A pool of connections; dispose of it."""
    return create_async_engine(
        address,
        pool_size=POOL_SIZE,
        max_overflow=POOL_EXTRA,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=True,  # 0.1 ms each; a restarted database costs nobody an error page
        json_serializer=json_text.dumps,
        hide_parameters=True,  # errors end up in logs; numbers and hashes must not
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": None,  # migrations may take minutes; the server bounds each statement
            "server_settings": {
                "application_name": "switchhook",
                "statement_timeout": f"{STATEMENT_SECONDS:.0f}s",
                "lock_timeout": f"{LOCK_SECONDS:.0f}s",
                "idle_in_transaction_session_timeout": "30s",
                "jit": "off",
                "timezone": "UTC",
            },
        },
    )
