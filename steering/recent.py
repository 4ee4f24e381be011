"""A mapping that keeps what was put into it of late, in bounded memory.

Two dictionaries: the younger fills up, takes the place of the older, and a new one begins. So at least the last `most`
keys are known and at most twice as many, and nothing is ever searched for the one that goes: an exact order of use
costs several times as much at each look.

Pure.
"""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    def __init__(self, most: int) -> None:
        self._most = most
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """The last value of the key; to look at it does not make it younger."""
        found = self._young.get(key)
        return found if found is not None else self._old.get(key)

    def put(self, key: Key, value: Value) -> None:
        self._young[key] = value
        if len(self._young) >= self._most:
            self._old, self._young = self._young, {}

    def __len__(self) -> int:
        """Keys of both; one that was put again counts twice for a while."""
        return len(self._young) + len(self._old)
