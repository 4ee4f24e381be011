"""Sessions of protected content: what steering hands out opens a real appliance's door, and nothing else does."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import m3u8
import pytest
from aiohttp.test_utils import TestClient
from lxml import etree

from config.errors import ConfigError
from config.steering import SteeringSettings
from encoder.package import MANIFEST_NAME, decode
from oca.report import EVERY_FILE
from steering.service import Service
from steering.sessions.credentials import read_access
from tests.media import make_package
from tests.oca.running import Running
from tests.oca.tokens.keyring import MAC, SIGNER
from tests.steering.conftest import Clock, FrontServer, Origin, Steering
from tests.steering.values import report

DASH = {"d": "urn:mpeg:dash:schema:mpd:2011"}
PUBLIC_SIGNER = {name: value for name, value in SIGNER.items() if name != "d"}


def keys(path: Path, *jwks: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"keys": jwks}))
    return path


@pytest.fixture
async def appliance(tmp_path: Path) -> AsyncIterator[Running]:
    folder = make_package(tmp_path / "source")
    running = Running(
        tmp_path / "a", "--token-keys", str(keys(tmp_path / "theirs.json", MAC, PUBLIC_SIGNER)),
        "--token-issuers", "steering", "--token-audiences", "appliances",
    )  # fmt: skip
    shutil.copytree(folder.parents[1], running.volume)
    await running.start()
    yield running
    assert await running.end() == 0


@pytest.fixture
def protecting(settings: SteeringSettings, origin: Origin, appliance: Running, tmp_path: Path) -> SteeringSettings:
    """Of a steering that signs for this appliance, with the title that it holds published."""
    (manifest,) = appliance.volume.glob(f"*/*/{MANIFEST_NAME}")
    title, package = manifest.parts[-3:-1]
    origin.publish(title)
    origin.manifests[f"/v1/{title}/{package}/{MANIFEST_NAME}"] = manifest.read_bytes()
    film = decode(manifest.read_bytes())
    origin.entries[title] |= {"package": package, "duration": film.duration, "size": film.size}
    return dataclasses.replace(
        settings, token_keys=tmp_path / "ours.json", token_issuer="steering", token_audience="appliances"
    )


async def pathways(
    settings: SteeringSettings, clock: Clock, appliance: Running, form: str = "hls"
) -> tuple[list[str], str]:
    """The URL of each pathway's first playlist (HLS) or folder, as a session gets them, and the title."""
    service = Service(settings, clock)
    async with TestClient(FrontServer(service)) as client:
        steering = Steering(service, client, clock)
        await steering.refresh()
        ((title, known),) = service.director.catalog.titles.items()
        held = {f"{title}/{known.entry.package}": EVERY_FILE}
        await steering.report(report("oca-1", url=appliance.url, held=held))
        if form == "hls":
            async with await steering.get(f"/play/{title}/master.m3u8?session=s-1") as answer:
                return [variant.uri for variant in m3u8.loads(await answer.text()).playlists], title
        async with await steering.get(f"/play/{title}/manifest.mpd?session=s-1") as answer:
            mpd = etree.fromstring(await answer.read())
        return [str(base.text) for base in mpd.findall("d:BaseURL", DASH)], title


async def status(url: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status


@pytest.mark.parametrize("jwk", [MAC, SIGNER])
async def test_a_sessions_token_opens_its_package_at_the_appliance(
    protecting: SteeringSettings, clock: Clock, appliance: Running, tmp_path: Path, jwk: dict[str, Any]
) -> None:
    keys(tmp_path / "ours.json", jwk)
    (playlist, *_), title = await pathways(protecting, clock, appliance)
    assert playlist.startswith(f"{appliance.url}/t/")
    assert await status(playlist) == 200
    assert await status(re.sub(r"/t/[^/]+", "", playlist)) == 401
    other = playlist.replace(f"/v1/{title}/", "/v1/other/")
    assert await status(other) == 403
    token = playlist.split("/")[4]
    forged = playlist.replace(token, token[:-2] + ("AA" if token[-2:] != "AA" else "BB"))
    assert await status(forged) == 401


async def test_every_pathway_and_both_formats_carry_the_token(
    protecting: SteeringSettings, clock: Clock, appliance: Running, tmp_path: Path
) -> None:
    """The same path on each host, or a cloned pathway would lose it."""
    keys(tmp_path / "ours.json", MAC)
    for form in ("hls", "dash"):
        found, _ = await pathways(protecting, clock, appliance, form)
        assert {urlsplit(one).netloc for one in found} == {
            urlsplit(appliance.url).netloc,
            urlsplit(protecting.origin).netloc,
        }
        assert all(urlsplit(one).path.startswith("/t/") for one in found)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file"),
        ("{", "JSON"),
        ('{"keys": []}', "none that can sign"),
        (json.dumps({"keys": [PUBLIC_SIGNER]}), "none that can sign"),
    ],
)
def test_keys_that_cannot_sign_are_a_sentence(
    settings: SteeringSettings, tmp_path: Path, content: str | None, expected: str
) -> None:
    path = tmp_path / "keys.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=expected):
        read_access(dataclasses.replace(settings, token_keys=path))
