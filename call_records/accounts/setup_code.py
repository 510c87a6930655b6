"""The one-time code for the first administrator, kept in the database: with several web processes each takes the same
one, whichever of them is asked. It is worth nothing once there is an administrator.
"""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.crm.tables import office
from call_records.db.errors import plain_errors
from telephony.errors import OurMistake

KEY = "setup_code"
"""In the office's values: {"code": "…"}."""


async def share_setup_code(engine: AsyncEngine, proposed: str) -> tuple[str, bool]:
    """The code that holds for all processes, and whether it is the proposed one."""
    own = insert(office).values(key=KEY, value={"code": proposed}).on_conflict_do_nothing()
    with plain_errors():
        async with engine.begin() as connection:
            await connection.execute(own)
            kept = await connection.scalar(select(office.c.value).where(office.c.key == KEY))
    code = kept.get("code") if isinstance(kept, dict) else None
    if not isinstance(code, str):
        raise OurMistake("The setup code in the database is not one.")
    return code, code == proposed


async def forget_setup_code(engine: AsyncEngine) -> None:
    """There is an administrator."""
    with plain_errors():
        async with engine.begin() as connection:
            await connection.execute(delete(office).where(office.c.key == KEY))
