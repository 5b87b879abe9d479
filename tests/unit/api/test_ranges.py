"""Range headers: what may be passed on, what must be ignored, and what is out of reach of the file."""

from __future__ import annotations

import pytest

from api.ranges import holds, normalised


@pytest.mark.parametrize(
    ("header", "passed_on"),
    [
        ("bytes=0-3", "bytes=0-3"),
        ("Bytes = 5 - ", "bytes=5-"),
        ("bytes=-8", "bytes=92-"),
        ("bytes=-1000", "bytes=0-"),  # longer than the file: all of it
        ("bytes=-0", "bytes=100-"),  # nothing: out of reach
        ("bytes=7-3", None),
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),
        ("rows=0-3", None),
        ("bytes=\u0663-", None),
        ("bytes=-" + "9" * 5000, None),
        ("bytes=" + "9" * 5000 + "-", None),
        (None, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_range_of_a_file_of_100_bytes(header: str | None, passed_on: str | None) -> None:
    assert normalised(header, 100) == passed_on


@pytest.mark.parametrize(
    ("if_range", "may"),
    [
        (None, True),
        ('"tag"', True),
        (' "tag" ', True),
        ('W/"tag"', False),
        ('"other"', False),
        ("tag", False),
        ("Tue, 14 Nov 2023 22:13:20 GMT", True),
        ("Tue, 14 Nov 2023 22:13:21 GMT", False),
        ("Tue, 14 Nov 2023 22:13:19 GMT", False),
        ("", False),
        ("Tue, 99 Nov 2023", False),
    ],
)
def test_a_range_is_served_to_those_who_have_the_same_file(if_range: str | None, may: bool) -> None:
    assert holds(if_range, "tag", 1_700_000_000.5) is may
