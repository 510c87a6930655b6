"""Forms that pages send themselves, each carried out once by all web processes together (idempotency keys)."""

from __future__ import annotations

from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from call_records.db.errors import plain_errors
from call_records.db.tables import form_answers
from call_records.types import FormAnswer

REMEMBERED = (
    "1 day"  # a form waits that long in a browser without a connection; older answers are swept on the way
)


class FormAnswersBook:
    """Implements `call_records.types.FormAnswers`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def begin(self, form: bytes, *, running_seconds: float) -> FormAnswer | None:
        """None: it is the caller's to carry out. A process that died while it did is not waited for for ever."""
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(_SWEEP)
                if await connection.scalar(_BEGIN, {"form": form, "seconds": running_seconds}) is not None:
                    return None
                kept = select(form_answers.c.location).where(form_answers.c.form == form)
                return FormAnswer(await connection.scalar(kept))

    async def finish(self, form: bytes, location: str | None) -> None:
        """Where it leads; None when it was refused and may be sent again."""
        this = form_answers.c.form == form
        done = update(form_answers).where(this).values(location=location)
        with plain_errors():
            async with self._engine.begin() as connection:
                await connection.execute(delete(form_answers).where(this) if location is None else done)


_BEGIN = text("""
    INSERT INTO form_answers (form) VALUES (:form)
    ON CONFLICT (form) DO UPDATE SET at = clock_timestamp()
        WHERE form_answers.location IS NULL
            AND form_answers.at < clock_timestamp() - make_interval(secs => :seconds)
    RETURNING 1
""")
_SWEEP = text(f"DELETE FROM form_answers WHERE at < clock_timestamp() - interval '{REMEMBERED}'")  # noqa: S608
