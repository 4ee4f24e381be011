"""One declaration per setting: TOML key, environment name, flag, type, default and reference text."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from config import units


@dataclass(frozen=True)
class Kind:
    """A type of setting: `expected` completes "expected ...", `parse` raises ValueError on anything else."""

    expected: str
    parse: Callable[[Any], Any]
    show: Callable[[Any], str] = str


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("not text")
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("not a whole number")
    number = int(value)
    if number < 0:
        raise ValueError("negative")
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("not a number")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ValueError("neither true nor false")


def _matching(pattern: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if not re.fullmatch(pattern, _text(value)):
            raise ValueError("does not match")
        return str(value)

    return parse


def _address(value: Any) -> tuple[str, int]:
    host, _, port = _text(value).rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise ValueError("no host:port")
    return host.strip("[]"), int(port)


def show_address(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


TEXT = Kind("text", _text)
INTEGER = Kind("a whole number, not negative", _integer)
NUMBER = Kind("a number", _number)
SECRET = Kind("a secret text", _text, lambda value: "(hidden)" if value else "")
FLAG = Kind("true or false", _flag, lambda value: "true" if value else "false")
PATH = Kind("a path", lambda value: Path(_text(value)).expanduser())
OPTIONAL_PATH = Kind("a path", lambda value: PATH.parse(value) if value else None, lambda path: str(path or ""))
BYTES = Kind('a size such as "4 MiB" or "120 TB"', lambda v: units.parse_bytes(_text(v)), units.write_bytes)
RATE = Kind('a rate such as "1.2 Gbit/s"', lambda v: units.parse_rate(_text(v)), units.write_rate)
DURATION = Kind('a duration such as "10s" or "12h"', lambda v: units.parse_duration(_text(v)), units.write_duration)
ADDRESS = Kind('an address such as "127.0.0.1:8080"', _address, show_address)
OPTIONAL_ADDRESS = Kind(
    'an address such as "0.0.0.0:443"',
    lambda value: _address(value) if value else None,
    lambda address: show_address(address) if address else "",
)
# RFC 8216bis-22 4.4.6.6 limits a pathway ID to these characters; an appliance's name is its pathway ID.
NAME = Kind('a name of letters, digits, ".", "_" and "-"', _matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"))


def url_of(*schemes: str) -> Kind:
    """A URL of one of these schemes; an empty text stands for "none"."""

    def parse(value: Any) -> str:
        text = _text(value)
        if text and (urlsplit(text).scheme not in schemes or "://" not in text):
            raise ValueError("another scheme")
        return text

    return Kind("a URL of " + ", ".join(f"{scheme}://" for scheme in schemes), parse)


HTTP_URL = url_of("http", "https")


def choice(*values: str) -> Kind:
    def parse(value: Any) -> str:
        if value not in values:
            raise ValueError("not among them")
        return str(value)

    return Kind("one of " + ", ".join(values), parse)


def listing(kind: Kind) -> Kind:
    """A TOML array of `kind`, or comma-separated text in a flag or the environment."""

    def parse(value: Any) -> tuple[Any, ...]:
        items = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(items, (list, tuple)):
            raise ValueError("not a list")
        return tuple(kind.parse(item) for item in items)

    return Kind(f"a list, each {kind.expected}", parse, lambda value: ", ".join(kind.show(item) for item in value))


def tables(cls: type[Any]) -> Kind:
    """A TOML array of tables, each an instance of the settings class `cls`; loaded by config.loader."""
    return Kind(f"tables [[...]] of {cls.__name__}", lambda value: value, lambda value: f"{len(value)} tables")


REQUIRED = object()


def setting(default: Any = REQUIRED, *, kind: Kind, help: str, of: type[Any] | None = None) -> Any:
    """A field of a settings dataclass. `default` is written as an operator would write it ("10s").

    `of` names the settings class of a `tables` field.
    """
    metadata = {"kind": kind, "help": help, "default": default, "of": of}
    if default is REQUIRED:
        return dataclasses.field(metadata=metadata, kw_only=True)
    value = default if of is not None else kind.parse(default)
    return dataclasses.field(default=value, metadata=metadata, kw_only=True)
