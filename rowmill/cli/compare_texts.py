"""What a person reads about a comparison, as pure functions from its document to text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rowmill.cli.texts import table
from rowmill.client import Comparison

MAX_SHOWN_CLASSES = 8
MAX_SHOWN_FLIPS = 20


def description(found: Comparison) -> str:
    """The whole comparison."""
    blocks = [_rows(found)]
    for target in found["targets"]:
        if target["name"] is not None:
            blocks.append(f"TARGET {target['name']}")
        blocks += _target(found["models"], target)
    return "\n\n".join(blocks)


def _rows(found: Comparison) -> str:
    first, second = found["models"]
    failed = found["failed"]
    reasons = {
        "bad for both": failed["both"],
        f"bad for {first} only": failed["first_only"],
        f"bad for {second} only": failed["second_only"],
    }
    told = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
    rows = f"{first} and {second}: {found['compared']:,} of {found['rows']:,} rows compared"
    return f"{rows} ({told})" if told else rows


def _target(models: Sequence[str], target: Mapping[str, Any]) -> Iterator[str]:
    if target["agreed"] is not None:
        yield _agreement(target)
        if target["flips"]:
            yield _flips(models, target["flips"], target["kinds_of_flips"])
    if target["scores"] is not None:
        yield _scores(models, target["scores"])
    if target["metrics"] is not None:
        yield _metrics(models, target["metrics"])


def _agreement(target: Mapping[str, Any]) -> str:
    if target["agreement"] is None:
        return "agreement: no rows"
    return f"agreement {target['agreement']:.4%}: {target['flipped']:,} labels differ"


def _flips(models: Sequence[str], flips: Sequence[Mapping[str, Any]], kinds: int) -> str:
    rows: list[tuple[str, ...]] = [(models[0], models[1], "ROWS")]
    rows += [(flip["first"], flip["second"], f"{flip['rows']:,}") for flip in flips[:MAX_SHOWN_FLIPS]]
    labels = sorted({flip[side] for flip in flips for side in ("first", "second")})
    if kinds == len(flips) and len(labels) <= MAX_SHOWN_CLASSES:
        rows = _matrix(models, labels, flips)
    elif kinds > MAX_SHOWN_FLIPS:
        return f"{table(rows)}\nand {kinds - MAX_SHOWN_FLIPS:,} other kinds"
    return table(rows)


def _matrix(
    models: Sequence[str], labels: Sequence[str], flips: Sequence[Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    """Labels of the first model down, those of the second across."""
    counts = {(flip["first"], flip["second"]): flip["rows"] for flip in flips}
    body = [
        (first, *("-" if first == second else f"{counts.get((first, second), 0):,}" for second in labels))
        for first in labels
    ]
    return [(f"FLIPS {models[0]} \\ {models[1]}", *labels), *body]


def _scores(models: Sequence[str], scores: Mapping[str, Any]) -> str:
    rows = [(f"QUANTILE of {scores['of']}", *models, "SHIFT")]
    rows += [
        (
            f"{each['quantile']:.0%}",
            _number(each["first"]),
            _number(each["second"]),
            _signed(each["shift"]),
        )
        for each in scores["quantiles"]
    ]
    return f"{table(rows)}\n{_change(scores['change'])}"


def _change(change: Mapping[str, Any]) -> str:
    if not change["rows"]:
        return "change of a row: none to tell"
    sizes = {each["quantile"]: each["change"] for each in change["quantiles_absolute"]}
    return (
        f"change of a row: mean {_signed(change['mean'])}, mean size {_number(change['mean_absolute'])}, "
        f"95% within {_number(sizes[0.95])}, largest {_number(sizes[1.0])}, "
        f"{change['unchanged']:,} of {change['rows']:,} unchanged"
    )


def _metrics(models: Sequence[str], metrics: Mapping[str, Any]) -> str:
    first, second = metrics["first"], metrics["second"]
    rows = [(f"METRIC ({metrics['rows']:,} labelled rows)", *models, "DIFFERENCE")]
    for name in dict.fromkeys([*first, *second]):
        one, other = first.get(name), second.get(name)
        difference = None if one is None or other is None else other - one
        rows.append((name, _number(one), _number(other), _signed(difference)))
    return table(rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.6g}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.4g}"
