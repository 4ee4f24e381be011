from __future__ import annotations

from rich.console import Console

from bench.result import Check, Played, Result, Served, Switch, offload, tables

SITES = {"north-1": "north", "south-1": "south"}


def played(**served: int) -> Played:
    sent = {name.replace("_", "-"): Served(1, size) for name, size in served.items()}
    return Played(player="HLS in the north", protocol="HLS", site="north", title="film", served=sent)


def test_offload_is_what_the_viewers_own_site_served() -> None:
    assert offload([played(north_1=75, south_1=20, origin=5)], SITES) == 0.75
    assert offload([played(north_1=50), played(origin=50)], SITES) == 0.5
    assert offload([], SITES) == 0.0


def test_the_tables_say_who_served_what_and_which_check_failed() -> None:
    play = played(north_1=1024)
    play.switches.append(Switch(12.0, "north-1", "south-1", "[Errno 111] Connection refused"))
    checks = [Check("every byte is the encoded one", True, "0 wrong"), Check("no player stalled", False, "2 stalls")]
    result = Result(passed=False, offload=0.5, plays=[play], checks=checks, seconds=1.0)
    console = Console(width=120)
    with console.capture() as capture:
        for table in tables(result):
            console.print(table)
    text = capture.get()
    for words in ("north-1: 1 KiB", "to south-1 at 12.0s: [Errno 111] Connection refused", "pass", "FAIL", "2 stalls"):
        assert words in text
