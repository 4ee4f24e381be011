"""Reads settings from file < environment < flags into frozen dataclasses, reporting all problems together."""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from config.errors import ConfigError, Problem
from config.field import REQUIRED

Settings = TypeVar("Settings")


def environment_name(section: str, key: str) -> str:
    return f"NEARCAST_{section}_{key}".upper().replace("-", "_").replace(".", "_")


def read_file(path: Path) -> dict[str, Any]:
    """The TOML document at `path`. Raises ConfigError naming the file and the place."""
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise ConfigError([Problem(str(path), "file", error.strerror or str(error), "a readable TOML file")]) from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError both derive from it
        raise ConfigError([Problem(str(path), "syntax", str(error), "TOML (https://toml.io)")]) from error


def load(
    cls: type[Settings],
    section: str,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """An instance of the settings class `cls` from the table [section]; flags that are None were not given.

    Raises ConfigError with every problem found.
    """
    document = read_file(file) if file is not None else {}
    table = document.get(section, {})
    where = str(file) if file is not None else "settings"
    problems: list[Problem] = []
    if not isinstance(table, dict):
        raise ConfigError([Problem(where, section, repr(table), f"a table [{section}]")])
    given: dict[str, tuple[str, Any]] = {key: (f"{where} [{section}]", value) for key, value in table.items()}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        name = environment_name(section, field.name)
        if name in environ:
            given[field.name] = ("environment", environ[name])
        if flags is not None and flags.get(field.name) is not None:
            given[field.name] = ("command line", flags[field.name])
    settings = _build(cls, given, where, problems)
    if problems or settings is None:
        raise ConfigError(problems)
    return settings


def build(cls: type[Settings], table: Mapping[str, Any], where: str) -> Settings:
    """An instance of the settings class `cls` from a table read from `where`, for files that are no configuration.

    Raises ConfigError with every problem found.
    """
    problems: list[Problem] = []
    settings = _build(cls, {key: (where, value) for key, value in table.items()}, where, problems)
    if problems or settings is None:
        raise ConfigError(problems)
    return settings


def _build(
    cls: type[Settings], given: Mapping[str, tuple[str, Any]], where: str, problems: list[Problem]
) -> Settings | None:
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, (origin, raw) in given.items():
        field = fields.get(key)
        if field is None:
            problems.append(Problem(origin, key, "an unknown key", "one of " + ", ".join(sorted(fields))))
        elif field.metadata["of"] is not None:
            values[key] = _build_tables(field.metadata["of"], key, raw, origin, problems)
        else:
            kind = field.metadata["kind"]
            try:
                values[key] = kind.parse(raw)
            except ValueError:
                problems.append(Problem(origin, key, repr(raw), kind.expected))
    for key, field in fields.items():
        if field.metadata["default"] is REQUIRED and key not in given:
            problems.append(Problem(where, key, "nothing", field.metadata["kind"].expected))
    return None if problems else cls(**values)


def _build_tables(cls: type[Any], key: str, raw: Any, origin: str, problems: list[Problem]) -> tuple[Any, ...]:
    if not isinstance(raw, list) or not all(isinstance(table, dict) for table in raw):
        problems.append(Problem(origin, key, repr(raw), f"tables [[...{key}]]"))
        return ()
    built = []
    for position, table in enumerate(raw):
        place = f"{origin} {key}[{position}]"
        built.append(_build(cls, {name: (place, value) for name, value in table.items()}, place, problems))
    return tuple(built)


def show(settings: Any) -> dict[str, str]:
    """Each setting as an operator would write it."""
    return {
        field.name: field.metadata["kind"].show(getattr(settings, field.name)) for field in dataclasses.fields(settings)
    }
