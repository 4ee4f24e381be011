"""What browsers and appliances send, composed once and sent as it is.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from oca.report import Report

HOST = "steering.example.net"
# What Chromium sends with a cross-origin fetch of hls.js or dash.js, and what a load balancer adds.
_FIELDS = (
    f"Host: {HOST}\r\n"
    "Connection: keep-alive\r\n"
    'sec-ch-ua-platform: "Linux"\r\n'
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 "
    "Safari/537.36\r\n"
    'sec-ch-ua: "Chromium";v="156", "Not)A;Brand";v="24"\r\n'
    "sec-ch-ua-mobile: ?0\r\n"
    "Accept: */*\r\n"
    "Origin: https://watch.example.net\r\n"
    "Sec-Fetch-Site: same-site\r\n"
    "Sec-Fetch-Mode: cors\r\n"
    "Sec-Fetch-Dest: empty\r\n"
    "Referer: https://watch.example.net/\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-GB,en;q=0.9\r\n"
)
_MANIFESTS = {"hls": "master.m3u8", "dash": "manifest.mpd"}


def start(form: str, title: str, client: str) -> bytes:
    """A session that begins."""
    return _get(f"/play/{title}/{_MANIFESTS[form]}", client)


def poll(token: str, pathway: str, client: str) -> bytes:
    """As hls.js polls."""
    return _get(f"/steer/hls?s={token}&_HLS_pathway={pathway}&_HLS_throughput=7532118", client)


def report(first: Report, sequence: int, *, with_held: bool) -> bytes:
    """One of an appliance's reports; which files it holds is in the first only."""
    body = msgspec.json.encode(
        msgspec.structs.replace(first, sequence=sequence, held=first.held if with_held else None)
    )
    head = (
        f"POST /api/v1/reports HTTP/1.1\r\nHost: {HOST}\r\nAccept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
        f"User-Agent: Python/3.11 aiohttp/3.14\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
    )
    return head.encode() + body


def steering_of(playlist: bytes) -> tuple[str, str]:
    """The session's token and its first pathway, of a multivariant playlist."""
    uri, _, rest = playlist.partition(b'SERVER-URI="')[2].partition(b'"')
    pathway = rest.partition(b'PATHWAY-ID="')[2].partition(b'"')[0]
    return uri.partition(b"?s=")[2].decode(), pathway.decode()


def priority_of(manifest: bytes) -> Sequence[str]:
    """The pathways of a steering manifest, best first."""
    told = msgspec.json.decode(manifest)
    names: Sequence[str] = told["PATHWAY-PRIORITY"]
    return names


def _get(target: str, client: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\n{_FIELDS}X-Forwarded-For: {client}\r\n\r\n".encode()
