"""The language an account reads its pages in."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    op.execute("ALTER TABLE accounts ADD COLUMN language text")  # NULL: as the browser says


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError
