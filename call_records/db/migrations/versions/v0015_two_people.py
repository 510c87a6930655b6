"""Entries that somebody said are not the same: without it they were suggested as duplicates of each other for ever. And
feedback that was acknowledged, with a word to whoever gave it; and why deals were lost, found at once.
"""

from __future__ import annotations

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    op.execute(
        """
        CREATE TABLE distinct_clients (
            client_id uuid NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
            other_id uuid NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
            account_id uuid REFERENCES accounts (id) ON DELETE SET NULL,
            at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (client_id, other_id)
        )
        """
    )
    op.execute("CREATE INDEX deals_lost ON deals (closed_at DESC) WHERE state = 'lost'")
    op.execute("ALTER TABLE grade_readings ADD COLUMN acknowledged_at timestamptz")
    op.execute("ALTER TABLE grade_readings ADD COLUMN reply text NOT NULL DEFAULT ''")
    op.execute("CREATE INDEX distinct_clients_by_other ON distinct_clients (other_id)")


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError
