"""A protected film through steering and appliances into real browsers: it plays with its keys, and not with others."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from bench.browser.screens import Screen, close_all, on_each, open_screens
from bench.fleet import Fleet
from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.pipeline import encode
from encoder.running.process import ffmpeg_path
from oca.tokens.grants import Verifier
from oca.tokens.keys import parse_keys
from origin.licences.keystore import KeyStore
from origin.licences.service import LicenceService
from tests.encoder.conftest import run_ffmpeg
from tests.oca.tokens.keyring import MAC
from tests.tools import needs_chromium, needs_page
from tests.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

START_LIMIT_S = 40.0
# Shaka does not know ClearKey in HLS (docs/protection.md).
PLAYERS = ("hls", "dash", "shaka-dash")
LOW, HIGH, SOUND = (f"a7e61c373e214902b1bf7a4f2e3d1d0{number}" for number in range(3))
# The same film twice. Of one the endpoint has the keys, of the other it has wrong ones.
OPEN, LOCKED = "open", "locked"


def key_file(endpoint: str, digit: str) -> str:
    """Two keys for the rungs and one for the sound."""
    groups = ((LOW, "sd"), (HIGH, "hd"), (SOUND, "audio"))
    keys = [
        f'[[keys]]\nid = "{key_id}"\nkey = "{number}{digit * 31}"\ntracks = ["{tracks}"]'
        for number, (key_id, tracks) in enumerate(groups)
    ]
    return "\n".join([*keys, f'[[systems]]\nname = "clearkey"\nlicence_url = "{endpoint}"'])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    needs_page()
    needs_chromium()
    folder = tmp_path_factory.mktemp("protected")
    film = folder / "film.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=12:d=7,format=yuv420p"]
    sound = ["-f", "lavfi", "-i", "sine=d=7"]
    run_ffmpeg(*picture, *sound, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", str(film))
    (folder / "keys").mkdir()
    token_keys = folder / "tokens.jwks"
    token_keys.write_text(json.dumps({"keys": [MAC]}))
    verifier = Verifier(parse_keys(token_keys.read_bytes(), "tokens.jwks"))
    service = TestServer(LicenceService(KeyStore(folder / "keys", 0.0), verifier).application)
    await service.start_server()
    packages = []
    for title, digit in ((OPEN, "1"), (LOCKED, "2")):
        keys = folder / f"{title}.toml"
        keys.write_text(key_file(str(service.make_url("/clearkey")), digit))
        keys.chmod(0o600)
        settings = EncoderSettings(
            work=folder / "work",
            ladder="fixed",
            preset="ultrafast",
            segment_duration=2.0,
            min_free_space=0,
            protection=keys,
        )
        packages.append(await asyncio.to_thread(encode, film, title, folder / "out", settings, Reporter(quiet=True)))
    for title in (OPEN, LOCKED):
        (folder / "keys" / f"{title}.toml").write_bytes((folder / f"{OPEN}.toml").read_bytes())
    # Content and licences are for holders of access tokens.
    async with Fleet(folder / "fleet", appliances=2, token_keys=token_keys) as fleet:
        for package in packages:
            await fleet.publish(package)
        await fleet.fill()
        yield fleet
    await service.close()


async def colours(screen: Screen) -> int:
    """How many colours the picture has that is shown now: a black or a grey one has hardly any."""
    picture = await screen.page.locator("video").screenshot(type="jpeg", quality=90)
    pixels = await asyncio.to_thread(small, picture)
    return len({pixels[at : at + 3] for at in range(0, len(pixels), 3)})


async def shows_the_film(screen: Screen) -> None:
    """Waits for it: what is on the screen may lag behind what the player says, and the page's own signs lie over it."""
    seen: list[int] = []

    async def is_shown() -> bool:
        seen.append(await colours(screen))
        return seen[-1] > 300

    try:
        await until(is_shown)
    except AssertionError as error:
        raise AssertionError(f"{screen} shows {seen} colours") from error


def small(picture: bytes) -> bytes:
    """64 x 36 pixels, three bytes each."""
    arguments = ["-v", "error", "-i", "pipe:0", "-vf", "scale=64:36", "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"]
    return subprocess.run([ffmpeg_path(), *arguments], input=picture, check=True, capture_output=True).stdout


async def test_every_player_plays_a_protected_film_with_its_licence(browser: Browser, fleet: Fleet) -> None:
    screens = await open_screens(browser, fleet.steering_url, OPEN, PLAYERS)
    try:
        await on_each(screens, lambda screen: screen.until("stats.time > 3 && stats.frames > 20", START_LIMIT_S))
        await on_each(screens, shows_the_film)
        await on_each(screens, lambda screen: screen.until("stats.ended", START_LIMIT_S))
    finally:
        await close_all(screens)


async def test_no_player_plays_the_film_with_wrong_keys(browser: Browser, fleet: Fleet) -> None:
    screens = await open_screens(browser, fleet.steering_url, LOCKED, PLAYERS)
    try:
        # Shaka may say nothing, and step over what cannot be decoded until the film is over.
        await on_each(screens, lambda screen: screen.until("stats.errors.length > 0 || stats.time > 4", START_LIMIT_S))
        told = await on_each(screens, Screen.stats)
        shown = {str(screen): sum(end - start for start, end in stats["ranges"]) for screen, stats in told.items()}
        assert max(shown.values()) < 1, told
    finally:
        await close_all(screens)
