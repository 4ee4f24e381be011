"""Geographic databases that tests make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import netaddr
from mmdb_writer import MMDBWriter


def write(path: Path, *records: tuple[str, dict[str, Any]], ip_version: int = 4) -> Path:
    writer = MMDBWriter(ip_version=ip_version, ipv4_compatible=ip_version == 6)
    # The writer does not sort: a shorter prefix inserted later would cover a longer one.
    for prefix, record in sorted(records, key=lambda one: int(one[0].partition("/")[2])):
        writer.insert_network(netaddr.IPSet([prefix]), record)
    writer.to_db_file(str(path))
    return path
