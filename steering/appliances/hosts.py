"""Which appliance a host is: players name whom they ask by what stands in its URL.

Pure.
"""

from __future__ import annotations


class Hosts:
    """By host and port, and by host alone where no other appliance has it."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}
        self._names: dict[str, set[str]] = {}

    def put(self, name: str, url: str) -> None:
        """An appliance serves at this URL, from now on and nowhere else."""
        before = self._urls.get(name)
        if before == url:
            return
        for host in hosts_of(before) if before is not None else ():
            self._names[host].discard(name)
            if not self._names[host]:
                del self._names[host]
        self._urls[name] = url
        for host in hosts_of(url):
            self._names.setdefault(host, set()).add(name)

    def __contains__(self, name: str) -> bool:
        return name in self._urls

    def find(self, host: str) -> str:
        """The appliance; "" where none or several are meant."""
        names = self._names.get(host, ())
        return next(iter(names)) if len(names) == 1 else ""


def hosts_of(url: str) -> set[str]:
    """`oca-1.example:8080` and `oca-1.example`; both the same where the URL has no port."""
    host = url.partition("://")[2].partition("/")[0].lower()
    name, colon, port = host.rpartition(":")
    return {host, name} if colon and port.isdigit() else {host}
