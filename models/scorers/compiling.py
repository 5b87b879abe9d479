"""From a fitted estimator to a scorer made of parts, if there is one for exactly this estimator.

Here it is only chosen who compiles what. Whether the outcome is as good as the estimator is not believed but
found out, in ``verifier``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from models.manifest import Signature
from models.scorers.matrix import Matrix
from models.scorers.part import Core, NotCompiled, Part, Reader
from models.scorers.scorer import Scorer

# By the exact class of the last step: a subclass may compute anything.
_COMPILERS: Mapping[type, Callable[[Any], Core]] = {}
# Every class that a stored scorer may consist of.
_PARTS: tuple[type[Part], ...] = (Scorer, Matrix)

KINDS: Mapping[str, type[Part]] = {part.kind: part for part in _PARTS}


def compile_scorer(estimator: Any, signature: Signature) -> tuple[Scorer, Any]:
    """A scorer for a fitted estimator, and the last step, which the scorer's core stands for.

    Raises NotCompiled.
    """
    reader, last = _compile_steps(estimator, signature)
    compile_core = _COMPILERS.get(type(last))
    if compile_core is None:
        raise NotCompiled(f"there is no compiled form of {type(last).__name__}")
    return Scorer(reader, compile_core(last)), last


def _compile_steps(estimator: Any, signature: Signature) -> tuple[Reader, Any]:
    if signature.input != "matrix":
        raise NotCompiled("the model takes more than plain numbers")
    return Matrix(signature.names, signature.dtype), estimator
