"""The tables of deliveries to CRMs, as SQLAlchemy Core sees them. `migrations/` makes them; a test holds both together."""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from call_records.db.tables import MOMENT, metadata

crm_connections = Table(
    "crm_connections",
    metadata,
    Column("name", Text, primary_key=True),
    Column("adapter", Text, nullable=False),
    # Calls that ended before are not delivered.
    Column("connected_at", MOMENT, nullable=False, server_default=text("clock_timestamp()")),
    # As the process that delivers sees it: call_records.deliveries.connections.
    Column("state", Text, nullable=False, server_default="working"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("since", MOMENT, nullable=False, server_default=text("clock_timestamp()")),
    Column("last_success_at", MOMENT),
    # An administrator wants it tried at once, whatever went wrong before.
    Column("retry_asked_at", MOMENT),
)

crm_lanes = Table(
    "crm_lanes",
    metadata,
    Column("connection", Text, nullable=False),
    Column("call_id", Uuid, nullable=False),
    # NULL: nothing happens by itself any more.
    Column("due_at", MOMENT),
    Column("lease_id", Uuid),
    Column("leased_until", MOMENT),
    # Since it was claimed: whoever gives it back does not know of that delivery.
    Column("is_added_to", Boolean, nullable=False, server_default=text("false")),
    # The call was recorded, and the recording is not ready yet.
    Column("awaits_recording", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", MOMENT, nullable=False, server_default=text("clock_timestamp()")),
    PrimaryKeyConstraint("connection", "call_id"),
    Index("crm_lanes_due", "connection", "due_at", "call_id", postgresql_where=text("due_at IS NOT NULL")),
    Index("crm_lanes_by_call", "call_id"),
    Index("crm_lanes_by_age", "created_at"),
    Index("crm_lanes_without_recording", "created_at", postgresql_where=text("awaits_recording")),
)

crm_deliveries = Table(
    "crm_deliveries",
    metadata,
    Column("connection", Text, nullable=False),
    Column("call_id", Uuid, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("due_at", MOMENT, nullable=False),
    Column("settled_at", MOMENT),
    Column("reason", Text, nullable=False, server_default=""),
    # The whole delivery, as crm_sync writes it; the columns beside are what it is searched by.
    Column("content", JSONB, nullable=False),
    PrimaryKeyConstraint("connection", "call_id", "leg", "kind"),
    ForeignKeyConstraint(
        ["connection", "call_id"],
        ["crm_lanes.connection", "crm_lanes.call_id"],
        ondelete="CASCADE",
        name="crm_deliveries_lane_fkey",
    ),
    Index(
        "crm_deliveries_open",
        "connection",
        "due_at",
        postgresql_where=text("state IN ('queued', 'sending', 'unknown')"),
    ),
    Index(
        "crm_deliveries_exceptions",
        "connection",
        "due_at",
        postgresql_where=text("state IN ('failed', 'held', 'skipped')"),
    ),
)

crm_credentials = Table(
    "crm_credentials",
    metadata,
    Column("connection", Text, primary_key=True),
    # AES-GCM under a key that lies in a file, not here.
    Column("sealed", LargeBinary, nullable=False),
    # A keyed digest of what the configuration gave: whether somebody has entered something else since.
    Column("origin", LargeBinary, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("updated_at", MOMENT, nullable=False, server_default=text("clock_timestamp()")),
)

crm_holds = Table(
    "crm_holds",
    metadata,
    # What one process at a time may do: renew a connection's credentials, create somebody for a number.
    Column("name", Text, primary_key=True),
    Column("holder", Uuid, nullable=False),
    Column("held_until", MOMENT, nullable=False),
)
