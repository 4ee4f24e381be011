"""What the peers are told: the text of each configuration file, made of a few values.

All of them may keep a connection for an hour and serve any number of requests on it, as our appliance is told to: what
is measured is serving, not the opening of connections, and slow readers are not to be cut off.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_HOUR_S = 3600
ENDLESS_REQUESTS = 1_000_000_000


@dataclass(frozen=True)
class Listening:
    """Where a peer listens on 127.0.0.1; `tls_port` is 0 where there is no certificate for it."""

    port: int
    tls_port: int = 0
    certificate: str = ""  # PEM files
    key: str = ""


# "of which the best counts": each is added to what all have (sendfile, tcp_nopush, open_file_cache).
# Without kTLS the large buffers matter, for a file is then read into them; `chunk` keeps one client from taking the
# worker for a whole file; `threads` is for disks that are slower than the page cache.
NGINX_VARIANTS: Mapping[str, tuple[str, ...]] = {
    "plain": (),
    "chunk": ("sendfile_max_chunk 256k;",),
    "threads": ("aio threads;",),
    "buffers": ("output_buffers 2 1m;", "ssl_buffer_size 16k;", "sendfile_max_chunk 0;"),
    "log": ("access_log {folder}/access.log combined buffer=64k flush=1s;",),
}


def nginx(
    folder: str,
    listening: Listening,
    *,
    lines: Sequence[str],
    location: Sequence[str],
    descriptors: int,
    workers: int = 1,
    user: str = "",
) -> str:
    """nginx.conf: `lines` of the http block, `location` of the one location, {folder} filled in in both."""
    tls = [
        f"listen 127.0.0.1:{listening.tls_port} ssl backlog=4096;",
        f"ssl_certificate {listening.certificate};",
        f"ssl_certificate_key {listening.key};",
        "ssl_protocols TLSv1.3;",
    ]
    http = [
        "default_type application/octet-stream;",
        *([] if any(line.startswith("access_log") for line in lines) else ["access_log off;"]),
        f"keepalive_timeout {_HOUR_S}s;",
        f"keepalive_requests {ENDLESS_REQUESTS};",
        f"send_timeout {_HOUR_S}s;",
        "tcp_nopush on;",
        "tcp_nodelay on;",
        "sendfile on;",
        "open_file_cache max=1000 inactive=1h;",
        "open_file_cache_valid 1h;",
        *(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")),
        *(line.format(folder=folder) for line in lines),
    ]
    server = [
        f"listen 127.0.0.1:{listening.port} backlog=4096;",
        *(tls if listening.tls_port else []),
        _block("location /", [line.format(folder=folder) for line in location]),
    ]
    return "\n".join(
        [
            *([f"user {user};"] if user else []),
            "daemon off;",
            f"worker_processes {workers};",
            f"worker_rlimit_nofile {descriptors};",
            f"pid {folder}/nginx.pid;",
            f"error_log {folder}/error.log warn;",
            _block("events", [f"worker_connections {descriptors};"]),
            _block("http", [*http, _block("server", server)]),
            "",
        ]
    )


def nginx_slices(slice_bytes: int, origin: str, size_bytes: int) -> tuple[list[str], list[str]]:
    """Lines of the http block and of the location that make nginx pull through in slices.

    The lock is what makes one fetch of many asks; its waiters would fetch for themselves after `proxy_cache_lock_age`.
    """
    address = origin.removeprefix("http://")
    http = [
        f"proxy_cache_path {{folder}}/cache levels=1:2 keys_zone=cache:64m max_size={size_bytes} inactive=1h "
        "use_temp_path=off;",
        f"upstream origin {{{{ server {address}; keepalive 64; }}}}",
    ]
    location = [
        f"slice {slice_bytes};",
        "proxy_pass http://origin;",
        "proxy_http_version 1.1;",
        'proxy_set_header Connection "";',
        "proxy_set_header Range $slice_range;",
        "proxy_cache cache;",
        "proxy_cache_key $uri$slice_range;",
        "proxy_cache_valid 200 206 1h;",
        "proxy_cache_lock on;",
        "proxy_cache_lock_timeout 60s;",
        "proxy_cache_lock_age 60s;",
    ]
    return http, location


# An origin's log has one line for each answer: status and bytes of body, to count what was fetched.
ORIGIN_LINES = (
    "log_format fetched '$status $body_bytes_sent $http_range $uri';",
    "access_log {folder}/fetched.log fetched;",
)


def caddyfile(folder: str, root: str, listening: Listening) -> str:
    """A Caddyfile; Caddy logs no accesses unless told to."""
    site = [f"root * {root}", "file_server"]
    sites = [_site(f"http://127.0.0.1:{listening.port}", ["bind 127.0.0.1", *site])]
    if listening.tls_port:
        tls = f"tls {listening.certificate} {listening.key}"
        sites.append(_site(f"https://127.0.0.1:{listening.tls_port}", ["bind 127.0.0.1", tls, *site]))
    timeouts = _site("timeouts", [f"idle {_HOUR_S}s"])
    servers = _site("servers", [timeouts, "protocols h1"])
    return "\n".join([_site("", ["admin off", "auto_https off", f"storage file_system {folder}", servers]), *sites, ""])


def varnish_vcl(origin: str) -> str:
    """Everything is looked up and kept: the token and cookies of a real site would only cost it time."""
    host, _, port = origin.removeprefix("http://").partition(":")
    return "\n".join(
        [
            "vcl 4.1;",
            f'backend default {{ .host = "{host}"; .port = "{port}"; }}',
            "sub vcl_recv { return (hash); }",
            f"sub vcl_backend_response {{ set beresp.ttl = {_HOUR_S}s; set beresp.do_gzip = false; }}",
            "",
        ]
    )


def varnish_arguments(folder: str, vcl: str, listening: Listening, memory_bytes: int) -> list[str]:
    """One pool of threads: Varnish has threads where others have workers."""
    parameters = {
        "thread_pools": 1,
        "thread_pool_min": 100,
        "thread_pool_max": 5000,
        "timeout_idle": _HOUR_S,
        "idle_send_timeout": _HOUR_S,
        "send_timeout": _HOUR_S,
    }
    return [
        "-F", "-n", folder, "-a", f"127.0.0.1:{listening.port}", "-f", vcl, "-s", f"malloc,{memory_bytes}",
        "-T", "none", "-j", "none",
        *(word for name, value in parameters.items() for word in ("-p", f"{name}={value}")),
    ]  # fmt: skip


def ats_files(
    folder: str, origin: str, listening: Listening, *, memory_bytes: int, disk_bytes: int, descriptors: int
) -> dict[str, str]:
    """Traffic Server's configuration folder: one event thread, no log, objects of up to 8 MiB in its RAM cache.

    `folder` is where it finds and leaves everything. Format: docs.trafficserver.apache.org, 9.2, records.config.
    """
    ports = f"{listening.port}:ip-in=127.0.0.1"
    if listening.tls_port:
        ports += f" {listening.tls_port}:ip-in=127.0.0.1:ssl"
    records: dict[str, str | int] = {
        "proxy.config.http.server_ports": ports,
        "proxy.config.exec_thread.autoconfig": 0,
        "proxy.config.exec_thread.limit": 1,
        "proxy.config.accept_threads": 0,
        "proxy.config.cache.ram_cache.size": memory_bytes,
        "proxy.config.cache.ram_cache_cutoff": 8 * 1024 * 1024,
        "proxy.config.cache.max_doc_size": 0,
        "proxy.config.http.cache.required_headers": 0,
        "proxy.config.http.keep_alive_no_activity_timeout_in": _HOUR_S,
        "proxy.config.http.transaction_no_activity_timeout_in": _HOUR_S,
        "proxy.config.http.transaction_active_timeout_in": 0,
        "proxy.config.net.connections_throttle": descriptors,
        "proxy.config.net.max_connections_in": descriptors,
        "proxy.config.log.logging_enabled": 0,
        "proxy.config.url_remap.remap_required": 1,
        "proxy.config.admin.user_id": "#-1",  # stay who you are
    }
    if listening.tls_port:
        directory = listening.certificate.rpartition("/")[0]
        records |= {
            "proxy.config.ssl.server.cert.path": directory,
            "proxy.config.ssl.server.private_key.path": listening.key.rpartition("/")[0],
        }
    files = {
        "records.config": [
            f"CONFIG {name} {'INT' if isinstance(value, int) else 'STRING'} {value}" for name, value in records.items()
        ],
        "remap.config": [f"map / {origin}/"],
        "storage.config": [f"{folder}/cache {disk_bytes}"],
        "ip_allow.yaml": ["ip_allow:", "  - apply: in", "    ip_addrs: 127.0.0.0/8", "    action: allow"],
        "ssl_multicert.config": [
            f"dest_ip=* ssl_cert_name={listening.certificate.rpartition('/')[2]} "
            f"ssl_key_name={listening.key.rpartition('/')[2]}"
        ]
        if listening.tls_port
        else [],
        "runroot.yaml": [
            f"{name}: {folder if place is None else place}" for name, place in _ats_layout(folder).items()
        ],
    }
    return {name: "\n".join(lines) + "\n" for name, lines in files.items()}


def _ats_layout(folder: str) -> dict[str, str | None]:
    """None: in `folder`. What is only read stays where the system has it."""
    return {
        "prefix": None, "exec_prefix": None, "bindir": None, "sbindir": None, "sysconfdir": None, "datadir": None,
        "includedir": None, "libdir": None, "libexecdir": None, "localstatedir": None, "runtimedir": None,
        "logdir": None, "cachedir": None,
    }  # fmt: skip


def _block(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{name} {{", *lines, "}"])


def _site(name: str, lines: Sequence[str]) -> str:
    """Caddy's braces: a global block has no name."""
    return "\n".join([f"{name} {{".lstrip(), *lines, "}"])
