from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.errors import SpaceError, ToolError
from encoder.running.steps import Steps, key_of, locked


def write(folder: Path) -> None:
    (folder / "result").write_text("made")


def never(folder: Path) -> None:
    raise AssertionError("a finished step was made again")


def test_finished_step_is_not_made_again(tmp_path: Path) -> None:
    steps = Steps(tmp_path / "work", 0)
    made = steps.run("video", ["a", "b"], write)
    assert (made / "result").read_text() == "made"
    assert Steps(tmp_path / "work", 0).run("video", ["a", "b"], never) == made


def test_other_inputs_are_another_step(tmp_path: Path) -> None:
    steps = Steps(tmp_path, 0)
    assert steps.run("video", ["a", "b"], write) != steps.run("video", ["a", "c"], write)


def test_failed_step_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise ToolError("broken")

    with pytest.raises(ToolError):
        Steps(tmp_path, 0).run("video", [], fail)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_steps_left_is_swept_away_and_finished_ones_are_kept(tmp_path: Path) -> None:
    steps = Steps(tmp_path, 0)
    made = steps.run("video", [], write)
    (tmp_path / "audio-0.1234.tmp").mkdir()
    (tmp_path / "audio-0.1234.tmp" / "half").write_text("half")
    steps.sweep()
    assert list(tmp_path.iterdir()) == [made]


def test_step_that_two_make_at_once_is_the_first_ones(tmp_path: Path) -> None:
    steps = Steps(tmp_path, 0)

    def make_it_elsewhere_too(folder: Path) -> None:
        write(folder)
        Steps(tmp_path, 0).run("video", [], lambda other: (other / "result").write_text("first"))

    made = steps.run("video", [], make_it_elsewhere_too)
    assert (made / "result").read_text() == "first"
    assert list(tmp_path.iterdir()) == [made]


def test_step_is_not_begun_without_the_space_that_is_to_be_kept(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="expected at least"):
        Steps(tmp_path, 2**62).run("video", [], never)


@given(st.lists(st.text(max_size=5), max_size=5), st.lists(st.text(max_size=5), max_size=5))
def test_keys_are_equal_only_for_equal_inputs(one: list[str], other: list[str]) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)


def test_second_holder_waits_for_the_first_and_is_told(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def tell() -> None:
        order.append("waits")
        waiting.set()

    def second() -> None:
        with locked(tmp_path / "lock", tell):
            order.append("second")

    with locked(tmp_path / "lock", lambda: order.append("never")):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(20)
        order.append("first done")
    thread.join(20)
    assert order == ["waits", "first done", "second"]
