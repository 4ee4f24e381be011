"""Units on their way: made ones are not made again, a failure ends the others, and later ones follow from earlier."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.errors import ToolError
from encoder.running.process import OnSeconds, Tools
from encoder.running.steps import Steps
from encoder.running.units import Order, SharedDisk
from encoder.running.work import SeekAstray, Work


@dataclasses.dataclass(frozen=True)
class Writes:
    """A unit that leaves a file."""

    name: str
    seconds: float = 1.0

    def inputs(self) -> Sequence[str]:
        return []

    def make(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> None:
        (folder / "text").write_text(self.name)


class ByHand:
    """Workers that do what they are told to, when they are told to."""

    versions = ""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.asked: list[str] = []
        self.waiting: dict[str, tuple[Future[None], Order]] = {}
        self.at_once = False
        self.was_given_up = False

    def submit(self, order: Order, on_seconds: OnSeconds) -> Future[None]:
        self.asked.append(order.unit.name)
        self.waiting[order.unit.name] = Future(), order
        future, _ = self.waiting[order.unit.name]
        if self.at_once:
            self.finish(order.unit.name)
        return future

    def finish(self, name: str) -> None:
        future, order = self.waiting.pop(name)
        order.place.make(order.step, lambda film, folder: order.unit.make(self._tools, film, folder, print))
        future.set_result(None)

    def fail(self, name: str, error: Exception) -> None:
        self.waiting.pop(name)[0].set_exception(error)

    def result(self, future: Future[None], order: Order) -> None:
        future.result(0)

    def give_up(self) -> None:
        self.was_given_up = True

    def close(self) -> None:
        pass


@pytest.fixture
def workers(tools: Tools) -> ByHand:
    return ByHand(tools)


@pytest.fixture
def work(workers: ByHand, tools: Tools, tmp_path: Path, settings: EncoderSettings, reporter: Reporter) -> Work:
    source: Any = None  # these units do not look at it
    place = SharedDisk("none.mp4", tmp_path, 0)
    return Work("none.mp4", "0", "1", source, tools, Steps(tmp_path, 0), place, workers, settings, reporter)


def test_the_longest_go_first_and_folders_come_in_the_order_asked_for(work: Work, workers: ByHand) -> None:
    workers.at_once = True
    folders = work.units("some", [Writes("a", 1.0), Writes("b", 3.0), Writes("c", 2.0)])
    assert workers.asked == ["b", "c", "a"]
    assert [(folder / "text").read_text() for folder in folders] == ["a", "b", "c"]


def test_what_is_made_is_not_made_again(work: Work, workers: ByHand) -> None:
    workers.at_once = True
    first = work.units("some", [Writes("a")])
    assert work.units("some", [Writes("a"), Writes("b")])[:1] == first
    assert workers.asked == ["a", "b"]


def test_later_units_begin_when_those_are_made_that_they_follow_from(work: Work, workers: ByHand) -> None:
    with work.flow("some", 3.0) as flow:
        first, second = flow.begin([Writes("a")]), flow.begin([Writes("b")])
        workers.finish("b")
        workers.finish("a")
        said = [(folder / "text").read_text() for folder in flow.made(first)]
        third = flow.begin([Writes(f"after {said[0]}")])
        workers.finish("after a")
        assert [(folder / "text").read_text() for folder in flow.made([*second, *third])] == ["b", "after a"]


def test_a_failure_is_raised_while_others_are_waited_for(work: Work, workers: ByHand) -> None:
    with pytest.raises(ToolError, match="this film is bad"), work.flow("some", 2.0) as flow:
        flow.begin([Writes("a")])
        waited_for = flow.begin([Writes("b")])
        workers.fail("a", ToolError("this film is bad"))
        flow.made(waited_for)
    assert workers.was_given_up


def test_a_seek_that_leads_astray_takes_back_what_waits_and_keeps_the_workers(work: Work, workers: ByHand) -> None:
    with pytest.raises(SeekAstray, match="no frames"), work.flow("some", 2.0) as flow:
        folders = flow.begin([Writes("a"), Writes("b")])
        waiting = workers.waiting["b"][0]
        workers.fail("a", SeekAstray("no frames"))
        flow.made(folders)
    assert waiting.cancelled()
    assert not workers.was_given_up
