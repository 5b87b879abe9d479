"""The tables. Times are seconds since the epoch (``_at``); JSON is for what is shown, not for what is asked.

Rows that belong to somebody have ``owner``; :func:`owned` is the one place that makes it a condition.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

versions = Table(
    "versions",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("sha256", String(64), nullable=False),  # trusted: a file with another digest is never unpickled
    Column("created_at", Float(53), nullable=False),
    Column("manifest", JSON, nullable=False),
    # Retired, it takes no requests any more. The row stays when the files are removed: old jobs refer to it.
    Column("retired_at", Float(53)),
    Column("retired_by", String(128)),
    Column("retired_note", String(500)),
    Column("removed_at", Float(53)),
    Column("removed_by", String(128)),
)

# Append-only: an alias points where its newest move points.
alias_moves = Table(
    "alias_moves",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(128), nullable=False),
    Column("alias", String(128), nullable=False),
    Column("version", Integer),  # null: the alias was taken away
    Column("moved_at", Float(53), nullable=False),
    Column("moved_by", String(128), nullable=False),
    Column("note", String(500)),
    Column("is_rollback", Boolean, nullable=False, server_default=false()),  # takes back the move before it
    ForeignKeyConstraint(["name", "version"], ["versions.name", "versions.version"]),
    Index(None, "name", "alias", "id"),
)

# Append-only: how the single predictions of an alias are spread, until its next move.
alias_traffic = Table(
    "alias_traffic",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("move_id", Integer, ForeignKey("alias_moves.id"), nullable=False),
    Column("traffic", JSON, nullable=False),
    Column("changed_at", Float(53), nullable=False),
    Column("changed_by", String(128), nullable=False),
    Column("note", String(500)),
    Index(None, "move_id"),
)

inputs = Table(
    "inputs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("name", String(255), nullable=False),  # the client's name for it: shown, never used as a path
    Column("bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("shape", JSON, nullable=False),
    Column("file", String(255), nullable=False),  # as received
    Column("decoded_file", String(255)),  # plain UTF-8, Parquet or tar, written by planning where needed
    Column("index_file", String(255)),  # where the members of an archive lie, written by planning
    Column("stamps", JSON),  # of each of these files: size and time of change, which must stay
    Column("created_at", Float(53), nullable=False),
)

# Idempotency-Keys whose first upload still runs. A row that outlives its lease is as good as none.
uploads = Table(
    "uploads",
    metadata,
    Column("owner", String(128), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("holder", String(36), nullable=False),
    Column("lease_until", Float(53), nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("idempotency_key", String(255)),
    Column("name", String(255)),
    Column("tags", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("model_name", String(128), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("input_id", String(36), ForeignKey("inputs.id"), nullable=False),
    Column("request_sha256", String(64)),  # what an Idempotency-Key stands for
    Column("retry_of", String(36)),
    Column("options", JSON, nullable=False),
    Column("warnings", JSON, nullable=False),
    # counters, raised in the transaction of each chunk's commit
    Column("rows_total", BigInteger),
    Column("rows_done", BigInteger, nullable=False, server_default="0"),
    Column("rows_failed", BigInteger, nullable=False, server_default="0"),
    Column("chunks_total", Integer),
    Column("chunks_done", Integer, nullable=False, server_default="0"),
    # the step that runs outside the chunks (planning, finishing) has a lease of its own
    Column("step_attempt", Integer, nullable=False, server_default="0"),
    Column("step_excused", Integer, nullable=False, server_default="0"),  # of them, those that do not count
    Column("step_worker", String(128)),
    Column("step_lease_until", Float(53)),
    Column("step_not_before", Float(53)),
    Column("sent_at", Float(53)),
    Column("error", JSON),
    Column("error_counts", JSON, nullable=False),
    Column("errors_preview", JSON, nullable=False),
    Column("result", JSON),  # {"file", "bytes", "sha256"} once succeeded
    Column("revision", Integer, nullable=False, server_default="1"),  # raised by every change: the ETag
    Column("created_at", Float(53), nullable=False),
    Column("started_at", Float(53)),
    Column("finished_at", Float(53)),
    Column("expires_at", Float(53), nullable=False),
    Column("expired_at", Float(53)),
    Column("deadline_at", Float(53)),
    UniqueConstraint("owner", "idempotency_key"),
    Index(None, "owner", "id"),
    Index(None, "status"),
)

_SENT = text("sent_at IS NOT NULL")

chunks = Table(
    "chunks",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("start", BigInteger, nullable=False),
    Column("stop", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("excused", Integer, nullable=False, server_default="0"),  # of them, those that do not count
    Column("sent_at", Float(53)),
    Column("claimed_at", Float(53)),
    Column("lease_until", Float(53)),
    Column("not_before", Float(53)),
    Column("worker", String(128)),
    Column("rows", BigInteger),
    Column("lines", BigInteger),
    Column("rows_failed", BigInteger),
    # {"file", "bytes", "sha256", "errors_file", "unusual"} of the attempt that was committed
    Column("part", JSON),
    Index(None, "job_id", "status", "index"),
    # few rows: what was sent is counted at every commit, what waits unsent may be thousands
    Index("ix_chunks_sent", "job_id", "status", sqlite_where=_SENT, postgresql_where=_SENT),
)

# Append-only history: each try at a chunk, and how it ended.
attempts = Table(
    "attempts",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("worker", String(128), nullable=False),
    Column("started_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),
    Column("outcome", String(16)),
    Column("reason", String(1000)),
)

workers = Table(
    "workers",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("started_at", Float(53), nullable=False),
    Column("seen_at", Float(53), nullable=False),
)

# One row: the caretaker's tick number, kept in Redis too. A Redis with another number has lost messages.
ticks = Table(
    "ticks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("ticked_at", Float(53), nullable=False),
)


# What clients show to be let in; the text of a key is nowhere, only its SHA-256.
api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("owner", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("name", String(128), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53)),
    Column("revoked_at", Float(53)),
    Column("last_used_at", Float(53)),  # to the minute
    # what the owner may have at once, all keys together; null: what the settings say
    Column("max_open_jobs", Integer),
    Column("max_stored_bytes", BigInteger),
)

_LABELLED = text("labelled_at IS NOT NULL")

# Answers of ``POST /predict``, where they are logged, and what later turned out to be true.
predictions = Table(
    "predictions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("key", String(255)),  # the client's own name for what was predicted
    Column("model_name", String(128), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("made_at", Float(53), nullable=False),
    Column("hour", Integer, nullable=False),  # since the epoch: what is counted together
    Column("kind", String(16), nullable=False),  # of the prediction and its label: jobs.feedback.labels.Kind
    Column("prediction", Text),
    Column("actual", Text),
    Column("error", Float(53)),  # of a quantity: actual less prediction; of a label: 0 if right, else 1
    Column("labelled_at", Float(53)),
    Index(None, "owner", "key"),
    Index(None, "hour", "model_name"),
    # few of many: what is watched is asked every minute
    Index("ix_predictions_labelled", "hour", sqlite_where=_LABELLED, postgresql_where=_LABELLED),
)

# Predictions that were answered and not logged, for want of room or of a database.
lost_predictions = Table(
    "lost_predictions",
    metadata,
    Column("owner", String(128), primary_key=True),
    Column("model_name", String(128), primary_key=True),
    Column("model_version", Integer, primary_key=True, autoincrement=False),
    Column("hour", Integer, primary_key=True, autoincrement=False),
    Column("count", BigInteger, nullable=False),
)

# What is known of a job's rows, which lie in `file`: one label for each row of the result, or null.
job_labels = Table(
    "job_labels",
    metadata,
    Column("job_id", String(36), ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("model_name", String(128), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("hour", Integer, nullable=False),  # of the job's end, since the epoch
    Column("kind", String(16), nullable=False),
    Column("rows", BigInteger, nullable=False),  # with a prediction
    Column("labelled", BigInteger, nullable=False),  # of them, those with a label
    Column("wrong", BigInteger, nullable=False),
    Column("absolute_error", Float(53), nullable=False),  # sums over the labelled rows, 0 unless quantities
    Column("squared_error", Float(53), nullable=False),
    Column("file", String(255), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("labelled_at", Float(53), nullable=False),
    Index(None, "model_name", "hour"),
)

# Whether a version's accuracy was below the threshold when it was last looked at.
accuracy_states = Table(
    "accuracy_states",
    metadata,
    Column("model_name", String(128), primary_key=True),
    Column("model_version", Integer, primary_key=True, autoincrement=False),
    Column("is_low", Boolean, nullable=False),
    Column("changed_at", Float(53), nullable=False),
)

# Each fall of a version below the threshold, and what became of telling it.
accuracy_alarms = Table(
    "accuracy_alarms",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_name", String(128), nullable=False),
    Column("model_version", Integer, nullable=False),
    Column("fell_at", Float(53), nullable=False),
    Column("accuracy", Float(53), nullable=False),
    Column("below", Float(53), nullable=False),
    Column("labelled", BigInteger, nullable=False),
    Column("calls", Integer, nullable=False),  # of the operator's command, begun so far
    Column("due_at", Float(53)),  # no call before; null: no further call
    Column("caller", String(128)),  # the process that calls at this moment, as base.processes names it
    Column("told_at", Float(53)),  # when a call ended well
    Column("failure", Text),  # of the last call
    Index(None, "model_name", "model_version"),
)

# In place of an owner, where all of them are meant. No owner is called so.
EVERYBODY = "*"


def owned(table: Any, owner: str) -> ColumnElement[bool]:
    """The condition that keeps one owner's rows from another's; none for ``EVERYBODY``."""
    condition: ColumnElement[bool] = true() if owner == EVERYBODY else table.c.owner == owner
    return condition
