"""Alembic's entry: works on the connection that `call_records.schema.upgrade` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

from call_records.models import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
