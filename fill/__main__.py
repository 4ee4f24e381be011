from config.cli import run_command
from fill.cli import fill

run_command(fill)
