"""Alembic's entry: runs on the connection that ``Database.upgrade`` hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from base.database.tables import metadata

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=True, compare_type=True)
context.run_migrations()
