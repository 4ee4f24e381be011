from config.cli import run_command
from origin.cli import origin

run_command(origin)
