"""Where versions live: rows in the database hold digests, manifests and alias moves; files lie in folders.

``root/<name>/<version>/`` exists for every row that is not marked as removed. A folder without a row is left
from an interrupted add and is replaced by the next one. What a file must be to become a version stands in
``models.adding``.
"""

from __future__ import annotations

from models.registry.aliases import Expected
from models.registry.references import PRODUCTION
from models.registry.registry import Registry
from models.registry.retiring import hold
from models.registry.timeline import Event

__all__ = ["PRODUCTION", "Event", "Expected", "Registry", "hold"]
