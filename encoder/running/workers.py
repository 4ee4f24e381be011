"""Who makes the units of an encode: threads here, or a `concurrent.futures` executor that reaches other machines.

A thread only waits for its tool, so threads are processes enough; a pool of processes would add nothing but memory.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from typing import Protocol

from config.encoder import CLUSTERS
from encoder.running.process import OnSeconds, Tools
from encoder.running.units import Order, all_versions, fulfil, fulfil_alone


class Workers(Protocol):
    versions: str  # that an order must carry

    def submit(self, order: Order, on_seconds: OnSeconds) -> Future[None]: ...

    def result(self, future: Future[None], order: Order) -> None:
        """Returns if the order is done. Raises what it failed with."""
        ...

    def give_up(self) -> None:
        """Ends what runs and starts nothing more."""
        ...

    def close(self) -> None:
        """When nothing runs any more."""
        ...


class Threads:
    versions = ""  # our own

    def __init__(self, at_once: int, tools: Tools) -> None:
        self._pool = ThreadPoolExecutor(at_once)
        self._tools = tools

    def submit(self, order: Order, on_seconds: OnSeconds) -> Future[None]:
        return self._pool.submit(fulfil, order, self._tools, on_seconds)

    def result(self, future: Future[None], order: Order) -> None:
        future.result()

    def give_up(self) -> None:
        self._tools.close()
        self._pool.shutdown(cancel_futures=True)

    def close(self) -> None:
        self._pool.shutdown()


class AnyExecutor:
    """Any executor. It is told neither how far an order is nor that what runs is to end, so it may take its time."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._futures: list[Future[None]] = []
        self.versions = all_versions()

    def submit(self, order: Order, on_seconds: OnSeconds) -> Future[None]:
        future = self._executor.submit(fulfil_alone, order)
        self._futures.append(future)
        return future

    def result(self, future: Future[None], order: Order) -> None:
        future.result()

    def give_up(self) -> None:
        # Not the executor: whose it is may have more for it.
        wait([future for future in self._futures if not future.cancel()])

    def close(self) -> None:
        pass


def open_workers(workers: str, tools: Tools) -> Workers:
    """The workers that the setting names. Raises WorkerError for a cluster that cannot be used."""
    if not workers.startswith(CLUSTERS):
        return Threads(at_once(workers), tools)
    # Imported only here: it takes a quarter of a second, and is an optional extra.
    from encoder.running.cluster import Cluster

    return Cluster(workers)


def at_once(workers: str) -> int:
    """How many tools this machine runs at once."""
    asked = int(workers) if workers.isdecimal() else 0
    return asked or os.cpu_count() or 1
