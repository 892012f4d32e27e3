"""Log lines: one JSON object a line on stdout, a sentence in `event` plus fields.

`time`, `level`, `service` and `event` come first. What uvicorn, aiokafka and other libraries log through the standard
library takes the same form, with its logger's name in `logger`.
"""

import json
import logging
import sys
from typing import Any, TextIO, override

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

FIRST_KEYS = ("time", "level", "service", "event")
MAX_EVENT_CHARS = 2_000  # libraries put whole requests into their messages
# Loggers of libraries that bring handlers of their own, or whose chatter at INFO tells an operator nothing.
CAPTURED_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "aiokafka", "alembic")
QUIET_LOGGERS = ("uvicorn.error", "aiokafka", "asyncio")
# aiokafka tells twenty times a second that it cannot connect; once in this time says as much.
REPEAT_AFTER_S = 10.0
MAX_REMEMBERED = 1_000


def configure(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (stdout) as JSON. Repeatable: the last call counts."""
    out = stream if stream is not None else sys.stdout
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        _Named(service),
    ]
    structlog.configure(
        processors=[*shared, _render_line],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(shared, level, out)


class _Named:
    """Adds the service's name to a line."""

    def __init__(self, service: str) -> None:
        self._service = service

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = self._service
        return event


class _Throttle(logging.Filter):
    """Passes the same message of the same library logger once in REPEAT_AFTER_S; `left_out` tells how many it did not."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        kind = (record.name, str(record.msg))
        passed_at, left_out = self._seen.get(kind, (-REPEAT_AFTER_S, 0))
        if record.created - passed_at < REPEAT_AFTER_S:
            self._seen[kind] = (passed_at, left_out + 1)
            return False
        if len(self._seen) >= MAX_REMEMBERED:
            self._seen.clear()
        self._seen[kind] = (record.created, 0)
        record.left_out = left_out
        return True


def _add_left_out(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    left_out = getattr(event.get("_record"), "left_out", 0)
    if left_out:
        event["left_out"] = left_out
    return event


def _route_standard_logging(shared: list[Processor], level: str, out: TextIO) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, _add_left_out, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _shorten, _render_line],
        )
    )
    handler.addFilter(_Throttle())
    root = logging.getLogger()
    for old in [
        each for each in root.handlers if isinstance(each.formatter, structlog.stdlib.ProcessorFormatter)
    ]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in CAPTURED_LOGGERS:
        captured = logging.getLogger(name)
        captured.handlers.clear()
        captured.propagate = True
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[level]))


def _shorten(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    text = str(event.get("event", ""))
    event["event"] = text if len(text) <= MAX_EVENT_CHARS else text[:MAX_EVENT_CHARS] + "…"
    return event


def _render_line(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _to_line(event)


def _to_line(event: EventDict) -> str:
    ordered: dict[str, Any] = {key: event[key] for key in FIRST_KEYS if key in event}
    ordered.update(event)
    try:
        return msgspec.json.encode(ordered, enc_hook=str).decode()
    except (TypeError, ValueError, OverflowError):
        # Lone surrogates and huge integers: a log line must come out whatever is in it.
        return json.dumps(ordered, default=str, skipkeys=True)
