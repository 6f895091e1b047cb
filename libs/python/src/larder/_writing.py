"""CREATE to SEAL over data.sock, and PUT."""

from __future__ import annotations

import collections
import contextlib
import functools
import os
from typing import Any, Callable, Iterator, Optional

from larder import _wire, errors
from larder._calls import Descriptors
from larder._connection import Connection
from larder._link import PIPELINED, lost_error, wait_ms
from larder._mapping import Mapping, export, side_by_side
from larder._wire import Extent, Op
from larder.objects import Creation, SealResult

_RING_ABOVE = 256 << 10  # bytes written; below, a window costs more than it saves
_RING_STEP = 1 << 20  # bytes the agent is told of at a time, at most
_RING_STEPS = 4


def create(connection: Connection, creation: Creation, deadline: Optional[float]) -> Writer:
    def receive(payload: memoryview, _: Any) -> tuple[int, int]:
        lease, epoch = _wire.decode_create(payload)
        with connection.left, connection.guard:
            connection.hold(lease)
        return lease, epoch

    def undo(result: tuple[int, int]) -> None:
        connection.let_go(result[0], _wire.record(Op.DISCARD, 0, _wire.discard(*result)))

    payload = _wire.create(creation, wait_ms(deadline))
    call = connection.start(Op.CREATE, payload, deadline, receive, undo)
    try:
        writer = Writer(connection, *connection.wait(call, deadline), creation)
        connection.keep()
        return writer
    except BaseException:
        connection.abandon(call)
        raise


def put(connection: Connection, creation: Creation, data: memoryview, deadline: Optional[float]) -> SealResult:
    payload = put_request(connection, creation, data, deadline, _wire.MAX_RECORD - _wire.HEADER_SIZE)
    if payload is not None:
        return _wire.decode_sealed(connection.ask(Op.PUT, payload, deadline))
    writer = create(connection, creation, deadline)
    try:
        writer.write(data, deadline)
        return writer.seal(deadline)
    except BaseException:
        writer.discard()
        raise


def put_request(
    connection: Connection, creation: Creation, data: memoryview, deadline: Optional[float], room: int
) -> Optional[bytes]:
    """PUT's payload; None if it has more than `room` bytes, or the object is too large for one."""
    if len(data) > connection.hello.inline_limit:
        return None
    payload = _wire.put(creation, wait_ms(deadline), data)
    return payload if len(payload) <= room else None


class Writer:
    """objects.Writer over one connection, with which it ends."""

    _over = True  # also of one that an exception of a signal has left half made

    def __init__(self, connection: Connection, lease: int, epoch: int, creation: Creation) -> None:
        self.epoch = epoch
        self._connection = connection
        self._lease = lease
        self._creation = creation
        self._size = 0  # bytes the agent has been told of
        self._flying: collections.deque = collections.deque()  # (WRITE under way, the size it must answer)
        self._pending = bytearray()  # bytes to go inline
        self._ring: Optional[_Ring] = None
        self._may_share = True
        self._buffer: Optional[memoryview] = None
        self._window: Optional[Mapping] = None  # where _buffer lies, if that is shared memory
        self._over = False

    def __del__(self) -> None:
        self.discard()

    def write(self, data: memoryview, deadline: Optional[float]) -> None:
        with self._naming():
            written = self._size + len(self._pending)
            if self._ring is None and self._may_share and written + len(data) > _RING_ABOVE:
                self._open_ring(max(len(data), self._creation.size_hint - written), deadline)
            if self._ring is None:
                self._append_inline(data, deadline)
            else:
                self._append_ring(self._ring, data, deadline)

    def buffer(self, size: int, deadline: Optional[float]) -> memoryview:
        with self._naming():
            if size == 0:
                return memoryview(bytearray())
            # What goes inline in one record needs no shared memory.
            if size > self._connection.hello.inline_limit:
                self._window = self._open_window(size, deadline)
            try:
                mapping = self._window or Mapping.zeros(size)
            except OSError as error:
                raise errors.ResourceExhausted(f"{size} bytes of memory: {error}", reason="ENOMEM") from error
            self._buffer, _ = export(mapping.address, size, True, self._unmapper(mapping))
            return self._buffer

    def seal(self, deadline: Optional[float]) -> SealResult:
        with self._naming():
            self._flush(deadline)
            payload = _wire.seal(self._lease, self.epoch, self._size, self._creation.digest)
            result = _wire.decode_sealed(self._connection.ask(Op.SEAL, payload, deadline))
            with self._connection.left, self._connection.guard:
                self._connection.let_go(self._lease)
            self._over = True
            return result

    def discard(self) -> None:
        if self._over:
            return
        for call, _ in self._flying:
            self._connection.abandon(call)
        self._flying.clear()
        self._leave_memory()
        ending = _wire.record(Op.DISCARD, 0, _wire.discard(self._lease, self.epoch))
        self._connection.leave(functools.partial(self._connection.let_go, self._lease, ending))
        self._over = True

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        key = self._creation.key
        name = "a content-addressed object" if key is None else repr(key)
        what = f"creation of {name} (epoch {self.epoch})"
        if self._connection.lost:
            raise lost_error().about(what)
        if self._connection.lapsed(self._lease):
            raise errors.Conflict(f"{what}: its lease has lapsed", reason="LEASE_LOST", status="ABORTED")
        try:
            yield
        except errors.Error as error:
            raise error.about(what)

    def _flush(self, deadline: Optional[float]) -> None:
        """Has the agent copy all that is not copied yet, and gives the shared memory up."""
        if self._ring is not None:
            self._send_filled(self._ring, deadline)
        elif self._buffer is not None:
            self._send_buffer(self._buffer, deadline)
        elif self._pending:
            self._send_pending(deadline)
        while self._flying:
            self._land(deadline)
        self._leave_memory()

    def _leave_memory(self) -> None:
        # The agent forgets the window's segments with the lease, so views that still live must show other pages.
        if self._window is not None:
            self._window.blank()
            self._connection.window_gone(self._window)
        self._window = self._buffer = self._ring = None

    def _unmapper(self, mapping: Mapping) -> Callable[[], None]:
        connection = self._connection

        def unmap() -> None:  # without the writer, whose memory it is
            mapping.unmap()
            connection.window_gone(mapping)

        return unmap

    def _fly(self, payload: bytes, length: int, deadline: Optional[float]) -> None:
        """Starts a WRITE of so many bytes."""
        call = self._connection.start(Op.WRITE, payload, deadline)
        self._size += length
        self._flying.append((call, self._size))
        if len(self._flying) > PIPELINED:
            self._land(deadline)

    def _land(self, deadline: Optional[float]) -> None:
        """Waits for the oldest WRITE."""
        call, size = self._flying[0]
        try:
            answered = _wire.decode_size(self._connection.wait(call, deadline))
        except BaseException:
            self._connection.abandon(call)
            raise
        finally:
            del self._flying[0]
        if answered != size:
            raise errors.DataLoss(f"the agent has {answered} bytes of {size}", reason="LENGTH_MISMATCH")

    def _append_inline(self, data: memoryview, deadline: Optional[float]) -> None:
        limit = self._connection.hello.inline_limit
        while len(data):
            taken = limit - len(self._pending)
            self._pending += data[:taken]
            data = data[taken:]
            if len(self._pending) == limit:
                self._send_pending(deadline)

    def _send_pending(self, deadline: Optional[float]) -> None:
        self._send_inline(self._pending, deadline)
        self._pending.clear()

    def _send_inline(self, data: _wire.Buffer, deadline: Optional[float]) -> None:
        payload = _wire.write_inline(self._lease, self.epoch, data)
        self._fly(payload, len(data), deadline)

    def _send_window(self, offset: int, length: int, deadline: Optional[float]) -> None:
        payload = _wire.write_window(self._lease, self.epoch, offset, length)
        self._fly(payload, length, deadline)

    def _send_buffer(self, data: memoryview, deadline: Optional[float]) -> None:
        hello = self._connection.hello
        step = hello.inline_limit if self._window is None else hello.piece_limit
        # From _size on: a seal that failed half-way is repeated from there.
        while self._size < len(data):
            length = min(step, len(data) - self._size)
            if self._window is None:
                self._send_inline(data[self._size : self._size + length], deadline)
            else:
                self._send_window(self._size, length, deadline)

    def _open_ring(self, expected: int, deadline: Optional[float]) -> None:
        if self._pending:
            self._send_pending(deadline)
        step = min(_RING_STEP, self._connection.hello.piece_limit)
        steps = min(_RING_STEPS, -(-expected // step)) if self._creation.size_hint else _RING_STEPS
        window = self._open_window(step * steps, deadline)
        self._may_share = window is not None
        if window is not None:
            view, _ = export(window.address, step * steps, True, self._unmapper(window))
            self._ring = _Ring(view, step)

    def _append_ring(self, ring: _Ring, data: memoryview, deadline: Optional[float]) -> None:
        while len(data):
            # A step is free again once the agent has copied what it held before.
            while len(self._flying) >= ring.steps:
                self._land(deadline)
            taken = min(len(data), ring.step - ring.filled)
            at = ring.start + ring.filled
            ring.view[at : at + taken] = data[:taken]
            ring.filled += taken
            data = data[taken:]
            if ring.filled == ring.step:
                self._send_filled(ring, deadline)

    def _send_filled(self, ring: _Ring, deadline: Optional[float]) -> None:
        if ring.filled:
            self._send_window(ring.start, ring.filled, deadline)
            ring.start = (ring.start + ring.step) % len(ring.view)
            ring.filled = 0

    def _open_window(self, size: int, deadline: Optional[float]) -> Optional[Mapping]:
        """Memory shared with the agent; None where it has none to give or its descriptors do not come through."""
        if not self._connection.descriptors:
            return None
        extents: list[Extent] = []
        descriptors: dict[int, Optional[int]] = {}
        total = 1
        try:
            while len(extents) < total:
                op, payload = Op.WINDOW, _wire.window(self._lease, size)
                if extents:
                    op, payload = Op.EXTENTS, _wire.extents(self._lease, len(extents))
                call = self._connection.start(op, payload, deadline, _receive_window, _close_window)
                total, more, came = self._connection.wait(call, deadline)
                descriptors.update(came)
                if not more:
                    return None
                extents += more
            if sum(extent.length for extent in extents) < size:
                return None
            if any(not _has_size(descriptors.get(extent.segment), extent.segment_size) for extent in extents):
                return None
            window = side_by_side(extents, descriptors, writable=True)
            self._connection.add_window(window)
            return window
        except OSError:
            return None
        except errors.ResourceExhausted:
            return None
        finally:
            for fd in descriptors.values():
                if fd is not None:
                    os.close(fd)


class _Ring:
    """A window as equal steps, gone round in order; `filled` bytes of the one at `start` are not sent yet."""

    def __init__(self, view: memoryview, step: int) -> None:
        self.view = view
        self.step = step
        self.steps = len(view) // step
        self.start = 0
        self.filled = 0


def _receive_window(
    payload: memoryview, descriptors: Optional[Descriptors]
) -> tuple[int, list[Extent], dict[int, Optional[int]]]:
    total, extents = _wire.decode_extents(payload)
    came: dict[int, Optional[int]] = {}
    for extent in extents:
        if extent.has_descriptor:
            came[extent.segment] = descriptors.take() if descriptors is not None else None
    return total, extents, came


def _close_window(result: tuple[int, list[Extent], dict[int, Optional[int]]]) -> None:
    for fd in result[2].values():
        if fd is not None:
            os.close(fd)


def _has_size(fd: Optional[int], size: int) -> bool:
    # A shorter file would make writes to its pages fatal (SIGBUS).
    return fd is not None and os.fstat(fd).st_size == size
