"""What is recorded is read again: in the window as long as it is recent, in the total for ever."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from base.meter.layout import MAX_SERIES, RING, SLOT_SECONDS, WINDOW_SECONDS, WINDOW_SLOTS
from base.meter.recorder import KEPT_FOR_ROUTES, OTHER, Recorder
from base.meter.tally import Reading, Tally, read

HOUR = 3600.0


class Event(NamedTuple):
    after: float  # seconds after the event before
    recorder: int
    route: str
    model: str | None
    seconds: float
    status: int
    hit: bool | None


EVENTS = st.lists(
    st.builds(
        Event,
        after=st.floats(0, 30)
        | st.sampled_from([0, SLOT_SECONDS, WINDOW_SECONDS, RING * SLOT_SECONDS, HOUR]),
        recorder=st.integers(0, 1),
        route=st.sampled_from(["POST /predict", "GET /models"]),
        model=st.sampled_from([None, "wine@1", "wine@2"]),
        seconds=st.floats(0, 10),
        status=st.sampled_from([200, 202, 304, 400, 422, 500, 503]),
        hit=st.sampled_from([None, True, False]),
    ),
    max_size=40,
)


def both(recorders: list[Recorder], now: float) -> Reading:
    found = [read(recorder.mapped, now) for recorder in recorders]
    return Reading.of([part for part in found if part], 2e9)


def seen(tally: Tally) -> tuple[int, int, int, int, int]:
    return tally.requests, tally.refusals, tally.errors, tally.hits, tally.misses


def expected(events: list[Event]) -> tuple[int, int, int, int, int]:
    return (
        len(events),
        sum(400 <= event.status < 500 for event in events),
        sum(event.status >= 500 for event in events),
        sum(event.hit is True for event in events),
        sum(event.hit is False for event in events),
    )


@settings(max_examples=60)
@given(events=EVENTS, start=st.floats(0, 1e7), look=st.floats(0, 2 * WINDOW_SECONDS))
@example([Event(0, 0, "GET /models", None, 0.1, 200, None)], 0.0, 0.0)
@example([Event(0, 0, "GET /models", None, 0.1, 200, None)], 0.0, WINDOW_SECONDS - 0.001)
@example([Event(0, 0, "GET /models", None, 0.1, 200, None)], 0.0, float(WINDOW_SECONDS))
def test_two_processes_are_added_up_over_the_window(events: list[Event], start: float, look: float) -> None:
    recorders = [Recorder(None), Recorder(None)]
    now, at = start, list[tuple[float, Event]]()
    for event in events:
        now += event.after
        recorders[event.recorder].record(*event[2:6], hit=event.hit, now=now)
        at.append((now, event))
    now += look
    found = both(recorders, now).series
    for key in {(event.route, event.model) for event in events}:
        mine = [(moment, event) for moment, event in at if (event.route, event.model) == key]
        recent = [e for moment, e in mine if now // SLOT_SECONDS - moment // SLOT_SECONDS < WINDOW_SLOTS]
        assert seen(found[key].total) == expected([event for _, event in mine])
        assert seen(found[key].recent) == expected(recent)
        assert found[key].recent.seconds == pytest.approx(sum(event.seconds for event in recent), abs=1e-6)


def test_a_slot_that_has_not_come_yet_is_not_counted() -> None:
    recorder = Recorder(None)
    recorder.record("GET /models", None, 0.1, 200, hit=None, now=HOUR)
    measured = both([recorder], HOUR - SLOT_SECONDS).series["GET /models", None]
    assert (measured.recent.requests, measured.total.requests) == (0, 1)


def test_models_beyond_the_places_count_as_others_of_their_route_and_routes_still_have_theirs() -> None:
    recorder, models = Recorder(None), MAX_SERIES - KEPT_FOR_ROUTES - 1
    for number in range(models + 50):
        recorder.record("POST /predict", f"wine@{number}", 0.001, 200, hit=None, now=HOUR)
    recorder.record("POST /invocations", "wine@0", 0.001, 200, hit=None, now=HOUR)
    recorder.record("GET /models", None, 0.001, 200, hit=None, now=HOUR)
    found = both([recorder], HOUR).series
    assert found["POST /predict", f"wine@{models - 1}"].total.requests == 1
    assert found["POST /predict", OTHER].total.requests == 50
    assert found["POST /invocations", OTHER].total.requests == 1
    assert found["GET /models", None].total.requests == 1


def test_a_full_file_counts_all_others_together() -> None:
    recorder = Recorder(None)
    for number in range(MAX_SERIES + 9):
        recorder.record(f"GET /{number}", None, 0.001, 200, hit=None, now=HOUR)
    found = both([recorder], HOUR).series
    assert len(found) == MAX_SERIES
    assert found[OTHER, None].total.requests == 10
