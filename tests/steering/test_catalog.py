"""The catalog: what is believed of the origin, and what is kept when it errs."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest

from encoder.manifests import Manifests
from encoder.package import decode
from steering.catalog import Catalog, Entry, read_title, restore_title
from steering.errors import CatalogError
from tests.steering.conftest import Origin
from tests.steering.values import manifest, package
from tests.waiting import until


async def refreshed(catalog: Catalog) -> Catalog:
    async with aiohttp.ClientSession() as session:
        await catalog.refresh(session)
    return catalog


async def test_a_title_is_read_with_its_package(origin: Origin) -> None:
    digest = origin.publish("film")
    catalog = await refreshed(Catalog(origin.url))
    title = catalog.titles["film"]
    assert title.entry.package == digest
    assert "v720.mp4" in title.files
    assert title.nominal_bps == 1_500_000 + 128_000
    assert catalog.is_known


async def test_what_did_not_change_is_not_read_again(origin: Origin) -> None:
    origin.publish("film")
    catalog = await refreshed(Catalog(origin.url))
    origin.publish("other")
    origin.asked.clear()
    await refreshed(catalog)
    await refreshed(catalog)
    assert [path.split("/")[2] for path in origin.asked if path.endswith("package.json")] == ["other"]
    assert set(catalog.titles) == {"film", "other"}


async def test_a_withdrawn_title_is_gone(origin: Origin) -> None:
    origin.publish("film")
    catalog = await refreshed(Catalog(origin.url))
    del origin.entries["film"]
    assert (await refreshed(catalog)).titles == {}


async def test_a_manifest_that_is_not_the_packages_is_not_believed(
    origin: Origin, caplog: pytest.LogCaptureFixture
) -> None:
    origin.publish("film")
    good = (await refreshed(catalog := Catalog(origin.url))).titles["film"]
    replaced = origin.publish("film", "Another Cut")
    origin.manifests[f"/v1/film/{replaced}/package.json"] += b" "
    origin.publish("other")
    for _ in range(3):
        await refreshed(catalog)
    assert catalog.titles["film"] is good
    assert "other" in catalog.titles  # one wrong package keeps nobody else away
    assert len([record for record in caplog.records if "not taken over" in record.message]) == 1
    origin.manifests[f"/v1/film/{replaced}/package.json"] = origin.manifests[f"/v1/film/{replaced}/package.json"][:-1]
    assert (await refreshed(catalog)).titles["film"].entry.package == replaced


@pytest.mark.parametrize("said", [b"{", b"[]", b'{"titles": [{}]}', b"\xff", b'{"titles": [{"title": 3}]}'])
async def test_nonsense_is_refused_and_what_was_known_stays(origin: Origin, said: bytes) -> None:
    origin.publish("film")
    catalog = await refreshed(Catalog(origin.url))
    origin.catalog = said
    with pytest.raises(CatalogError, match="is not a catalog"):
        await refreshed(catalog)
    assert "film" in catalog.titles


async def test_names_that_are_none_are_left_out(origin: Origin) -> None:
    origin.publish("film")
    origin.entries["evil"] = {**origin.entries["film"], "title": "../../etc"}
    catalog = await refreshed(Catalog(origin.url))
    assert set(catalog.titles) == {"film"}
    assert not any(".." in path for path in origin.asked)


async def test_an_origin_that_nobody_reaches_is_named() -> None:
    with pytest.raises(CatalogError, match=r"http://127\.0\.0\.1:1/api/v1/titles could not be asked"):
        await refreshed(Catalog("http://127.0.0.1:1"))


def test_a_package_of_another_title_is_refused() -> None:
    digest, data = manifest(package("film"))
    fields = {
        "title": "other",
        "package": digest,
        "name": "",
        "duration": 1.0,
        "size": 1,
        "poster": "",
        "published_at": "",
    }
    with pytest.raises(CatalogError, match="it is of the title 'film'"):
        read_title(msgspec.convert(fields, Entry), data)


async def test_a_time_that_is_none_keeps_the_title_away(origin: Origin) -> None:
    origin.publish("film")
    origin.entries["film"]["available_from"] = "soon"
    assert (await refreshed(Catalog(origin.url))).titles == {}


async def test_the_outline_of_a_package_gives_the_same_manifests(origin: Origin) -> None:
    digest = origin.publish("film")
    title = (await refreshed(Catalog(origin.url))).titles["film"]
    whole = Manifests(decode(origin.manifests[f"/v1/film/{digest}/package.json"]))
    for kept in (title, restore_title(title.keep())):
        assert kept.manifests.mpd() == whole.mpd()
        assert kept.manifests.multivariant() == whole.multivariant()
        assert not any(one.durations or one.sizes for one in kept.package.renditions)
        assert (kept.entry, kept.files, kept.nominal_bps) == (title.entry, title.files, title.nominal_bps)


async def test_what_was_kept_is_known_again_while_the_origin_is_away(origin: Origin) -> None:
    origin.publish("film")
    before = await refreshed(Catalog(origin.url))
    origin.is_away = True
    after = Catalog(origin.url)
    await after.restore({"film": before.titles["film"].keep(), "damaged": b"what is this"})
    assert set(after.titles) == {"film"}
    assert after.is_known
    assert after.trouble  # it may be old
    with pytest.raises(CatalogError, match="answered 503"):
        await refreshed(after)
    assert set(after.titles) == {"film"}
    origin.is_away = False
    origin.asked.clear()
    await refreshed(after)
    assert origin.asked == ["/api/v1/titles"]  # what is kept need not be read again


async def test_what_is_kept_is_no_news_to_who_asked_the_origin(origin: Origin) -> None:
    origin.publish("film")
    catalog = await refreshed(Catalog(origin.url))
    await catalog.restore({"withdrawn": catalog.titles["film"].keep()})
    assert set(catalog.titles) == {"film"}
    changes = catalog.unsaved(most=10)
    assert changes is not None
    assert (set(changes.changed), changes.gone) == ({"film"}, ("withdrawn",))


async def test_what_changed_is_to_be_saved_until_it_is(origin: Origin) -> None:
    for name in ("film", "other", "third"):
        origin.publish(name)
    catalog = await refreshed(Catalog(origin.url))
    saved: set[str] = set()
    while (changes := catalog.unsaved(most=2)) is not None:
        assert len(changes.changed) <= 2
        saved |= changes.changed.keys()
        catalog.saved(changes)
    assert saved == {"film", "other", "third"}
    del origin.entries["film"]
    origin.publish("other", "Another Cut")
    await refreshed(catalog)
    changes = catalog.unsaved(most=9)
    assert changes is not None
    assert (set(changes.changed), changes.gone) == ({"other"}, ("film",))
    catalog.saved(changes)
    catalog.save_all()
    changes = catalog.unsaved(most=9)
    assert changes is not None
    assert set(changes.changed) == {"other", "third"}


async def test_packages_are_asked_for_together_and_not_all_at_once(origin: Origin) -> None:
    for number in range(40):
        origin.publish(f"film-{number}")
    origin.gathers = 16
    assert len((await refreshed(Catalog(origin.url))).titles) == 40
    assert origin.most_at_once == 16


async def test_an_origin_that_goes_away_meanwhile_is_not_asked_for_the_rest(origin: Origin) -> None:
    for number in range(100):
        origin.publish(f"film-{number:02}")
    catalog = Catalog(origin.url)
    origin.hangs_up_after = 30
    with pytest.raises(CatalogError, match="could not be asked"):
        await refreshed(catalog)
    assert len([path for path in origin.asked if path.endswith("package.json")]) < 80
    assert not catalog.is_known
    origin.hangs_up_after = None
    assert len((await refreshed(catalog)).titles) == 100


async def test_a_package_that_breaks_off_keeps_nobody_else_away(origin: Origin) -> None:
    origin.publish("withdrawn")
    catalog = await refreshed(Catalog(origin.url))
    del origin.entries["withdrawn"]
    origin.broken = {f"/v1/broken/{origin.publish('broken')}/package.json"}
    for number in range(40):
        origin.publish(f"film-{number:02}")
    await refreshed(catalog)
    assert set(catalog.titles) == {f"film-{number:02}" for number in range(40)}
    origin.broken.clear()
    assert "broken" in (await refreshed(catalog)).titles


async def test_what_nobody_thought_of_does_not_end_the_looking(
    origin: Origin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    origin.publish("film")
    catalog, refresh, faults = Catalog(origin.url), Catalog.refresh, 3

    async def fail(catalog: Catalog, session: aiohttp.ClientSession) -> None:
        nonlocal faults
        faults -= 1
        if faults >= 0:
            raise RecursionError
        await refresh(catalog, session)

    monkeypatch.setattr(Catalog, "refresh", fail)
    async with aiohttp.ClientSession() as session:
        following = asyncio.create_task(catalog.follow(session, 0.0))
        await until(lambda: not catalog.trouble)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    assert set(catalog.titles) == {"film"}
    assert len([record for record in caplog.records if record.exc_info]) == 1


async def test_an_origin_without_a_catalog_is_not_taken_for_one_that_did_not_change(origin: Origin) -> None:
    origin.says_unchanged = True
    catalog = Catalog(origin.url)
    with pytest.raises(CatalogError, match="answered 304, expected 200"):
        await refreshed(catalog)


async def test_what_the_origin_withdraws_while_the_catalog_is_restored_stays_away(origin: Origin) -> None:
    for number in range(40):
        origin.publish(f"film-{number:02}")
    kept = {name: title.keep() for name, title in (await refreshed(Catalog(origin.url))).titles.items()}
    del origin.entries["film-39"]
    catalog = Catalog(origin.url)
    restoring = catalog.restore(kept)
    restoring.send(None)  # up to its first pause
    await refreshed(catalog)
    with pytest.raises(StopIteration):
        while True:
            restoring.send(None)
    assert set(catalog.titles) == {f"film-{number:02}" for number in range(39)}
    changes = catalog.unsaved(most=100)
    assert changes is not None
    assert changes.gone == ("film-39",)


async def test_manifests_are_made_ahead(origin: Origin) -> None:
    for name in ("film", "other"):
        origin.publish(name)
    known = await refreshed(Catalog(origin.url))
    catalog = Catalog(origin.url)
    await catalog.restore({name: title.keep() for name, title in known.titles.items()})
    assert not any(title.is_prepared for title in catalog.titles.values())
    preparing = asyncio.create_task(catalog.prepare())
    await until(lambda: all(title.is_prepared for title in catalog.titles.values()))
    preparing.cancel()
    await asyncio.gather(preparing, return_exceptions=True)


def test_a_package_whose_manifests_nobody_can_write_is_refused() -> None:
    film = package("film")
    wrong = msgspec.structs.replace(film.renditions[0], frame_rate="1/0")
    digest, data = manifest(msgspec.structs.replace(film, renditions=(wrong, *film.renditions[1:])))
    fields = {"title": "film", "package": digest, "name": "", "duration": 1.0, "size": 1, "poster": ""}
    with pytest.raises(CatalogError, match="its manifests cannot be written: Fraction"):
        read_title(msgspec.convert({**fields, "published_at": ""}, Entry), data)


async def test_a_catalog_that_did_not_change_is_the_same_mapping(origin: Origin) -> None:
    origin.publish("film")
    catalog = await refreshed(Catalog(origin.url))
    before = catalog.titles
    assert (await refreshed(catalog)).titles is before
