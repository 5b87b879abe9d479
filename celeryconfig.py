"""Celery's settings, each one that is not a default with what breaks without it; tests/transport shows it.

Celery carries hints, not truth: the database decides what runs and what counts, so a message may be lost,
late or doubled. These settings keep the transport from doing worse than that.
"""

from __future__ import annotations

from base.settings import Settings

_settings = Settings()

broker_url = _settings.redis_url
imports = ("workers.tasks",)

# Without late acknowledgement a worker that dies takes its messages along; with it they come again at once.
task_acks_late = True
# Late acknowledgement alone acknowledges the message of a pool process that was killed (OOM, segfault).
task_reject_on_worker_lost = True
# A prefetched message waits behind a long chunk while other processes idle.
worker_prefetch_multiplier = 1
# Results live in the database; a result backend costs a round trip for each chunk and can disagree with it.
task_ignore_result = True
# Pickled messages would let anybody who reaches Redis run code here. It is the default, and must stay so.
accept_content = ["json"]
task_serializer = "json"

# Without it the worker exits as soon as Redis refuses a write (out of memory, read-only after a fail-over).
broker_channel_error_retry = True
# By default the worker gives up after 100 tries and stays up, deaf.
broker_connection_max_retries = None
broker_connection_retry_on_startup = True
# The lease is in the database: a chunk may finish and commit while the broker is gone. Celery 6 cancels it.
worker_cancel_long_running_tasks_on_connection_loss = False
broker_transport_options = {
    # Defaults wait for ever on a frozen Redis or a half-open connection.
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "health_check_interval": 10,
    # Must exceed every hard time limit (planning and finishing have six hours), or what still runs is
    # delivered a second time.
    "visibility_timeout": max(6 * 3600, _settings.max_chunk_seconds) + 3600,
    # The messages of a killed worker come back after a sweep; the default sweeps every 100 s.
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
}

# A chunk is cut for a fraction of a second; one that runs this long is stuck in C code and must be killed.
task_time_limit = _settings.max_chunk_seconds
# SIGQUIT and a second Ctrl-C leave the running chunk this long before they cut it off; SIGTERM waits for it.
worker_soft_shutdown_timeout = 20

worker_concurrency = _settings.workers
# Flower shows each chunk only if events are on.
worker_send_task_events = True
task_send_sent_event = True
# Rowmill logs by itself, in one format for all processes.
worker_hijack_root_logger = False
