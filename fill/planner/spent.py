"""What sites fetched from outside, by the outcomes that their agents left: each is read once, for it never changes."""

from __future__ import annotations

from typing import NamedTuple

from fill.errors import PlanError
from fill.transfer.outcome import FOLDER, Outcome, decode_outcome
from origin.errors import NotFound
from origin.storage import Storage
from origin.together import for_each

# Longer ago than any month began.
_FORGOTTEN_AFTER_S = 32 * 86400.0
_READ_AT_ONCE = 16


class _Spent(NamedTuple):
    site: str
    started: float
    fetched: dict[str, int]  # bytes by who gave them


class Spendings:
    """Of all sites. What a pass that is under way has fetched is not known before its end."""

    def __init__(self) -> None:
        self._outcomes: dict[str, _Spent] = {}

    async def read(self, storage: Storage, now: float) -> None:
        """Takes in the outcomes that are new. Raises StorageError.

        One that cannot be read counts as nothing: it is `nearcast fill report` that says so.
        """
        since = now - _FORGOTTEN_AFTER_S
        keys = [stored.key async for stored in storage.list(f"{FOLDER}/") if _started(stored.key) >= since]
        kept = {key: self._outcomes[key] for key in keys if key in self._outcomes}

        async def read_one(key: str) -> None:
            try:
                outcome = decode_outcome(await storage.read_bytes(key), key)
            except PlanError:
                outcome = Outcome(appliance="")
            except NotFound:
                return
            kept[key] = _Spent(outcome.site, outcome.started, outcome.fetched)

        await for_each([key for key in keys if key not in kept], read_one, at_once=_READ_AT_ONCE)
        self._outcomes = kept

    def since(self, site: str, members: set[str], moment: float) -> int:
        """Bytes that the site fetched from others than its own appliances; `members` are those that it has now."""
        own = members | {_appliance(key) for key, one in self._outcomes.items() if one.site == site}
        passes = (one for one in self._outcomes.values() if one.site == site and one.started >= moment)
        return sum(size for one in passes for source, size in one.fetched.items() if source not in own)


def _appliance(key: str) -> str:
    return key.removeprefix(f"{FOLDER}/").partition("/")[0]


def _started(key: str) -> float:
    started = key.rpartition("-")[2].removesuffix(".json")
    return float(started) if started.isdigit() else 0.0
