"""What is not well with the routes process, each thing logged when it begins and when it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator

logger = logging.getLogger(__name__)


class Troubles:
    def __init__(self) -> None:
        self._known: dict[str, str] = {}  # what is not well -> why

    def say(self, what: str, why: str) -> None:
        """`why` is a sentence, or "" if `what` is well."""
        before = self._known.get(what, "")
        if why:
            self._known[what] = why
            if not before:
                logger.warning("%s is not well", what, extra={"reason": why})
        elif before:
            del self._known[what]
            logger.info("%s is well again", what)

    def __contains__(self, what: str) -> bool:
        return what in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)
