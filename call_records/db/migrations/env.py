"""Alembic's entry: works on the connection that `call_records.db.schema.upgrade` hands over, in its transaction."""

from __future__ import annotations

from alembic import context

import call_records.deliveries.tables
import call_records.recordings.tables
import call_records.reviews.tables  # noqa: F401 - so that `metadata` knows every table
from call_records.db.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
