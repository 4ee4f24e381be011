"""The catalog: what is believed of the origin, and what is kept when it errs."""

from __future__ import annotations

import aiohttp
import msgspec
import pytest

from steering.catalog import Catalog, Entry, read_title
from steering.errors import CatalogError
from tests.steering.conftest import Origin
from tests.steering.values import manifest, package


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
