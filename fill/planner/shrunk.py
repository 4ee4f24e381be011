"""Whether a catalog that lacks what appliances hold is to be believed.

A withdrawn title is dropped everywhere within minutes, so a catalog that is ill must not look like one from which all
was withdrawn: an origin whose disk is not mounted says, in good faith, that there is nothing.

Pure.
"""

from __future__ import annotations

from collections.abc import Collection

# So many titles are withdrawn in one go, or this share of what is held.
_FEW, _SHARE = 3, 0.05
# And more, or all, only after the catalog has said so for this long.
BELIEVED_AFTER_S = 3600.0


def lost_titles(held: Collection[str], offered: Collection[str]) -> frozenset[str]:
    """Of the titles that are held, those that the catalog lacks, where they are too many to be taken for withdrawn."""
    lost = frozenset(held).difference(offered)
    is_doubtful = len(lost) > max(_FEW, _SHARE * len(held)) or not offered
    return lost if is_doubtful else frozenset()
