"""What connected CRMs are to be told: connections, lanes with their deliveries, sealed credentials, and holds."""

from __future__ import annotations

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    for statement in (*_TABLES, *_INDEXES):
        op.execute(statement)


_TABLES = (
    """
    CREATE TABLE crm_connections (
        name text PRIMARY KEY,
        adapter text NOT NULL,
        connected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        state text NOT NULL DEFAULT 'working',
        reason text NOT NULL DEFAULT '',
        since timestamptz NOT NULL DEFAULT clock_timestamp(),
        last_success_at timestamptz,
        retry_asked_at timestamptz
    )
    """,
    """
    CREATE TABLE crm_lanes (
        connection text NOT NULL,
        call_id uuid NOT NULL,
        due_at timestamptz,
        lease_id uuid,
        leased_until timestamptz,
        is_added_to boolean NOT NULL DEFAULT false,
        awaits_recording boolean NOT NULL DEFAULT false,
        created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        PRIMARY KEY (connection, call_id)
    )
    """,
    """
    CREATE TABLE crm_deliveries (
        connection text NOT NULL,
        call_id uuid NOT NULL,
        leg integer NOT NULL,
        kind text NOT NULL,
        sequence integer NOT NULL,
        state text NOT NULL,
        due_at timestamptz NOT NULL,
        settled_at timestamptz,
        reason text NOT NULL DEFAULT '',
        content jsonb NOT NULL,
        PRIMARY KEY (connection, call_id, leg, kind),
        CONSTRAINT crm_deliveries_lane_fkey FOREIGN KEY (connection, call_id)
            REFERENCES crm_lanes (connection, call_id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE crm_credentials (
        connection text PRIMARY KEY,
        sealed bytea NOT NULL,
        origin bytea NOT NULL,
        revision integer NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
    )
    """,
    """
    CREATE TABLE crm_holds (
        name text PRIMARY KEY,
        holder uuid NOT NULL,
        held_until timestamptz NOT NULL
    )
    """,
)
_INDEXES = (
    "CREATE INDEX crm_lanes_due ON crm_lanes (connection, due_at, call_id) WHERE due_at IS NOT NULL",
    "CREATE INDEX crm_lanes_by_call ON crm_lanes (call_id)",
    "CREATE INDEX crm_lanes_by_age ON crm_lanes (created_at)",
    "CREATE INDEX crm_lanes_without_recording ON crm_lanes (created_at) WHERE awaits_recording",
    """
    CREATE INDEX crm_deliveries_open ON crm_deliveries (connection, due_at)
    WHERE state IN ('queued', 'sending', 'unknown')
    """,
    """
    CREATE INDEX crm_deliveries_exceptions ON crm_deliveries (connection, due_at)
    WHERE state IN ('failed', 'held', 'skipped')
    """,
)


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError
