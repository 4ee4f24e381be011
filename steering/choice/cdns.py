"""Other CDNs as pathways: what is paid for where no appliance can serve, before the origin has to.

The cheapest is asked first; among those of a price a session draws by their weights, and keeps what it drew.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from config.steering import CdnSettings
from steering.appliances.fleet import ORIGIN
from steering.draws import arrival, salt_of
from steering.errors import PolicyError


@dataclass(frozen=True, slots=True)
class Cdn:
    name: str
    url: str
    price: float
    weight: float
    salt: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "salt", salt_of(self.name))


class Cdns:
    """Those of the configuration; a manifest lists `most` of them."""

    def __init__(self, declared: Iterable[CdnSettings] = (), most: int = 1) -> None:
        """Raises PolicyError."""
        declared = tuple(declared)
        for one in declared:
            _check(one, [other.name for other in declared])
        self.by_name = {
            one.name: Cdn(one.name, one.url.rstrip("/"), one.price, one.weight) for one in declared if one.weight > 0
        }
        self.most = most if self.by_name else 0
        prices = sorted({one.price for one in self.by_name.values()})
        self._of_price = [[one for one in self.by_name.values() if one.price == price] for price in prices]

    def order(self, seed: float, most: int | None = None) -> list[Cdn]:
        """They as a session of this seed asks them, all or the first ones."""
        found: list[Cdn] = []
        for equals in self._of_price:
            if len(equals) > 1:
                drawn = sorted([(arrival(seed, one.salt, one.weight), one.name) for one in equals])
                found += [self.by_name[name] for _, name in drawn]
            else:
                found += equals
            if most is not None and len(found) >= most:
                break
        return found[:most]


def _check(cdn: CdnSettings, names: list[str]) -> None:
    """Raises PolicyError."""
    if cdn.name == ORIGIN or names.count(cdn.name) > 1:
        raise PolicyError(
            f"cdns: found the name {cdn.name!r}, expected one that neither the origin nor another CDN has"
        )
    if not cdn.url:
        raise PolicyError(f"cdn {cdn.name!r}: found no url, expected where it serves")
    if cdn.weight < 0:
        raise PolicyError(f"cdn {cdn.name!r}: found a weight of {cdn.weight:g}, expected 0 or more")
