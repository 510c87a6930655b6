"""The tables of recordings, as SQLAlchemy Core sees them. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from call_records.db.tables import MOMENT, metadata

_NOW = text("now()")
_NONE = text("'{}'")
_EMPTY = text("'[]'")
_FILTERED_BY = ["state", "direction", "parties", "faults", "duration_seconds", "call_id"]

recordings = Table(
    "recordings",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("pbx", Text, nullable=False),
    Column("name", Text, nullable=False),
    # Without a foreign key: the recording may be here before its call, and moves when two calls turn out to be one.
    Column("call_id", Uuid),
    Column("channel", Text),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("files", JSONB, nullable=False, server_default=_EMPTY),
    Column("outside_first", Boolean),
    Column("expected_at", MOMENT),
    Column("arrived_at", MOMENT),
    Column("ready_at", MOMENT),
    # What lists are ordered by: the first sample, else the start of its call, else the last change of its file.
    Column("listed_at", MOMENT, nullable=False),
    # What the list is searched by, copied from the call: joined at a million rows a rare number took seconds.
    Column("direction", Text),
    Column("parties", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("outside_last10", Text),
    Column("outside_reversed", Text),
    Column("other_last10", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("started_at", MOMENT),
    Column("duration_seconds", Float),
    Column("layout", Text),
    Column("measures", JSONB),
    Column("faults", ARRAY(Text), nullable=False, server_default=_NONE),
    Column("peaks_left", LargeBinary),
    Column("peaks_right", LargeBinary),
    Column("redactions", JSONB, nullable=False, server_default=_EMPTY),
    Column("keep_until", MOMENT),
    Column("hold", JSONB),
    Column("removal", JSONB),
    Column("source_removed_at", MOMENT),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", MOMENT, nullable=False, server_default=_NOW),
    Column("claimed_until", MOMENT),
    # An exception that somebody knows of: what was wrong then (`exception_mark`), who said so and when.
    Column("dismissed_as", Text),
    Column("dismissed_by", Text),
    Column("dismissed_at", MOMENT),
    UniqueConstraint("pbx", "name", name="recordings_once"),
    Index("recordings_by_call", "call_id"),
    # Everything a list is filtered by stands in the index: a million rows are walked without reading one of them.
    Index("recordings_by_time", text("listed_at DESC"), text("id DESC"), postgresql_include=_FILTERED_BY),
    Index("recordings_by_state", "state", text("listed_at DESC"), text("id DESC")),
    Index("recordings_due", "due_at", postgresql_where=text("state IN ('arrived', 'expected')")),
    Index(
        "recordings_keep",
        "keep_until",
        postgresql_where=text("state IN ('ready', 'refused', 'failed') AND hold IS NULL"),
    ),
    Index(
        "recordings_unfinished",
        "id",
        postgresql_where=text("state = 'removed' AND removal->>'sources' IS NULL"),
    ),
    Index(
        "recordings_faulty",
        text("listed_at DESC"),
        text("id DESC"),
        postgresql_include=_FILTERED_BY,
        postgresql_where=text("faults <> '{}'"),
    ),
    Index("recordings_homeless", text("listed_at DESC"), postgresql_where=text("call_id IS NULL")),
    Index(
        "recordings_sources",
        "ready_at",
        postgresql_where=text("ready_at IS NOT NULL AND source_removed_at IS NULL"),
    ),
    Index("recordings_to_file", "pbx", "channel", postgresql_where=text("call_id IS NULL")),
    Index(
        "recordings_flagged",
        text("listed_at DESC"),
        postgresql_where=text("state = 'ready' AND reason IS NOT NULL"),
    ),
    Index("recordings_by_direction", "direction", text("listed_at DESC"), text("id DESC")),
    Index("recordings_by_outside", "outside_last10"),
    Index(
        "recordings_by_last_digits",
        "outside_reversed",
        postgresql_ops={"outside_reversed": "text_pattern_ops"},
    ),
    Index("recordings_by_parties", "parties", postgresql_using="gin"),
    Index("recordings_by_other", "other_last10", postgresql_using="gin"),
    Index("recordings_by_length", "duration_seconds"),
)

recording_places = Table(
    "recording_places",
    metadata,
    # Since when a directory is watched: older files that no call expects are left to `switchhook recordings import`.
    Column("pbx", Text, nullable=False),
    Column("directory", Text, nullable=False),
    Column("watched_since", MOMENT, nullable=False, server_default=_NOW),
    PrimaryKeyConstraint("pbx", "directory"),
)

# Parts of the keys of stored objects: a number is handed out once, so that two writers never name the same object.
audio_object_numbers = Sequence("audio_object_numbers", metadata=metadata)

audio_objects = Table(
    "audio_objects",
    metadata,
    Column("key", Text, primary_key=True),
    Column("recording_id", Uuid, ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
    # current, original, or clip:LINKID
    Column("kind", Text, nullable=False),
    # Of the audio itself, before encryption.
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", LargeBinary, nullable=False),
    # The key that wraps this object's own key; NULL for audio that lies unencrypted.
    Column("key_id", Text),
    Column("wrapped_key", LargeBinary),
    Column("created_at", MOMENT, nullable=False, server_default=_NOW),
    UniqueConstraint("recording_id", "kind", name="audio_objects_once"),
    Index("audio_objects_by_key_id", "key_id"),
)

recording_comments = Table(
    "recording_comments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("recording_id", Uuid, ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
    Column("account_id", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("at_seconds", Float, nullable=False),
    Column("text", Text, nullable=False),
    Column("written_at", MOMENT, nullable=False, server_default=_NOW),
    Index("recording_comments_by_recording", "recording_id", "at_seconds"),
)

share_links = Table(
    "share_links",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("recording_id", Uuid, ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("from_seconds", Float),
    Column("to_seconds", Float),
    Column("purpose", Text, nullable=False),
    Column("made_by", Uuid, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    Column("made_at", MOMENT, nullable=False, server_default=_NOW),
    Column("expires_at", MOMENT, nullable=False),
    Column("revoked_at", MOMENT),
    Column("opened", Integer, nullable=False, server_default="0"),
    Index("share_links_by_recording", "recording_id"),
)

retention_rules = Table(
    "retention_rules",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("direction", Text),
    Column("number", Text),
    Column("extension", Text),
    Column("tag", Text),
    Column("shorter_than_seconds", Float),
    Column("keep_days", Integer),
    Column("note", Text, nullable=False, server_default=""),
)

recording_policy = Table(
    "recording_policy",
    metadata,
    # One row: the office has one policy.
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("choices", JSONB, nullable=False),
    CheckConstraint("one", name="recording_policy_one"),
)

call_tags = Table(
    "call_tags",
    metadata,
    Column("call_id", Uuid, nullable=False),
    Column("tag", Text, nullable=False),
    PrimaryKeyConstraint("call_id", "tag"),
    Index("call_tags_by_tag", "tag"),
)

audit_log = Table(
    "audit_log",
    metadata,
    # No foreign keys: a line outlives whoever and whatever it names. A trigger refuses to change or delete one.
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", MOMENT, nullable=False, server_default=_NOW),
    Column("account_id", Uuid),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("recording_id", Uuid),
    Column("call_id", Uuid),
    Column("seconds", Float),
    Column("address", Text, nullable=False, server_default=""),
    Column("browser", Text, nullable=False, server_default=""),
    Column("reason", Text),
    Column("details", JSONB, nullable=False, server_default=_NONE),
    Index("audit_log_by_recording", "recording_id", "id"),
    Index("audit_log_by_call", "call_id", "id"),
    Index("audit_log_by_who", "who", "id"),
    Index("audit_log_by_action", "action", "id"),
)
