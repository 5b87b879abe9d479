"""The client library: it knows a Rowmill server by HTTP only and imports none of the server's rooms."""

from __future__ import annotations

from rowmill.client.client import Client
from rowmill.client.comparison.document import Comparison
from rowmill.client.errors import (
    ApiError,
    ConnectError,
    DigestMismatch,
    JobCancelled,
    JobFailed,
    NotComparable,
    RowmillError,
    WaitTimeout,
)
from rowmill.client.job import Job
from rowmill.client.options import JobOptions
from rowmill.client.resource import JobResource, RowError

__all__ = [
    "ApiError",
    "Client",
    "Comparison",
    "ConnectError",
    "DigestMismatch",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobOptions",
    "JobResource",
    "NotComparable",
    "RowError",
    "RowmillError",
    "WaitTimeout",
]
