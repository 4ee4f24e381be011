from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from bench.delivery.certificate import make_certificate

pytest.importorskip("cryptography")


def test_a_tls_server_takes_the_certificate_and_its_key(tmp_path: Path) -> None:
    made = make_certificate(tmp_path / "certificates")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.chain, made.key)
    assert sorted(path.name for path in made.folder.iterdir()) == ["bench.key", "bench.pem"]
