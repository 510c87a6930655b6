"""The office's review rules: what was chosen, and for the rest what is usual."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from call_records.db import json_text
from call_records.db.errors import plain_errors
from call_records.reviews.tables import review_rules
from telephony.edit_version import check_edit_version, edit_version
from telephony.errors import PeerMistake
from telephony.reviews import ReviewRule, usual_rules


class RuleBook:
    """Keeps what was chosen."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def all(self) -> Sequence[ReviewRule]:
        """Every kind once, chosen or usual, in the order of the table."""
        with plain_errors():
            async with self._engine.connect() as connection:
                return await rules_in_force(connection)

    async def change(self, rule: ReviewRule, *, by: str, seen: str | None = None) -> None:
        """Raises PeerMistake for a choice out of its bounds, ChangedMeanwhile unless its edit version is still `seen`."""
        values = {
            "kind": rule.kind.value,
            "active": rule.active,
            "choices": rule.shape.checked(rule.choices),
            "changed_by": json_text.clean(by),
        }
        keeping = insert(review_rules).values(values)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_TURNS)
                present = next(one for one in await rules_in_force(connection) if one.kind is rule.kind)
                check_edit_version(edit_version(present), seen)
                await connection.execute(
                    keeping.on_conflict_do_update(
                        index_elements=["kind"], set_={**values, "changed_at": func.now()}
                    )
                )


_TURNS = text("LOCK TABLE review_rules IN SHARE ROW EXCLUSIVE MODE")


async def rules_in_force(connection: AsyncConnection) -> list[ReviewRule]:
    """The same for whoever has a connection. A choice that a later release knew, or bounded wider, is the usual one."""
    rows = {row.kind: row for row in await connection.execute(select(review_rules))}
    return [
        _chosen(usual, rows[usual.kind].active, rows[usual.kind].choices) if usual.kind in rows else usual
        for usual in usual_rules()
    ]


def _chosen(usual: ReviewRule, active: bool, choices: dict[str, object]) -> ReviewRule:
    try:
        return ReviewRule(usual.kind, active, usual.shape.checked(choices))
    except PeerMistake:
        return ReviewRule(usual.kind, active, usual.choices)
