"""Workers on other machines, as a Dask cluster has them (the extra `dask`).

    here:   order -> scheduler -> a worker's thread -> ffmpeg;   seconds written come back as events of one topic
    a worker is lost: the scheduler gives its orders to others, and gives up on one that took four workers with it
    here ends, however: the scheduler forgets our orders, and who makes one sees that and ends its ffmpeg

An order that fails by itself is not tried again: the film would be as bad elsewhere. Dask cannot end what runs in a
worker's thread; so each order has a watch that looks whether its task is still wanted.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from encoder.errors import SpaceError, WorkerError
from encoder.running.process import OnSeconds, Tools
from encoder.running.units import Order, all_versions, fulfil_elsewhere

try:
    from distributed import Client, KilledWorker, get_worker
except ImportError as error:
    raise WorkerError("dask:// needs a library that is not installed: pip install 'nearcast[dask]'") from error

# For the scheduler to answer, and then for the first worker to be there.
CONNECT_TIMEOUT_S = 20.0
FIRST_WORKER_TIMEOUT_S = 60.0
# How often an order tells how far it is: a bar needs no more, and the scheduler keeps every event for a while.
_TELL_EVERY_S = 1.0
_WATCH_EVERY_S = 0.25
# A cluster that grows and shrinks may be without workers for a while.
LAST_WORKER_TIMEOUT_S = 600.0
_LOOK_FOR_WORKERS_EVERY_S = 5.0


class Cluster:
    def __init__(self, url: str, first_worker_timeout_s: float = FIRST_WORKER_TIMEOUT_S) -> None:
        self.versions = all_versions()
        self._url = url
        self._topic = f"nearcast-{secrets.token_hex(8)}"
        self._listeners: dict[str, OnSeconds] = {}
        self._futures: list[Future[None]] = []
        self._is_closed = threading.Event()
        self._client = _connect(url)
        try:
            self._demand_workers(first_worker_timeout_s)
            self._client.subscribe_topic(self._topic, self._hear)
            # Not pure: Dask would take equal orders for one.
            self._executor = self._client.get_executor(pure=False, retries=0)
            watch = threading.Thread(target=self._watch_workers, args=(LAST_WORKER_TIMEOUT_S,), daemon=True)
            watch.start()
        except BaseException:
            self._client.close()
            raise

    def submit(self, order: Order, on_seconds: OnSeconds) -> Future[None]:
        self._listeners[order.step] = on_seconds
        future: Future[None] = self._executor.submit(_fulfil_on_worker, order, self._topic)
        self._futures.append(future)
        return future

    def result(self, future: Future[None], order: Order) -> None:
        try:
            future.result()
        except KilledWorker as error:
            raise WorkerError(
                f"{order.step} was given up: {self._url} lost one worker after the other while it was made (out of "
                "memory?); finished steps are kept, so run the same command again when the cluster is well"
            ) from error
        except CancelledError as error:
            raise WorkerError(
                f"{self._url} or the last of its workers is gone; finished steps are kept, so run the same command "
                "again when it is back"
            ) from error

    def give_up(self) -> None:
        self._cancel_all()
        self.close()

    def close(self) -> None:
        self._is_closed.set()
        self._client.close()

    def _cancel_all(self) -> None:
        for future in self._futures:
            future.cancel()

    def _watch_workers(self, limit_s: float) -> None:
        """Orders without a worker wait for one without end; so after a while they are cancelled."""
        seen_at = time.monotonic()
        while not self._is_closed.wait(min(limit_s, _LOOK_FOR_WORKERS_EVERY_S)):
            with suppress(OSError):  # a scheduler that is gone cancels everything itself
                if self._client.scheduler_info()["workers"]:
                    seen_at = time.monotonic()
            if time.monotonic() - seen_at > limit_s:
                self._cancel_all()
                return

    def _demand_workers(self, timeout_s: float) -> None:
        """Raises WorkerError if there is none, or one that would make other bytes."""
        try:
            self._client.wait_for_workers(1, timeout=timeout_s)
        except TimeoutError as error:
            raise WorkerError(f"{self._url} has no worker, and got none within {timeout_s:.0f} s") from error
        # Each order asks again, for workers come and go; here the sentence comes before any work.
        for worker, found in self._client.run(all_versions, on_error="return").items():
            if found != self.versions:
                raise WorkerError(f"worker {worker} of {self._url}: {found}; expected {self.versions}, as here")

    def _hear(self, event: tuple[float, Any]) -> None:
        _, (step, seconds) = event
        if step in self._listeners:
            self._listeners[step](seconds)


def _connect(url: str) -> Client:
    parts = urlsplit(url)
    try:
        if parts.scheme == "dask" and not parts.netloc:
            # The scheduler writes it before it has workers; a path that does not exist is waited for without end.
            if not Path(parts.path).is_file():
                raise WorkerError(f"{url}: there is no such file of a Dask scheduler")
            return Client(scheduler_file=parts.path, set_as_default=False, timeout=CONNECT_TIMEOUT_S)
        scheme = "tcp" if parts.scheme == "dask" else parts.scheme  # certificates for tls are in Dask's own settings
        return Client(f"{scheme}://{parts.netloc}", set_as_default=False, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError, TypeError) as error:
        raise WorkerError(f"{url} cannot be reached: {error}") from error


def _fulfil_on_worker(order: Order, topic: str) -> None:
    worker = get_worker()
    told_at = 0.0

    def tell(seconds: float) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= _TELL_EVERY_S:
            told_at = time.monotonic()
            worker.log_event(topic, (order.step, seconds))

    with Tools() as tools, _ended_when_unwanted(worker, tools):
        try:
            fulfil_elsewhere(order, tools, tell)
        except SpaceError as error:
            raise SpaceError(f"worker {worker.address}: {error}") from error


@contextmanager
def _ended_when_unwanted(worker: Any, tools: Tools) -> Iterator[None]:
    """Closes the tools when the scheduler takes the task back: it was cancelled, or who wanted it is gone."""
    key, is_done = worker.get_current_task(), threading.Event()

    def watch() -> None:
        while not is_done.wait(_WATCH_EVERY_S):
            task = worker.state.tasks.get(key)
            if task is None or task.state not in ("executing", "long-running"):
                tools.close()
                return

    thread = threading.Thread(target=watch, name="watch-order", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_done.set()
        thread.join()
