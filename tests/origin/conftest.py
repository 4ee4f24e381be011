"""A real S3 API server in its own process, and both storages behind one fixture."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator

import pytest

from origin.storage import Storage, open_storage

# The server says its port itself once it listens on it, so nobody has to guess a free one.
_SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
"""
_KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """The server ends when its standard input does: with us, however we end."""
    command = [sys.executable, "-c", _SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout and server.stdin
        port = server.stdout.readline().strip()
        assert port, "the S3 server did not start"
        previous = {name: os.environ.get(name) for name in _KEYS}
        os.environ.update(_KEYS)
        yield f"http://127.0.0.1:{port}"
        for name, value in previous.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        server.stdin.close()
        server.wait(10)


@pytest.fixture
def s3_url(s3_endpoint: str) -> str:
    """s3://BUCKET/PREFIX of a bucket made for this test."""
    bucket = f"test-{secrets.token_hex(6)}"
    with urllib.request.urlopen(urllib.request.Request(f"{s3_endpoint}/{bucket}", method="PUT"), timeout=10):
        return f"s3://{bucket}/some/prefix"


@pytest.fixture(params=["file", "s3"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    if request.param == "file":
        url, endpoint = f"file://{request.getfixturevalue('tmp_path')}/storage", ""
    else:
        url, endpoint = request.getfixturevalue("s3_url"), request.getfixturevalue("s3_endpoint")
    async with open_storage(url, s3_endpoint=endpoint) as opened:
        yield opened
