"""What was asked about unusual values when a version is added, put into the columns that it is about.

Only here is it decided which policy a column can have; what a policy does to values stands in ``rules``.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from models.errors import SignatureRefused
from models.manifest import ColumnSpec, Policy, Signature


@dataclass(frozen=True)
class Policies:
    """``default`` is for all columns but those named; ``max_z`` counts standard deviations from the mean."""

    default: Policy = "warn"
    columns: Mapping[str, Policy] = field(default_factory=dict)
    max_z: float | None = None


def with_policies(signature: Signature, asked: Policies) -> Signature:
    """The signature with a policy in each column.

    Raises SignatureRefused for what could have no effect: ``unknown_column``, ``nothing_known``.
    """
    _check_names(signature, asked)
    columns = tuple(_with_policy(spec, asked) for spec in signature.columns)
    if asked.max_z is not None and not any(spec.near for spec in columns):
        raise _nothing_known("--max-z needs the mean of a column of numbers")
    if asked.default != "warn" and not any(spec.on_unusual == asked.default for spec in columns):
        raise _nothing_known(f"--on-unusual {asked.default} fits no column")
    return signature.model_copy(update={"columns": columns})


def _check_names(signature: Signature, asked: Policies) -> None:
    for name in asked.columns:
        if name not in signature.names:
            near = difflib.get_close_matches(name, signature.names, 1)
            hint = f" (nearest: {near[0]})" if near else ""
            raise SignatureRefused("unknown_column", f"--on-unusual: the model has no column {name!r}{hint}.")


def _with_policy(spec: ColumnSpec, asked: Policies) -> ColumnSpec:
    spec = spec.model_copy(update={"max_z": asked.max_z if spec.std is not None else None})
    wanted = asked.columns.get(spec.name, asked.default)
    if wanted == "warn" or wanted in _possible(spec):
        return spec.model_copy(update={"on_unusual": wanted})
    if spec.name in asked.columns:
        what = "a range" if wanted == "clip" else "a range or categories"
        raise _nothing_known(f"--on-unusual {spec.name}={wanted} needs a column with {what}")
    return spec


def _possible(spec: ColumnSpec) -> set[Policy]:
    """What can be done about unusual values besides telling, where it is known what is usual."""
    if spec.categories:
        return {"refuse"}
    return {"refuse", "clip"} if spec.minimum is not None else set()


def _nothing_known(what: str) -> SignatureRefused:
    return SignatureRefused(
        "nothing_known", f"{what}, as a sample shows it. Give --sample FILE with rows as in training."
    )
