"""Forms that arrive twice, and who changed what last: kept by one process before, so several web processes disagreed."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    op.execute(
        """
        CREATE TABLE form_answers (
            form bytea PRIMARY KEY,
            location text,
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    op.execute("CREATE INDEX form_answers_by_age ON form_answers (at)")
    op.execute(
        """
        CREATE TABLE recent_changes (
            thing uuid PRIMARY KEY,
            account_id uuid NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
        """
    )
    op.execute("CREATE INDEX recent_changes_by_age ON recent_changes (at)")
    op.execute("CREATE INDEX recent_changes_by_account ON recent_changes (account_id)")


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError
