"""Pieces of work that any machine can do: what a unit is, where it finds the film, where it leaves its step.

    Order(unit, step, place) -> worker: place.make(step, unit.make) -> whose encode it is: place.collect(step)

An order is a value that is pickled to wherever a worker runs; nothing but the step's folder comes back, and that by
the disk or the storage that both see. A step is made in a folder of its own and shown whole, so an order that is done
twice (its worker was thought lost) does no harm: the bytes are the same.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from encoder.errors import WorkerError
from encoder.running.process import OnSeconds, Tools, versions
from encoder.running.steps import Steps


class Unit(Protocol):
    """A step that is made of the film alone. A frozen dataclass: it is pickled, and its module is on every worker."""

    @property
    def name(self) -> str:
        """The step's name, without the key of its inputs."""
        ...

    @property
    def seconds(self) -> float:
        """How much of the film it goes through: its share of the bar, and the longest go first."""
        ...

    def inputs(self) -> Sequence[str]:
        """All that its bytes depend on, beside the film and the tools."""
        ...

    def make(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> None:
        """Fills `folder` from the film at the ffmpeg URL `film`."""
        ...


class Place(Protocol):
    """Where the film is and where steps are left."""

    def make(self, step: str, make: Callable[[str, Path], object]) -> None:
        """Makes the step by `make(film, folder)`, unless it is there. On a worker."""
        ...

    def collect(self, step: str) -> None:
        """Brings a step that a worker made to the encode's own folder. Where the encode runs."""
        ...

    def remove(self) -> None:
        """Forgets what was there only for the workers, when the package is done."""
        ...


@dataclass(frozen=True)
class Order:
    unit: Unit
    step: str
    place: Place
    versions: str = ""  # the tools and the code of whose encode it is


@dataclass(frozen=True)
class SharedDisk:
    """Film and steps at the same paths for everybody: one machine, or a disk that all of them mount."""

    film: str
    folder: Path
    min_free_space: int

    def make(self, step: str, make: Callable[[str, Path], object]) -> None:
        if not self.folder.is_dir():
            raise WorkerError(f"the work folder {self.folder} is not there: {_SEEN_BY_ALL}")
        Steps(self.folder, self.min_free_space).make(step, lambda folder: make(self.film, folder))

    def collect(self, step: str) -> None:
        if not (self.folder / step).is_dir():
            raise WorkerError(f"a worker made {step}, but it is not in {self.folder}: {_SEEN_BY_ALL}")

    def remove(self) -> None:
        pass  # the folder is the encode's own


_SEEN_BY_ALL = "every worker must see the work folder and the film at the same paths, or use --shared URL"


def fulfil(order: Order, tools: Tools, on_seconds: OnSeconds) -> None:
    """Makes the step of an order; nothing if it is there."""
    order.place.make(order.step, lambda film, folder: order.unit.make(tools, film, folder, on_seconds))


def fulfil_elsewhere(order: Order, tools: Tools, on_seconds: OnSeconds) -> None:
    """The same in another process, perhaps of another machine. Raises WorkerError if its tools make other bytes."""
    here = all_versions()
    if here != order.versions:
        raise WorkerError(
            f"a worker has {here}, expected {order.versions} as where the encode runs: other tools make other bytes"
        )
    fulfil(order, tools, on_seconds)


def fulfil_alone(order: Order) -> None:
    """The same for an executor that tells nothing of what it does."""
    with Tools() as tools:
        fulfil_elsewhere(order, tools, lambda seconds: None)


@functools.cache
def all_versions() -> str:
    """The tools and the code of this process, as they make a difference to the bytes of a step."""
    with Tools() as tools:
        return f"{versions(tools)}, nearcast {_code_digest()}"


def _code_digest() -> str:
    """Not the project's version: who develops has many of one version."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
