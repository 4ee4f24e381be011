"""Between ExaBGP and the routes process: what ExaBGP says on its pipe goes to the routes process's Unix socket.

ExaBGP starts it as its API process, ours as well as an operator's own:

    process nearcast { run /usr/bin/python3 -m steering.routes.forward /var/lib/nearcast/routes.sock; encoder json; }

The routes process may come and go. What is said meanwhile is thrown away, for ExaBGP stands still while nobody reads
its pipe; and at each connection every neighbour is asked to announce all that it has again (RFC 2918).
"""

from __future__ import annotations

import os
import select
import socket
import sys

_PIECE_BYTES = 256 * 1024
_CONNECT_EVERY_S = 0.5
# ExaBGP's commands for all neighbours; those that did not agree to a refresh are left alone.
_ANNOUNCE_AGAIN = b"announce route-refresh ipv4 unicast\nannounce route-refresh ipv6 unicast\n"


def main(path: str) -> None:
    """Until ExaBGP closes the pipe."""
    pipe, commands = sys.stdin.fileno(), sys.stdout.fileno()
    routes: socket.socket | None = None
    is_whole = True  # what comes next begins a line
    while True:
        if routes is None and (routes := _connect(path)) is not None:
            os.write(commands, _ANNOUNCE_AGAIN)
        watched = [pipe] if routes is None else [pipe, routes]
        ready, _, _ = select.select(watched, [], [], _CONNECT_EVERY_S if routes is None else None)
        if routes is not None and routes in ready:  # it never says anything, so this is its end
            routes.close()
            routes = None
        if pipe not in ready:
            continue
        piece = os.read(pipe, _PIECE_BYTES)
        if not piece:
            break
        if routes is None:
            is_whole = piece.endswith(b"\n")
            continue
        if not is_whole:
            _, newline, piece = piece.partition(b"\n")
            is_whole = bool(newline)
        try:
            routes.sendall(piece)
        except OSError:
            routes.close()
            routes, is_whole = None, piece.endswith(b"\n")
    if routes is not None:
        routes.close()


def _connect(path: str) -> socket.socket | None:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
    except OSError:
        connection.close()
        return None
    return connection


if __name__ == "__main__":
    main(sys.argv[1])
