"""The newest calls of one PBX by an index: a second PBX added to an old office made each start read every call."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    op.execute("CREATE INDEX calls_by_pbx ON calls (pbx, started_at DESC)")


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError
