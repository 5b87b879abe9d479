"""The client library: it knows a Rowmill server by HTTP only and imports none of the server's rooms."""

from __future__ import annotations

from rowmill.client.client import Client
from rowmill.client.errors import (
    ApiError,
    ConnectError,
    DigestMismatch,
    JobCancelled,
    JobFailed,
    RowmillError,
    WaitTimeout,
)
from rowmill.client.job import Job
from rowmill.client.options import JobOptions
from rowmill.client.resource import JobResource, RowError

__all__ = [
    "ApiError",
    "Client",
    "ConnectError",
    "DigestMismatch",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobOptions",
    "JobResource",
    "RowError",
    "RowmillError",
    "WaitTimeout",
]
