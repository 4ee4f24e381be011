"""How much may still come from outside the site: the ISP's budget, as the plan has it for this appliance.

What is under way is counted as spent when it begins, and given back where it came from a peer after all: so the budget
is never exceeded, and a small file may still come where a large one cannot.

Pure.
"""

from __future__ import annotations


class Spending:
    """`budget` is in bytes; 0: no limit."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._spent = 0
        self._promised = 0
        self.refused = False  # something had to be left for it

    def may(self, size: int) -> bool:
        """Whether a file of `size` bytes may come from outside."""
        fits = not self._budget or self._spent + self._promised + size <= self._budget
        self.refused = self.refused or not fits
        return fits

    def promise(self, size: int) -> None:
        self._promised += size

    def settle(self, size: int, came: int) -> None:
        """Of what was promised, so much came from outside."""
        self._promised -= size
        self._spent += came
