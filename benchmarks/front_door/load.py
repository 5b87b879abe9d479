"""The load: wrk on the same machine, which sends other rows each time over connections that it keeps."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local at = math.random(#bodies)
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
request = function()
  at = at %% #bodies + 1
  return wrk.format(nil, nil, nil, bodies[at])
end
%s
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("FOUND %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""
# Milliseconds between an answer and the next question of a client that pauses.
PAUSE = "delay = function() return math.random(5, 15) end"


@dataclass(frozen=True)
class Window:
    """What one second or so of load found."""

    requests_per_second: float
    median_ms: float
    p99_ms: float
    bad: int  # answers other than 2xx, and broken connections


def write_script(bodies: Sequence[str], script: Path, *, pauses: bool = False) -> Path:
    """A script for wrk that sends the bodies in turn, each when the answer before is there, or later."""
    lines = script.with_suffix(".jsonl")
    lines.write_text("\n".join(bodies) + "\n")
    script.write_text(SCRIPT % (lines, PAUSE if pauses else ""))
    return script


def load(url: str, script: Path, connections: int, seconds: int) -> Window:
    """Ask over so many connections for so long."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("The load comes from wrk, which is not installed (Debian: apt-get install wrk).")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script), url]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"^FOUND (\d+) (\d+) (\d+) (\d+) (\d+)$", printed, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"wrk printed {printed}")
    requests, microseconds, median, p99, bad = (int(number) for number in found.groups())
    return Window(requests / microseconds * 1e6, median / 1e3, p99 / 1e3, bad)
