from bench.cli import BENCHMARKS
from config.cli import run_command
from config.lazy import LazyGroup, Where

DEMO = Where("bench.cli:demo", "The whole network on this machine, on a real film.")
run_command(LazyGroup("bench", lazy={"demo": DEMO, **BENCHMARKS}, help="The demo network, and numbers."))
