"""What this process waits for from the parent: each thing asked for once, however many clients want it.

A thousand players that ask for a cold segment in one moment are one Need; what the parent says about it goes to all of
them, and to whoever joins later what it has said so far.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from oca import messages
from oca.link import Link
from oca.messages import Message
from oca.pieces import FileName


class Wanted(NamedTuple):
    """Bytes [first, end) of a file, see oca.messages.Need."""

    name: FileName
    first: int
    end: int
    cached_only: bool


class Need:
    """One thing that was asked for; `hearers` are the clients that wait, each with what it does when it hears."""

    __slots__ = ("_landed", "_located", "hearers", "id", "wanted")

    def __init__(self, id: int, wanted: Wanted) -> None:
        self.id, self.wanted = id, wanted
        self.hearers: dict[object, Callable[[Message], None]] = {}
        self._located: messages.Located | None = None
        self._landed: messages.Landed | None = None

    def hear(self, message: Message) -> None:
        if isinstance(message, messages.Located):
            self._located = message
        elif isinstance(message, messages.Landed):
            self._landed = message
        for client in list(self.hearers):
            if client in self.hearers:  # whoever hears may leave
                self.hearers[client](message)

    def repeat(self, client: object) -> None:
        """What was said so far, to one who comes later, until it leaves: then it is at another request already."""
        if self._located is not None and client in self.hearers:
            self.hearers[client](unclaimed(self._located))
        if self._landed is not None and client in self.hearers:
            self.hearers[client](self._landed)


class Needs:
    def __init__(self, link: Link) -> None:
        self._link = link
        self._needs: dict[Wanted, Need] = {}

    def join(self, client: object, wanted: Wanted, hear: Callable[[Message], None]) -> Need:
        """Has `hear` hear of it until `client` leaves; what was said already is for the caller to have repeated."""
        need = self._needs.get(wanted)
        if need is not None:
            need.hearers[client] = hear
            return need
        need = self._needs[wanted] = Need(self._link.next_id(), wanted)
        need.hearers[client] = hear
        self._link.ask(need.id, messages.Need(need.id, *wanted.name, *wanted[1:]), partial(self._hear, need))
        return need

    def leave(self, client: object, need: Need) -> None:
        """The client has what it wanted, or is gone. The last to leave has the parent forget it."""
        need.hearers.pop(client, None)
        if not need.hearers:
            self._close(need)
            self._link.forget(need.id)
            self._link.say(messages.Forget(need.id))

    def _hear(self, need: Need, message: Message) -> None:
        is_last = isinstance(message, messages.Failed)
        is_last = is_last or (isinstance(message, messages.Landed) and message.upto == need.wanted.end)
        if is_last:  # whoever comes now finds the bytes known to be right, or asks anew
            self._close(need)
        need.hear(message)

    def _close(self, need: Need) -> None:
        """Nobody joins any more."""
        if self._needs.get(need.wanted) is need:
            del self._needs[need.wanted]


def unclaimed(located: messages.Located) -> messages.Located:
    """Where the file is, without what was known to be right: the parent may have taken that back since."""
    return msgspec.structs.replace(located, verified=bytes(len(located.verified)))
