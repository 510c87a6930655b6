"""The writes that several features of the book share, each within the caller's own transaction.

Whatever is made here is told on the timeline in the same transaction, and every change is noticed at commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from call_records.crm.tables import client_phones, clients, tasks, timeline
from call_records.crm.transliteration import spelled
from call_records.crm.types import NewClient, NewTask
from call_records.db import json_text, locks
from telephony.contacts import ClientKind, LeadState
from telephony.errors import PeerMistake
from telephony.numbers.numbers import Written, is_recognised, is_withheld, written

BOOK_CHANNEL = "switchhook_book"
"""NOTIFY channel: the payload is `client ID`, `call ID`, `deal ID` or `missed ID`, for the reader that keeps pages and cards
right. A notice says only that there is something to read again."""
NAME_MOST = 300  # characters; a name from a CSV file may be a novel


@dataclass(frozen=True, slots=True)
class Home:
    """How numbers are written in this office."""

    region: str = "RU"
    area_code: str = ""
    outside_prefix: str = ""
    zone: str = "UTC"
    """The clock on the office's wall (IANA name), where its working hours do not say another one."""

    def in_country(self, region: str) -> Home:
        """For a list that was written in that country; empty: here. Another one has neither our area code nor our prefix."""
        if region in ("", self.region):
            return self
        return replace(self, region=region, area_code="", outside_prefix="")

    def written(self, text: str) -> tuple[Written, ...]:
        """The numbers in a field, in order."""
        return written(text, self.region, self.area_code, self.outside_prefix)


def phones_of(texts: Iterable[str], home: Home) -> list[Written]:
    """The numbers in these fields, in order, each once. A text without any is not kept as one."""
    return each_phone_once(one for each in texts for one in recognised_phones(each, home))


def recognised_phones(text: str, home: Home) -> list[Written]:
    """The numbers in one field, in order."""
    return [one for one in home.written(text) if is_recognised(one)] if text.strip() else []


def each_phone_once(phones: Iterable[Written]) -> list[Written]:
    """The same numbers without repetitions."""
    told = list(phones)
    return list({(one.key or one.raw, one.extension): one for one in reversed(told)}.values())[::-1]


def check_phones(texts: Iterable[str], home: Home) -> None:
    """Raises PeerMistake for a field with something in it and no number: nobody looks for it among the numbers."""
    for typed in texts:
        if typed.strip() and not is_withheld(typed) and not any(map(is_recognised, home.written(typed))):
            raise PeerMistake(
                "No number recognised in “{typed}”.",
                remedy="Write at least three digits, or put it into the notes.",
                values={"typed": typed.strip()[:60]},
            )


def search_text(
    name: str, company: str | None, emails: Sequence[str], tags: Sequence[str], keys: Iterable[str | None]
) -> str:
    """What a typed word is looked for in; it begins and ends with a space, so that ends of words can be asked for."""
    digits = (digits_of(key) for key in keys if key)
    return f" {spelled(' '.join(part for part in (name, company or '', *emails, *tags, *digits) if part))} "


def digits_of(key: str) -> str:
    """The digits of what a number is known by."""
    bare = key.removeprefix("+")
    return bare if bare.isdecimal() else "".join(char for char in key if char.isdigit())


def kept_name(name: str) -> str:
    """A name as it is kept: single spaces, and no novel."""
    return " ".join(json_text.clean(name).split())[:NAME_MOST]


def kept_emails(emails: Iterable[str]) -> tuple[str, ...]:
    """Without blanks, in small letters (two spellings of one address are one address), each once."""
    return kept_words(one.lower() for one in emails)


def kept_words(words: Iterable[str]) -> tuple[str, ...]:
    """Tags and the like: without blanks, each once."""
    return tuple(dict.fromkeys(one for one in (json_text.clean(each.strip()) for each in words) if one))


def _labels(new: NewClient, phones: Sequence[Written], home: Home) -> list[str | None]:
    """Of each number that was read, the label of the text it was in."""
    labels: dict[tuple[str, str | None], str | None] = {}
    for place, each in enumerate(new.phones):
        for one in phones_of([each], home):
            labels.setdefault(
                (one.key or one.raw, one.extension), (*new.labels, None)[min(place, len(new.labels))]
            )
    return [labels.get((one.key or one.raw, one.extension)) for one in phones]


async def insert_client(
    connection: AsyncConnection, new: NewClient, *, home: Home, by: UUID | None, at: datetime
) -> UUID:
    """A new entry with its phones, told on its own timeline."""
    client_id = uuid4()
    phones = phones_of(new.phones, home)
    company = None
    if new.company_id is not None:
        # Shared until commit: whoever renames the company afterwards finds this entry among its people.
        company = await connection.scalar(
            select(clients.c.name).where(clients.c.id == new.company_id).with_for_update(read=True)
        )
    await connection.execute(
        insert(clients).values(
            id=client_id,
            kind=new.kind.value,
            name=kept_name(new.name),
            company_id=new.company_id,
            position=json_text.clean(new.position) if new.position else None,
            owner_id=new.owner_id,
            emails=list(kept_emails(new.emails)),
            tags=list(kept_words(new.tags)),
            fields=dict(new.fields),
            state=LeadState.OPEN.value if new.kind is ClientKind.LEAD else None,
            source=new.source,
            campaign_id=new.campaign_id,
            import_id=new.import_id,
            search=search_text(new.name, company, new.emails, new.tags, (one.key for one in phones)),
            created_by=by,
            created_at=at,
            updated_at=at,
        )
    )
    await put_phones(connection, client_id, phones, _labels(new, phones, home))
    await tell(connection, Told("made", at, client_id=client_id, account_id=by, data={"source": new.source}))
    await notice(connection, "client", client_id)
    return client_id


async def put_phones(
    connection: AsyncConnection,
    client_id: UUID,
    phones: Sequence[Written],
    labels: Sequence[str | None] = (),
) -> None:
    """Exactly these numbers are the client's."""
    await connection.execute(delete(client_phones).where(client_phones.c.client_id == client_id))
    rows = [
        {
            "client_id": client_id,
            "place": place,
            "raw": json_text.clean(one.raw),
            "key": one.key,
            "last10": one.last10,
            "reversed": "".join(char for char in one.key if char.isdigit())[::-1] if one.key else None,
            "extension": one.extension,
            "label": labels[place] if place < len(labels) else None,
        }
        for place, one in enumerate(phones)
    ]
    if rows:
        await connection.execute(insert(client_phones), rows)


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened, as it goes on the timeline."""

    kind: str
    at: datetime
    client_id: UUID | None = None
    deal_id: UUID | None = None
    call_id: UUID | None = None
    task_id: UUID | None = None
    account_id: UUID | None = None
    text: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


async def tell(connection: AsyncConnection, what: Told) -> UUID:
    """One more entry of a timeline."""
    entry_id = uuid4()
    await connection.execute(
        insert(timeline).values(
            id=entry_id,
            client_id=what.client_id,
            deal_id=what.deal_id,
            kind=what.kind,
            at=what.at,
            call_id=what.call_id,
            task_id=what.task_id,
            account_id=what.account_id,
            text=None if what.text is None else json_text.clean(what.text),
            data=dict(what.data),
        )
    )
    return entry_id


async def insert_task(connection: AsyncConnection, new: NewTask, *, by: UUID | None, at: datetime) -> UUID:
    """A new task, told on the timeline of its client or deal."""
    task_id = uuid4()
    await connection.execute(
        insert(tasks).values(
            id=task_id,
            text=json_text.clean(new.text),
            due_at=new.due_at,
            client_id=new.client_id,
            deal_id=new.deal_id,
            call_id=new.call_id,
            owner_id=new.owner_id,
            created_by=by,
            created_at=at,
        )
    )
    told = Told(
        "task",
        at,
        client_id=new.client_id,
        deal_id=new.deal_id,
        task_id=task_id,
        account_id=by,
        text=new.text,
    )
    await tell(connection, told)
    return task_id


async def touch(connection: AsyncConnection, client_id: UUID, at: datetime) -> None:
    """The entry was changed: it comes first in the list, and whoever edits an older version is told so."""
    await connection.execute(
        update(clients)
        .where(clients.c.id == client_id)
        .values(updated_at=func.greatest(clients.c.updated_at, at), version=clients.c.version + 1)
    )
    await notice(connection, "client", client_id)


async def notice(connection: AsyncConnection, what: str, which: UUID) -> None:
    """Delivered at commit. `what` is client, call, deal or missed."""
    await connection.execute(_NOTIFY, {"channel": BOOK_CHANNEL, "payload": f"{what} {which}"})


_NOTIFY = text("SELECT pg_notify(:channel, :payload)")


async def lock_number(connection: AsyncConnection, key: str) -> None:
    """Whoever makes something for this number takes turns, over all processes, until the transaction ends."""
    await connection.execute(_LOCK, {"key": key, "seed": locks.NUMBERS})


_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, :seed))")

MOVES_WITH_THE_CALL = (
    """
    DELETE FROM timeline WHERE call_id = :old AND kind = 'call'
        AND EXISTS (SELECT 1 FROM timeline t WHERE t.call_id = :new AND t.kind = 'call')
    """,
    "UPDATE timeline SET call_id = :new WHERE call_id = :old",
    """
    DELETE FROM missed_calls WHERE call_id = :old
        AND EXISTS (SELECT 1 FROM missed_calls m WHERE m.call_id = :new)
    """,
    "UPDATE missed_calls SET call_id = :new WHERE call_id = :old",
    "UPDATE missed SET last_call_id = :new WHERE last_call_id = :old",
    "UPDATE missed SET closed_call_id = :new WHERE closed_call_id = :old",
    "UPDATE tasks SET call_id = :new WHERE call_id = :old",
    """
    DELETE FROM call_rulings WHERE call_id = :old
        AND EXISTS (SELECT 1 FROM call_rulings r WHERE r.call_id = :new)
    """,
    "UPDATE call_rulings SET call_id = :new WHERE call_id = :old",
)
"""When two calls turn out to be one: it keeps one place on a timeline, the survivor's if it has one."""
