"""A group of commands that are imported when they are run: `nearcast --help` must not load an encoder."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click


class Where(NamedTuple):
    """A command: "module:attribute", and what the group's help says of it."""

    place: str
    help: str


class LazyGroup(click.Group):
    def __init__(self, *arguments: Any, lazy: Mapping[str, Where], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._lazy = lazy

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._lazy)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        where = self._lazy.get(name)
        if where is None:
            return None
        module, _, attribute = where.place.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, where.help) for name, where in self._lazy.items()])
