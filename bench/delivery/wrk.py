"""What wrk is told, and what it says: its summary as JSON on the last line, written by a script of ours."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from bench.delivery.programs import run_client
from bench.errors import BenchError

# An answer that takes longer than this is counted by wrk as timed out.
_TIMEOUT_S = 10
# It ends when its seconds are over; this is for one that does not.
_GRACE_S = 30.0
# A table of requests made beforehand: picking one costs a call into Lua, making one would cost ten times that.
_RANGES = 4096

_DONE = """
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format(
    '{"requests": %d, "bytes": %d, "seconds": %.6f, "failed": %d, "p50_s": %.6f, "p99_s": %.6f}',
    summary.requests, summary.bytes, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e6, latency:percentile(99) / 1e6))
end
"""
_PICK_RANGE = """
local asks = {{}}
function init(args)
  math.randomseed(1)
  for i = 1, {count} do
    local first = math.random(0, {blocks} - 1) * {step}
    asks[i] = wrk.format("GET", nil, {{ ["Range"] = "bytes=" .. first .. "-" .. (first + {length} - 1) }})
  end
end
function request()
  return asks[math.random({count})]
end
"""


class Said(msgspec.Struct, frozen=True):
    requests: int
    bytes: int  # of answers, heads included
    seconds: float
    failed: int  # connections, reads, writes, statuses above 399, time-outs
    p50_s: float
    p99_s: float


def script(*, range_bytes: int = 0, file_bytes: int = 0) -> str:
    """The Lua script: a summary at the end, and with `range_bytes` random aligned ranges of a file instead of all."""
    if not range_bytes:
        return _DONE
    return _DONE + _PICK_RANGE.format(
        count=_RANGES, blocks=file_bytes // range_bytes, step=range_bytes, length=range_bytes
    )


def parse(output: str) -> Said:
    """The summary in what wrk printed. Raises BenchError."""
    last = next((line for line in reversed(output.splitlines()) if line.startswith("{")), "")
    try:
        return msgspec.json.decode(last, type=Said)
    except msgspec.DecodeError as error:
        raise BenchError(f"wrk printed no summary, but ended so: {output[-300:]}") from error


def command(url: str, script_file: Path, *, connections: int, threads: int, seconds: int) -> list[str]:
    return [
        "wrk", f"-t{min(threads, connections)}", f"-c{connections}", f"-d{seconds}s", f"--timeout={_TIMEOUT_S}s",
        f"-s{script_file}", url,
    ]  # fmt: skip


def run(words: list[str], seconds: float, cores: frozenset[int]) -> Said:
    """Runs wrk on these cores. Raises BenchError."""
    return parse(run_client(words, cores, limit_s=seconds + _GRACE_S))


def is_installed() -> bool:
    return shutil.which("wrk") is not None
