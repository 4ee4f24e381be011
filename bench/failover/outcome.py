"""What a run came to.

Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.failover.scenario import Scenario
from bench.failover.viewer import Viewer


@dataclass
class Outcome:
    """Filled while the run goes on."""

    scenario: Scenario
    viewers: list[Viewer] = field(default_factory=list)
    peak_load: dict[str, float] = field(default_factory=dict)  # server -> most that it sent over a report, by capacity
    last_asked_s: float = 0.0  # when somebody last waited for a server that is cut off
    from_origin: float = 0.0  # share of bytes
