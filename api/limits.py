"""Rate limits: so many requests from one caller, counted in Redis for all processes together.

Where no limit is set a request costs nothing here, and Redis is not asked. While Redis does not answer, each
process counts for itself: a caller then has the limit once for each process, and nobody waits.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address

import redis
import structlog
from apiflask import APIFlask
from flask import Response, g, request
from limits import RateLimitItem, parse_many
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from api import errors
from api.context import caller
from base.access.callers import LOCAL
from base.access.errors import AccessRefused
from base.broker import plain_redis_url
from base.settings import Settings
from jobs.errors import Problem

# What a request may lose to a Redis that is frozen, once in so many seconds and not by all threads.
TIMEOUT_SECONDS = 0.1
BREAKER_SECONDS = 5.0
# All of these cost the same: a model is asked, or a job is made.
PREDICTING = frozenset({"predict.predict", "mlflow.invocations", "v2.infer", "v2.version_infer"})
SUBMITTING = frozenset({"jobs.submit", "again.retry", "again.clone"})
# Load balancers ask often and must not be told that the server is ill; style sheets cost nothing.
FREE = frozenset(
    {"health.healthz", "health.health", "health.readyz", "v2.live", "v2.ready", "mlflow.ping", "static"}
)

# Some proxies tell the port of the client too, which is another one for each connection.
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d*)?|([\d.]+):\d*")

# A limit, and the routes that it counts together.
Scoped = tuple[RateLimitItem, str]

log = structlog.get_logger()


class TooOften(Problem):
    """A request over a limit; the same may be sent again after so many seconds."""

    def __init__(self, limit: RateLimitItem, wait_seconds: int) -> None:
        super().__init__(
            "rate_limited",
            f"More than {limit} were sent. Send this again in {wait_seconds} s; Retry-After says so too.",
        )
        self.wait_seconds = wait_seconds


def register(app: APIFlask, settings: Settings) -> None:
    """Hold the requests of ``app`` to the limits that are set."""
    by_rule = [
        (None, parse_limits(settings.rate_limit)),
        (PREDICTING, parse_limits(settings.rate_limit_predict)),
        (SUBMITTING, parse_limits(settings.rate_limit_submit)),
    ]
    rules = [(endpoints, limits) for endpoints, limits in by_rule if limits]
    if not rules:
        return
    counter = Counter(settings.redis_url)

    def count(who: str) -> None:
        endpoint = request.endpoint or ""  # none: there is nothing at the address, which counts too
        if endpoint in FREE:
            return
        scoped = [
            (limit, "all" if endpoints is None else min(endpoints))
            for endpoints, limits in rules
            if endpoints is None or endpoint in endpoints
            for limit in limits
        ]
        counter.count(scoped, who)

    def not_let_in(error: AccessRefused) -> Response:
        if "caller" not in g:  # else it was let in, counted, and refused by its route
            try:
                count(client_address())
            except TooOften as too_often:
                return _refusal(too_often)
        return errors.not_let_in(error)

    app.before_request(lambda: count(caller_name()))
    app.register_error_handler(TooOften, _refusal)
    app.register_error_handler(AccessRefused, not_let_in)


def hold_predictions(settings: Settings) -> bool:
    """Whether a limit is set that ``POST /predict`` counts for."""
    return bool(settings.rate_limit or settings.rate_limit_predict)


def parse_limits(text: str) -> list[RateLimitItem]:
    """``10/second;1000/hour`` as limits, the shortest first; none for an empty text."""
    return sorted(parse_many(text)) if text else []


def caller_name() -> str:
    """Whom a request counts for: its key, else its owner, else the client's address.

    A link is no key: who has it must not use up what its maker may send.
    """
    sent_by = caller()
    if sent_by is LOCAL or sent_by.by_link or not sent_by.owner:
        return client_address()
    # without a key: a token, or the key of the setting
    return f"key {sent_by.key_id}" if sent_by.key_id else f"owner {sent_by.owner}"


def client_address() -> str:
    """Where the running request came from, without the port; of IPv6 its /64."""
    sent_from = (request.remote_addr or "").strip()
    if found := _WITH_PORT.fullmatch(sent_from):
        sent_from = found[1] or found[2] or ""
    try:
        address = ip_address(sent_from.partition("%")[0])
    except ValueError:
        return "nowhere"  # a Unix socket, or a proxy that hides its clients: all of these together
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))
    return str(address)


class Counter:
    """Counts requests in Redis, and in this process for some seconds after Redis did not answer."""

    def __init__(self, redis_url: str) -> None:
        url = plain_redis_url(redis_url).replace("unix://", "redis+unix://", 1)
        # redis-py would try again for seconds
        quick = {"socket_timeout": TIMEOUT_SECONDS, "socket_connect_timeout": TIMEOUT_SECONDS}
        self._shared = MovingWindowRateLimiter(
            RedisStorage(url, key_prefix="rowmill:limits", retry=Retry(NoBackoff(), 0), **quick)  # type: ignore[arg-type]
        )
        self._own = MovingWindowRateLimiter(MemoryStorage())
        self._closed_until: float | None = None  # None: Redis answers

    def count(self, limits: Sequence[Scoped], who: str) -> None:
        """Count one request of ``who`` for each of the limits.

        Raises ``TooOften`` for one that is over any of them, which is counted for none.
        """
        now = time.monotonic()
        if self._closed_until is None or now >= self._closed_until:
            if self._closed_until is not None:
                self._closed_until = now + BREAKER_SECONDS  # one asks, the others need not wait with it
            try:
                _count(self._shared, limits, who)
            except (redis.RedisError, OSError) as error:
                self._closed_until = now + BREAKER_SECONDS
                log.warning("rate limits are counted by this process alone", reason=str(error))
            else:
                self._closed_until = None
                return
        _count(self._own, limits, who)


def _count(counter: MovingWindowRateLimiter, limits: Sequence[Scoped], who: str) -> None:
    over = [scoped for scoped in limits if not counter.test(*scoped, who)]
    # another request may have come between: then some are counted that need not be
    over = over or [scoped for scoped in limits if not counter.hit(*scoped, who)]
    if over:
        free_at, limit = max((counter.get_window_stats(*each, who).reset_time, each[0]) for each in over)
        raise TooOften(limit, max(1, math.ceil(free_at - time.time())))


def _refusal(error: TooOften) -> Response:
    answer = errors.problem(429, error.code, error.message)
    answer.headers["Retry-After"] = str(error.wait_seconds)
    return answer
