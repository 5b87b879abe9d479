"""From a fitted estimator to a scorer made of parts, if there is one for exactly this estimator.

Here it is only chosen who compiles what. Whether the outcome is as good as the estimator is not believed but
found out, in ``verifier``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from models.manifest import Signature
from models.scorers import boosting, forests
from models.scorers.columns import Columns
from models.scorers.encoding import Lookup, OneHot, Ordinal
from models.scorers.expanding import Bins, Products
from models.scorers.linear_core import Linear
from models.scorers.linear_models import LINEAR, NETWORKS, compile_linear, compile_network
from models.scorers.matrix import Matrix
from models.scorers.network_core import Network
from models.scorers.part import Core, NotCompiled, Part
from models.scorers.pipelines import compile_pipeline
from models.scorers.scorer import Scorer
from models.scorers.steps import Branch, Branches, Complete, Impute, Scale, Take
from models.scorers.trees import Trees

# By the exact class of the last step: a subclass may compute anything.
_COMPILERS: Mapping[type, Callable[[Any], Core]] = {
    **dict.fromkeys(LINEAR, compile_linear),
    **dict.fromkeys(NETWORKS, compile_network),
    **forests.COMPILERS,
    **boosting.COMPILERS,
}
# Every class that a stored scorer may consist of.
_STEPS: tuple[type[Part], ...] = (
    Bins,
    Branch,
    Branches,
    Complete,
    Impute,
    Lookup,
    OneHot,
    Ordinal,
    Products,
    Scale,
    Take,
)
_PARTS: tuple[type[Part], ...] = (Scorer, Matrix, Columns, *_STEPS, Linear, Network, Trees)

KINDS: Mapping[str, type[Part]] = {part.kind: part for part in _PARTS}


def compile_scorer(estimator: Any, signature: Signature) -> tuple[Scorer, Any]:
    """A scorer for a fitted estimator, and the last step, which the scorer's core stands for.

    Raises NotCompiled.
    """
    reader, last = compile_pipeline(estimator, signature)
    compile_core = _COMPILERS.get(type(last))
    if compile_core is None:
        raise NotCompiled(f"there is no compiled form of {type(last).__name__}")
    return Scorer(reader, compile_core(last)), last
