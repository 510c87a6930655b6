"""Somebody filled in a form on the web site: they land where a caller lands, by the same rules and under the same lock.

What they wrote is on the timeline of whoever has this number or this e-mail address, or of what the rules have made of
them. Sent twice is taken once: the mark of what was sent is written in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import LargeBinary, Uuid

from call_records.crm.contacts.lookup import entry, find
from call_records.crm.last_contact import file_earlier_calls
from call_records.crm.lead_rules.apply import Asked, Made, Who, carry_out, decide, follow, rules_of
from call_records.crm.lead_rules.types import Verdict
from call_records.crm.types import ClientPhone
from call_records.crm.writes import Home, Told, lock_number, notice, tell
from telephony.lead_rules import Known, Outcome, Refusal, deciding

REPEAT_MINUTES = 10  # the same words again within them are a second click; later they are a second wish


@dataclass(frozen=True, slots=True)
class Submission:
    """What was sent, understood."""

    form_id: UUID
    form: str
    """The form's name."""
    digest: bytes
    """Of the sender's own id for it, else of what was sent."""
    by_id: bool
    """The sender named it: the same id is the same submission for good."""
    at: datetime
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    message: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """Everything that was sent, by the names of the form's fields."""
    campaign_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Filed:
    """What became of it. `client_id` None: nothing could be made of it, or it was taken before."""

    client_id: UUID | None
    repeated: bool = False
    refusal: Refusal | None = None


async def file_form(connection: AsyncConnection, sent: Submission, *, home: Home) -> Filed:
    """Take it, in the caller's transaction."""
    if not await _is_first(connection, sent):
        return Filed(None, repeated=True)
    phones = home.written(sent.phone) if sent.phone else ()
    key = next((one.key for one in phones if one.key), None)
    for each in sorted({one for one in (key, sent.email and f"mail:{sent.email}") if one}):
        await lock_number(connection, each)
    who = await _who(connection, key, sent.email)
    asked = Asked(
        number=sent.phone or "",
        key=key or sent.phone or "",  # what is no number is kept as it stands
        outcome=Outcome.FORM,
        at=sent.at,
        began_at=sent.at,
        name=sent.name,
        source="form",
        campaign_id=sent.campaign_id,
        emails=(sent.email,) if sent.email else (),
    )
    verdict = await _verdict(connection, asked, who, home)
    made = await carry_out(connection, asked, who, verdict, home=home)
    client_id = made.client_id or (who.entry.id if who.entry else None)
    if client_id is None:
        return Filed(None, refusal=verdict.refusal)
    if made.client_id is not None and key is not None:
        for missed_id in await file_earlier_calls(connection, client_id, [ClientPhone(asked.number, key)]):
            await notice(connection, "missed", missed_id)
    await _tell(connection, sent, client_id, made, who)
    await connection.execute(_FILED, {"form": sent.form_id, "digest": sent.digest, "client": client_id})
    return Filed(client_id)


async def _verdict(connection: AsyncConnection, asked: Asked, who: Who, home: Home) -> Verdict:
    """As for a call; but who mistyped their number still wrote to us, and is not lost for it."""
    verdict = await decide(connection, asked, who, home=home)
    if verdict.refusal is not Refusal.SHORT:
        return verdict
    line = deciding(await rules_of(connection), did=None, outcome=Outcome.FORM, known=Known.UNKNOWN)
    return await follow(connection, line, asked, who, home=home, hold=True) if line else verdict


async def _who(connection: AsyncConnection, key: str | None, email: str | None) -> Who:
    if key is not None:
        match = await find(connection, key)
        found = await entry(connection, match.chosen.id) if match.chosen else None
        if found is not None or match.known:
            return Who(found, several=found is None and match.known)
    if email is not None:
        client_id = await connection.scalar(_BY_EMAIL, {"email": [email]})
        if client_id is not None:
            return Who(await entry(connection, client_id))
    return Who()


async def _tell(connection: AsyncConnection, sent: Submission, client_id: UUID, made: Made, who: Who) -> None:
    deal_id = made.deal_id or (who.entry.deal_id if who.entry else None)
    data = {"form": sent.form, "form_id": str(sent.form_id), "fields": dict(sent.fields)}
    told = Told("form", sent.at, client_id, deal_id, text=sent.message, data=data)
    await tell(connection, told)
    await notice(connection, "client", client_id)
    if deal_id is not None:
        await notice(connection, "deal", deal_id)


async def _is_first(connection: AsyncConnection, sent: Submission) -> bool:
    """Whether it was not taken before. Two at once: the second waits here for the first."""
    await connection.execute(_FORGET, {"form": sent.form_id})
    asked = {"form": sent.form_id, "digest": sent.digest, "at": sent.at, "by_id": sent.by_id}
    first = await connection.scalar(_FIRST, {**asked, "minutes": REPEAT_MINUTES})
    return first is not None


_FORM = bindparam("form", type_=Uuid)
_DIGEST = bindparam("digest", type_=LargeBinary)
_FORGET = text("DELETE FROM form_posts WHERE form_id = :form AND at < now() - interval '1 day'").bindparams(
    _FORM
)
_FIRST = text("""
    INSERT INTO form_posts (form_id, digest, at) VALUES (:form, :digest, :at)
    ON CONFLICT (form_id, digest) DO UPDATE SET at = excluded.at
        WHERE NOT :by_id AND form_posts.at < excluded.at - make_interval(mins => :minutes)
    RETURNING 1
""").bindparams(_FORM, _DIGEST)
_FILED = text(
    "UPDATE form_posts SET client_id = :client WHERE form_id = :form AND digest = :digest"
).bindparams(_FORM, _DIGEST, bindparam("client", type_=Uuid))
_BY_EMAIL = text("""
    SELECT c.id FROM clients c
    WHERE c.emails @> CAST(:email AS text[]) AND c.merged_into IS NULL AND c.removed_at IS NULL
    ORDER BY (c.kind = 'contact') DESC, c.spoken_at DESC NULLS LAST, c.created_at, c.id LIMIT 1
""")
