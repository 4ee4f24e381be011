"""Structured logging: one JSON object a line on standard error, or plain text for a person's terminal."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

# What every LogRecord has of its own; anything beyond was given with `extra=` and belongs to the event.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        milliseconds = int(record.msecs)
        event: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{milliseconds:03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            event["exception"] = self.formatException(record.exc_info)
        return json.dumps(event, default=str)


class PlainFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        extra = "".join(f" {key}={value}" for key, value in _extra(record).items())
        line = f"{time.strftime('%H:%M:%S')} {record.levelname.lower():<7} {record.name}: {record.getMessage()}{extra}"
        return line + "\n" + self.formatException(record.exc_info) if record.exc_info else line


def start_logging(level: str = "info", style: str = "auto") -> None:
    """Sends every logger to standard error. `style` is json, plain, or auto (plain on a terminal)."""
    handler = logging.StreamHandler(sys.stderr)
    plain = style == "plain" or (style == "auto" and sys.stderr.isatty())
    handler.setFormatter(PlainFormatter() if plain else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)  # each service writes its own access log
