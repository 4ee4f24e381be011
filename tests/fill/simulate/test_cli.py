from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from config.errors import NearcastError
from fill.simulate.cli import simulate_command, size_command
from tests.fill.simulate.fleets import FLEET, write_fleet

QUICK = ("--titles", "60", "--days", "2", "--warm-up", "2", "--quiet")


def simulate(folder: Path, *arguments: str, fleet: str = FLEET) -> Result:
    return CliRunner().invoke(simulate_command, ["--fleet", str(write_fleet(folder, fleet)), *QUICK, *arguments])


def told(result: Result) -> str:
    """What the command line prints of our own errors (config.cli.run_command)."""
    assert isinstance(result.exception, NearcastError)
    assert result.exception.exit_code == 2
    return str(result.exception)


def test_a_fleet_is_simulated_beside_a_what_if(tmp_path: Path) -> None:
    result = simulate(tmp_path, "--what-if", "site north-1 fails", "--what-if", "disk x2 at north", "--json", "-")
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert [outcome["name"] for outcome in found["outcomes"]] == ["base", "site north-1 fails", "disk x2 at north"]
    assert (found["sites"], found["appliances"]) == (4, 7)
    base = {one["policy"]: one for one in found["outcomes"][0]["results"]}
    assert base["ours"]["total"]["days"] == 2
    assert 0 < base["ours"]["total"]["offload"] <= base["clairvoyant"]["total"]["offload"] <= 1
    assert found["outcomes"][1]["notes"]


def test_tables_name_every_policy_day_and_difference(tmp_path: Path) -> None:
    result = simulate(tmp_path, "--policies", "ours, lru", "--what-if", "demand x9")
    assert result.exit_code == 0
    assert "what if demand x9" in result.stdout
    assert "title-level" not in result.stdout
    assert "are asked for in the busiest hour of all days, and it can serve" in result.stdout


def test_the_result_goes_to_a_file_as_well(tmp_path: Path) -> None:
    result = simulate(tmp_path, "--policies", "no-fill", "--json", str(tmp_path / "result.json"))
    assert "no-fill" in result.stdout
    assert json.loads((tmp_path / "result.json").read_text())["benchmark"] == "simulate"


def test_a_trace_is_replayed_as_it_came(tmp_path: Path) -> None:
    trace = tmp_path / "requests.csv"
    rows = [f"{day * 86400 + n * 60},o{n % 7},1000000" for day in range(4) for n in range(50)]
    trace.write_text("time,object,size\n" + "\n".join(rows))
    fleet = '[[sites]]\nname = "a"\n[[sites.appliances]]\ndisk = "1 GB"\ncapacity = "1 Gbit/s"\n'
    result = simulate(tmp_path, str(trace), "--json", "-", fleet=fleet)
    base = {one["policy"]: one["total"] for one in json.loads(result.stdout)["outcomes"][0]["results"]}
    assert base["no-fill"]["served"] == 100 * 1000000
    assert base["lru"]["offload"] == base["ours"]["offload"] == 1.0


def test_what_is_wrong_is_told_before_anything_is_simulated(tmp_path: Path) -> None:
    assert "sentence: found 'x'" in told(simulate(tmp_path, "--what-if", "x"))
    assert "policies: found magic, expected all, or some of no-fill, lru" in told(
        simulate(tmp_path, "--policies", "magic")
    )
    no_viewers = '[[sites]]\nname = "a"\n[[sites.appliances]]\n'
    assert "viewers: found nothing" in told(simulate(tmp_path, fleet=no_viewers))


def test_sizes_are_compared_and_one_is_recommended_with_reasons() -> None:
    result = CliRunner().invoke(size_command, ["--viewers-gbps", "9", *QUICK, "--json", "-"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert len(found["options"]) == 15
    assert found["recommended"] in found["options"]
    assert len(found["reasons"]) >= 4
    shown = CliRunner().invoke(size_command, ["--viewers-gbps", "9", *QUICK])
    assert (
        "Recommended: 1 appliance of 10 TB and 20 Gbit/s.\nViewers take 9 Gbit/s in the busiest hour, 45% of"
        in shown.stdout
    )


def test_a_window_that_never_opens_is_told() -> None:
    result = CliRunner().invoke(size_command, ["--viewers-gbps", "9", "--window", "04:00-04:00"])
    assert "command line: window: found '04:00-04:00', which never opens" in told(result)


def test_a_rate_that_is_none_is_told() -> None:
    result = CliRunner().invoke(size_command, ["--viewers-gbps", "9", "--rate", "fast"])
    assert "rate: found 'fast', expected a rate such as" in told(result)
