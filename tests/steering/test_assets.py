"""Which files the page is made of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from steering.assets import LIBRARIES, WEB, find_assets

DOCS = Path(__file__).parents[2] / "docs" / "players.md"
# What docs/players.md prints, word for word: a publisher copies it from there.
PRINTED = ("hls-settings.js", "dash-settings.js", "shaka-settings.js", "cmcd.js")
# Of all that is ours on the page, in bytes: a viewer on a thin link waits for it before the film.
LARGEST_PAGE = 110_000


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


def imports(module: Path) -> set[Path]:
    return {
        (module.parent / found).resolve() for found in re.findall(r'(?:from|import\() ?"(\.[^"]+)"', module.read_text())
    }


def test_every_module_that_a_page_imports_is_there() -> None:
    libraries = {WEB / "lib" / name for name in LIBRARIES}
    todo = [WEB / "watch.js", WEB / "catalog.js", *(WEB / "players").glob("*.js")]
    known = set(todo)
    while todo:
        for module in imports(todo.pop()) - known - libraries:
            assert module.is_file(), module
            known.add(module)
            todo.append(module)
    ours = {path for path in find_assets(WEB).values() if path.suffix == ".js" and "node_modules" not in path.parts}
    assert known == ours, "what no page imports is dead"


def test_the_page_is_small() -> None:
    ours = [path for path in find_assets(WEB).values() if "node_modules" not in path.parts]
    assert sum(path.stat().st_size for path in [*ours, WEB / "watch.html"]) < LARGEST_PAGE


@pytest.mark.parametrize("name", PRINTED)
def test_the_settings_in_the_docs_are_those_of_the_page(name: str) -> None:
    assert f"```js\n{(WEB / 'players' / name).read_text()}```\n" in DOCS.read_text()
