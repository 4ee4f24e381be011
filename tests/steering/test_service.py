"""The service over loopback: what appliances, players, operators and mischief get."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import m3u8
import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from lxml import etree

from config.steering import SteeringSettings
from oca.report import LARGEST_REPORT
from steering.errors import CatalogError, SitesError
from steering.prefixes.table_file import TableWriter
from steering.service import Service
from tests.steering.conftest import JSON, Clock, FrontServer, Origin, Steering
from tests.steering.values import GIGABIT, report
from tests.waiting import until

DASH = {"d": "urn:mpeg:dash:schema:mpd:2011"}
FILM = "/play/film/master.m3u8"


def holding(steering: Steering) -> dict[str, tuple[str, ...]]:
    return {f"film/{steering.service.director.catalog.titles['film'].entry.package}": ("*",)}


async def fleet_of_three(steering: Steering) -> None:
    held = holding(steering)
    south = {"site": "south", "held": held}
    await steering.report(report("n1", held=held), report("n2", held=held), report("s1", **south))


async def begin(steering: Steering, path: str = FILM, **options: Any) -> str:
    """The steering URI, path and query, of a session that begins."""
    async with await steering.get(path, **options) as answer:
        assert answer.status == 200
        text = await answer.text()
    found = re.search(r'SERVER-URI="([^"]+)"|queryBeforeStart="true">([^<]+)<', text)
    assert found is not None
    uri = urlsplit((found[1] or found[2]).replace("&amp;", "&"))
    return f"{uri.path}?{uri.query}"


async def priority(steering: Steering, uri: str) -> list[str]:
    manifest = await steering.json(uri)
    assert isinstance(manifest["PATHWAY-PRIORITY"], list)
    return manifest["PATHWAY-PRIORITY"]


# Manifests


async def test_a_multivariant_playlist_lists_every_pathway_and_is_steered(steering: Steering) -> None:
    await fleet_of_three(steering)
    async with await steering.get(f"{FILM}?session=s-1") as answer:
        assert answer.headers["Content-Type"] == "application/vnd.apple.mpegurl"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        playlist = m3u8.loads(await answer.text())
    assert playlist.content_steering.uri.startswith(str(steering.client.make_url("/steer/hls?s=")))
    assert playlist.content_steering.pathway_id in ("n1", "n2")
    hosts = {urlsplit(variant.uri).hostname for variant in playlist.playlists}
    assert hosts == {"n1.localhost", "n2.localhost", "s1.localhost", "127.0.0.1"}


async def test_an_mpd_lists_every_pathway_and_is_steered(steering: Steering) -> None:
    await fleet_of_three(steering)
    async with await steering.get("/play/film/manifest.mpd") as answer:
        assert answer.headers["Content-Type"] == "application/dash+xml"
        mpd = etree.fromstring(await answer.read())
    places = [base.get("serviceLocation") for base in mpd.findall("d:BaseURL", DASH)]
    assert sorted(map(str, places)) == ["n1", "n2", "origin", "s1"]
    assert places[-1] == "origin"
    steered = mpd.find("d:ContentSteering", DASH)
    assert steered is not None
    assert steered.get("defaultServiceLocation") == places[0]


async def test_without_appliances_a_player_gets_the_origin(steering: Steering) -> None:
    async with await steering.get(FILM) as answer:
        playlist = m3u8.loads(await answer.text())
    assert playlist.content_steering.pathway_id == "origin"
    assert await priority(steering, await begin(steering)) == ["origin"]


async def test_a_player_is_sent_to_its_own_site(steering: Steering) -> None:
    await fleet_of_three(steering)
    decision = await steering.json("/api/v1/explain?client=127.128.0.1&title=film")
    assert decision["priority"][0] == "s1"
    assert decision["placement"]["by"] == "prefix"
    assert (await steering.json("/api/v1/explain?client=127.0.0.9&title=film"))["priority"][0] in ("n1", "n2")


async def test_the_configured_url_is_what_players_are_told(
    settings: SteeringSettings, clock: Clock, origin: Origin
) -> None:
    origin.publish("film")
    service = Service(replaced(settings, url="https://steer.example/"), clock)
    async with TestClient(TestServer(service.application())) as client:
        steering = Steering(service, client, clock)
        await steering.refresh()
        async with await steering.get(FILM) as answer:
            assert 'SERVER-URI="https://steer.example/steer/hls?s=' in await answer.text()


@pytest.mark.parametrize("host", ['evil"\n#EXT', "a b", "[::1", "x/y"])
async def test_a_host_that_is_none_does_not_get_into_a_manifest(steering: Steering, host: str) -> None:
    async with await steering.get("/steer/hls?s=x", headers={"Host": host.replace("\n", "")}) as answer:
        if answer.status == 200:
            assert (await answer.json())["RELOAD-URI"].startswith("http://127.0.0.1:8060/")


async def test_an_unknown_title_is_named_in_a_problem(steering: Steering) -> None:
    for path in ("/play/nothing/master.m3u8", "/play/nothing/manifest.mpd", "/api/v1/titles/nothing"):
        async with await steering.get(path) as answer:
            assert answer.status == 404
            assert answer.headers["Content-Type"].startswith("application/problem+json")
            assert (await answer.json())["detail"] == "no title 'nothing' in the catalog"


@pytest.mark.parametrize("session", ["a b", "x" * 65, "<script>", '"'])
async def test_a_session_name_that_is_none_is_refused(steering: Steering, session: str) -> None:
    async with await steering.get(FILM, params={"session": session}) as answer:
        assert answer.status == 400
        assert "session: found" in (await answer.json())["detail"]


# Polls


async def test_the_reload_uri_is_absolute_and_leads_back(steering: Steering) -> None:
    await fleet_of_three(steering)
    uri = await begin(steering)
    async with await steering.get(f"{uri}&_HLS_pathway=n1&_HLS_throughput=500000") as answer:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers["Content-Type"].startswith("application/json")
        manifest = await answer.json()
    assert manifest["VERSION"] == 1
    assert 7 <= manifest["TTL"] <= 10
    assert manifest["RELOAD-URI"] == str(steering.client.make_url(uri))
    assert list(manifest) == ["VERSION", "TTL", "RELOAD-URI", "PATHWAY-PRIORITY"]


async def test_a_lost_appliance_moves_behind_the_origin_and_comes_back(steering: Steering) -> None:
    await fleet_of_three(steering)
    uri = await begin(steering)
    first, second, *rest = await priority(steering, uri)
    others = [name for name in ("n1", "n2", "s1") if name != first]
    for sequence in range(2, 6):
        steering.clock.now += 2
        await steering.report(*(report(name, sequence=sequence, site=site(name)) for name in others))
    assert await priority(steering, uri) == [second, *rest, first]
    await steering.report(report(first, sequence=2, site=site(first)))
    assert (await priority(steering, uri))[-1] == first
    for sequence in range(6, 16):  # a few sessions at a time
        steering.clock.now += 2
        await steering.report(*(report(name, sequence=sequence, site=site(name)) for name in (first, *others)))
    assert await priority(steering, uri) == [first, second, *rest]


async def test_a_draining_appliance_loses_its_sessions_by_the_next_poll(steering: Steering) -> None:
    await fleet_of_three(steering)
    uri = await begin(steering, "/play/film/manifest.mpd")
    first, *rest = await priority(steering, uri)
    await steering.report(report(first, sequence=2, site=site(first), state="draining", held=holding(steering)))
    assert await priority(steering, uri) == [*rest, first]


async def test_a_full_appliance_keeps_its_sessions_and_gets_no_new_ones(steering: Steering) -> None:
    await fleet_of_three(steering)
    uri = await begin(steering)
    first = (await priority(steering, uri))[0]
    await steering.report(report(first, sequence=2, site=site(first), serving_bps=10 * GIGABIT, held=holding(steering)))
    assert (await priority(steering, f"{uri}&_HLS_pathway={first}"))[0] == first
    assert first not in await priority(steering, await begin(steering))


@pytest.mark.parametrize("path", ["/steer/hls", "/steer/dash"])
@pytest.mark.parametrize("query", ["", "?s=", "?s=nonsense", "?s=%00%FF", "?s=" + "A" * 5000, "?_HLS_pathway=%22%22"])
async def test_a_session_that_cannot_be_read_gets_an_order_and_a_longer_ttl(
    steering: Steering, path: str, query: str
) -> None:
    await fleet_of_three(steering)
    manifest = await steering.json(path + query)
    assert 42 <= manifest["TTL"] <= 60
    assert sorted(manifest["PATHWAY-PRIORITY"]) == ["n1", "n2", "origin", "s1"]


async def test_a_session_survives_a_restart_with_another_key(
    steering: Steering, settings: SteeringSettings, clock: Clock
) -> None:
    """A steering that has just started, without a database and without a report, must not send everybody away."""
    await fleet_of_three(steering)
    uri = await begin(steering)
    before = await priority(steering, uri)
    service = Service(replaced(settings, database="sqlite://"), clock)
    async with TestClient(TestServer(service.application())) as client:
        restarted = Steering(service, client, clock)
        manifest = await restarted.json(uri)
        assert manifest["PATHWAY-PRIORITY"] == before
        assert 7 <= manifest["TTL"] <= 10
        clock.now += settings.lost_after + 1
        assert (await priority(restarted, uri))[0] == "origin"


@pytest.mark.interpreted
async def test_a_fault_of_ours_is_still_an_answer(steering: Steering, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(steering.service.director, "poll", fail)
    assert (await steering.json("/steer/hls?s=x"))["PATHWAY-PRIORITY"] == ["origin"]


# Reports


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'{"format":1}', b"\xff\xfe", msgspec.json.encode({"format": 2})]
)
async def test_a_report_that_is_none_is_refused_and_changes_nothing(steering: Steering, body: bytes) -> None:
    await fleet_of_three(steering)
    before = await steering.json("/api/v1/fleet")
    async with steering.client.post("/api/v1/reports", data=body, headers=JSON) as answer:
        assert answer.status == 400
        assert (await answer.json())["detail"].startswith("not a report")
    assert await steering.json("/api/v1/fleet") == before


@pytest.mark.parametrize("change", [{"capacity_bps": -1}, {"url": "ftp://x"}, {"name": "../x"}, {"name": "origin"}])
async def test_a_report_of_things_that_cannot_be_is_refused(steering: Steering, change: dict[str, Any]) -> None:
    body = msgspec.json.encode(report(**{"name": "n1", **change}))
    async with steering.client.post("/api/v1/reports", data=body, headers=JSON) as answer:
        assert answer.status == 400


async def test_a_report_without_end_is_refused_before_it_is_read(steering: Steering) -> None:
    head = f"POST /api/v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: {LARGEST_REPORT + 1}\r\n"
    answer = await raw(steering, head + "Content-Type: application/json\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"expected at most" in answer


async def test_a_report_must_say_that_it_is_json(steering: Steering) -> None:
    async with steering.client.post("/api/v1/reports", data=msgspec.json.encode(report())) as answer:
        assert answer.status == 415


async def test_a_second_appliance_of_a_name_is_refused(steering: Steering) -> None:
    await steering.report(report("n1"))
    other = msgspec.json.encode(report("n1", instance="other", url="http://other.localhost:8080"))
    async with steering.client.post("/api/v1/reports", data=other, headers=JSON) as answer:
        assert answer.status == 409
        assert "another name" in (await answer.json())["detail"]


async def test_a_large_report_is_taken_whole(steering: Steering) -> None:
    held = {f"film-{number}/{'0' * 32}": ("*",) for number in range(30_000)}
    await steering.report(report("n1", held=held))
    assert len((await steering.json("/api/v1/fleet"))["appliances"][0]["report"]["held"]) == 30_000


# The catalog


async def test_an_origin_that_is_away_at_the_start_is_waited_for(
    settings: SteeringSettings, origin: Origin, clock: Clock
) -> None:
    origin.publish("film")
    origin.is_away = True
    service = Service(settings, clock)
    async with TestClient(TestServer(service.application())) as client:
        steering = Steering(service, client, clock)
        for path in (FILM, "/readyz"):
            async with await steering.get(path) as answer:
                assert answer.status == 503
        assert (await steering.json("/steer/hls?s=x"))["PATHWAY-PRIORITY"] == ["origin"]
        origin.is_away = False
        await steering.refresh()
        async with await steering.get(FILM) as answer:
            assert answer.status == 200


async def test_an_origin_that_goes_away_takes_no_title_with_it(steering: Steering, origin: Origin) -> None:
    origin.is_away = True
    with pytest.raises(CatalogError, match="answered 503"):
        await steering.refresh()
    async with await steering.get(FILM) as answer:
        assert answer.status == 200


async def test_titles_tell_a_page_what_it_needs(steering: Steering) -> None:
    listed = await steering.json("/api/v1/titles")
    (title,) = listed["titles"]
    assert title["name"] == "A Film"
    assert [video["height"] for video in title["video"]] == [360, 720]
    assert title["audio"] == [{"name": "a-en", "language": "en", "label": "English"}]
    assert (title["chapters"], title["thumbnails"]) == ([], None)
    assert (await steering.json("/api/v1/titles/film"))["page"]["ttl"] == 10


async def test_a_poster_is_where_the_film_would_be(steering: Steering) -> None:
    await fleet_of_three(steering)
    async with await steering.get("/posters/film", allow_redirects=False) as answer:
        assert answer.status == 302
        assert re.fullmatch(
            r"http://n[12]\.localhost:8080/v1/film/[0-9a-f]{32}/poster\.jpg", answer.headers["Location"]
        )


# Operators


async def test_the_fleet_is_shown_with_reports_health_and_sites(steering: Steering) -> None:
    await fleet_of_three(steering)
    steering.clock.now += 2
    fleet = await steering.json("/api/v1/fleet")
    first = fleet["appliances"][0]
    assert (first["report"]["name"], first["health"], first["age_s"]) == ("n1", "healthy", 2.0)
    assert first["report"]["held"] == {key: list(files) for key, files in holding(steering).items()}
    assert [found["name"] for found in fleet["sites"]] == ["north", "south"]
    assert (await steering.json("/api/v1/fleet?held=0"))["appliances"][0]["report"]["held"] is None


async def test_a_session_under_way_is_explained_by_its_token(steering: Steering) -> None:
    await fleet_of_three(steering)
    uri = await begin(steering, f"{FILM}?session=s-1")
    token = parse_qs(urlsplit(uri).query)["s"][0]
    decision = await steering.json(f"/api/v1/explain?s={token}")
    assert decision["session"] == "s-1"
    assert decision["priority"] == await priority(steering, uri)
    assert "was number 1 when the session began" in decision["pathways"][0]["reasons"]


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?client=nobody&title=film", 400), ("?client=127.0.0.1&title=nothing", 404), ("?s=junk", 400)],
)
async def test_an_explanation_of_nothing_is_refused(steering: Steering, query: str, status: int) -> None:
    async with await steering.get(f"/api/v1/explain{query}") as answer:
        assert answer.status == status


async def test_a_forwarded_address_counts_from_a_trusted_proxy_only(
    steering: Steering, settings: SteeringSettings
) -> None:
    forwarded = {"X-Forwarded-For": "127.128.0.7"}
    async with await steering.get("/api/v1/explain?title=film", headers=forwarded) as answer:
        assert (await answer.json())["client"] == "127.0.0.1"
    await steering.service.reload(replaced(settings, trusted_proxies=("127.0.0.0/8",)))
    async with await steering.get("/api/v1/explain?title=film", headers=forwarded) as answer:
        assert (await answer.json())["placement"]["site"] == "south"


async def test_new_sites_are_taken_over_and_bad_ones_are_not(steering: Steering, settings: SteeringSettings) -> None:
    north, south = settings.sites
    with pytest.raises(SitesError):
        await steering.service.reload(replaced(settings, sites=(north, north)))
    assert (await steering.json("/api/v1/explain?title=film"))["placement"]["site"] == "north"
    swapped = (replaced(north, prefixes=()), replaced(south, prefixes=("127.0.0.0/8",)))
    await steering.service.reload(replaced(settings, sites=swapped))
    assert (await steering.json("/api/v1/explain?title=film"))["placement"]["site"] == "south"


async def test_a_list_that_cannot_be_read_any_more_keeps_the_old_network_whole(
    steering: Steering, settings: SteeringSettings, tmp_path: Path
) -> None:
    north, south = settings.sites
    listed = tmp_path / "south.txt"
    listed.write_text("127.0.0.0/24\n")
    sites = (north, replaced(south, prefix_files=(listed,)))
    await steering.service.reload(replaced(settings, sites=sites))
    listed.write_text("127.0.0.0/24\neverything\n")
    with pytest.raises(SitesError, match=r"south\.txt, line 2: found 'everything'"):
        await steering.service.reload(replaced(settings, sites=sites, trusted_proxies=("127.0.0.0/8",)))
    assert (await steering.json("/api/v1/explain?title=film"))["placement"]["prefix"] == "127.0.0.0/24"


async def test_players_are_answered_by_the_old_network_until_the_new_one_is_whole(
    steering: Steering, settings: SteeringSettings, tmp_path: Path
) -> None:
    north, south = settings.sites
    slow = tmp_path / "south.txt"
    os.mkfifo(slow)  # whoever opens it waits for the other end
    sites = (north, replaced(south, prefix_files=(slow,)))
    reloading = asyncio.create_task(steering.service.reload(replaced(settings, sites=sites)))
    with await asyncio.to_thread(slow.open, "w") as end:
        assert (await steering.json("/api/v1/explain?title=film"))["placement"]["prefix"] == "127.0.0.0/9"
        assert not reloading.done()
        end.write("127.0.0.0/24\n")
    await reloading
    assert (await steering.json("/api/v1/explain?title=film"))["placement"]["prefix"] == "127.0.0.0/24"


async def test_what_is_announced_decides_before_lists_and_as_soon_as_it_is_known(
    settings: SteeringSettings, origin: Origin, clock: Clock, tmp_path: Path
) -> None:
    origin.publish("film")
    table = tmp_path / "routes"
    everybody, nearby = (4, 127 << 24, 8), (4, 127 << 24, 24)
    service = Service(replaced(settings, routes=table), clock)
    async with TestClient(FrontServer(service)) as client:
        steering = Steering(service, client, clock)
        await steering.refresh()

        async def placed() -> tuple[str, str, str]:
            placement = (await steering.json("/api/v1/explain?title=film"))["placement"]
            return placement["site"], placement["by"], placement["prefix"]

        async def are_placed(*expected: str) -> bool:
            return await placed() == expected

        assert await placed() == ("north", "prefix", "127.0.0.0/9")
        assert any("No such file" in trouble for trouble in (await steering.json("/readyz"))["degraded"])
        writer = TableWriter(table)
        writer.replace({everybody: ("south", "north")})
        await until(lambda: are_placed("south", "route", "127.0.0.0/8"))
        writer.apply({nearby: ("west", "north")})
        await until(lambda: are_placed("north", "route", "127.0.0.0/24"))
        degraded = (await steering.json("/readyz"))["degraded"]
        assert "routes name sites that are not declared: west" in degraded
        writer.close()
        table.unlink()
        await steering.service.reload(replaced(settings, routes=table))
        assert await placed() == ("north", "route", "127.0.0.0/24")


async def test_a_database_that_cannot_be_written_costs_nobody_anything(
    settings: SteeringSettings, origin: Origin, clock: Clock, tmp_path: Path
) -> None:
    origin.publish("film")
    (tmp_path / "broken.sqlite").write_bytes(b"this is no database" * 100)
    service = Service(replaced(settings, database=f"sqlite:///{tmp_path}/broken.sqlite"), clock)
    async with TestClient(TestServer(service.application())) as client:
        steering = Steering(service, client, clock)
        await steering.refresh()
        await fleet_of_three(steering)
        assert (await priority(steering, await begin(steering)))[-1] == "origin"
        ready = await steering.json("/readyz")
        assert ready["ready"]
        assert any("not a database" in trouble for trouble in ready["degraded"])


async def test_the_fleet_survives_a_restart(settings: SteeringSettings, origin: Origin, clock: Clock) -> None:
    origin.publish("film")
    for is_first in (True, False):
        service = Service(settings, clock)
        async with TestClient(TestServer(service.application())) as client:
            steering = Steering(service, client, clock)
            await steering.refresh()
            if is_first:
                await fleet_of_three(steering)
            found = (await steering.json("/api/v1/fleet"))["appliances"]
            assert [(one["report"]["name"], one["health"]) for one in found] == [
                ("n1", "healthy"),
                ("n2", "healthy"),
                ("s1", "healthy"),
            ]
            assert found[0]["report"]["held"] == {key: list(files) for key, files in holding(steering).items()}


async def test_metrics_count_what_happened(steering: Steering) -> None:
    await fleet_of_three(steering)
    await priority(steering, await begin(steering) + "&_HLS_pathway=n1&_HLS_throughput=5000000")
    async with await steering.get("/metrics") as answer:
        text = await answer.text()
    for line in (
        'nearcast_steering_decisions_total{cohort="",first="local",placed_by="prefix"} 1.0',
        'nearcast_steering_polls_total{cohort="",format="hls",session="ours"} 1.0',
        'nearcast_steering_reports_total{result="taken"} 3.0',
        'nearcast_steering_appliances{health="healthy"} 3.0',
        'nearcast_steering_player_throughput_bits_per_second_count{cohort=""} 1.0',
        "nearcast_steering_paths 0.0",
    ):
        assert line in text


async def test_readiness_says_what_is_degraded(steering: Steering) -> None:
    ready = await steering.json("/readyz")
    assert ready["ready"]
    assert "no appliance is healthy: every player is sent to the origin" in ready["degraded"]
    assert (await steering.json("/healthz")) == {"status": "ok"}


async def test_the_api_description_names_every_route_of_the_api(steering: Steering) -> None:
    described = await steering.json("/openapi.json")
    assert described["openapi"] == "3.1.0"
    routes = {
        str(resource.canonical)
        for resource in (steering.client.app or steering.service.application()).router.resources()
        if str(resource.canonical).startswith(("/api/", "/play/", "/steer/", "/cmcd"))
    }
    assert set(described["paths"]) == routes
    assert "Report" in described["components"]["schemas"]


# Pages and mischief


async def test_pages_are_served_and_load_nothing_from_elsewhere(steering: Steering) -> None:
    for path, status in (("/", 200), ("/watch/film", 200), ("/watch/nothing", 404)):
        async with await steering.get(path) as answer:
            assert answer.status == status
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
            text = await answer.text()
        loaded = re.findall(r'(?:src|href)="([^"]+)"', text)
        assert loaded
        assert all(link.startswith("/") for link in loaded)
        for link in loaded:
            async with await steering.get(link) as asset:
                assert asset.status == 200, link


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../cli.py",
        "/assets/%2e%2e/cli.py",
        "/assets/..%2fcli.py",
        "/assets/node_modules/hls.js/package.json",
        "/assets/package.json",
        "/assets//etc/passwd",
        "/play/../film/master.m3u8",
        "/play/..%2f..%2fetc/master.m3u8",
        "/watch/film/extra",
        "/nothing",
    ],
)
async def test_nothing_but_what_is_meant_is_served(steering: Steering, path: str) -> None:
    answer = await raw(steering, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 404


async def test_another_method_is_refused_with_those_that_are_not(steering: Steering) -> None:
    async with steering.client.delete("/api/v1/fleet") as answer:
        assert answer.status == 405
        assert "GET" in answer.headers["Allow"]


async def raw(steering: Steering, request: str) -> bytes:
    """What comes back for these very bytes; client libraries tidy paths up and send what they announce."""
    reader, writer = await asyncio.open_connection("127.0.0.1", steering.client.port)
    writer.write(request.encode())
    answer = await reader.readuntil(b"}")  # a problem's JSON; the connection may linger for the body that was announced
    writer.close()
    await writer.wait_closed()
    return answer


def site(name: str) -> str:
    return "south" if name.startswith("s") else "north"


def replaced(settings: Any, **changes: Any) -> Any:
    return dataclasses.replace(settings, **changes)


async def test_a_title_is_played_within_its_time_only(steering: Steering, origin: Origin) -> None:
    """It is filled before, so that every appliance has it when it may be played."""
    director = steering.service.director
    origin.publish("film")
    origin.entries["film"] |= {"available_from": "2026-12-24T18:00:00Z", "available_until": "2027-01-01T00:00:00Z"}
    await steering.refresh()
    start = datetime(2026, 12, 24, 18, tzinfo=UTC).timestamp()

    async def found(now: float) -> tuple[int, list[str]]:
        director._epoch = lambda: now
        titles = (await steering.json("/api/v1/titles"))["titles"]
        return (await steering.get("/play/film/master.m3u8")).status, [title["title"] for title in titles]

    assert await found(start - 1) == (404, [])
    assert await found(start) == (200, ["film"])
    assert await found(start + 8 * 86400) == (404, [])
    problem = await (await steering.get("/play/film/master.m3u8")).json()
    assert "available from 2026-12-24T18:00:00Z to 2027-01-01T00:00:00Z only" in problem["detail"]
