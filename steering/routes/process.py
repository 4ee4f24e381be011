"""The routes process from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from config.errors import ConfigError
from config.field import show_address
from config.notify import Notifier
from config.ready import announce
from config.steering import SteeringSettings
from steering.errors import ListenError, PeersError
from steering.routes.service import Service

_SHUTDOWN_S = 2.0

logger = logging.getLogger(__name__)


async def run(settings: SteeringSettings, read: Callable[[], SteeringSettings], ready_file: Path | None = None) -> None:
    """Until SIGTERM or SIGINT; at SIGHUP the settings are read again.

    Raises ListenError, PeersError, TableError, ExaBgpError.
    """
    loop, stopped, notifier = asyncio.get_running_loop(), asyncio.Event(), Notifier()
    service, reloads = Service(settings), set[asyncio.Task[None]]()
    runner = web.AppRunner(service.application(), access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, *settings.routes_listen).start()
        except OSError as error:
            reason = error.strerror or str(error)
            where = show_address(settings.routes_listen)
            raise ListenError(f"routes_listen: {where} cannot be used: {reason}") from error
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)

        def reload() -> None:
            task = loop.create_task(_reload(service, read))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        address = runner.addresses[0][:2]
        announce(ready_file, *address)
        notifier.say("READY=1")
        logger.info("listening", extra={"address": show_address(address)})
        await stopped.wait()
        for task in reloads:
            task.cancel()
        notifier.say("STOPPING=1")
        logger.info("stopping")
    finally:
        await runner.cleanup()


async def _reload(service: Service, read: Callable[[], SteeringSettings]) -> None:
    """Takes a valid configuration over; keeps the old one otherwise."""
    try:
        await service.reload(read())
    except (ConfigError, PeersError) as error:
        logger.error("the configuration is not taken over, the old one stays", extra={"reason": str(error)})
    else:
        logger.info("what routes are judged by was read again")
