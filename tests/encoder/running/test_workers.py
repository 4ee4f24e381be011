from __future__ import annotations

import dataclasses
import pickle
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from config.encoder import EncoderSettings
from config.errors import ConfigError
from config.loader import load
from config.progress import Reporter
from encoder.errors import EncodeError
from encoder.pipeline import encode
from encoder.running.process import OnSeconds, Tools
from encoder.running.units import Order, SharedDisk, all_versions
from encoder.running.workers import AnyExecutor


@dataclasses.dataclass(frozen=True)
class Nothing:
    name = "nothing"
    seconds = 1.0

    def inputs(self) -> Sequence[str]:
        return []

    def make(self, tools: Tools, film: str, folder: Path, on_seconds: OnSeconds) -> None:
        raise AssertionError("what was taken back was made")


class ElsewhereExecutor(ThreadPoolExecutor):
    """Sends what it is to do as if to another process."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        call, arguments = pickle.loads(pickle.dumps((call, arguments)))
        return super().submit(call, *arguments, **named)


def test_any_executor_makes_the_same_bytes(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    expected = encode(grey_film, "film", tmp_path / "out", settings, reporter)
    there = dataclasses.replace(settings, work=tmp_path / "work there")
    with ElsewhereExecutor(2) as executor:
        made = encode(grey_film, "film", tmp_path / "out there", there, reporter, executor=executor)
        assert executor.submit(int, "1").result() == 1  # ours it is not to close
    assert made.name == expected.name


def test_encode_that_fails_takes_back_its_own_pieces_and_leaves_the_executor_to_its_owner(tmp_path: Path) -> None:
    order = Order(Nothing(), "step", SharedDisk("film", tmp_path / "not there", 0), all_versions())
    begun, end = threading.Event(), threading.Event()

    def others() -> str:
        begun.set()
        end.wait(20)
        return "others"

    with ThreadPoolExecutor(1) as executor:
        foreign = executor.submit(others)
        assert begun.wait(20)
        workers = AnyExecutor(executor)
        ours = workers.submit(order, lambda seconds: None)
        workers.give_up()
        assert not foreign.done()
        end.set()
        assert ours.cancelled() and foreign.result(20) == "others" and executor.submit(int, "1").result(20) == 1


@pytest.mark.parametrize("workers", ["0", "4", 4, "dask://host:8786", "tls://host:8786", "dask:///a/scheduler.json"])
def test_workers_are_a_number_or_a_cluster(workers: Any) -> None:
    assert load(EncoderSettings, "encoder", environ={}, flags={"workers": workers}).workers == str(workers)


@pytest.mark.parametrize("workers", ["", "-1", "many", "host:8786", "http://host:8786", True])
def test_other_workers_are_refused_with_what_is_expected(workers: Any) -> None:
    with pytest.raises(ConfigError, match=r"expected a number, dask://HOST:PORT, tls://HOST:PORT or dask:///"):
        load(EncoderSettings, "encoder", environ={}, flags={"workers": workers})


def test_work_folder_that_cannot_be_written_to_is_refused_before_the_film_is_read(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    # /proc takes files from nobody, not even from root.
    with pytest.raises(EncodeError, match="/proc/self cannot be written to: "):
        encode(grey_film, "film", tmp_path / "out", dataclasses.replace(settings, work=Path("/proc/self")), reporter)


def test_package_is_copied_where_the_work_is_on_another_disk(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, reporter: Reporter
) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is only one disk here")
    with tempfile.TemporaryDirectory(dir=memory) as work:
        there = dataclasses.replace(settings, work=Path(work))
        made = encode(grey_film, "film", tmp_path / "out", there, reporter)
    assert all(path.stat().st_nlink == 1 for path in made.iterdir())
