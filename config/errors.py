"""Failures of configuration, and the root of every package's error tree.

NearcastError            anything we raise on purpose
  ConfigError            what the operator wrote cannot be used (exit code 2)
  <Package>Error         one per package, in its own errors.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class NearcastError(Exception):
    """A failure whose sentence may be shown to the person who ran the command.

    `exit_code` is what the command line ends with, `status` what an HTTP answer carries; `retryable` if the same may
    succeed later.
    """

    exit_code: ClassVar[int] = 1
    status: int = 500
    retryable: bool = False


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one key: where it was written, what was found, what was expected."""

    where: str
    key: str
    found: str
    expected: str

    def __str__(self) -> str:
        return f"{self.where}: {self.key}: found {self.found}, expected {self.expected}"


class ConfigError(NearcastError):
    """Every problem of a configuration at once, so that one round of edits is enough."""

    exit_code: ClassVar[int] = 2

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)
