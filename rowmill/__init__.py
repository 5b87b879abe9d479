"""Rowmill for its users: `from rowmill import Client`. This loads neither command line nor stack."""

from __future__ import annotations

from rowmill.client import Client

__all__ = ["Client"]
