"""Who may sign in: accounts with a version, passwords that must be changed, tokens with scopes and an expiry, and the
tries at signing in, counted for all web processes together.

Tokens from before keep working: they may do what they could, and do not expire.
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Plain SQL on purpose: this is what was released, whatever the models become later."""
    op.execute("ALTER TABLE accounts ADD COLUMN version integer NOT NULL DEFAULT 1")
    op.execute("ALTER TABLE accounts ADD COLUMN password_temporary boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE tokens ADD COLUMN scopes text[]")
    op.execute("ALTER TABLE tokens ADD COLUMN expires_at timestamptz")
    op.execute("""
        CREATE TABLE sign_in_tries (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            bucket bytea NOT NULL,
            at timestamptz NOT NULL DEFAULT clock_timestamp()
        )
    """)
    op.execute("CREATE INDEX sign_in_tries_by_bucket ON sign_in_tries (bucket, at)")
    op.execute("CREATE INDEX sign_in_tries_by_age ON sign_in_tries (at)")


def downgrade() -> None:
    """Going back is restoring a backup, as docs/how-to/backup-and-restore.md says."""
    raise NotImplementedError
