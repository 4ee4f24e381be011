"""What ends a command before there is an event loop."""

from __future__ import annotations

from types import FrameType
from typing import NoReturn


def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """SIGTERM unwinds as Ctrl-C does."""
    raise KeyboardInterrupt
