"""Bases of plain values (msgspec.Struct) in modules that setup.py compiles.

mypyc drops the keywords of a class statement, so what msgspec is to do has to be inherited. The statement repeats what
type checkers want to see of it: `class Client(Frozen, frozen=True)`.
"""

from __future__ import annotations

import msgspec


class Frozen(msgspec.Struct, frozen=True):
    """What never changes."""


class Flat(msgspec.Struct, frozen=True, gc=False):
    """... and holds no container that could lead back to it, so the collector need not look at it."""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """... and is encoded as its values only."""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """... and is made with its fields' names."""
