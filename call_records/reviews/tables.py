"""The tables of reviewing, as SQLAlchemy Core sees them. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from call_records.db.tables import MOMENT, metadata

_NOW = text("now()")

review_rules = Table(
    "review_rules",
    metadata,
    # Only what somebody chose; `telephony.reviews.usual_rules` says what holds for the others.
    Column("kind", Text, primary_key=True),
    Column("choices", JSONB, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", MOMENT, nullable=False, server_default=_NOW),
)

review_picks = Table(
    "review_picks",
    metadata,
    Column("id", Uuid, primary_key=True),
    # The kind of the rule, or by_hand.
    Column("kind", Text, nullable=False),
    Column("call_id", Uuid, nullable=False),
    Column("extension", Text, nullable=False),
    # What made the rule pick it, in numbers; the page says it in words.
    Column("because", JSONB, nullable=False),
    Column("picked_by", Text),
    Column("picked_at", MOMENT, nullable=False, server_default=_NOW),
    Column("call_at", MOMENT, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("done_by", Uuid, ForeignKey("accounts.id", ondelete="SET NULL")),
    Column("done_at", MOMENT),
    # Why it was skipped.
    Column("why", Text),
    UniqueConstraint("call_id", "extension", "kind", name="review_picks_once"),
    Index("review_picks_open", text("call_at DESC"), postgresql_where=text("state = 'open'")),
    Index("review_picks_by_kind", "kind", text("call_at DESC")),
)

review_rounds = Table(
    "review_rounds",
    metadata,
    # One row: how far the picking has come. Whoever picks locks it.
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("looked_at", MOMENT),
    # The last day on which late news of the last two weeks was looked for, and the last week that was topped up.
    Column("swept_on", Date),
    Column("topped_up", Date),
    CheckConstraint("one", name="review_rounds_one"),
)

score_forms = Table(
    "score_forms",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("retired", Boolean, nullable=False, server_default=text("false")),
    Column("made_at", MOMENT, nullable=False, server_default=_NOW),
)

score_form_versions = Table(
    "score_form_versions",
    metadata,
    # A version is never changed: grades given by it must go on meaning what they meant.
    Column("form_id", Uuid, ForeignKey("score_forms.id", ondelete="RESTRICT"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("questions", JSONB, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", MOMENT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("form_id", "version"),
)

grades = Table(
    "grades",
    metadata,
    # Never changed or deleted (a trigger sees to it), only superseded by another one.
    Column("id", Uuid, primary_key=True),
    Column("call_id", Uuid, nullable=False),
    Column("extension", Text, nullable=False),
    Column("form_id", Uuid, nullable=False),
    Column("version", Integer, nullable=False),
    Column("grader_id", Uuid, nullable=False),
    Column("grader", Text, nullable=False),
    Column("answers", JSONB, nullable=False),
    Column("score", Float, nullable=False),
    Column("feedback", Text, nullable=False, server_default=""),
    Column("given_at", MOMENT, nullable=False, server_default=_NOW),
    Column("call_at", MOMENT, nullable=False),
    Column("supersedes", Uuid, unique=True),
    ForeignKeyConstraint(
        ["form_id", "version"],
        ["score_form_versions.form_id", "score_form_versions.version"],
        ondelete="RESTRICT",
    ),
    Index("grades_by_call", "call_id"),
    Index("grades_by_extension", "extension", text("call_at DESC")),
    Index("grades_by_time", text("given_at DESC")),
)

grade_readings = Table(
    "grade_readings",
    metadata,
    Column("grade_id", Uuid, ForeignKey("grades.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("read_at", MOMENT, nullable=False, server_default=_NOW),
    # Said to have been understood, with a word to whoever graded; once.
    Column("acknowledged_at", MOMENT),
    Column("reply", Text, nullable=False, server_default=""),
    PrimaryKeyConstraint("grade_id", "account_id"),
)
