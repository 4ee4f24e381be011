"""The routes process in one loop with the test: sockets and files are real, the clock and ExaBGP are not."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest

from config.steering import BgpSettings, SiteSettings, SteeringSettings
from steering.errors import PeersError, TableError
from steering.routes.rib import Seen
from steering.routes.service import Service
from tests.steering.routes import mrt_file as mrt
from tests.steering.routes.running import Clock, Running, running, settings
from tests.steering.routes.test_exabgp_messages import update
from tests.waiting import until

FED = BgpSettings(name="isp1", site="north", source="feed", peer="11.0.0.1", peer_as=3356, local_as=2906)
FED_SOUTH = BgpSettings(name="isp2", site="south", source="feed", peer="11.0.0.2", peer_as=1299, local_as=2906)
IMPORTED = BgpSettings(name="isp3", site="east", source="import", peer="11.0.0.3", peer_as=174)


def announce(*prefixes: str, peer: str = "11.0.0.1", path: tuple[int, ...] = (3356,)) -> bytes:
    family = "ipv6 unicast" if ":" in prefixes[0] else "ipv4 unicast"
    body = {"attribute": {"as-path": list(path)}, "announce": {family: {"11.0.0.1": list(prefixes)}}}
    return update({"update": body}, address={"local": "11.0.0.9", "peer": peer}) + b"\n"


def withdraw(*prefixes: str) -> bytes:
    return update({"update": {"withdraw": {"ipv4 unicast": list(prefixes)}}}) + b"\n"


def state(which: str, peer: str = "11.0.0.1", reason: str = "") -> bytes:
    neighbor = {"address": {"peer": peer}, "state": which, "reason": reason}
    return json.dumps({"exabgp": "5.0.0", "type": "state", "neighbor": neighbor}).encode() + b"\n"


def end_of_rib(family: str = "ipv4") -> bytes:
    return update({"eor": {"afi": family, "safi": "unicast"}}) + b"\n"


async def test_what_exabgp_says_is_in_the_table_a_moment_later(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED, FED_SOUTH)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16") + announce("2a00:1450::/32") + announce("11.1.0.0/16", peer="11.0.0.2"))
        await routes.becomes("11.1.2.3", "north", "south")
        await routes.becomes("2a00:1450::1", "north")
        exabgp.write(withdraw("11.1.0.0/16"))
        await routes.becomes("11.1.2.3", "south")


async def test_a_session_that_goes_down_keeps_its_routes_and_is_said_to_be_down(tmp_path: Path) -> None:
    clock = Clock()
    async with running(settings(tmp_path, FED), clock) as routes, routes.exabgp() as exabgp:
        exabgp.write(state("up") + announce("11.1.0.0/16", "11.2.0.0/16") + state("down", reason="hold timer expired"))
        await routes.becomes("11.1.2.3", "north")
        assert (await routes.session("isp1"))["why"] == "hold timer expired"
        ready = await routes.get("/readyz")
        assert ready["ready"]
        assert ready["notes"] == ["session isp1 is down: hold timer expired"]
        exabgp.write(state("up") + announce("11.1.0.0/16") + end_of_rib())
        await routes.becomes("11.2.2.3")
        assert routes.sites("11.1.2.3") == ("north",)
        exabgp.write(state("down"))
        await routes.session_becomes("isp1", lambda one: not one["is_up"])
        clock.now += 86400
        await routes.becomes("11.1.2.3")


async def test_when_exabgp_goes_away_its_sessions_are_down_and_their_routes_stay(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED)) as routes:
        async with routes.exabgp() as exabgp:
            exabgp.write(state("up") + announce("11.1.0.0/16"))
            await routes.becomes("11.1.2.3", "north")
            assert (await routes.session("isp1"))["is_up"]
        await routes.session_becomes("isp1", lambda one: not one["is_up"])
        assert routes.sites("11.1.2.3") == ("north",)
        async with routes.exabgp() as exabgp:
            exabgp.write(announce("11.3.0.0/16"))  # it is up again, though nobody said so
            await routes.becomes("11.3.2.3", "north")
            assert (await routes.session("isp1"))["is_up"]


async def test_nonsense_from_exabgp_is_counted_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as exabgp:
        stranger = announce("11.7.0.0/16", peer="11.9.9.9")
        exabgp.write(b"nonsense\n{}\n" + b"\xff\xfe\n" + stranger + stranger + announce("11.1.0.0/16"))
        await routes.becomes("11.1.2.3", "north")
        assert routes.sites("11.7.2.3") == ()
        async with routes.client.get("/metrics") as answer:
            assert "nearcast_routes_nonsense_total 3.0" in await answer.text()
    assert sum("is passed over" in message for message in caplog.messages) == 1
    assert sum("no session's" in message for message in caplog.messages) == 1


async def test_only_its_own_user_may_say_what_routes_there_are(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED)) as routes:
        assert stat.S_IMODE(routes.socket.stat().st_mode) == 0o600
    assert not routes.socket.exists()


async def test_a_line_too_long_is_nonsense_and_the_next_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steering.routes.feed._LARGEST_LINE", 10_000)
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as exabgp:
        exabgp.write(b"x" * 100_000 + b"\n" + announce("11.1.0.0/16"))
        await routes.becomes("11.1.2.3", "north")


async def test_a_peer_that_sends_what_it_should_not_harms_nobody(tmp_path: Path) -> None:
    limited = dataclasses.replace(FED, prefix_limit_v4=1000)
    given = settings(tmp_path, limited, FED_SOUTH, own_prefixes=("11.200.0.0/16",))
    async with running(given) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16", peer="11.0.0.2"))
        exabgp.write(announce("0.0.0.0/0") + announce("::/0") + announce("11.200.1.0/24") + announce("10.0.0.0/8"))
        exabgp.write(announce("11.3.0.0/16", path=(3356, 2906, 1)) + announce("11.4.0.0/16", path=(3356, 64512)))
        for first in range(12, 30):  # a full table of somebody else's
            exabgp.write(announce(*(f"{first}.{second}.0.0/16" for second in range(256)), path=(3356, 1)))
        await routes.session_becomes("isp1", lambda one: one["refused"] == 18 * 256 - (1000 - 5))
        session = await routes.session("isp1")
        counts = {"default-route": 2, "own-prefix": 1, "special-purpose": 1, "loop": 1, "reserved-as": 1}
        assert session["filtered"] == counts
        assert "more than 1000 IPv4 prefixes" in session["why"]
        await routes.becomes("11.1.2.3", "south")
        assert routes.sites("8.8.8.8") == routes.sites("11.200.1.1") == routes.sites("2a00::1") == ()


async def test_routes_survive_a_restart_and_are_stale_until_announced_again(tmp_path: Path) -> None:
    given, clock = settings(tmp_path, FED), Clock()
    async with running(given, clock) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16", "11.2.0.0/16", "10.0.0.0/8"))
        await routes.becomes("11.1.2.3", "north")
    clock.now += 3600
    async with running(given, clock) as routes:
        assert routes.sites("11.1.2.3") == ("north",)
        assert (await routes.session("isp1"))["stale"] == 3
        async with routes.exabgp() as exabgp:
            exabgp.write(announce("11.1.0.0/16") + end_of_rib())
            await routes.becomes("11.2.2.3")
            assert routes.sites("11.1.2.3") == ("north",)
    clock.now += 86400
    async with running(given, clock) as routes:
        await routes.becomes("11.1.2.3")


async def test_what_is_kept_is_judged_by_the_settings_of_now(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16", "11.2.0.0/16"))
        await routes.becomes("11.1.2.3", "north")
    async with running(settings(tmp_path, FED, own_prefixes=("11.1.0.0/16",))) as routes:
        assert routes.sites("11.1.2.3") == ()
        assert routes.sites("11.2.2.3") == ("north",)


async def table_of(given: SteeringSettings, *prefixes: str) -> bytes:
    """Leaves a table behind; returns what was kept before the prefixes came."""
    assert given.routes is not None
    file = given.routes.with_name("table.rib")
    async with running(given) as routes, routes.exabgp() as exabgp:
        await until(file.exists)
        kept = file.read_bytes()
        exabgp.write(announce(*prefixes))
        await until(lambda: all(routes.sites(prefix.partition("/")[0]) for prefix in prefixes))
    return kept


@pytest.mark.parametrize("loss", ["none", "damaged", "of before the routes came"])
async def test_after_a_kill_the_table_stays_until_as_much_is_announced_again(tmp_path: Path, loss: str) -> None:
    given, kept = settings(tmp_path, FED), tmp_path / "table.rib"
    before = await table_of(given, "11.1.0.0/16", "11.2.0.0/16")
    kept.write_bytes(b"damaged" if loss == "damaged" else before)
    os.utime(kept, (0, 0))
    if loss == "none":
        kept.unlink()
    async with running(given) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.3.0.0/16"))
        await routes.session_becomes("isp1", lambda one: one["accepted"] == 1)
        left = kept.exists() and kept.read_bytes()
        await asyncio.gather(routes.service._publish(), routes.service._keep())
        assert (routes.sites("11.2.2.3"), routes.sites("11.3.2.3")) == (("north",), ())
        assert (kept.exists() and kept.read_bytes()) == left
        exabgp.write(announce("11.1.0.0/16"))
        await routes.becomes("11.3.2.3", "north")
        assert routes.sites("11.2.2.3") == ()


async def test_a_table_waits_ten_minutes_for_sessions_that_do_not_come_back(tmp_path: Path) -> None:
    given, clock = settings(tmp_path, FED), Clock()
    await table_of(given, "11.1.0.0/16", "11.2.0.0/16")
    (tmp_path / "table.rib").unlink()
    async with running(given, clock) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.3.0.0/16"))
        await routes.session_becomes("isp1", lambda one: one["accepted"] == 1)
        clock.now += 600
        await routes.becomes("11.3.2.3", "north")
        assert routes.sites("11.1.2.3") == ()


async def test_routes_of_a_session_that_is_no_longer_declared_are_gone_at_the_next_start(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED, FED_SOUTH)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16") + announce("11.2.0.0/16", "11.3.0.0/16", peer="11.0.0.2"))
        await routes.becomes("11.2.2.3", "south")
        await routes.becomes("11.1.2.3", "north")
    async with running(settings(tmp_path, FED)) as routes:
        assert (routes.sites("11.1.2.3"), routes.sites("11.2.2.3")) == (("north",), ())
    async with running(settings(tmp_path, IMPORTED)) as routes:
        assert routes.sites("11.1.2.3") == ()


async def test_routes_kept_under_a_clock_that_was_ahead_do_not_stay_longer_for_it(tmp_path: Path) -> None:
    given, clock = settings(tmp_path, FED), Clock()
    clock.now += 365 * 86400
    async with running(given, clock) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16"))
        await routes.becomes("11.1.2.3", "north")
    clock.now -= 365 * 86400
    async with running(given, clock) as routes:
        assert routes.sites("11.1.2.3") == ("north",)
        clock.now += 86400
        await routes.becomes("11.1.2.3")


async def test_rpki_invalid_routes_are_withdrawn_when_the_validator_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steering.routes.service._LOOK_AT_VRPS_EVERY_S", 0.05)
    vrps, clock = tmp_path / "vrps.json", Clock()
    roas = [{"asn": 1299, "prefix": "11.1.0.0/16", "maxLength": 16}]
    async with running(settings(tmp_path, FED, vrps=vrps), clock) as routes, routes.exabgp() as exabgp:
        assert "no route is refused" in (await routes.get("/readyz", 503))["reasons"][0]
        exabgp.write(announce("11.1.0.0/16", "11.2.0.0/16"))
        await routes.becomes("11.1.2.3", "north")
        vrps.write_text(json.dumps({"metadata": {"generated": clock.now}, "roas": roas}))
        await routes.becomes("11.1.2.3")
        assert routes.sites("11.2.2.3") == ("north",)
        assert (await routes.get("/readyz"))["ready"]
        vrps.write_text("damaged")
        await routes.becomes("11.1.2.3", "north")


async def test_a_reload_judges_by_the_new_settings_and_a_wrong_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16", "11.2.0.0/16"))
        await routes.becomes("11.1.2.3", "north")
        await routes.service.reload(settings(tmp_path, FED, own_prefixes=("11.1.0.0/16",)))
        await routes.becomes("11.1.2.3")
        with pytest.raises(PeersError):
            await routes.service.reload(settings(tmp_path, FED, own_prefixes=("11.2.0.0/16", "x")))
        assert routes.sites("11.2.2.3") == ("north",)
        assert not any("next start" in message for message in caplog.messages)
        await routes.service.reload(settings(tmp_path, FED, FED_SOUTH))
        assert any("next start" in message for message in caplog.messages)
        await routes.becomes("11.1.2.3", "north")


async def test_an_exabgp_that_took_anothers_place_goes_on(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as second:
        async with routes.exabgp() as first:
            first.write(announce("11.1.0.0/16"))
            await routes.becomes("11.1.2.3", "north")
            second.write(announce("11.2.0.0/16"))
            await routes.becomes("11.2.2.3", "north")
        second.write(announce("11.3.0.0/16"))
        await routes.becomes("11.3.2.3", "north")
        session = await routes.session("isp1")
        assert (session["is_up"], session["flaps"]) == (True, 0)


async def test_a_look_up_says_who_announced_it_and_why_it_is_not_believed(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("0.0.0.0/0") + announce("11.1.0.0/16", path=(3356, 1299)))
        await routes.becomes("11.1.2.3", "north")
        found = (await routes.get("/api/v1/routes?prefix=11.1.2.3"))["routes"]
        assert [one["prefix"] for one in found] == ["11.1.0.0/16", "0.0.0.0/0"]
        assert found[0]["seen"][0]["as_path"] == "3356 1299"
        assert "default route" in found[1]["seen"][0]["reason"]
        assert (await routes.get("/api/v1/routes?prefix=::ffff:11.1.2.3"))["routes"] == found  # as a player is placed
        assert (await routes.get("/api/v1/routes?prefix=2a00::1"))["routes"] == []
        assert "expected a prefix" in (await routes.get("/api/v1/routes?prefix=x", 400))["detail"]


async def test_a_dump_has_every_route_in_the_linters_form(tmp_path: Path) -> None:
    async with running(settings(tmp_path, FED, FED_SOUTH)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("10.0.0.0/8") + announce("11.1.0.0/16") + announce("11.1.0.0/16", peer="11.0.0.2"))
        await routes.becomes("11.1.2.3", "north", "south")
        async with routes.client.get("/api/v1/dump") as answer:
            lines = (await answer.text()).splitlines()
        assert {
            (row.session, row.prefix, row.accepted) for row in (msgspec.json.decode(one, type=Seen) for one in lines)
        } == {
            ("isp1", "10.0.0.0/8", False),
            ("isp1", "11.1.0.0/16", True),
            ("isp2", "11.1.0.0/16", True),
        }
        members = {"session", "site", "appliance", "prefix", "as_path", "accepted", "reason", "stale"}
        assert all(set(json.loads(one)) == members for one in lines)
        async with routes.client.get("/api/v1/dump?session=isp2") as answer:
            assert len((await answer.text()).splitlines()) == 1
        assert "isp9" in (await routes.get("/api/v1/dump?session=isp9", 404))["detail"]


PATH = mrt.attribute(1, b"\0") + mrt.as_path((2, [174]))
NEIGHBOUR = mrt.peers(("11.0.0.3", 174))


async def put(routes: Running, path: str, content: bytes) -> tuple[int, Any]:
    async with routes.client.put(path, data=content) as answer:
        return answer.status, await answer.json()


async def test_an_import_replaces_what_the_session_had_and_lasts(tmp_path: Path) -> None:
    given, clock = settings(tmp_path, IMPORTED), Clock()
    both = NEIGHBOUR + mrt.route("11.1.0.0/16", (0, PATH)) + mrt.route("11.2.0.0/16", (0, PATH))
    async with running(given, clock) as routes:
        assert await put(routes, "/api/v1/sessions/isp3/routes", both) == (200, {"imported": {"isp3": 2}, "notes": []})
        await routes.becomes("11.1.2.3", "east")
        status, _ = await put(routes, "/api/v1/routes", NEIGHBOUR + mrt.route("11.2.0.0/16", (0, PATH)))
        assert status == 200
        await routes.becomes("11.1.2.3")
    clock.now += 30 * 86400
    async with running(given, clock) as routes:
        assert routes.sites("11.2.2.3") == ("east",)
        assert (await routes.session("isp3"))["stale"] == 0


async def test_a_damaged_import_takes_nothing_over(tmp_path: Path) -> None:
    good = NEIGHBOUR + mrt.route("11.1.0.0/16", (0, PATH))
    async with running(settings(tmp_path, IMPORTED)) as routes:
        await put(routes, "/api/v1/routes", good)
        await routes.becomes("11.1.2.3", "east")
        status, problem = await put(routes, "/api/v1/routes", NEIGHBOUR + mrt.route("11.2.0.0/16", (0, PATH))[:-3])
        assert status == 422
        assert f"record at byte {len(NEIGHBOUR)} is cut off" in problem["detail"]
        assert routes.sites("11.1.2.3") == ("east",)
        assert (await put(routes, "/api/v1/sessions/isp9/routes", good))[0] == 404
        assert not list(tmp_path.glob("import.*"))


async def test_an_import_that_the_disk_has_no_room_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is Linux's")
    monkeypatch.setattr("tempfile.NamedTemporaryFile", lambda **_: full.open("wb", buffering=0))
    async with running(settings(tmp_path, IMPORTED)) as routes:
        status, problem = await put(routes, "/api/v1/routes", NEIGHBOUR)
        assert (status, "No space left" in problem["detail"]) == (422, True)


async def test_what_a_router_announces_is_not_overwritten_by_an_import(tmp_path: Path) -> None:
    of_the_router = mrt.peers(("11.0.0.1", 3356)) + mrt.route("11.2.0.0/16", (0, PATH))
    async with running(settings(tmp_path, FED, IMPORTED)) as routes, routes.exabgp() as exabgp:
        exabgp.write(announce("11.1.0.0/16"))
        await routes.becomes("11.1.2.3", "north")
        status, problem = await put(routes, "/api/v1/sessions/isp1/routes", of_the_router)
        assert status == 404
        assert "expected one whose source is import: isp3" in problem["detail"]
        assert (await put(routes, "/api/v1/routes", of_the_router))[0] == 422
        assert routes.sites("11.1.2.3") == ("north",)


async def test_a_table_that_cannot_be_written_is_said_and_written_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(settings(tmp_path, FED)) as routes, routes.exabgp() as exabgp:
        apply = routes.service._table.apply

        def fail(changes: Any) -> None:
            apply(changes)
            raise TableError("routes: the disk is full")

        monkeypatch.setattr(routes.service._table, "apply", fail)
        exabgp.write(announce("11.1.0.0/16"))

        async def is_said() -> bool:
            async with routes.client.get("/readyz") as answer:
                return "routes: the disk is full" in (await answer.json())["reasons"]

        await until(is_said)
        monkeypatch.undo()

        async def is_well() -> bool:
            async with routes.client.get("/readyz") as answer:
                return answer.status == 200

        await until(is_well)


PROTOCOLS = (
    b"2002-Name       Proto      Table      State  Since         Info\n"
    b"1002-device1    Device     ---        up     20:44:07.386\n"
)
ESTABLISHED = PROTOCOLS + b" isp1       BGP        ---        up     20:44:08.386  Established\n0000 \n"
CONNECTING = PROTOCOLS + b" isp1       BGP        ---        start  20:44:08.386  Active\n0000 \n"


def of_bird(*prefixes: str) -> bytes:
    routes = [f"1007-{one}   unicast [isp1 19:19:08.640] * (100)\n1012-\tBGP.as_path: 3356\n" for one in prefixes]
    return "".join([*routes, "0000 \n"]).encode()


async def test_routes_stay_when_the_session_of_a_bird_drops_and_while_it_comes_back(tmp_path: Path) -> None:
    protocols, routes_of = ESTABLISHED, of_bird("11.1.0.0/16", "11.2.0.0/16")

    async def bird(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"0001 BIRD 2.0.12 ready.\n")
        await reader.readline()
        writer.write(protocols)
        if await reader.readline():
            writer.write(routes_of)
        writer.close()

    socket, clock = tmp_path / "bird.ctl", Clock()
    session = BgpSettings(name="isp1", site="north", source="bird", bird_socket=socket, bird_every=3600.0)
    async with await asyncio.start_unix_server(bird, socket), running(settings(tmp_path, session), clock) as routes:
        await routes.becomes("11.2.2.3", "north")
        protocols, routes_of = CONNECTING, of_bird()
        await routes.service._ask(session)
        assert not (await routes.session("isp1"))["is_up"]
        assert (await routes.get("/readyz"))["ready"]
        protocols, routes_of = ESTABLISHED, of_bird("11.3.0.0/16")  # it has just begun
        await routes.service._ask(session)
        await routes.becomes("11.3.2.3", "north")
        assert routes.sites("11.2.2.3") == ("north",)
        routes_of = of_bird("11.3.0.0/16", "11.1.0.0/16")
        await routes.service._ask(session)
        await routes.becomes("11.2.2.3")
        assert routes.sites("11.1.2.3") == ("north",)


async def test_a_bird_that_cannot_be_asked_is_a_session_that_is_down(tmp_path: Path) -> None:
    session = BgpSettings(name="isp1", site="north", source="bird", bird_socket=tmp_path / "none")
    async with running(settings(tmp_path, session)) as routes:
        await routes.session_becomes("isp1", lambda one: "could not be asked" in one["why"])


@pytest.mark.parametrize(
    ("answer", "sites"),
    [
        (
            b"1007-11.1.0.0/16   unicast [isp1 19:19:08.640] * (100) [AS3356i]\n1012-\tBGP.as_path: 3356\n0000 \n",
            ("north",),
        ),
        (b"9001 syntax error\n", ()),
        (b"1007-what is this\n0000 \n", ()),
        (b"1007-11.1.0.0/16", ()),
        (b"1007-" + b"x" * 100_000 + b"\n", ()),
    ],
)
async def test_a_bird_is_asked_and_nonsense_takes_nothing_away(
    tmp_path: Path, answer: bytes, sites: tuple[str, ...]
) -> None:
    asked = asyncio.Event()

    async def bird(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"0001 BIRD 2.0.12 ready.\n")
        assert await reader.readline() == b"show protocols\n"
        writer.write(ESTABLISHED)
        assert await reader.readline() == b"show route all\n"
        writer.write(answer)
        await writer.drain()
        writer.close()
        asked.set()

    socket = tmp_path / "bird.ctl"
    server = await asyncio.start_unix_server(bird, socket)
    session = BgpSettings(name="isp1", site="north", source="bird", bird_socket=socket)
    async with server, running(settings(tmp_path, session)) as routes:
        await asked.wait()
        if sites:
            await routes.becomes("11.1.2.3", *sites)
        else:
            await routes.session_becomes("isp1", lambda one: bool(one["why"]))


def test_a_session_of_no_site_is_refused(tmp_path: Path) -> None:
    given = SteeringSettings(routes=tmp_path / "table", bgp=(FED,), sites=(SiteSettings(name="south"),))
    with pytest.raises(PeersError, match="found 'north'"):
        Service(given)


def test_without_a_table_there_is_nothing_to_do() -> None:
    with pytest.raises(PeersError, match="expected the path of the table"):
        Service(SteeringSettings())


async def test_only_one_process_writes_a_table(tmp_path: Path) -> None:
    given = settings(tmp_path, FED)
    async with running(given):
        with pytest.raises(TableError, match="another process"):
            Service(given)
