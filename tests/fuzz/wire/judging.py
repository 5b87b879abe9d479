"""Whether what a client heard may be said to what it sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from tests.fuzz.wire import answers, strict
from tests.fuzz.wire.answers import Answer, NotHttp
from tests.fuzz.wire.client import Heard
from tests.fuzz.wire.strict import Ending, Seen


def faults(sent: bytes, heard: Heard) -> list[str]:
    """What is wrong with the answers; empty if nothing is."""
    seen = strict.read(sent)
    try:
        found, rest = answers.read(bytes(heard.received), seen.methods)
    except NotHttp as error:
        return [f"no HTTP: {error}"]
    reasons = [reason for answer in found for reason in _of_itself(answer)]
    reasons += _of_order(seen, found)
    if heard.hung:
        reasons.append("the server lets its client wait")
    if heard.ended and not heard.broken:
        reasons += _of_end(seen, found, rest)
    return reasons


def is_enough(sent: bytes, received: bytes) -> bool:
    """Whether a client can expect no more answers."""
    seen = strict.read(sent)
    try:
        found, _ = answers.read(received, seen.methods)
    except NotHttp:
        return True
    return len(found) >= seen.most_answers


def _of_itself(answer: Answer) -> Iterator[str]:
    if not answer.name:
        yield f"{answer.status} without X-Request-ID"
    if answer.status >= 500 and answer.status != 501 and not _is_not_ready(answer):
        yield f"{answer.status} {answer.body[:300]!r}"
    if answer.status >= 400 and answer.body and not answers.is_problem(answer):
        yield f"{answer.status} is no problem: {answer.body[:300]!r}"
    if b"Traceback" in answer.body:
        yield "a traceback"


def _is_plain(name: str | None) -> bool:
    """Whether a server has no reason to find another name for a request."""
    return name is not None and re.fullmatch(r"[0-9]+-[0-9]+", name) is not None


def _is_not_ready(answer: Answer) -> bool:
    """What is the server's state, where there are no workers and no Redis; V2's form has no code."""
    is_of_v2 = answer.body.startswith(b'{"error":')
    return answer.status == 503 and (is_of_v2 or answers.code_of(answer) == "not_ready")


def _of_order(seen: Seen, found: list[Answer]) -> Iterator[str]:
    if len(found) > seen.most_answers:
        yield f"{len(found)} answers to {len(seen.requests)} requests and {seen.ending.name}"
    for answer, behind in pairwise(found):
        if answer.is_last:
            yield f"{behind.status} behind the last answer"
    for request, answer in zip(seen.requests, found, strict=False):
        # of what came too slowly the name may be missing
        if _is_plain(request.name) and answer.status != 408 and answer.name != request.name:
            yield f"request {request.name} has the answer {answer.name}: {answer.status}"
    if len(found) > len(seen.requests) and found[len(seen.requests)].status < 400:
        yield f"{found[len(seen.requests)].status} to what is no whole request"


def _of_end(seen: Seen, found: list[Answer], rest: bytes) -> Iterator[str]:
    """Of a connection that the server ended when it had received everything."""
    if rest:
        yield f"half an answer: {rest[:100]!r}"
    wanted = len(seen.requests) + (seen.ending is Ending.BAD)
    # a refusal may leave a body behind, and nobody then knows what comes after it
    is_over = found and (found[-1].is_last or found[-1].status >= 400)
    if len(found) < wanted and not is_over:
        yield f"{len(found)} answers to {len(seen.requests)} requests and {seen.ending.name}"
