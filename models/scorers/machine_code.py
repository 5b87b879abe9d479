"""Functions as machine code for the processor that runs them, by numba, and how to call it without delay.

Without numba this file is an ImportError; who imports what is compiled here says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numba import njit, typeof


def compiled(function: Callable[..., Any]) -> Any:
    """Kept beside the code or in the user's cache; made anew in each process where neither can be written."""
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


def bound(function: Any, *arguments: Any) -> Callable[[np.ndarray, np.ndarray], Any]:
    """A compiled function with its first arguments; two rows of 64-bit numbers, to read and to write, follow.

    To find out the types of ten arguments takes numba longer than to walk down a tree, so it is done once.
    Whoever calls must give such rows, one-dimensional and without gaps: that is not looked at again.
    """
    row = np.empty(1)
    return partial(function.compile(tuple(map(typeof, (*arguments, row, row)))), *arguments)


def fixed(array: np.ndarray) -> np.ndarray:
    """The same memory in the one form that machine code is compiled for: read-only, no subclass."""
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = np.ascontiguousarray(array)
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view
