"""Why deals were lost (loss reason): a word or two at the change of stage by which a deal was lost, so that the timeline
says it in its place. A deal that is opened again and lost once more is asked again.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from call_records.crm.deals.stage_moves import locked_deal, noticed
from call_records.db import json_text
from telephony.errors import PeerMistake

REASON_MOST = 300  # characters: a sentence; what is longer is a note
OFFERED = 8  # reasons that were given before
LOOKED_AT = 500  # changes of stage they are taken from

_LOSS = """
    SELECT id FROM timeline
    WHERE deal_id = :deal AND kind = 'stage' AND data -> 'to' ->> 'ends' = 'lost'
        AND (SELECT state FROM deals WHERE id = :deal) = 'lost'
    ORDER BY at DESC, id DESC LIMIT 1
"""
_READ = text(f"SELECT text FROM timeline WHERE id = ({_LOSS})").bindparams(  # noqa: S608 - our own text above
    bindparam("deal", type_=Uuid)
)
_WRITE = text(
    f"UPDATE timeline SET text = :reason WHERE id = ({_LOSS}) RETURNING id"  # noqa: S608 - our own text above
).bindparams(bindparam("deal", type_=Uuid), bindparam("reason", type_=Text))
_OFFER = text("""
    SELECT text FROM (
        SELECT text FROM timeline
        WHERE kind = 'stage' AND deal_id IN (
            SELECT id FROM deals WHERE state = 'lost' ORDER BY closed_at DESC LIMIT :looked_at
        ) AND data -> 'to' ->> 'ends' = 'lost' AND text <> ''
    ) AS given
    GROUP BY text ORDER BY count(*) DESC, text LIMIT :offered
""").bindparams(looked_at=LOOKED_AT, offered=OFFERED)


async def read_reason(connection: AsyncConnection, deal_id: UUID) -> str:
    """Why this deal was lost; empty where nobody said so, and of one that is not lost."""
    found: str | None = await connection.scalar(_READ, {"deal": deal_id})
    return found or ""


async def write_reason(connection: AsyncConnection, deal_id: UUID, reason: str) -> None:
    """Say it. Raises PeerMistake for a deal that is not lost."""
    reason = json_text.clean(reason).strip()
    if len(reason) > REASON_MOST:
        raise PeerMistake(
            "A reason may have {most} characters.",
            remedy="Write the rest as a note.",
            values={"most": REASON_MOST},
        )
    deal = await locked_deal(connection, deal_id)
    if (await connection.execute(_WRITE, {"deal": deal_id, "reason": reason or None})).first() is None:
        raise PeerMistake("This deal is not lost any more.", remedy="Load the page again.")
    await noticed(connection, deal_id, {deal.contact_id, deal.company_id})


async def offer_reasons(connection: AsyncConnection) -> Sequence[str]:
    """What was said most often of the deals lost last."""
    return (await connection.scalars(_OFFER)).all()
