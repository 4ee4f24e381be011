"""A finished package, published from where it was made."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path


def publish(folder: Path, storage: str, *, replace: bool, s3_endpoint: str) -> None:
    """Publishes the package in `folder` to the storage at this URL. Raises the origin's errors."""
    # By name: the origin imports the encoder's package format, so the encoder must not import the origin.
    publish_folder = importlib.import_module("origin.publish").publish_folder
    asyncio.run(publish_folder(folder, storage, replace=replace, s3_endpoint=s3_endpoint))
