from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fill.errors import ForgedError, NoPlan, PlanError
from fill.planner.form import Plan
from fill.planner.signed import sign
from fill.planner.store import PURPOSE, Head, PlanReader, delta_key, full_key, head_key, publish, read_published
from origin.errors import StorageError
from origin.storage.file import FileStorage
from tests.fill.catalogs import make_offer, make_seen, package_key
from tests.fill.planner.fleets import make

KEY = Ed25519PrivateKey.generate()
KEYS = [KEY.public_key()]
OFFERS = [make_offer(f"t{number}") for number in range(30)]


def night(number: int, appliance: str = "x") -> dict[str, Plan]:
    """The plan of the n-th night: everything so far is held, and a title more comes."""
    held = {package_key(offer): ("*",) for offer in OFFERS[:number]}
    plays = {offer.package.title: 1.0 for offer in OFFERS[: number + 1]}
    return make(OFFERS[: number + 1], plays, make_seen(appliance, held=held))


def unversioned(plan: Plan) -> Plan:
    return msgspec.structs.replace(plan, version=0)


class Dying(FileStorage):
    """Fails for good at the n-th change, as a planner that is killed there."""

    def __init__(self, root: Path, changes: int) -> None:
        super().__init__(root)
        self._left = changes

    def _live(self) -> None:
        if self._left == 0:
            raise StorageError("killed")
        self._left -= 1

    async def put_bytes(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        self._live()
        await super().put_bytes(key, data, if_absent=if_absent)

    async def delete(self, key: str) -> None:
        self._live()
        await super().delete(key)


class Watching(FileStorage):
    """Remembers what was read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.read_keys: list[str] = []

    async def read_bytes(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        self.read_keys.append(key)
        return await super().read_bytes(key, offset, length)


async def test_what_is_published_is_read_full_first_and_as_a_delta_then(tmp_path: Path) -> None:
    async with Watching(tmp_path / "plans") as storage:
        reader = PlanReader(storage, "x", tmp_path / "state", KEYS)
        (first,) = await publish(storage, night(20), KEY)
        plan = await reader.read()
        assert (unversioned(plan), plan.version) == (night(20)["x"], first.version)
        (second,) = await publish(storage, night(21), KEY)
        assert second.version > first.version
        assert 0 < second.delta_bytes < second.full_bytes / 2
        storage.read_keys.clear()
        plan = await reader.read()
        assert {line.key for line in plan.fetches} == {line.key for line in night(21)["x"].fetches}
        assert storage.read_keys == [head_key("x"), delta_key("x", second.version)]
        storage.read_keys.clear()
        assert await reader.read() == plan
        assert storage.read_keys == [head_key("x")]


async def test_a_reader_that_missed_a_version_reads_the_full_plan(tmp_path: Path) -> None:
    async with Watching(tmp_path / "plans") as storage:
        reader = PlanReader(storage, "x", tmp_path / "state", KEYS)
        for number in (1, 2, 3):
            await publish(storage, night(number), KEY)
            if number == 1:
                await reader.read()
        plan = await reader.read()
        assert storage.read_keys[-1] == full_key("x", plan.version)
        assert plan == await read_published(storage, "x", KEYS)


async def test_a_reader_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    async with FileStorage(tmp_path / "plans") as storage:
        await publish(storage, night(1), KEY)
        plan = await PlanReader(storage, "x", tmp_path / "state", KEYS).read()
        assert await PlanReader(storage, "x", tmp_path / "state", KEYS).last() == plan
        (tmp_path / "state" / "plan.json").write_bytes(b'{"cut')
        again = PlanReader(storage, "x", tmp_path / "state", KEYS)
        assert await again.last() is None
        assert await again.read() == plan


async def test_no_plan_is_said_so(tmp_path: Path) -> None:
    async with FileStorage(tmp_path) as storage:
        with pytest.raises(NoPlan, match="nearcast fill plan"):
            await PlanReader(storage, "x", tmp_path / "state", KEYS).read()


async def test_a_planner_killed_at_any_step_leaves_the_old_plan_or_the_new_one(tmp_path: Path) -> None:
    outcomes = []
    for changes in range(8):
        root = tmp_path / str(changes)
        async with FileStorage(root) as storage:
            for number in (1, 2):
                await publish(storage, night(number), KEY)
            old = await read_published(storage, "x", KEYS)
        try:
            async with Dying(root, changes) as dying:
                await publish(dying, night(3), KEY)
        except StorageError:
            pass
        async with FileStorage(root) as storage:
            plan = await read_published(storage, "x", KEYS)
            is_new = {line.title for line in plan.fetches} == {"t3"}
            assert is_new or plan == old
            outcomes.append(is_new)
            # And the next planner goes on from there.
            await publish(storage, night(4), KEY)
            assert {line.title for line in (await read_published(storage, "x", KEYS)).fetches} == {"t4"}
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {False, True}


async def test_only_the_last_two_versions_are_kept(tmp_path: Path) -> None:
    async with FileStorage(tmp_path) as storage:
        for number in range(5):
            await publish(storage, night(number), KEY)
        names = sorted([stored.key.rpartition(".")[2] async for stored in storage.list("plans/x/")])
        assert names == ["delta", "delta", "plan", "plan", "plans/x/head"]


async def test_an_older_plan_put_back_is_refused_and_the_last_one_stays(tmp_path: Path) -> None:
    async with FileStorage(tmp_path / "plans") as storage:
        reader = PlanReader(storage, "x", tmp_path / "state", KEYS)
        await publish(storage, night(1), KEY)
        old = await storage.read_bytes(head_key("x"))
        await publish(storage, night(2), KEY)
        plan = await reader.read()
        await storage.put_bytes(head_key("x"), old)
        for who in (reader, PlanReader(storage, "x", tmp_path / "state", KEYS)):
            with pytest.raises(PlanError, match="older than"):
                await who.read()
            assert await who.last() == plan


async def test_versions_grow_even_when_storage_was_emptied(tmp_path: Path) -> None:
    plans = {"x": msgspec.structs.replace(night(1)["x"], made_at=1000.0)}
    async with FileStorage(tmp_path / "a") as storage:
        await publish(storage, plans, KEY)
        await publish(storage, plans, KEY)
        assert (await read_published(storage, "x")).version == 1001
    later = {"x": msgspec.structs.replace(plans["x"], made_at=2000.0)}
    async with FileStorage(tmp_path / "b") as storage:
        assert (await publish(storage, later, KEY))[0].version == 2000


async def tampered(tmp_path: Path, **change: Any) -> bytes:
    """The bytes of a head that differs so from a good one, signed well."""
    async with FileStorage(tmp_path / "plans") as storage:
        await publish(storage, night(1), None)
        envelope = msgspec.json.decode(await storage.read_bytes(head_key("x")))
    head = Head(**{**msgspec.json.decode(__import__("base64").b64decode(envelope["payload"])), **change})
    return sign(msgspec.json.encode(head), KEY, PURPOSE)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"format": 3}, "format 3, this version reads 2"),
        ({"appliance": "y"}, "that of 'y'"),
        ({"version": 0}, "which cannot be"),
        ({"size": 2**60}, "which cannot be"),
        ({"size": 1}, "longer than its head says"),
        ({"digest": "0" * 64}, "the digest is another"),
        ({"version": 7}, "which is not there"),
    ],
)
async def test_a_head_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    head = await tampered(tmp_path, **change)
    if change == {"size": 1}:
        # 2 x 1 + 4096 bytes are allowed for: the plan is longer.
        assert len(msgspec.json.encode(night(29)["x"])) > 5000
        async with FileStorage(tmp_path / "plans") as storage:
            await publish(storage, night(29), None)
            version = (await read_published(storage, "x")).version
        head = await tampered(tmp_path, size=1, version=version)
    async with FileStorage(tmp_path / "plans") as storage:
        await storage.put_bytes(head_key("x"), head)
        with pytest.raises(PlanError, match=complaint):
            await PlanReader(storage, "x", tmp_path / "state", KEYS).read()


async def test_forged_plans_are_refused_where_keys_are_set(tmp_path: Path) -> None:
    async with FileStorage(tmp_path / "plans") as storage:
        reader = PlanReader(storage, "x", tmp_path / "state", KEYS)
        await publish(storage, night(1), KEY)
        good = await reader.read()
        for key in (None, Ed25519PrivateKey.generate()):
            await publish(storage, night(2), key)
            with pytest.raises(ForgedError):
                await reader.read()
            assert await reader.last() == good
        await publish(storage, night(3), KEY)
        plan = await reader.read()
        await storage.put_bytes(full_key("x", plan.version), b"garbage")
        with pytest.raises(PlanError, match="cannot be unpacked"):
            await PlanReader(storage, "x", tmp_path / "empty", KEYS).read()


async def test_a_delta_that_is_broken_costs_only_the_full_plan(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with FileStorage(tmp_path / "plans") as storage:
        reader = PlanReader(storage, "x", tmp_path / "state", KEYS)
        await publish(storage, night(20), KEY)
        await reader.read()
        (second,) = await publish(storage, night(21), KEY)
        await storage.put_bytes(delta_key("x", second.version), b"garbage")
        assert (await reader.read()).version == second.version
    assert "a delta cannot be used" in caplog.text


async def test_unsigned_plans_are_accepted_without_keys_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with FileStorage(tmp_path / "plans") as storage:
        reader = PlanReader(storage, "x", tmp_path / "state")
        for number in (1, 2):
            await publish(storage, night(number), None)
            await reader.read()
    assert caplog.text.count("accepted unsigned") == 1
