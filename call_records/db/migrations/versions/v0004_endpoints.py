"""Endpoints of the PBXes: whose phones they are, and which are trunks.

Plain SQL on purpose: this is what was released, whatever the models become later.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One row a thing known of an endpoint."""
    op.execute("""
        CREATE TABLE endpoints (
            pbx text NOT NULL,
            endpoint text NOT NULL,
            source text NOT NULL,
            extension text,
            seen_at timestamptz DEFAULT now() NOT NULL,
            PRIMARY KEY (pbx, endpoint, source)
        )
    """)


def downgrade() -> None:
    """Without them."""
    op.execute("DROP TABLE endpoints")
