"""What ``/stats`` says of requests that were counted together, and of the versions that share an alias."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import Any

from base.meter import spread
from base.meter.differences import Differences
from base.meter.tally import Measured, Tally

QUANTILES_OF_CHANGE = (0.5, 0.9, 0.95, 0.99, 1.0)

Series = Mapping[tuple[str, str | None], Measured]


def together(parts: Iterable[Measured]) -> dict[str, Any]:
    """Counts and times of the window, and counts in all."""
    measured = Measured.of(parts)
    recent = measured.recent
    count = recent.requests
    return {
        **_counts(recent),
        "error_rate": recent.errors / count if count else None,
        **_times(recent),
        "total": _counts(measured.total),
    }


def of_models(models: Mapping[str, list[Measured]]) -> list[dict[str, Any]]:
    """One entry a version."""
    return busiest_first([{"model": model, **together(parts)} for model, parts in models.items()])


def busiest_first(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those with the most requests first."""
    return sorted(entries, key=lambda entry: -int(entry["total"]["requests"]))


def of_aliases(series: Series) -> list[dict[str, Any]]:
    """One entry an alias that is, or was, split or shadowed: its arms, and its challengers."""
    arms: dict[str, dict[str, list[Measured]]] = {}
    shadows: dict[str, dict[str, _Shadow]] = {}
    for (route, model), measured in series.items():
        if (part := spread.parts(route)) is None or model is None:
            continue
        if part.kind == "split":
            arms.setdefault(part.alias, {})[model] = [measured]
            continue
        shadow = shadows.setdefault(part.alias, {}).setdefault(model, _Shadow())
        if part.kind == "shadow":
            shadow.scored = measured
        elif part.kind == "dropped":
            shadow.dropped = measured
        else:
            shadow.changes[part.place, part.target] = measured
    return [
        {
            "alias": alias,
            "arms": of_models(arms.get(alias, {})),
            "shadows": [
                {"model": model, **shadow.entry()} for model, shadow in sorted(shadows.get(alias, {}).items())
            ],
        }
        for alias in sorted({*arms, *shadows})
    ]


@dataclass
class _Shadow:
    """What was counted for one challenger of an alias."""

    scored: Measured = field(default_factory=partial(Measured.of, ()))
    dropped: Measured = field(default_factory=partial(Measured.of, ()))
    # of models that predict numbers, by place and name of the target
    changes: dict[tuple[int, str | None], Measured] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        return {
            **self._counts(attrgetter("recent")),
            **_times(self.scored.recent),
            "total": self._counts(attrgetter("total")),
        }

    def _counts(self, when: Callable[[Measured], Tally]) -> dict[str, Any]:
        scored = when(self.scored)
        return {
            "rows": scored.requests,
            "errors": scored.errors,
            "refusals": scored.refusals,
            "agreed": scored.hits,
            "flipped": scored.misses,
            "dropped": when(self.dropped).requests,
            "changes": [
                {"target": target, **_change(Differences(when(measured)))}
                for (_place, target), measured in sorted(self.changes.items(), key=_by_place)
            ],
        }


def _by_place(changes: tuple[tuple[int, str | None], Measured]) -> int:
    return changes[0][0]


def _change(found: Differences) -> dict[str, Any]:
    """In the words of `rowmill compare`."""
    return {
        "rows": found.rows,
        "unchanged": found.unchanged,
        "mean": found.mean,
        "mean_absolute": found.mean_absolute,
        "quantiles_absolute": [
            {"quantile": share, "change": found.quantile_absolute(share)} for share in QUANTILES_OF_CHANGE
        ],
    }


def _counts(tally: Tally) -> dict[str, Any]:
    return {
        "requests": tally.requests,
        "errors": tally.errors,
        "refusals": tally.refusals,
        "cache": {"hits": tally.hits, "misses": tally.misses},
    }


def _times(tally: Tally) -> dict[str, Any]:
    count = tally.requests
    return {
        "mean_ms": round(tally.seconds / count * 1000, 3) if count else None,
        **{f"p{share}_ms": _milliseconds(tally.quantile_seconds(share / 100)) for share in (50, 95, 99)},
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
