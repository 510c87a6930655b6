"""How the list of people is asked for: three ways to the same page, and never an offset.

A word that many have is found soon by walking the list in its order; a word that few have is found by the trigram index
and sorted. Which of them a typed word is nobody knows beforehand, the planner's guess at substrings included. So it is
found out, each step costing little whatever is asked:

1. the first NEAR entries of the list are looked through; one in thirty fills a page;
2. else all that fit are found by index, up to FEW of them: if that was all, they are sorted and the page is done;
3. else there are so many that walking on fills the page soon.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, and_, false, func, or_, select, tuple_, union_all
from sqlalchemy.sql.elements import ColumnElement

from call_records.calls.external_number import WHOLE, digits_of, typed_digits
from call_records.crm.tables import clients
from call_records.crm.transliteration import spelled
from call_records.crm.types import ClientFilter
from call_records.crm.writes import Home
from telephony.contacts import ClientKind
from telephony.errors import PeerMistake

NEAR = (
    1_500  # entries looked through in order, 3 ms; a word that one in thirty has fills a page of 50 from them
)
FEW = 5_000  # entries read and sorted at most, 15 ms; a word that more have fills a page from 10 000 of a million entries
EVERYTHING = 10**9  # a limit that nothing reaches
TYPED_MOST = 100  # characters of what was typed that are looked for; a name and a number are shorter
WORDS = 12  # of what was typed; a name has fewer
WHOLE_WORD = (
    3  # letters from which a word is looked for anywhere; shorter ones only begin words: two letters are
)
# no trigram, and half of all names contain any two letters
LOCAL = 7  # digits of a number within a town; a name has fewer
_SCHEME = re.compile(r"^\s*(?:tel|sip|sips|callto):", re.IGNORECASE)

LIVE = and_(clients.c.merged_into.is_(None), clients.c.removed_at.is_(None))
_BY_CHANGE = (clients.c.updated_at, clients.c.id)
_BY_NAME = (func.lower(clients.c.name), clients.c.id)


@dataclass(frozen=True, slots=True)
class Question:
    """A page that is wanted."""

    wanted: ClientFilter
    size: int
    after: tuple[Any, UUID] | None

    @property
    def by_name(self) -> bool:
        """Whether the list is in order of names; else what changed last comes first."""
        return self.wanted.by_name

    @property
    def typed(self) -> str:
        """What is looked for; empty when nothing is."""
        return (self.wanted.text or "").strip()


def question(wanted: ClientFilter, size: int, cursor: str | None) -> Question:
    """Raises PeerMistake for a cursor that is not one of this list."""
    return Question(wanted, size, None if cursor is None else _after(cursor, by_name=wanted.by_name))


def listed(asked: Question) -> Select[Any]:
    """The list itself; nothing is looked for."""
    return _in_order(*_walk(asked, asked.size), asked)


def near(asked: Question, home: Home) -> Select[Any]:
    """The page, if the next NEAR entries of the list fill it."""
    query, source = _walk(asked, NEAR)
    return _in_order(query.where(*_looked_for(source.c, asked, home)), source, asked)


def few(asked: Question, home: Home) -> Select[Any]:
    """The page, everything that fits found first; `found` says how many that are, counted no further than FEW + 1."""
    conditions = [LIVE, *_plain_conditions(asked.wanted), *_after_condition(asked)]
    if asked.wanted.kind is not None:
        conditions.append(clients.c.kind == asked.wanted.kind.value)
    fitting = select(clients.c.id, _key(asked)).where(*conditions, *_looked_for(clients.c, asked, home))
    matches = fitting.limit(FEW + 1).cte("matches").prefix_with("MATERIALIZED")
    found = select(func.count()).select_from(matches).scalar_subquery().label("found")
    return _in_order(select(matches.c.id, matches.c.key, found), matches, asked)


def far(asked: Question, home: Home) -> Select[Any]:
    """The page, walking as far as it takes."""
    query, source = _walk(asked, EVERYTHING)
    return _in_order(query.where(*_looked_for(source.c, asked, home)), source, asked)


def looks_for_nothing(asked: Question) -> bool:
    """Whether the list itself is asked for."""
    return not asked.typed and asked.wanted.tag is None


def _walk(asked: Question, most: int) -> tuple[Select[Any], Any]:
    """So many next entries in order. The limit keeps the planner from finding them another way."""
    ways = [_kind_walk(asked, kind, most) for kind in _kinds(asked)]
    source = ways[0].subquery("walked")
    if len(ways) > 1:
        each = union_all(*(select(way.subquery()) for way in ways)).subquery("each")
        source = _in_order(select(*each.c), each, asked, most).subquery("walked")
    return select(source.c.id, source.c.key), source


def _looked_for(columns: Any, asked: Question, home: Home) -> list[ColumnElement[bool]]:
    conditions = [_contains(columns.search, asked.typed, home)] if asked.typed else []
    if asked.wanted.tag is not None:
        conditions.append(columns.tags.contains([asked.wanted.tag]))
    return conditions


def _kinds(asked: Question) -> Sequence[ClientKind]:
    """Only leads have a state: asked for contacts in one, the planner would walk all of them to find none."""
    if asked.wanted.kind is not None:
        return (asked.wanted.kind,)
    return tuple(ClientKind) if asked.wanted.state is None else (ClientKind.LEAD,)


def _key(asked: Question) -> ColumnElement[Any]:
    return (_BY_NAME if asked.by_name else _BY_CHANGE)[0].label("key")


def _kind_walk(asked: Question, kind: ClientKind, most: int) -> Select[Any]:
    """The next entries of one kind in order, by its index."""
    columns = select(clients.c.id, _key(asked), clients.c.search, clients.c.tags)
    conditions = [
        clients.c.kind == kind.value,
        LIVE,
        *_plain_conditions(asked.wanted),
        *_after_condition(asked),
    ]
    order = _BY_NAME if asked.by_name else tuple(one.desc() for one in _BY_CHANGE)
    return columns.where(*conditions).order_by(*order).limit(most)


def _in_order(query: Select[Any], source: Any, asked: Question, most: int | None = None) -> Select[Any]:
    order = (source.c.key, source.c.id) if asked.by_name else (source.c.key.desc(), source.c.id.desc())
    return query.order_by(*order).limit(asked.size if most is None else most)


def _plain_conditions(wanted: ClientFilter) -> list[ColumnElement[bool]]:
    given: list[ColumnElement[bool]] = []
    if wanted.owner_id is not None:
        given.append(clients.c.owner_id == wanted.owner_id)
    if wanted.state is not None:
        given.append(clients.c.state == wanted.state.value)
    else:
        given.append(clients.c.became_id.is_(None))
    if wanted.company_id is not None:
        given.append(clients.c.company_id == wanted.company_id)
    return given


def _after_condition(asked: Question) -> list[ColumnElement[bool]]:
    if asked.after is None:
        return []
    key = tuple_(*(_BY_NAME if asked.by_name else _BY_CHANGE))
    after = tuple_(*asked.after)
    return [key > after if asked.by_name else key < after]


def patterns(typed: str, home: Home) -> Sequence[Sequence[str]]:
    """What the spelled text must contain: any of these, all parts of it. Only letters, digits and spaces are in them."""
    typed = typed[:TYPED_MOST]
    words = [word for word in (spelled(part) for part in typed.split()[:WORDS]) if word]
    ways = [[_part(word) for word in words]] if words else []
    bare = _SCHEME.sub("", typed)
    if not any(char.isalpha() for char in bare):
        # A number begins or ends with what was typed; in its middle nobody knows it. Names hold a few digits at most.
        ways = ways if len(digits_of(bare)) < LOCAL and not (words and words[0].isdigit()) else []
        ways += _digits_ways(bare)
    else:
        numbers = (one.last10 for one in home.written(typed))
        ways += [[f"{number} "] for number in numbers if number]
    return ways


def _part(word: str) -> str:
    return word if len(word) >= WHOLE_WORD else f" {word}"


def _digits_ways(typed: str) -> list[list[str]]:
    """A number is known by its last digits, with whatever prefix it was typed."""
    whole = digits_of(typed)
    if not whole:
        return []
    begins = [[f" {whole}"]] if len(whole) < WHOLE else []
    try:
        return [[f"{typed_digits(typed)} "], *begins]
    except PeerMistake:  # fewer than three say nothing from the end
        return begins


def _contains(search: ColumnElement[str], typed: str, home: Home) -> ColumnElement[bool]:
    ways = patterns(typed, home)
    if not ways:
        return false()  # nothing but punctuation
    return or_(*(and_(*(search.like(f"%{part}%") for part in way)) for way in ways))


def mark_after(asked: Question, key: Any, client_id: UUID) -> str:
    """The cursor behind that entry."""
    told = key if asked.by_name else key.isoformat()
    content = json.dumps([int(asked.by_name), told, str(client_id)]).encode()
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _after(cursor: str, *, by_name: bool) -> tuple[Any, UUID]:
    try:
        order, key, client_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if bool(order) is not by_name or not isinstance(key, str):
            raise ValueError(cursor)
        return (key if by_name else _moment(key)), UUID(client_id)
    except (ValueError, TypeError, AttributeError, binascii.Error) as cause:
        raise PeerMistake(
            "This page link is invalid.", remedy="Start again from the first page of the list."
        ) from cause


def _moment(told: str) -> datetime:
    at = datetime.fromisoformat(told)
    if at.tzinfo is None:
        raise ValueError(told)
    return at
