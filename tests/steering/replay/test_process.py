"""A service that is killed leaves a journal that explains what it did."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import msgspec

from steering.errors import JournalError
from steering.journal.moments import show_moment
from steering.journal.segments import Journal
from steering.replay.moment import past_at
from tests.steering.conftest import JSON, Origin
from tests.steering.test_cli import LIMIT_S, configuration, run, serving
from tests.steering.values import report
from tests.waiting import until


def keeps(folder: Path, appliance: str, title: str) -> bool:
    try:
        past = past_at(Journal(folder), time.time())
    except JournalError:
        return False
    return appliance in past.standings and title in past.titles


async def test_a_killed_service_is_explained_from_its_journal(tmp_path: Path, origin: Origin) -> None:
    origin.publish("film")
    config, journal = configuration(tmp_path, origin.url), tmp_path / "journal"
    config.write_text(
        config.read_text().replace("[steering]", f'[steering]\njournal = "{journal}"\nlost_after = "60s"')
    )
    async with serving(config, tmp_path) as (process, url, _), aiohttp.ClientSession() as session:
        body = msgspec.json.encode(report("n1"))
        async with session.post(f"{url}/api/v1/reports", data=body, headers=JSON) as answer:
            assert answer.status == 200
        await until(lambda: keeps(journal, "n1", "film"))
        at = show_moment(time.time() + 1)  # times are shown without what is behind the second
        process.kill()
        await process.wait()
    question = ("--client", "127.0.0.9", "--title", "film", "--at", at, "--journal", str(journal), "--json")
    explained = await run("explain", *question)
    out, error = await asyncio.wait_for(explained.communicate(), LIMIT_S)
    assert explained.returncode == 0, error.decode()
    assert json.loads(out)["priority"] == ["n1", "origin"]
