import click

from bench.cli import demo
from config.cli import run_command

bench = click.Group("bench", commands=[demo], help="The demo network.")
run_command(bench)
