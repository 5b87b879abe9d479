"""The SQL database: engine, tables and migrations. It holds the truth about jobs and models."""

from __future__ import annotations

from base.database.engine import Database

__all__ = ["Database"]
