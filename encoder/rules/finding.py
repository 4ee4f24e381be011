"""One broken rule: where, and what was found and expected there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Finding(NamedTuple):
    place: str
    says: str
    is_must: bool = True  # else a recommendation

    def __str__(self) -> str:
        return f"{self.place}: {self.says}"


# Of hundreds of wrong segments the first say it all.
_SHOWN = 8


def sentence(findings: Sequence[Finding]) -> str:
    shown = "; ".join(str(finding) for finding in findings[:_SHOWN])
    return shown + (f"; and {len(findings) - _SHOWN} more" if len(findings) > _SHOWN else "")
