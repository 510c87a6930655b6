"""Queues by an index, for the search and the list of calls; and exceptions of recordings that somebody has dismissed.

What was dismissed is kept as it was then (state, faults, reason): a recording with a new fault is shown again.
"""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    op.execute(
        "CREATE INDEX calls_by_queue ON calls ((facts #>> '{queue,name}'), started_at DESC, id DESC)"
        " WHERE (facts #>> '{queue,name}') IS NOT NULL"
    )
    op.execute(
        "ALTER TABLE recordings ADD COLUMN dismissed_as text, ADD COLUMN dismissed_by text,"
        " ADD COLUMN dismissed_at timestamptz"
    )


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError
