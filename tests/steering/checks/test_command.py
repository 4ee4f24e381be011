"""The command that checks prefixes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from steering.cli import steering as command

GOOD = """\
[steering]
default_site = "north"
[[steering.sites]]
name = "north"
prefixes = ["20.0.0.0/16"]
prefix_files = ["PATH/more.txt"]
latitude = 59.9
longitude = 10.7
[[steering.sites]]
name = "south"
prefixes = ["20.1.0.0/16", "2a01::/32"]
server_subnets = ["20.2.0.0/28"]
latitude = 48.1
longitude = 11.6
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "more.txt").write_text("2a00::/32\n")
    path = tmp_path / "nearcast.toml"
    path.write_text(GOOD.replace("PATH", str(tmp_path)).replace('server_subnets = ["20.2.0.0/28"]\n', ""))
    return path


def check(file: Path, *arguments: str, dump: str | None = None) -> Result:
    routes = ["--routes", "-"] if dump is not None else []
    return CliRunner().invoke(command, ["prefixes", "check", str(file), *routes, *arguments], input=dump)


def test_where_nothing_is_wrong_it_is_good(file: Path) -> None:
    result = check(file)
    assert (result.exit_code, result.output) == (0, f"{file}: good (2 sites, 4 listed, 0 announced)\n")


def test_what_is_wrong_is_told_site_by_site_and_fails(file: Path, tmp_path: Path) -> None:
    file.write_text(GOOD.replace("PATH", str(tmp_path)))
    (tmp_path / "registry").write_text("20.0.0.0/8\n2a00::/32\n")
    result = check(file, "--registry", str(tmp_path / "registry"))
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        "south (listed 2, announced 0)",
        "  error    the subnet of its appliances, 20.2.0.0/28, is in no prefix that it lists: others cannot fill from "
        "it (20.2.0.0/28)",
        "  error    has 1 prefix of space that the registry has given to nobody (2a01::/32)",
        "",
        f"{file}: 2 errors (2 sites, 4 listed, 0 announced)",
    ]


def test_a_dump_of_the_routes_process_is_looked_at(file: Path) -> None:
    lines = [
        {"session": "isp", "site": "north", "appliance": "", "prefix": prefix, "as_path": "64500 64501",
         "accepted": accepted, "reason": reason, "stale": False}
        for prefix, accepted, reason in (
            ("20.0.0.0/15", True, ""),
            ("0.0.0.0/0", False, "0.0.0.0/0 is a default route: it says nothing of who is a client of this network"),
        )
    ]  # fmt: skip
    result = check(file, "--json", dump="\n".join(map(json.dumps, lines)) + "\n\n")
    assert result.exit_code == 0
    told = json.loads(result.output)
    assert told["sites"]["north"] == {"listed": 2, "announced": 1}
    filtered = next(finding for finding in told["findings"] if finding["check"] == "filtered")
    assert filtered == {
        "severity": "warning",
        "site": "north",
        "check": "filtered",
        "text": "does not get 1 prefix announced to it: 0.0.0.0/0 is a default route: it says nothing of who is a "
        "client of this network",
        "prefixes": 1,
        "examples": ["0.0.0.0/0"],
    }


@pytest.mark.parametrize("dump", ["nonsense", '{"session": "isp"}', '{"session": 1}', "[]", "\x00"])
def test_what_is_no_dump_is_refused_with_its_line(file: Path, dump: str) -> None:
    result = check(file, dump=f"\n{dump}\n")
    assert "--routes, line 2: " in str(result.exception)
    assert "expected what `nearcast steering routes dump` prints" in str(result.exception)


def test_a_registry_that_cannot_be_read_is_named(file: Path, tmp_path: Path) -> None:
    result = check(file, "--registry", str(tmp_path / "none"))
    assert "none cannot be read: No such file or directory, expected a registry's file" in str(result.exception)


def test_a_prefix_of_two_sites_is_refused_as_the_service_would(file: Path, tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("20.1.0.0/16\n")
    result = check(file)
    assert "20.1.0.0/16 is listed for site 'south' already" in str(result.exception)
