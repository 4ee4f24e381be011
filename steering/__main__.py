from config.cli import run_command
from steering.cli import steering

run_command(steering)
