"""The one place that speaks HTTP: connection, time limits, repetition, and refusals as exceptions.

Nothing about jobs is known here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from rowmill.client.errors import ApiError, ConnectError

PATIENCE_SECONDS = 60.0
FIRST_CONTACT_SECONDS = 1.0  # a server that never answered is most likely not running: say so soon
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
TIME_LIMITS = httpx.Timeout(connect=5, read=60, write=60, pool=None)
PASSING = frozenset({429, 502, 503, 504})
# An earlier try of ours, whose connection broke, may not have been given up by the server yet.
PASSING_CODES = frozenset({"idempotency_key_in_use"})

Body = Callable[[], Iterator[bytes]]


class Transport:
    """Requests to one server; safe to share between threads."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self.url = _checked_url(url)
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        # a proxy named in the environment cannot reach this machine's own loopback
        direct = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=TIME_LIMITS, mounts=direct)
        self._answered = False

    def close(self) -> None:
        self._http.close()

    def json(self, method: str, path: str, **request: Any) -> Any:
        """The decoded answer of `open`, which takes the same arguments."""
        return self.decode(self.open(method, path, **request))

    def decode(self, response: httpx.Response) -> Any:
        """The JSON of a good answer."""
        try:
            return response.json()
        except ValueError as error:
            kind = response.headers.get("Content-Type", "no type")
            raise ConnectError(
                f"{self.url} answered {kind} instead of JSON; is it a Rowmill server?"
            ) from error

    def open(
        self,
        method: str,
        path: str,
        *,
        repeat: bool | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
        body: Body | None = None,
        stream: bool = False,
        **request: Any,
    ) -> httpx.Response:
        """Send one request and return a good answer (2xx or 304); the caller closes it when `stream` is set.

        `repeat`: send it again after a lost connection or a passing refusal (default: only GET and HEAD), for
        as long as `patience_seconds` last. `body` is called anew for each try.
        """
        may_repeat = method in {"GET", "HEAD"} if repeat is None else repeat
        started, pause = time.monotonic(), FIRST_PAUSE_SECONDS
        while True:
            try:
                return self._send(method, path, body, stream, request)
            except (ConnectError, ApiError) as failure:
                pause = _pause_wanted(failure) or pause
                limit = min(patience_seconds, self._patience(failure))
                if not may_repeat or time.monotonic() - started + pause > limit:
                    raise
            time.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    def _send(
        self, method: str, path: str, body: Body | None, stream: bool, request: dict[str, Any]
    ) -> httpx.Response:
        content = body() if body else None
        try:
            response = self._http.send(
                self._http.build_request(method, path, content=content, **request), stream=stream
            )
            if not (response.is_success or response.status_code == 304):
                response.read()
        except httpx.TransportError as error:
            raise ConnectError(f"cannot reach the Rowmill server at {self.url}: {_reason(error)}") from error
        self._answered = True
        if response.is_success or response.status_code == 304:
            return response
        response.close()
        raise _refusal(response)

    def _patience(self, failure: ConnectError | ApiError) -> float:
        if isinstance(failure, ApiError):
            passing = failure.status in PASSING or failure.code in PASSING_CODES
            return PATIENCE_SECONDS if passing else 0
        return PATIENCE_SECONDS if self._answered else FIRST_CONTACT_SECONDS


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConnectError(f"{url!r} is not a server URL: {error}") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ConnectError(f"{url!r} is not a server URL; it should look like http://127.0.0.1:8000")
    return url.rstrip("/")


def _reason(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _pause_wanted(failure: ConnectError | ApiError) -> float | None:
    return failure.retry_after_seconds if isinstance(failure, ApiError) else None


def _refusal(response: httpx.Response) -> ApiError:
    """The problem that the server described, or a plain one for what a proxy or a stranger answered."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        said = f"{response.status_code} {response.reason_phrase}".strip()
        problem = {"detail": f"{response.url} answered {said} without a reason; is it a Rowmill server?"}
    seconds = response.headers.get("Retry-After", "")
    return ApiError(response.status_code, problem, float(seconds) if seconds.isdecimal() else None)
