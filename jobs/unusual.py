"""Values that a job scored although training had nothing like them: counted by chunk, told when it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from models.manifest import ColumnSpec, Manifest
from models.rules import Unusual, reason

# A job whose columns are all unusual has another problem than any one of them.
MAX_TOLD = 50


def count(unusual: Sequence[Unusual], scored: pa.Table) -> dict[str, int]:
    """Values by ``code:column``, as far as their rows were scored."""
    if not unusual:
        return {}
    bad = scored.column("error").is_valid().to_numpy()
    counts = {f"{each.code}:{each.spec.name}": int((~bad[each.rows]).sum()) for each in unusual}
    return {key: number for key, number in counts.items() if number}


def total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The counts of several runs of rows together, in the order of the first."""
    found: Counter[str] = Counter()
    for each in counts:
        found.update(each)
    return dict(found)


def sentences(manifest: Manifest, counts: Mapping[str, int]) -> list[str]:
    """What the user is told about them, in the order of the model's columns."""
    order = {name: position for position, name in enumerate(manifest.signature.names)}
    found = sorted((order[key.partition(":")[2]], key.partition(":")[0], n) for key, n in counts.items())
    told = [_sentence(manifest.signature.columns[at], code, n) for at, code, n in found[:MAX_TOLD]]
    if len(found) > MAX_TOLD:
        told.append(f"{len(found) - MAX_TOLD} more such warnings are left out.")
    return told


def _sentence(spec: ColumnSpec, code: str, number: int) -> str:
    values = "1 value" if number == 1 else f"{number} values"
    text = f"Column {spec.name!r} has {values} unlike those of training ({code}): {reason(spec, code)}"
    if spec.on_unusual == "clip" and not spec.categories:
        low, high = spec.clip_to
        text += f"; taken as the nearest of {low:g} to {high:g}"
    return f"{text}."
