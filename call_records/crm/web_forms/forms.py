"""Forms of the web site: each has a name, a token of its own, and says what came by it and what was refused.

A token is shown once and kept only as its hash. A form that is switched off is as if it had never been.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from sqlalchemy import bindparam, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import Uuid

from call_records.crm.tables import campaigns, web_forms
from call_records.crm.web_forms.submissions import Filed, Submission, file_form
from call_records.crm.writes import Home
from call_records.db import json_text
from call_records.db.errors import plain_errors
from telephony.edit_version import check_edit_version, edit_version
from telephony.errors import PeerMistake, read_together

NAME_MOST = 120  # characters
ORIGINS_MOST = 20
FIELDS_MOST = 40
TAKEN = "taken"


@dataclass(frozen=True, slots=True)
class WebForm:
    """A form of the site."""

    id: UUID
    name: str
    secret: str | None
    """Signs what the site's own server sends; None where browsers send it."""
    mapping: Mapping[str, str]
    """Name of the form's field to ours: name, phone, email, message. What is not named is guessed."""
    origins: tuple[str, ...]
    """`https://example.com`: whose pages may send it."""
    campaign_id: UUID | None
    campaign: str | None
    active: bool
    created_at: datetime
    counts: Mapping[str, int]
    """taken, repeated, and each reason why something was refused."""

    @property
    def edit_version(self) -> str:
        """Of what a person changes in it."""
        return edit_version((self.name, sorted(self.origins), self.mapping, self.campaign_id))


class WebForms:
    """The forms, as pages keep them and the public address uses them."""

    def __init__(self, engine: AsyncEngine, home: Home) -> None:
        self._engine = engine
        self._home = home
        self._uncounted: dict[UUID, Counter[str]] = {}

    async def all(self) -> Sequence[WebForm]:
        """Those that are on first, the newest first."""
        return await self._some()

    async def one(self, form_id: UUID) -> WebForm | None:
        """The form."""
        return next(iter(await self._some(web_forms.c.id == form_id)), None)

    async def find(self, token_hash: bytes) -> WebForm | None:
        """Whose token it is, switched on or off."""
        return next(iter(await self._some(web_forms.c.token_hash == token_hash)), None)

    async def _some(self, where: Any = None) -> Sequence[WebForm]:
        asked = select(web_forms, campaigns.c.name.label("campaign")).outerjoin(
            campaigns, campaigns.c.id == web_forms.c.campaign_id
        )
        if where is not None:
            asked = asked.where(where)
        ordered = asked.order_by(web_forms.c.active.desc(), web_forms.c.created_at.desc(), web_forms.c.id)
        with plain_errors():
            async with self._engine.connect() as connection:
                return [_form(row) for row in await connection.execute(ordered)]

    async def add(
        self,
        *,
        name: str,
        token_hash: bytes,
        secret: str | None,
        origins: Sequence[str],
        mapping: Mapping[str, str],
        campaign_id: UUID | None,
    ) -> UUID:
        """A new form, switched on. Raises PeerMistake for a name or an origin that is none."""
        form_id = uuid4()
        values = _values(name, origins, mapping, campaign_id, signed=secret is not None)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    insert(web_forms).values(id=form_id, token_hash=token_hash, secret=secret, **values)
                )
        return form_id

    async def change(
        self,
        form: WebForm,
        *,
        name: str,
        origins: Sequence[str],
        mapping: Mapping[str, str],
        campaign_id: UUID | None,
        seen: str | None = None,
    ) -> None:
        """Other words; token and secret stay. Raises PeerMistake as `add`, ChangedMeanwhile unless its edit version is
        still `seen`.
        """
        values = _values(name, origins, mapping, campaign_id, signed=form.secret is not None)
        with plain_errors():
            async with self._engine.begin() as connection:
                kept = (
                    await connection.execute(
                        select(web_forms).where(web_forms.c.id == form.id).with_for_update()
                    )
                ).one()
                present = (kept.name, sorted(kept.origins), kept.mapping, kept.campaign_id)
                check_edit_version(edit_version(present), seen)
                await connection.execute(update(web_forms).where(web_forms.c.id == form.id).values(**values))

    async def switch(self, form_id: UUID, *, active: bool) -> None:
        """On or off. What came by it stays."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(
                    update(web_forms).where(web_forms.c.id == form_id).values(active=active)
                )

    async def take(self, sent: Submission) -> Filed:
        """File it and count it."""
        with plain_errors():
            async with self._engine.begin() as connection:
                filed = await file_form(connection, sent, home=self._home)
                what = (
                    "repeated"
                    if filed.repeated
                    else TAKEN
                    if filed.client_id
                    else f"rules_{filed.refusal or 'none'}"
                )
                await self._count(connection, sent.form_id, what)
        return filed

    async def count(self, form_id: UUID, what: str) -> None:
        """One more that was refused for that reason."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await self._count(connection, form_id, what)

    def count_later(self, form_id: UUID, what: str) -> None:
        """The same without asking the database now: a flood must not be a flood of writes. Kept with the next count."""
        self._uncounted.setdefault(form_id, Counter())[what] += 1

    async def _count(self, connection: AsyncConnection, form_id: UUID, what: str) -> None:
        counted = self._uncounted.pop(form_id, Counter())
        counted[what] += 1
        for reason, times in counted.items():
            await connection.execute(_COUNT, {"id": form_id, "what": reason, "times": times})


_COUNT = text("""
    UPDATE web_forms SET counts = jsonb_set(counts, ARRAY[CAST(:what AS text)],
        to_jsonb(coalesce(CAST(counts->>CAST(:what AS text) AS integer), 0) + :times))
    WHERE id = :id
""").bindparams(bindparam("id", type_=Uuid))


_HOST = re.compile(r"[a-z0-9._:-]+")


def _values(
    name: str, origins: Sequence[str], mapping: Mapping[str, str], campaign_id: UUID | None, *, signed: bool
) -> dict[str, Any]:
    read = read_together(name=lambda: _name(name), origins=lambda: _origins(origins, signed=signed))
    fields = {
        json_text.clean(ours): json_text.clean(theirs) for ours, theirs in list(mapping.items())[:FIELDS_MOST]
    }
    return read | {"mapping": fields, "campaign_id": campaign_id}


def _name(typed: str) -> str:
    kept = json_text.clean(" ".join(typed.split())[:NAME_MOST])
    if not kept:
        raise PeerMistake(
            "A form needs a name.", remedy="Write one that people will know it by.", field="name"
        )
    return kept


def _origins(typed: Sequence[str], *, signed: bool) -> list[str]:
    allowed = list(dict.fromkeys(origin_of(one) for one in typed if one.strip()))[:ORIGINS_MOST]
    if not allowed and not signed:
        raise PeerMistake(
            "Nobody could send this form.",
            remedy="Write the address of the site whose pages have it, or let it be signed by the site's server.",
            field="origins",
        )
    return allowed


def origin_of(typed: str) -> str:
    """`https://example.com` of any address on that site. Raises PeerMistake when it is none."""
    address = typed.strip() if "://" in typed else f"https://{typed.strip()}"
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
        host = (parts.hostname or "").encode("idna").decode()
    except (ValueError, UnicodeError):
        parts, host, port = None, "", ""
    if parts is None or parts.scheme not in ("https", "http") or not _HOST.fullmatch(host) or parts.username:
        raise PeerMistake(
            "“{typed}” is not the address of a site.",
            remedy="Write it like https://example.com.",
            field="origins",
            values={"typed": typed.strip()[:80]},
        )
    default = {"https": ":443", "http": ":80"}[parts.scheme]
    return f"{parts.scheme}://{host}{'' if port == default else port}"


def _form(row: Any) -> WebForm:
    return WebForm(
        id=row.id,
        name=row.name,
        secret=row.secret,
        mapping=row.mapping,
        origins=tuple(row.origins),
        campaign_id=row.campaign_id,
        campaign=row.campaign,
        active=row.active,
        created_at=row.created_at,
        counts=row.counts,
    )
