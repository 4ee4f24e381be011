from config.cli import run_command
from oca.cli import oca

run_command(oca)
