from __future__ import annotations

import os

from bench.delivery.machine import machine, version


def test_a_machine_is_described_by_what_numbers_depend_on() -> None:
    about = machine()
    assert about["cores"] == len(os.sched_getaffinity(0))
    assert about["kernel"] == os.uname().release
    assert int(about["memory_bytes"]) > 0


def test_who_is_no_peer_has_no_version() -> None:
    assert version("bare") == ""
