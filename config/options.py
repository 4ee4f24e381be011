"""Turns a settings class into click options, so that a flag is never declared twice."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from config.field import FLAG, REQUIRED
from config.loader import environment_name, load
from config.units import parse_duration


def settings_options(
    cls: type[Any], section: str, *, reloadable: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Adds --config FILE and a flag for each setting; the command receives one `settings` argument of `cls`.

    With `reloadable` it also receives `reload`, which reads them again from the same places. Raises ConfigError.
    """
    fields = [field for field in dataclasses.fields(cls) if field.metadata["of"] is None]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def command(config: Path | None, **arguments: Any) -> Any:
            flags = {field.name: arguments.pop(field.name) for field in fields}
            read = functools.partial(load, cls, section, file=config, flags=flags)
            if reloadable:
                arguments["reload"] = read
            return function(settings=read(), **arguments)

        decorated: Callable[..., Any] = command
        for field in reversed(fields):
            decorated = _option(section, field)(decorated)
        where = click.Path(path_type=Path, dir_okay=False)
        return click.option("--config", type=where, metavar="FILE", help=f"TOML file with [{section}].")(decorated)

    return decorate


def _option(section: str, field: dataclasses.Field[Any]) -> Callable[..., Any]:
    kind, default = field.metadata["kind"], field.metadata["default"]
    flag = "--" + field.name.replace("_", "-")
    shown = "required" if default is REQUIRED else f"default: {default}" if default != "" else "default: none"
    text = f"{field.metadata['help']} [{shown}; {environment_name(section, field.name)}]"
    if kind is FLAG:
        return click.option(f"{flag}/--no-{flag[2:]}", field.name, default=None, help=text)
    return click.option(flag, field.name, metavar=field.name.rpartition("_")[2].upper(), help=text)


def duration_option(context: click.Context, option: click.Parameter, value: str) -> float:
    """A callback of click's: seconds of "90s", "5m", "24h" and their kind."""
    try:
        return parse_duration(value)
    except ValueError:
        raise click.BadParameter(f'found {value!r}, expected a duration such as "5m" or "24h"') from None
