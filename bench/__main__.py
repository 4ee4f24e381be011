import click

from bench.cli import bench, demo
from config.cli import run_command

commands = click.Group("bench", commands=[demo, *bench.commands.values()], help="The demo network, and numbers.")
run_command(commands)
