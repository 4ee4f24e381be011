from __future__ import annotations

from fill.ledger.accounts import Accounts, By
from fill.ledger.join import Entry
from fill.ledger.reasons import Reason
from tests.fill.ledger.values import NOW, answer


def entry(size: int, reason: Reason, *, isp: str = "Northern", site: str = "north", title: str = "film") -> Entry:
    return Entry(answer(size=size, title=title), isp, site, reason)


def test_tables_have_what_was_missed_most_first() -> None:
    accounts = Accounts()
    accounts.add([entry(900, Reason.LOCAL), entry(100, Reason.CONTENT), entry(50, Reason.UNKNOWN, isp="", site="")])
    accounts.add([entry(200, Reason.DRAIN, site="south", title="other")])
    assert [(row.name, row.total, row.missed) for row in accounts.table(By.SITE)] == [
        ("south", 200, 200),
        ("north", 1000, 100),
        ("", 50, 50),
    ]
    assert [(row.name, row.offload) for row in accounts.table(By.ISP)] == [("Northern", 0.75), ("", 0.0)]
    assert [row.name for row in accounts.table(By.TITLE)] == ["other", "film"]
    assert accounts.whole.bytes == {Reason.LOCAL: 900, Reason.CONTENT: 100, Reason.UNKNOWN: 50, Reason.DRAIN: 200}


def test_each_site_is_accounted_for_from_its_own_moment_on() -> None:
    accounts = Accounts({"north": NOW - 100, "south": NOW})
    of_sites = [("north", 101.0, 1), ("north", 100.0, 20), ("south", 50.0, 300), ("", 500.0, 4000)]
    accounts.add(Entry(answer(age, size), "", site, Reason.LOCAL) for site, age, size in of_sites)
    assert {row.name: row.total for row in accounts.table(By.SITE)} == {"north": 20, "": 4000}


def test_nothing_has_no_offload() -> None:
    assert (Accounts().whole.total, Accounts().whole.offload, Accounts().table(By.TITLE)) == (0, 0.0, [])
