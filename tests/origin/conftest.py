"""Both storages behind one fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from origin.storage import Storage, open_storage


@pytest.fixture(params=["file", "s3"])
async def storage(request: pytest.FixtureRequest) -> AsyncIterator[Storage]:
    if request.param == "file":
        url, endpoint = f"file://{request.getfixturevalue('tmp_path')}/storage", ""
    else:
        url, endpoint = request.getfixturevalue("s3_url"), request.getfixturevalue("s3_endpoint")
    async with open_storage(url, s3_endpoint=endpoint) as opened:
        yield opened
