"""What a run of the benchmark covers, as its command line says."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fitting import MODELS
from benchmarks.front_door.peers import PEERS

FORMATS = ("csv", "parquet")
CONTESTANTS = ("pandas", "limit", "rowmill")
_ON_STACK = ("speed", "small", "fairness", "outage", "predict", "beside", "shadow", "images")
PARTS = (*_ON_STACK, "memory", "scorers", "mapped")


@dataclass(frozen=True)
class Plan:
    """Which parts to run, on what, how often."""

    parts: tuple[str, ...]
    folder: Path
    json_file: Path | None
    models: tuple[str, ...]
    formats: tuple[str, ...]
    contestants: tuple[str, ...]
    peers: tuple[str, ...]
    rows: int
    rounds: int
    small_jobs: int
    memory_rows: tuple[int, ...]
    images: Mapping[str, int]
    memory_images: tuple[int, ...]
    huge_rows: int
    outage_requests: int
    scorer_rows: int
    is_quick: bool
    warm_up_rows: int = 10_000
    warm_up_images: int = 200


def parse(arguments: Sequence[str]) -> Plan:
    """The plan that a command line asks for; --quick only changes defaults."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Rowmill against a pandas loop and a hand-tuned script."
    )
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: speed small"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to try a change")
    parser.add_argument("--folder", type=Path, default=Path("data/benchmarks"), help="where files are kept")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--models", type=_some_of(MODELS), default=MODELS, metavar="A,B")
    parser.add_argument("--formats", type=_some_of(FORMATS), default=FORMATS, metavar="A,B")
    parser.add_argument("--contestants", type=_some_of(CONTESTANTS), default=CONTESTANTS, metavar="A,B")
    peers = tuple(peer.name for peer in PEERS)
    parser.add_argument("--peers", type=_some_of(peers), default=peers, metavar="A,B")
    parser.add_argument("--rows", type=int, help="rows of a speed run")
    parser.add_argument("--rounds", type=int)
    given = parser.parse_args(arguments)
    parts = tuple(given.parts or ("speed", "small"))
    if strange := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(strange))}; there are {', '.join(PARTS)}")
    return Plan(
        parts=parts,
        folder=given.folder.absolute(),
        json_file=given.json,
        models=given.models,
        formats=given.formats,
        contestants=given.contestants,
        peers=given.peers,
        rows=given.rows or (200_000 if given.quick else 2_000_000),
        rounds=given.rounds or (2 if given.quick else 5),
        small_jobs=20 if given.quick else 100,
        memory_rows=(200_000, 1_000_000) if given.quick else (2_000_000, 10_000_000),
        images={"icons": 5_000, "photos": 500} if given.quick else {"icons": 50_000, "photos": 5_000},
        memory_images=(200, 5_000) if given.quick else (1_000, 50_000),
        huge_rows=2_000_000 if given.quick else 10_000_000,
        outage_requests=100 if given.quick else 500,
        scorer_rows=5_000 if given.quick else 100_000,
        is_quick=given.quick,
    )


def _some_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    """Reads names separated by commas, each of them known."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        if strange := set(names) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(strange))} is none of {', '.join(known)}")
        return names

    return read
