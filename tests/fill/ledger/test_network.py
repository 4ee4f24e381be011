"""The ledger of a whole network on loopback: what was really served, and by whom, against what its logs tell."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from bench.demo import play_through
from bench.fleet import Fleet
from config.progress import Reporter
from encoder.package import MANIFEST_NAME
from fill.feed.records import OWN_AGENT
from fill.ledger.accounts import By
from fill.ledger.reading import Ledger
from fill.ledger.reasons import Reason


def is_viewers(record: dict[str, Any]) -> bool:
    is_content = record["file"] not in ("", MANIFEST_NAME) and record["status"] in (200, 206)
    return is_content and not record["agent"].startswith(OWN_AGENT)


@pytest.mark.slow
async def test_every_byte_of_a_network_that_was_not_filled_is_on_its_ledger_once(tmp_path: Path, package: Path) -> None:
    began = time.time()
    async with Fleet(tmp_path) as fleet:
        await fleet.publish(package)
        await play_through(fleet, [package], Reporter(quiet=True))
    logs = [*tmp_path.glob("*/access.log*"), tmp_path / "origin.log"]
    ledger = Ledger(fleet.access_logs, fleet.decision_logs, began)
    ledger.read(time.time())
    accounts = ledger.close()
    records = [json.loads(line) for log in logs for line in log.read_bytes().splitlines()]
    sent = sum(one["bytes"] for one in records if is_viewers(one))
    assert accounts.whole.total == sent > 0
    assert {account.name for account in accounts.table(By.SITE)} == {"north", "south"}
    assert accounts.whole.bytes[Reason.UNKNOWN] == 0
    # Each site fetched what the first of its two plays asked for, and had it for the second.
    fetched = sum(one["bytes"] for one in records if is_viewers(one) and not one["hit"])
    assert accounts.whole.bytes[Reason.CONTENT] == fetched > 0
    assert accounts.whole.offload > 0.5
