"""A batch of an import goes into the book: what is there is found, every row decided, and all of it written at once.

One transaction, in which nobody else imports and nobody else makes anything for these numbers: two rows, a row and a
ringing stranger, or two imports at once never make one client twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Uuid, bindparam, insert, select, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import Text

from call_records.crm.bulk_insert import copy_rows
from call_records.crm.contacts.merge_tree import refresh_people_of, refresh_search
from call_records.crm.contacts.queries import IDS
from call_records.crm.imports.dry_run import Becoming, Decision, Known, PhoneKey, Plan, Row, by_name
from call_records.crm.last_contact import EARLIER_CALLS, tell_spoken
from call_records.crm.tables import client_phones, clients, import_changes, timeline
from call_records.crm.writes import BOOK_CHANNEL, digits_of, search_text
from call_records.db import json_text, locks
from telephony.contacts import ClientKind, LeadState, MatchRule
from telephony.numbers.numbers import Written

_TEXTS = ARRAY(Text)


@dataclass(frozen=True, slots=True)
class Writing:
    """For whom and from what is imported."""

    import_id: UUID
    file_name: str
    by: UUID | None
    at: datetime
    with_notes: bool


async def hold(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """Take turns with every other import, and with whoever makes something for one of these numbers."""
    await connection.execute(_TURN, {"lock": locks.IMPORTS})
    keys = sorted({phone.key for row in rows for phone in row.phones if phone.key})
    await connection.execute(_HOLD, {"keys": keys, "seed": locks.NUMBERS})


_TURN = text("SELECT pg_advisory_xact_lock(:lock)")
_HOLD = text("""
    SELECT count(pg_advisory_xact_lock(hashtextextended(key, :seed)))
    FROM (SELECT key FROM unnest(:keys) WITH ORDINALITY AS asked (key, place) ORDER BY place) AS in_order
""").bindparams(bindparam("keys", type_=_TEXTS))


# -- what is there --


async def known_of(
    connection: AsyncConnection, rows: Sequence[Row], *, import_id: UUID, with_notes: bool
) -> list[Known]:
    """Every entry that one of these rows could be, and every company they name."""
    named = {(row.kind.value, row.name) for row in rows if by_name(row)}
    named |= {(ClientKind.COMPANY.value, row.company) for row in rows if row.company}
    keys = list({phone.key for row in rows for phone in row.phones if phone.key})
    emails = list({email for row in rows for email in row.emails})
    near = set((await connection.scalars(_BY_KEY, {"keys": keys})).all()) if keys else set()
    if emails:
        await connection.execute(_SEQUENCES, {"on": "off"})
        near |= set((await connection.scalars(_BY_EMAIL, {"emails": emails})).all())
        await connection.execute(_SEQUENCES, {"on": "on"})
    for kind in sorted({kind for kind, _name in named}):
        lowered = await connection.scalars(_LOWER, {"names": [name for one, name in named if one == kind]})
        near |= set((await connection.scalars(_BY_NAME, {"kind": kind, "names": lowered.all()})).all())
    ids = await _as_they_stand(connection, near)
    return await _read_known(connection, ids, import_id=import_id, with_notes=with_notes)


async def _read_known(
    connection: AsyncConnection, ids: list[UUID], *, import_id: UUID, with_notes: bool
) -> list[Known]:
    """What a decision needs of these entries, and no more: most of them are companies, read again for every piece."""
    if not ids:
        return []
    phones: dict[UUID, set[PhoneKey]] = {}
    for root, key, extension in await connection.execute(_PHONES, {"ids": ids}):
        phones.setdefault(root, set()).add((key, extension))
    notes: dict[UUID, set[str]] = {}
    if with_notes:
        for client_id, note in await connection.execute(_NOTES, {"ids": ids}):
            notes.setdefault(client_id, set()).add(note)
    return [
        Known(
            id=row.id,
            kind=ClientKind(row.kind),
            name=row.name,
            phones=phones.get(row.id, set()),
            emails={email.lower() for email in row.emails},
            tags={tag.casefold() for tag in row.tags},
            facts=set(row.facts),
            notes=notes.get(row.id, set()),
            has_company=row.has_company,
            has_position=row.has_position,
            has_owner=row.has_owner,
            made_here=row.made_here,
        )
        for row in await connection.execute(_KNOWN, {"ids": ids, "import": import_id})
    ]


async def _as_they_stand(connection: AsyncConnection, near: set[UUID]) -> list[UUID]:
    """Where merging and converting have led to; removed ones are left out."""
    found: set[UUID] = set()
    for _step in range(STEPS_MOST):
        if not near:
            break
        rows = (await connection.execute(_LED_TO, {"ids": list(near)})).all()
        found |= {row.id for row in rows if row.next is None and row.removed_at is None}
        near = {row.next for row in rows} - {None}
    return sorted(found)


_KNOWN = text("""
    SELECT id, kind, name, emails, tags, ARRAY(SELECT jsonb_object_keys(fields)) AS facts,
        company_id IS NOT NULL AS has_company, position IS NOT NULL AS has_position, owner_id IS NOT NULL AS has_owner,
        import_id IS NOT DISTINCT FROM :import AS made_here
    FROM clients WHERE id = ANY(:ids)
""").bindparams(IDS, bindparam("import", type_=Uuid))
_PHONES = text("""
    SELECT family.root, coalesce(nullif(p.key, ''), p.raw), p.extension
    FROM (
        SELECT id AS root, id FROM clients WHERE id = ANY(:ids)
        UNION ALL
        SELECT merged_into, id FROM clients WHERE merged_into = ANY(:ids)
    ) AS family
    JOIN client_phones p ON p.client_id = family.id
""").bindparams(IDS)
_NOTES = text(
    "SELECT client_id, text FROM timeline WHERE client_id = ANY(:ids) AND kind = 'note'"
).bindparams(IDS)
_LED_TO = text("""
    SELECT id, coalesce(merged_into, became_id) AS next, removed_at FROM clients WHERE id = ANY(:ids)
""").bindparams(IDS)
STEPS_MOST = 8  # merged, converted, merged again; nobody does it oftener
_BY_KEY = text("SELECT client_id FROM client_phones WHERE key = ANY(:keys)").bindparams(
    bindparam("keys", type_=_TEXTS)
)
_BY_EMAIL = text("""
    SELECT c.id FROM unnest(:emails) AS asked (email) JOIN clients c ON c.emails @> ARRAY[asked.email]
""").bindparams(bindparam("emails", type_=_TEXTS))
_SEQUENCES = text("SELECT set_config('enable_seqscan', :on, true)")
"""For a thousand addresses the planner would rather read the whole book and compare each with each."""
_LOWER = text("SELECT lower(name) FROM unnest(:names) AS asked (name)").bindparams(
    bindparam("names", type_=_TEXTS)
)
"""As the database spells it, which depends on its locale and is not always what Python says."""
_BY_NAME = text("""
    SELECT id FROM clients
    WHERE kind = :kind AND lower(name) = ANY(:names) AND merged_into IS NULL AND removed_at IS NULL
""").bindparams(bindparam("names", type_=_TEXTS))


# -- writing --


async def write(
    connection: AsyncConnection, writing: Writing, plan: Plan, decisions: Sequence[Decision]
) -> None:
    """Carry out what was decided."""
    fresh = [one for one in decisions if one.what is Becoming.NEW]
    await _insert_companies(connection, writing, plan.companies)
    await _insert_fresh(connection, writing, fresh)
    await _complete(connection, writing, [one for one in decisions if one.what is Becoming.COMPLETES])
    await _tell(connection, writing, plan.companies, decisions)
    await _file_earlier_calls(connection, decisions)
    await connection.execute(_NOTICE, {"channel": BOOK_CHANNEL})


_NOTICE = text("SELECT pg_notify(:channel, 'all')")
"""One notice for the batch: whoever shows the book reads again."""


def _client_row(writing: Writing, entry: Known, name: str, search: str, **more: Any) -> dict[str, Any]:
    return {
        "id": entry.id,
        "kind": entry.kind.value,
        "name": name,
        "company_id": None,
        "position": None,
        "owner_id": None,
        "emails": [],
        "tags": [],
        "fields": {},
        "state": LeadState.OPEN.value if entry.kind is ClientKind.LEAD else None,
        "source": "import",
        "import_id": writing.import_id,
        "search": search,
        "created_by": writing.by,
        "created_at": writing.at,
        "updated_at": writing.at,
        **more,
    }


async def _insert_companies(connection: AsyncConnection, writing: Writing, made: Sequence[Known]) -> None:
    rows = [_client_row(writing, one, one.name, search_text(one.name, None, (), (), ())) for one in made]
    await copy_rows(connection, clients, rows)


async def _insert_fresh(connection: AsyncConnection, writing: Writing, fresh: Sequence[Decision]) -> None:
    rows = [
        _client_row(
            writing,
            _entry(one),
            one.row.name,
            search_text(
                one.row.name,
                one.company.name if one.company else None,
                one.emails,
                one.tags,
                (phone.key for phone in one.phones),
            ),
            company_id=one.company.id if one.company else None,
            position=one.position,
            owner_id=one.owner_id,
            emails=list(one.emails),
            tags=list(one.tags),
            fields=dict(one.facts),
        )
        for one in sorted(fresh, key=lambda one: one.row.kind is not ClientKind.COMPANY)
    ]
    phones = [
        _phone_row(_entry(one).id, place, phone) for one in fresh for place, phone in enumerate(one.phones)
    ]
    await copy_rows(connection, clients, rows)
    await copy_rows(connection, client_phones, phones)


def _entry(decision: Decision) -> Known:
    if decision.entry is None:
        raise ValueError("a decision to write without an entry")
    return decision.entry


def _phone_row(client_id: UUID, place: int, phone: Written) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "place": place,
        "raw": json_text.clean(phone.raw),
        "key": phone.key,
        "last10": phone.last10,
        "reversed": digits_of(phone.key)[::-1] if phone.key else None,
        "extension": phone.extension,
        "label": None,
    }


async def _complete(connection: AsyncConnection, writing: Writing, given: Sequence[Decision]) -> None:
    if not given:
        return
    ids = [_entry(one).id for one in given]
    held = (
        select(clients.c.id, clients.c.name).where(clients.c.id.in_(sorted(set(ids)))).order_by(clients.c.id)
    )
    names = {row.id: row.name for row in await connection.execute(held.with_for_update(key_share=True))}
    await connection.execute(_COMPLETE, [_completion(writing, one) for one in given])
    phones = [{**_phone_row(_entry(one).id, 0, phone)} for one in given for phone in one.phones]
    if phones:
        await connection.execute(_ADD_PHONE, phones)
    there = [one for one in given if not _entry(one).made_here]
    changes = [
        {
            "import_id": writing.import_id,
            "row": one.row.number,
            "client_id": _entry(one).id,
            "added": _added(one, names.get(_entry(one).id)),
        }
        for one in there
    ]
    if changes:
        await connection.execute(insert(import_changes), changes)
    await refresh_search(connection, sorted(set(ids)))
    for one in given:
        if one.name and _entry(one).kind is ClientKind.COMPANY:
            await refresh_people_of(connection, _entry(one).id)


_COMPLETE = text("""
    UPDATE clients SET
        name = coalesce(:name, name), emails = emails || :emails, tags = tags || :tags,
        fields = :facts || fields, company_id = coalesce(company_id, :company),
        position = coalesce(position, :position), owner_id = coalesce(owner_id, :owner),
        updated_at = greatest(updated_at, :at), version = version + :by_others
    WHERE id = :id
""").bindparams(
    bindparam("name", type_=Text()),
    bindparam("emails", type_=_TEXTS),
    bindparam("tags", type_=_TEXTS),
    bindparam("facts", type_=JSONB),
    bindparam("company", type_=Uuid),
    bindparam("position", type_=Text()),
    bindparam("owner", type_=Uuid),
    bindparam("id", type_=Uuid),
)
_ADD_PHONE = text("""
    INSERT INTO client_phones (client_id, place, raw, key, last10, reversed, extension, label)
    SELECT :client_id, :place + coalesce(max(place) + 1, 0), :raw, :key, :last10, :reversed, :extension, :label
    FROM client_phones WHERE client_id = :client_id
""").bindparams(
    bindparam("client_id", type_=Uuid),
    *(bindparam(name, type_=Text()) for name in ("raw", "key", "last10", "reversed", "extension", "label")),
)


def _completion(writing: Writing, one: Decision) -> dict[str, Any]:
    entry = _entry(one)
    return {
        "id": entry.id,
        "name": one.name,
        "emails": list(one.emails),
        "tags": list(one.tags),
        "facts": dict(one.facts),
        "company": one.company.id if one.company else None,
        "position": one.position,
        "owner": one.owner_id,
        "at": writing.at,
        "by_others": 0 if entry.made_here else 1,
    }


def _added(one: Decision, name: str | None) -> dict[str, Any]:
    """What was added, as `import_changes` keeps it."""
    return {
        "phones": [[phone.key, json_text.clean(phone.raw), phone.extension] for phone in one.phones],
        "emails": list(one.emails),
        "tags": list(one.tags),
        "facts": dict(one.facts),
        "name": [name, one.name] if one.name else None,
        "company": str(one.company.id) if one.company else None,
        "position": one.position,
        "owner": str(one.owner_id) if one.owner_id else None,
    }


async def _tell(
    connection: AsyncConnection, writing: Writing, companies: Sequence[Known], decisions: Sequence[Decision]
) -> None:
    """Made, completed, noted: each on the entry's own timeline."""
    mark = {"import": str(writing.import_id)}

    def told(kind: str, client_id: UUID, data: Mapping[str, Any], note: str | None = None) -> dict[str, Any]:
        return {
            "id": uuid4(),
            "client_id": client_id,
            "kind": kind,
            "at": writing.at,
            "account_id": writing.by,
            "text": note,
            "data": {**mark, **data},
        }

    made = [one.id for one in companies]
    made += [_entry(one).id for one in decisions if one.what is Becoming.NEW]
    rows = [told("made", one, {"source": "import"}) for one in made]
    rows += [
        told("changed", _entry(one).id, {"what": "import", "from": None, "to": writing.file_name})
        for one in decisions
        if one.what is Becoming.COMPLETES and not _entry(one).made_here
    ]
    rows += [told("note", _entry(one).id, {}, one.note) for one in decisions if one.note and one.entry]
    await copy_rows(connection, timeline, rows)


async def _file_earlier_calls(connection: AsyncConnection, decisions: Iterable[Decision]) -> None:
    """Calls with these numbers that are on no timeline take their place; so does what is owed to them."""
    asked = [
        (_entry(one).id, phone.key, phone.raw)
        for one in decisions
        if one.entry is not None
        for phone in one.phones
        if phone.key
    ]
    if not asked:
        return
    lists = {
        "ids": [one for one, _key, _raw in asked],
        "keys": [key for _id, key, _raw in asked],
        "raws": [json_text.clean(raw) for _id, _key, raw in asked],
        "tails": [digits_of(key)[-10:] for _id, key, _raw in asked],
    }
    touched = (await connection.scalars(_EARLIER, lists)).all()
    if touched:
        await tell_spoken(connection, touched)
    await connection.execute(_MISSED, {"ids": lists["ids"], "keys": lists["keys"]})


_EARLIER = text("""
    INSERT INTO timeline (id, client_id, kind, at, call_id, data)
    SELECT gen_random_uuid(), asked.id, 'call', c.started_at, c.id, jsonb_build_object(
        'key', asked.key, 'rule', CAST(:rule AS text), 'field', 'phone',
        'written', asked.raw, 'asked', c.outside_number, 'others', '[]'::jsonb, 'by_hand', false, 'earlier', true)
    FROM unnest(:ids, :keys, :raws, :tails) AS asked (id, key, raw, tail)
    CROSS JOIN LATERAL (
        SELECT c.* FROM calls c
        WHERE c.outside_last10 = asked.tail AND (c.outside_number = asked.key OR c.outside_number NOT LIKE '+%')
            AND NOT EXISTS (SELECT 1 FROM timeline t WHERE t.call_id = c.id AND t.kind = 'call')
        ORDER BY c.started_at DESC, c.id DESC LIMIT :most
    ) AS c
    ON CONFLICT (call_id) WHERE kind = 'call' DO NOTHING
    RETURNING client_id
""").bindparams(
    bindparam("ids", type_=ARRAY(Uuid)),
    bindparam("keys", type_=_TEXTS),
    bindparam("raws", type_=_TEXTS),
    bindparam("tails", type_=_TEXTS),
    bindparam("rule", MatchRule.ONLY.value),
    bindparam("most", EARLIER_CALLS),
)
_MISSED = text("""
    UPDATE missed SET client_id = asked.id
    FROM unnest(:ids, :keys) AS asked (id, key)
    WHERE missed.key = asked.key AND missed.state IN ('new', 'claimed') AND missed.client_id IS NULL
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)), bindparam("keys", type_=_TEXTS))
