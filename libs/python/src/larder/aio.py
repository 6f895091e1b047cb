"""The client for asyncio: the same calls, awaited.

    client = await larder.aio.connect("uds:///run/larder")
    async with client.create(key="model-7") as obj:
        await obj.write(b"Hello")
        await obj.seal()
    async with client.get("model-7") as obj:
        obj.buffer.tobytes()

Calls run on threads of the client's own. A cancelled call is given up within a second: what it still brings is given
back, and of a creation whose write() was cancelled, nothing but discard() is left.
"""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, Awaitable, Callable, Generator, Generic, Iterable, List, Optional, TypeVar, Union

from larder import client as _client
from larder import errors
from larder._sync import Cancellation
from larder.client import Batch, Client, Items, Meta
from larder.objects import BytesLike, ObjectInfo, ObjectReader, ObjectWriter, SealResult

T = TypeVar("T")

_OPENERS = 32
_MOVERS = 16


async def connect(endpoint: str = _client.DEFAULT_ENDPOINT, **options: Any) -> AsyncClient:
    """As larder.connect(), with the same options."""
    dial = functools.partial(_client.connect, endpoint, **options)
    executor = ThreadPoolExecutor(1, "larder-aio-connect")
    try:
        return AsyncClient(await _run(executor, dial, undo=Client.close))
    finally:
        executor.shutdown(wait=False)


async def _run(executor: Executor, work: Callable[[], T], undo: Optional[Callable[[T], Any]] = None) -> T:
    """`work()` on a thread. If this is cancelled while it runs, so are its calls; should it have a result all the same,
    `undo`, which must not block, gets that."""
    cancellation = Cancellation()
    future = executor.submit(cancellation.run, work)
    awaited = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(awaited)
    except asyncio.CancelledError:
        cancellation.cancel()
        awaited.add_done_callback(lambda done: done.cancelled() or done.exception())  # or asyncio logs that
        if not future.cancel() and undo is not None:
            future.add_done_callback(functools.partial(_undo, undo))
        raise


def _undo(undo: Callable[[Any], Any], future: Future) -> None:
    if not future.cancelled() and future.exception() is None:
        undo(future.result())


class _Opening(Generic[T]):
    """What create() and get() give: `await` it for the handle, or `async with` it to have it closed too."""

    def __init__(self, opening: Callable[[], Awaitable[T]]) -> None:
        self._opening = opening
        self._handle: Any = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._opening().__await__()

    async def __aenter__(self) -> T:
        self._handle = await self._opening()
        return await self._handle.__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await self._handle.__aexit__(*error)


class AsyncWriter:
    """objects.ObjectWriter, awaited. One caller at a time."""

    def __init__(self, writer: ObjectWriter, executor: Executor) -> None:
        self._writer = writer
        self._executor = executor

    @property
    def id(self) -> Optional[str]:
        return self._writer.id

    key = id

    @property
    def epoch(self) -> int:
        return self._writer.epoch

    @property
    def result(self) -> Optional[SealResult]:
        return self._writer.result

    async def write(self, data: BytesLike) -> int:
        return await _run(self._executor, functools.partial(self._writer.write, data))

    async def buffer(self, size: int) -> memoryview:
        return await _run(self._executor, functools.partial(self._writer.buffer, size))

    async def seal(self) -> SealResult:
        return await _run(self._executor, self._writer.seal)

    async def discard(self) -> None:
        """Waits for a call that was cancelled, so that none is cut off half-way."""
        await _run(self._executor, self._writer.discard)

    async def __aenter__(self) -> AsyncWriter:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.discard()


class AsyncReader:
    """objects.ObjectReader. Thread-safe; only opening it was slow, so nothing here needs `await` but `async with`."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader

    @property
    def info(self) -> ObjectInfo:
        return self._reader.info

    @property
    def id(self) -> str:
        return self._reader.id

    key = id

    @property
    def epoch(self) -> int:
        return self._reader.epoch

    @property
    def size(self) -> int:
        return self._reader.size

    @property
    def digest(self) -> Optional[str]:
        return self._reader.digest

    @property
    def buffer(self) -> memoryview:
        return self._reader.buffer

    def close(self) -> None:
        self._reader.close()

    async def __aenter__(self) -> AsyncReader:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reader.close()


class AsyncClient:
    """client.Client, awaited; made by connect(). Methods and their arguments are the same."""

    def __init__(self, client: Client) -> None:
        self._client = client
        # Apart: calls that wait for another creator must not keep that creator's own writes and seal from a thread.
        self._openers = ThreadPoolExecutor(_OPENERS, "larder-aio-open")
        self._movers = ThreadPoolExecutor(_MOVERS, "larder-aio")
        self.namespace = client.namespace
        self.node = client.node

    @property
    def token(self) -> bytes:
        return self._client.token

    def create(self, key: Optional[str] = None, meta: Optional[Meta] = None, **options: Any) -> _Opening[AsyncWriter]:
        async def opening() -> AsyncWriter:
            work = functools.partial(self._client.create, key, meta, **options)
            return AsyncWriter(await _run(self._openers, work, undo=ObjectWriter.discard), self._movers)

        return _Opening(opening)

    def get(self, key: str, **options: Any) -> _Opening[AsyncReader]:
        async def opening() -> AsyncReader:
            work = functools.partial(self._client.get, key, **options)
            return AsyncReader(await _run(self._movers, work, undo=ObjectReader.close))

        return _Opening(opening)

    async def put(self, key: Optional[str], data: BytesLike, meta: Optional[Meta] = None, **options: Any) -> SealResult:
        return await _run(self._openers, functools.partial(self._client.put, key, data, meta, **options))

    async def get_bytes(self, key: str, **options: Any) -> bytes:
        return await _run(self._movers, functools.partial(self._client.get_bytes, key, **options))

    async def create_many(
        self, items: Items, meta: Optional[Meta] = None, **options: Any
    ) -> list[Union[SealResult, errors.Error]]:
        return await _run(self._openers, functools.partial(self._client.create_many, items, meta, **options))

    async def get_many(self, keys: Iterable[str], **options: Any) -> Batch:
        return await _run(self._movers, functools.partial(self._client.get_many, keys, **options), undo=Batch.close)

    async def stat(self, key: str) -> ObjectInfo:
        return await _run(self._movers, functools.partial(self._client.stat, key))

    async def exists(self, key: str) -> bool:
        return await _run(self._movers, functools.partial(self._client.exists, key))

    async def list(self, prefix: str = "", **options: Any) -> List[ObjectInfo]:
        return await _run(self._movers, functools.partial(self._client.list, prefix, **options))

    async def delete(self, key: str) -> None:
        await _run(self._movers, functools.partial(self._client.delete, key))

    async def pin(self, key: str) -> None:
        await _run(self._movers, functools.partial(self._client.pin, key))

    async def unpin(self, key: str) -> None:
        await _run(self._movers, functools.partial(self._client.unpin, key))

    async def close(self) -> None:
        """As Client.close(). The threads end with this object and its writers."""
        await _run(self._movers, self._client.close)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
