"""What the peers are told; that they understand it is seen in test_rounds.py, where they are installed."""

from __future__ import annotations

from bench.delivery import configurations
from bench.delivery.configurations import NGINX_VARIANTS, Listening

PLAIN = Listening(8001)
SECURE = Listening(8001, 8002, "/c/bench.pem", "/c/bench.key")


def nginx(listening: Listening = PLAIN, *lines: str) -> str:
    return configurations.nginx("/f", listening, lines=lines, location=("root /r;",), descriptors=20000)


def test_nginx_is_one_worker_on_loopback_with_its_files_in_the_folder() -> None:
    text = nginx()
    assert "worker_processes 1;" in text
    assert "listen 127.0.0.1:8001 backlog=4096;" in text
    assert "pid /f/nginx.pid;" in text
    assert "root /r;" in text
    assert "ssl" not in text
    assert "user " not in text


def test_braces_are_balanced() -> None:
    lines, location = configurations.nginx_slices(1024, "http://127.0.0.1:9", 4096)
    pulling = configurations.nginx("/f", SECURE, lines=lines, location=location, descriptors=100)
    for text in (nginx(SECURE), pulling, configurations.caddyfile("/f", "/r", SECURE)):
        assert text.count("{") == text.count("}")


def test_nginx_has_no_access_log_unless_a_variant_is_about_it() -> None:
    assert "access_log off;" in nginx(PLAIN, *NGINX_VARIANTS["threads"])
    logging = nginx(PLAIN, *NGINX_VARIANTS["log"])
    assert "access_log /f/access.log combined buffer=64k flush=1s;" in logging
    assert "access_log off;" not in logging


def test_a_certificate_means_tls_13_on_the_second_port() -> None:
    text = nginx(SECURE)
    for line in ("listen 127.0.0.1:8002 ssl backlog=4096;", "ssl_certificate /c/bench.pem;", "ssl_protocols TLSv1.3;"):
        assert line in text


def test_a_slice_has_one_fetch_for_many_asks() -> None:
    lines, location = configurations.nginx_slices(4 * 1024 * 1024, "http://127.0.0.1:9", 10**9)
    text = configurations.nginx("/f", PLAIN, lines=lines, location=location, descriptors=100)
    assert "upstream origin { server 127.0.0.1:9; keepalive 64; }" in text
    for line in ("slice 4194304;", "proxy_cache_lock on;", "proxy_cache_key $uri$slice_range;"):
        assert line in text


def test_varnish_has_one_pool_and_the_origin_for_its_backend() -> None:
    assert '.host = "127.0.0.1"; .port = "9";' in configurations.varnish_vcl("http://127.0.0.1:9")
    words = configurations.varnish_arguments("/f", "/f/x.vcl", PLAIN, 1000)
    assert "thread_pools=1" in words
    assert words[words.index("-s") + 1] == "malloc,1000"


def test_caddy_speaks_http_1_on_both_ports_and_nothing_else() -> None:
    text = configurations.caddyfile("/f", "/r", SECURE)
    for line in ("admin off", "protocols h1", "http://127.0.0.1:8001 {", "https://127.0.0.1:8002 {", "bind 127.0.0.1"):
        assert line in text


def test_traffic_server_has_one_event_thread_and_all_of_its_places_in_the_folder() -> None:
    files = configurations.ats_files(
        "/f", "http://127.0.0.1:9", SECURE, memory_bytes=1000, disk_bytes=2000, descriptors=300
    )
    assert "CONFIG proxy.config.exec_thread.limit INT 1" in files["records.config"]
    ports = "CONFIG proxy.config.http.server_ports STRING 8001:ip-in=127.0.0.1 8002:ip-in=127.0.0.1:ssl"
    assert ports in files["records.config"]
    assert files["remap.config"] == "map / http://127.0.0.1:9/\n"
    assert files["storage.config"] == "/f/cache 2000\n"
    assert "logdir: /f" in files["runroot.yaml"]
