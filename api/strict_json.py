"""JSON as RFC 8259 has it, no key twice; anything else is a 400 that says where.

NaN and Infinity are no JSON, but Python's own encoder writes them: what they mean is up to the protocol.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

from api.json_size import MOST_FOR_A_BYTE, parsed_bytes
from jobs.errors import Problem

# What a body may take in memory once it is parsed, whatever it is made of.
MAX_PARSED_BYTES = 160 << 20
# A longer one may take so much for each of its bytes: lists of numbers with one digit count for 16.
MOST_OF_VALUES = 17
# While a large body is parsed nothing else in the process goes on; several need not be in memory, too.
_large = threading.Lock()

Constant = Callable[[str], Any]


def parse(data: bytes, *, constant: Constant | None = None) -> Any:
    """The value that ``data`` holds. Raises ``Problem`` (``bad_json``, ``too_large``).

    ``constant`` says what NaN, Infinity and -Infinity stand for; without it they are refused.
    """
    if not data.strip():
        raise _bad('The body is empty; send JSON, such as {"features": {…}}.')
    if len(data) * MOST_FOR_A_BYTE <= MAX_PARSED_BYTES:
        return _parsed(data, constant or _constant)
    with _large:
        _check_size(data)
        return _parsed(data, constant or _constant)


def _check_size(data: bytes) -> None:
    size, limit = parsed_bytes(data), max(MAX_PARSED_BYTES, MOST_OF_VALUES * len(data))
    if size > limit:
        raise Problem(
            "too_large",
            f"The JSON would take about {size >> 20} MiB of memory, for all the lists, objects and values in "
            f"it; it may take {limit >> 20}. Send fewer, or a file to POST /jobs.",
        )


def _parsed(data: bytes, constant: Constant) -> Any:
    try:
        return json.loads(data.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=constant)
    except UnicodeDecodeError as error:
        raise _bad(f"The body is not UTF-8 text: byte {error.start} cannot be read.") from error
    except json.JSONDecodeError as error:
        raise _bad(f"Line {error.lineno}, column {error.colno}: {error.msg}.") from error
    except RecursionError as error:
        raise _bad("It is nested too deeply.") from error
    except ValueError as error:  # a whole number of more digits than Python reads
        raise _bad(f"A number cannot be read: {error}.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise _bad(f"The key {twice[:100]!r} stands twice in one object.")
    return found


def _constant(name: str) -> NoReturn:
    raise _bad(f"{name} is not JSON; send null for a missing value.")


def nan_is_null(name: str) -> None:
    """For clients that write a missing value as NaN."""
    return None if name == "NaN" else _constant(name)


def _bad(reason: str) -> Problem:
    return Problem("bad_json", f"The body is not valid JSON. {reason}")
