"""How an account is told that its phone rings, beside the card: it was kept in one browser only."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    # Notifications were on for whoever allowed them in the browser, and stay so; the sound is off until somebody wants it.
    op.execute("ALTER TABLE accounts ADD COLUMN alerts text[] NOT NULL DEFAULT '{notify}'")


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError
