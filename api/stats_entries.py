"""What ``/stats`` says of requests that were counted together, and of the versions that share an alias."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from base.meter import spread
from base.meter.tally import Measured, Tally

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
    scored: dict[str, dict[str, Measured]] = {}
    dropped: dict[str, dict[str, Measured]] = {}
    for (route, model), measured in series.items():
        if (found := spread.parts(route)) is None or model is None:
            continue
        kind, alias = found
        if kind == "split":
            arms.setdefault(alias, {})[model] = [measured]
        else:
            (scored if kind == "shadow" else dropped).setdefault(alias, {})[model] = measured
    return [
        {
            "alias": alias,
            "arms": of_models(arms.get(alias, {})),
            "shadows": _shadows(scored.get(alias, {}), dropped.get(alias, {})),
        }
        for alias in sorted({*arms, *scored, *dropped})
    ]


def _shadows(scored: Mapping[str, Measured], dropped: Mapping[str, Measured]) -> list[dict[str, Any]]:
    nothing = Measured.of([])
    return [
        _shadow(model, scored.get(model, nothing), dropped.get(model, nothing))
        for model in sorted({*scored, *dropped})
    ]


def _shadow(model: str, scored: Measured, dropped: Measured) -> dict[str, Any]:
    return {
        "model": model,
        **_shadow_counts(scored.recent, dropped.recent),
        **_times(scored.recent),
        "total": _shadow_counts(scored.total, dropped.total),
    }


def _shadow_counts(scored: Tally, dropped: Tally) -> dict[str, Any]:
    return {
        "rows": scored.requests,
        "errors": scored.errors,
        "refusals": scored.refusals,
        "agreed": scored.hits,
        "flipped": scored.misses,
        "dropped": dropped.requests,
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
