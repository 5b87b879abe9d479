"""How gunicorn serves the API: ``gunicorn -c python:rowmill.stack.gunicorn_settings 'api:create_app()'``.

gunicorn reads the names below; the embedded stack and docker-compose.yml use the same file. The address comes
from the settings, unless ``--bind`` says otherwise (the embedded stack hands a listening socket over).
"""

from __future__ import annotations

import os
import resource
from typing import Any

# Imported before gunicorn forks, so that its workers share the code in memory and start at once. Nothing is
# opened by the import: the app with its connections is made after the fork.
import api  # noqa: F401
from api import warming
from base.memory import API_PROCESSES
from base.settings import Settings
from rowmill.stack.tether import die_with_parent

_settings = Settings()

bind = f"{_settings.host}:{_settings.port}"
# Threads, and none of these for slow clients and long uploads; two processes, so that one that is busy in
# Python code, or dies, does not stop the other.
worker_class = "rowmill.stack.gunicorn_worker.PatientWorker"
workers = API_PROCESSES
threads = 8
# Silence of a worker's main loop, not of a request: an upload of any length is fine.
timeout = 60
graceful_timeout = 10
# Long enough for ?keep= with many column names.
limit_request_line = 8190
# Whom to believe about forwarded requests is the app's to decide (setting trusted_proxies), not gunicorn's.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
# The heartbeat file must never wait for a disk.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - unlinked as soon as it is open
control_socket_disable = True
errorlog = "-"
loglevel = "info"


def post_fork(_server: Any, worker: Any) -> None:
    """End the worker with its master, so that not even kill -9 leaves one serving on; give it its files."""
    die_with_parent(worker.ppid)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def post_worker_init(worker: Any) -> None:
    """Load the models that are asked for most, while the worker already serves."""
    warming.start(worker.wsgi)
