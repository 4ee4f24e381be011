from config.cli import run_command
from encoder.cli import encode

run_command(encode)
