"""Structured logs: one line an event, on stderr, for people (``text``) or machines (``json``)."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import TextIO

import structlog


class Forgiving:
    """A stream for lines that must not end the work that they tell of: a disk that is full loses them.

    What a buffer still holds goes out with the next line for which there is room.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure(log_format: str, log_level: str, *more: structlog.types.Processor) -> None:
    """Set up structlog for this process; call once, at its start. ``more`` steps may add to each line."""
    structlog.configure(
        processors=[*_steps(log_format, *more), _render(log_format)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[log_level]),
        logger_factory=structlog.PrintLoggerFactory(Forgiving(sys.stderr)),  # type: ignore[arg-type]  # print() needs no more
        cache_logger_on_first_use=True,
    )


def hear_libraries(log_format: str) -> None:
    """Log the warnings and errors of libraries in the same format; without it those of Celery are lost."""
    handler = logging.StreamHandler(Forgiving(sys.stderr))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_steps(log_format),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render(log_format)],
        )
    )
    handler.setLevel(logging.WARNING)
    logging.getLogger().addHandler(handler)
    # what Celery will do by default one day is for its developers, and is said at each break of Redis
    logging.getLogger("py.warnings").setLevel(logging.ERROR)


def _steps(log_format: str, *more: structlog.types.Processor) -> list[structlog.types.Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        *more,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.dict_tracebacks
        if log_format == "json"
        else structlog.processors.format_exc_info,
    ]


def _render(log_format: str) -> structlog.types.Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(colors=False)
