"""What a package has besides its picture, as players themselves read it: surround, chapters, thumbnails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder.package import MANIFEST_NAME, PackageIndex, decode
from encoder.pipeline import encode
from tests.encoder.conftest import run_ffmpeg

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.asyncio(loop_scope="module")]

_WEB = Path(__file__).parents[2] / "steering/web"
_SCRIPTS = ("shaka-player/dist/shaka-player.compiled.js", "dashjs/dist/modern/umd/dash.all.min.js",
            "hls.js/dist/hls.min.js")  # fmt: skip
_PAGE = "<video muted></video>" + "".join(f'<script src="/web/node_modules/{path}"></script>' for path in _SCRIPTS)
_TEN_SECONDS_LATER = 12.5

_SHAKA = """async ([url, time]) => {
    const player = new shaka.Player();
    await player.attach(document.querySelector("video"));
    await player.load(url);
    const [image] = player.getImageTracks();
    const thumbnail = await player.getThumbnails(image.id, time);
    const chapters = url.endsWith(".mpd") ? [] : await player.getChaptersAsync("und");
    const answer = {
        audio: player.getAudioTracks().map(({ language, channelsCount, codecs }) => [language, channelsCount, codecs]),
        playing: player.getAudioTracks().find(({ active }) => active).codecs,
        chapters: chapters.map(({ startTime, title }) => [startTime, title]),
        thumbnail: [thumbnail.startTime, thumbnail.positionX, thumbnail.width, thumbnail.height],
        rungs: player.getVideoTracks().length,
        fast: player.getManifest().variants.map(({ video }) => video.trickModeVideo?.height ?? 0),
        sheet: (await fetch(thumbnail.uris[0])).headers.get("content-type"),
        captions: player.getTextTracks().map(({ language, accessibilityPurpose }) => [language, accessibilityPurpose]),
    };
    await player.destroy();
    return answer;
}"""

_DASHJS = """([url, time]) => new Promise((resolve, reject) => {
    const player = dashjs.MediaPlayer().create();
    player.on("error", ({ error }) => reject(new Error(error.message)));
    player.on("playbackMetaDataLoaded", () => player.provideThumbnail(time, (thumbnail) => {
        const rungs = player.getTracksFor("video").map(({ bitrateList }) => bitrateList.length);
        const channels = player.getTracksFor("audio").map((track) => track.codec);
        resolve({ rungs, audio: channels, thumbnail: [thumbnail.x, thumbnail.width, thumbnail.height] });
    }));
    player.initialize(document.querySelector("video"), url, false);
})"""

_HLSJS = """([url]) => new Promise((resolve, reject) => {
    const player = new Hls();
    player.on(Hls.Events.ERROR, (_, { fatal, details }) => fatal && reject(new Error(details)));
    player.on(Hls.Events.FRAG_BUFFERED, (_, { frag }) => frag.type === "audio" && resolve({
        audio: player.audioTracks.map(({ lang, name, channels }) => [lang, name, channels]),
        levels: player.levels.length,
    }));
    player.loadSource(url);
    player.attachMedia(document.querySelector("video"));
})"""

_SEEK_BAR = """async () => {
    const { timeline } = await import("/web/timeline.js");
    const video = Object.assign(new EventTarget(), { duration: 20, currentTime: 0, buffered: { length: 0 } });
    const chapters = [{ start: 0, title: "One" }, { start: 15, title: "Two" }];
    const { root } = timeline(video, { at: () => null }, chapters);
    document.body.append(root);
    const bar = root.querySelector("input");
    bar.value = 16;
    bar.dispatchEvent(new Event("input"));
    const ticks = [...root.querySelectorAll(".tick")].map((one) => one.style.left);
    return [ticks, root.querySelector(".moment").textContent];
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TestServer]:
    """The package of a film with AC-3 5.1, captions for the deaf and two chapters, and the players, on one server."""
    folder = tmp_path_factory.mktemp("tracks")
    film = folder / "film.mkv"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=320x180:r=12:d=24,format=yuv420p"]
    sound = ["-f", "lavfi", "-i", "anoisesrc=d=24:a=0.1,aformat=channel_layouts=5.1(side)"]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "24"]
    run_ffmpeg(*picture, *sound, *video, "-c:a", "ac3", "-metadata:s:a:0", "language=eng", str(film))
    (folder / "film.en.sdh.srt").write_text("1\n00:00:01,000 --> 00:00:05,000\n[music]\n")
    (folder / "film.chapters.txt").write_text("0:00 One\n0:14 Two\n")
    settings = EncoderSettings(
        work=folder / "work", ladder="fixed", preset="ultrafast", min_free_space=0, dash_trick_mode=True
    )
    package = await asyncio.to_thread(encode, film, "film", folder / "out", settings, Reporter(quiet=True))
    index = PackageIndex(decode((package / MANIFEST_NAME).read_bytes()))

    async def deliver(request: web.Request) -> web.Response:
        extent = index.locate(request.match_info["path"])
        with (package / extent.file.name).open("rb") as file:
            file.seek(extent.offset)
            return web.Response(body=file.read(extent.length), content_type=extent.media_type)

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    application = web.Application()
    application.add_routes([web.get("/", page), web.static("/web", _WEB), web.get("/film/{path:.+}", deliver)])
    server = TestServer(application)
    await server.start_server()
    yield server
    await server.close()


async def ask(browser: Browser, site: TestServer, script: str, manifest: str) -> Any:
    page = await browser.new_page()
    try:
        await page.goto(str(site.make_url("/")))
        return await page.evaluate(script, [str(site.make_url(f"/film/{manifest}")), _TEN_SECONDS_LATER])
    finally:
        await page.close()


@pytest.mark.parametrize("manifest", ["master.m3u8", "manifest.mpd"])
async def test_shaka_plays_stereo_where_ac3_is_not_and_finds_the_rest(
    manifest: str, browser: Browser, site: TestServer
) -> None:
    found = await ask(browser, site, _SHAKA, manifest)
    assert found["playing"] == "mp4a.40.2"
    assert found["thumbnail"] == [10, 320, 320, 180]
    assert found["sheet"] == "image/jpeg"
    (captions,) = found["captions"]
    assert captions[0] == "en"
    assert found["rungs"] == 1  # the one for playing fast is none
    if manifest == "manifest.mpd":
        assert found["fast"] == [180]
    else:
        assert found["chapters"] == [[0, "One"], [14, "Two"]]


async def test_dashjs_plays_stereo_where_ac3_is_not_and_finds_the_thumbnails(
    browser: Browser, site: TestServer
) -> None:
    found = await ask(browser, site, _DASHJS, "manifest.mpd")
    assert found["thumbnail"] == [320, 320, 180]
    assert found["rungs"] == [1]
    assert ["mp4a.40.2" in codec for codec in found["audio"]] == [True]


async def test_hlsjs_plays_stereo_where_ac3_is_not(browser: Browser, site: TestServer) -> None:
    found = await ask(browser, site, _HLSJS, "master.m3u8")
    assert found["audio"] == [["en", "English", "2"]]


async def test_the_pages_seek_bar_shows_where_chapters_begin_and_what_they_are(
    browser: Browser, site: TestServer
) -> None:
    assert await ask(browser, site, _SEEK_BAR, "") == [["75%"], "0:16 · Two"]
