"""What a client works with: objects' descriptions, and the handles of one that is written or read."""

from __future__ import annotations

import operator
import os
import threading
import time
import warnings
import weakref
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Protocol, Union

from larder import errors

BytesLike = Union[bytes, bytearray, memoryview]  # any C-contiguous buffer will do


@dataclass(frozen=True)
class ObjectInfo:
    """What everybody may know of an object. Sizes in bytes."""

    key: str
    state: str  # "CREATING", "SEALED", "DELETED"
    epoch: int  # one creation of the key
    size: int
    digest: Optional[str]  # "sha256:HEX" or "crc32c:HEX8"
    piece_length: int
    ttl_left_seconds: Optional[float]  # None: for ever
    wanted_replicas: int
    pinned: bool
    tier: str  # where the agent keeps it; "" if it does not
    application: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class SealResult:
    """An acknowledged object."""

    key: str
    epoch: int
    size: int
    digest: Optional[str]
    ack: str  # the policy it was acknowledged by: "local", "tracked", "replicated", "origin"
    durability: str  # "memory", "async", "sync"
    existed: bool  # the same content was there already; this creation was dropped
    info: ObjectInfo


@dataclass(frozen=True)
class Creation:
    """What a creator asks for; checked values only."""

    key: Optional[str] = None  # None: content-addressed
    overwrite: bool = False
    digest: Optional[str] = None  # "sha256:HEX" that the bytes must have
    size_hint: int = 0  # bytes; 0: unknown
    ack: str = "default"
    ack_copies: int = 0  # that "replicated" waits for
    replicas: int = 1  # wanted copies
    piece_length: int = 0  # bytes; 0: by size
    ttl_ms: Optional[int] = None
    application: str = ""
    tags: tuple[str, ...] = ()


class Reading(NamedTuple):
    """A transport's answer to a get: the bytes, held until the last view of them dies."""

    info: ObjectInfo
    view: memoryview  # read-only
    held: Optional[weakref.finalize]  # alive while a view is; None: nothing is held


class Writer(Protocol):
    """A transport's side of one creation. One caller at a time; deadlines are time.monotonic()'s, None: no limit."""

    epoch: int

    def write(self, data: memoryview, deadline: Optional[float]) -> None:
        """Appends."""

    def buffer(self, size: int, deadline: Optional[float]) -> memoryview:
        """Writable memory, all zero, that becomes the content; once, and not together with write()."""

    def seal(self, deadline: Optional[float]) -> SealResult:
        """May be repeated when it was Unavailable or DeadlineExceeded."""

    def discard(self) -> None:
        """Ends an unsealed creation; idempotent. Never blocks, so that finalizers may call it."""


class Transport(Protocol):
    """How an agent is reached. Thread-safe. `digest` and `key` are checked; errors are larder.Error's."""

    namespace: str
    node: str

    @property
    def token(self) -> bytes:
        """Of the session at present; b"": it has none."""

    def create(self, creation: Creation, deadline: Optional[float]) -> Writer:
        ...

    def put(self, creation: Creation, data: memoryview, deadline: Optional[float]) -> SealResult:
        ...

    def put_many(
        self, items: list[tuple[Creation, memoryview]], deadline: Optional[float]
    ) -> list[Union[SealResult, errors.Error]]:
        """In the items' order; one failure fails no neighbour."""

    def get(self, key: str, deadline: Optional[float]) -> Reading:
        ...

    def get_many(self, keys: list[str], deadline: Optional[float]) -> list[Union[Reading, errors.Error]]:
        """In the keys' order; one failure fails no neighbour."""

    def stat(self, key: str, deadline: Optional[float]) -> ObjectInfo:
        ...

    def list_page(
        self, prefix: str, after: str, limit: int, local: bool, deadline: Optional[float]
    ) -> tuple[bool, list[ObjectInfo]]:
        """Objects by key, those above `after`, and whether there are more; `local`: only what this node has."""

    def delete(self, key: str, deadline: Optional[float]) -> None:
        ...

    def set_pinned(self, key: str, pinned: bool, deadline: Optional[float]) -> None:
        ...

    def close(self) -> None:
        """No new calls; views and creations that are open work on till their own end. Idempotent."""


def deadline_of(timeout: Optional[float]) -> Optional[float]:
    """The deadline that is `timeout` seconds from now; None: none."""
    return None if timeout is None else time.monotonic() + timeout


def byte_count(size: Any) -> int:
    """`size` as an int; InvalidArgument (BAD_SIZE) if it is none, or can be no object's."""
    try:
        count = operator.index(size)
    except TypeError:
        raise errors.InvalidArgument(f"a size is an int, not {size!r}", reason="BAD_SIZE") from None
    if not 0 <= count < 1 << 63:
        raise errors.InvalidArgument(f"a size of {count} bytes", reason="BAD_SIZE")
    return count


def byte_view(data: Any) -> memoryview:
    """`data` as a flat memoryview of bytes; InvalidArgument (NOT_BYTES) if it is no C-contiguous buffer."""
    try:
        view = memoryview(data)
        return view if view.format == "B" and view.ndim == 1 and view.c_contiguous else view.cast("B")
    except TypeError as error:
        message = f"a contiguous bytes-like object is needed, not {type(data).__name__}: {error}"
        raise errors.InvalidArgument(message, reason="NOT_BYTES") from None


class ObjectWriter:
    """An object that is being created: write() or buffer(), then seal(). Its lease is renewed meanwhile.

    Leaving `with` before seal() discards it, and so does dropping it. One caller at a time.

    Attributes:
        id: the key; of a content-addressed object None before seal().
        epoch: of this creation.
        result: SealResult after seal(), else None.
    """

    def __init__(self, writer: Writer, key: Optional[str], timeout: Optional[float]) -> None:
        self._writer = writer
        self._timeout = timeout
        self._filled_by = ""
        self._discarded = False
        # Makes discard() wait for a call that a cancelled caller has left running (larder.aio).
        self._busy = threading.RLock()
        self._pid = os.getpid()
        self.id = key
        self.epoch = writer.epoch
        self.result: Optional[SealResult] = None

    @property
    def key(self) -> Optional[str]:
        return self.id

    def write(self, data: BytesLike) -> int:
        """Appends; returns the bytes taken, all of them. Blocks while earlier ones are on their way.

        Raises Conflict (MIXED_WRITE) after buffer(), Conflict (LEASE_LOST) when the agent has given the creation up,
        Unavailable when the agent is gone and the creation with it.
        """
        view = byte_view(data)
        with self._alone():
            self._fill("write")
            try:
                self._writer.write(view, deadline_of(self._timeout))
            except errors.Interrupted:  # nobody knows how much of it has been appended
                self.discard()
                raise
        return len(view)

    def buffer(self, size: int) -> memoryview:
        """A writable view of `size` bytes, all zero, that becomes the object's content: shared with the agent, or
        private memory where the object is small or the agent shares none.

        Once per object. After seal() the view still stands, but shows and changes nothing of the object.
        """
        size = byte_count(size)
        with self._alone():
            if self._filled_by:
                self._check_open()
                raise errors.Conflict(f"buffer() after {self._filled_by}()", reason="MIXED_WRITE")
            self._fill("buffer")
            return self._writer.buffer(size, deadline_of(self._timeout))

    def seal(self) -> SealResult:
        """Makes the object visible, for ever with these bytes. A repeat gives the same result.

        Raises Conflict (EXISTS) when the key holds other content, DataLoss (DIGEST_MISMATCH). After Unavailable or
        DeadlineExceeded it may be called again: the bytes may be sealed and only the acknowledgement missing.
        """
        with self._alone():
            if self.result is None:
                self._check_open()
                self.result = self._writer.seal(deadline_of(self._timeout))
                self.id = self.result.key
            return self.result

    def discard(self) -> None:
        """Gives an unsealed creation up; nothing of it remains. Idempotent. The agent is told, not waited for: stat()
        may find it CREATING for an instant."""
        with self._alone():
            if self.result is None and not self._discarded:
                self._discarded = True
                self._writer.discard()

    def _alone(self) -> threading.RLock:
        """The lock; in a forked child a new one, since a thread of the parent may have held it."""
        if self._pid != os.getpid():
            self._busy = threading.RLock()
            self._pid = os.getpid()
        return self._busy

    def _fill(self, how: str) -> None:
        self._check_open()
        if self._filled_by not in ("", how):
            raise errors.Conflict(f"{how}() after {self._filled_by}()", reason="MIXED_WRITE")
        self._filled_by = how

    def _check_open(self) -> None:
        if self.result is not None:
            raise errors.Conflict(f"{self.id!r} is sealed", reason="SEALED")
        if self._discarded:
            raise errors.Conflict("the creation was discarded", reason="DISCARDED")

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def __del__(self) -> None:
        # Without the lock: nobody else has this object any more.
        if self.result is None and not self._discarded:
            self._writer.discard()
            warnings.warn(f"unsealed creation of {self.id!r} was dropped", ResourceWarning, source=self)


class ObjectReader:
    """A sealed object and a read lease on it, until close() or the end of `with`. Thread-safe.

    Attributes:
        info: as of the get.
        id, key, epoch, size, digest: of info.
    """

    def __init__(self, reading: Reading) -> None:
        self.info = reading.info
        self._view: Optional[memoryview] = reading.view
        self._held = reading.held

    @property
    def id(self) -> str:
        return self.info.key

    key = id

    @property
    def epoch(self) -> int:
        return self.info.epoch

    @property
    def size(self) -> int:
        return self.info.size

    @property
    def digest(self) -> Optional[str]:
        return self.info.digest

    @property
    def buffer(self) -> memoryview:
        """The bytes, read-only and without a copy. It, its slices and arrays over it stay good for as long as they are
        kept, but hold the lease meanwhile; not so bytes that were read into private memory, of which no lease is left.
        """
        if self._view is None:
            raise errors.Conflict(f"the handle of {self.id!r} is closed", reason="CLOSED")
        return self._view

    def close(self) -> None:
        """Ends the lease, or leaves that to the last view if some are kept, with a ResourceWarning. Idempotent."""
        self._close()

    def _close(self) -> None:
        if self._view is None:
            return
        self._view = None
        if self._held is not None and self._held.alive:
            message = f"views of {self.id!r} are kept; its lease lasts until they are gone"
            warnings.warn(message, ResourceWarning, stacklevel=3, source=self)

    def __enter__(self) -> ObjectReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()
