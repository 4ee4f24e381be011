"""Which files the page is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from steering.assets import LIBRARIES, WEB, find_assets


def make(web: Path, *paths: str) -> None:
    for path in paths:
        (web / path).parent.mkdir(parents=True, exist_ok=True)
        (web / path).write_text("")


def test_only_our_files_and_the_three_libraries_are_served(tmp_path: Path) -> None:
    libraries = [f"node_modules/{path}" for path in LIBRARIES.values()]
    make(
        tmp_path,
        "watch.js",
        "players/hls.js",
        "style.css",
        "package.json",
        "watch.html",
        "node_modules/x/evil.js",
        *libraries,
    )
    assert set(find_assets(tmp_path)) == {"watch.js", "players/hls.js", "style.css"} | {
        f"lib/{name}" for name in LIBRARIES
    }


def test_missing_libraries_are_said_with_how_to_get_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, "watch.js")
    assert set(find_assets(tmp_path)) == {"watch.js"}
    (record,) = caplog.records
    assert vars(record)["missing"] == list(LIBRARIES)
    assert vars(record)["fix"] == "npm ci --prefix steering/web --ignore-scripts"


def test_every_module_that_a_page_imports_is_there() -> None:
    found = find_assets(WEB)
    for name in ("catalog.js", "watch.js", "players/hls.js", "players/dash.js", "players/shaka.js", "mark.svg"):
        assert name in found
