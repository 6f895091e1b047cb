"""Larder: a pod-native object cache.

    client = larder.connect("uds:///run/larder")
    with client.create(key="model-7", meta={"ttl": 60}) as obj:
        obj.write(b"Hello")
        obj.seal()
    with client.get("model-7") as obj:
        obj.buffer.tobytes()

The same for asyncio: larder.aio.
"""

from __future__ import annotations

import importlib
from typing import Any

from larder.client import Batch, Client, connect
from larder.errors import (
    Conflict,
    DataLoss,
    DeadlineExceeded,
    Error,
    Interrupted,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unavailable,
)
from larder.objects import ObjectInfo, ObjectReader, ObjectWriter, SealResult

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Client",
    "Conflict",
    "DataLoss",
    "DeadlineExceeded",
    "Error",
    "Interrupted",
    "InvalidArgument",
    "NotFound",
    "ObjectInfo",
    "ObjectReader",
    "ObjectWriter",
    "PermissionDenied",
    "ResourceExhausted",
    "SealResult",
    "Unavailable",
    "connect",
]


def __getattr__(name: str) -> Any:
    if name == "aio":  # asyncio is not everybody's
        return importlib.import_module("larder.aio")
    raise AttributeError(f"module 'larder' has no attribute {name!r}")
