"""A GET over data.sock, from the request to a memoryview."""

from __future__ import annotations

import collections
import functools
from typing import NamedTuple, Optional

from larder import _wire, errors
from larder._calls import Descriptors
from larder._connection import Connection
from larder._leases import ReadLease, ReleaseGroup
from larder._link import PIPELINED, wait_ms
from larder._mapping import Mapping, export, side_by_side
from larder._wire import Extent, Form, Op
from larder.objects import ObjectInfo, Reading


class Got(NamedTuple):
    """GET's reply; to be finished, or undone under the guard."""

    reply: _wire.GetReply
    lease: Optional[ReadLease]  # None: nothing is held
    segments: Optional[list]  # pinned; None: not all can be mapped


def get(connection: Connection, key: str, deadline: Optional[float]) -> Reading:
    reading = _get(connection, key, deadline, 0)
    if reading is None:
        reading = _get(connection, key, deadline, _wire.GET_NO_DESCRIPTORS)
    if reading is None:
        raise _wire.bad_record("shared memory for a GET that asked for none")
    return reading


def _get(connection: Connection, key: str, deadline: Optional[float], flags: int) -> Optional[Reading]:
    receive = functools.partial(received, connection, None)
    undo = functools.partial(give_back, connection)
    call = connection.start(Op.GET, request(connection, key, deadline, flags), deadline, receive, undo)
    try:
        return finish(connection, connection.wait(call, deadline), deadline)
    except BaseException:
        connection.abandon(call)
        raise


def request(connection: Connection, key: str, deadline: Optional[float], flags: int = 0) -> bytes:
    """GET's payload."""
    if not connection.descriptors:
        flags |= _wire.GET_NO_DESCRIPTORS
    return _wire.get(flags, wait_ms(deadline), key)


def received(
    connection: Connection, group: Optional[ReleaseGroup], payload: memoryview, descriptors: Optional[Descriptors]
) -> Got:
    """What came for a GET."""
    reply = _wire.decode_get(payload)
    if not reply.lease:
        return Got(reply, None, [])
    lease = ReadLease(connection, reply.lease, reply.info.key, reply.info.epoch, group)
    with connection.left, connection.guard:
        connection.hold(reply.lease, lease)
        if group is not None:
            group.open += 1
        return Got(reply, lease, _adopt(connection, reply.extents, descriptors))


def give_back(connection: Connection, got: Got) -> None:
    """Under the guard: nobody wants it any more."""
    if got.lease is not None:
        got.lease.over = True
        connection.release(got.reply.lease, got.segments or [])


def _adopt(connection: Connection, extents: list[Extent], descriptors: Optional[Descriptors]) -> Optional[list]:
    """Under the guard: takes the descriptors that came, pins the segments; None if one cannot be used.

    In the order of the records, since a later one may name a segment whose descriptor came with an earlier one.
    """
    missing = []
    for extent in extents:
        if extent.has_descriptor:
            fd = descriptors.take() if descriptors is not None else None
            if fd is None:
                missing.append(extent.segment)
            else:
                connection.segments.add(extent.segment, fd, extent.segment_size)
    connection.tell_unmapped(missing)  # or the agent would think them known
    return connection.segments.pin({extent.segment for extent in extents})


def finish(connection: Connection, got: Got, deadline: Optional[float]) -> Optional[Reading]:
    """The bytes; None if they are to be asked for without descriptors."""
    reply, lease, segments = got
    if lease is None:
        if reply.form != Form.INLINE:
            raise _wire.bad_record(f"a GET of form {reply.form} without a lease")
        _check_length(reply.info, len(reply.inline))
        return Reading(reply.info, reply.inline, None)
    held = segments or []
    try:
        connection.keep()
        if reply.form == Form.STREAM:
            reading = _fetch(connection, reply, deadline)
        elif segments is None:
            reading = None
        else:
            reading = _share(connection, got, held, deadline)
    except BaseException:
        lease.end(held)
        raise
    if reading is None or reading.held is None:
        lease.end(held)
    return reading


def _share(connection: Connection, got: Got, held: list, deadline: Optional[float]) -> Optional[Reading]:
    """A view of the extents; the segments they use are added to `held`. None if they cannot be mapped."""
    reply = got.reply
    extents = list(reply.extents)
    while len(extents) < reply.total:
        receive = functools.partial(_receive_extents, connection)
        undo = functools.partial(_undo_extents, connection)
        payload = _wire.extents(reply.lease, len(extents))
        call = connection.start(Op.EXTENTS, payload, deadline, receive, undo)
        more, segments = connection.wait(call, deadline)
        if segments is None or not more:
            return None
        held += segments
        extents += more
    _check_length(reply.info, sum(extent.length for extent in extents))
    if reply.info.size == 0:
        return Reading(reply.info, memoryview(b""), None)
    by_number = {segment.number: segment for segment in held}
    extents = _joined(extents)
    own: Optional[Mapping] = None
    try:
        with connection.left, connection.guard:
            if len(extents) == 1:
                address = by_number[extents[0].segment].address() + extents[0].offset
            else:
                descriptors = {number: segment.fd for number, segment in by_number.items()}
                own = side_by_side(extents, descriptors, writable=False)
                address = own.address
    except OSError:
        return None
    view, alive = export(address, reply.info.size, False, _view_gone, got.lease, held, own)
    return Reading(reply.info, view, alive)


def _view_gone(lease: ReadLease, held: list, own: Optional[Mapping]) -> None:
    if own is not None:
        own.unmap()
    lease.end(held)


def _receive_extents(
    connection: Connection, payload: memoryview, descriptors: Optional[Descriptors]
) -> tuple[list, Optional[list]]:
    _, extents = _wire.decode_extents(payload)
    with connection.left, connection.guard:
        return extents, _adopt(connection, extents, descriptors)


def _undo_extents(connection: Connection, result: tuple[list, Optional[list]]) -> None:
    connection.segments.unpin(result[1] or [])
    connection.tell_unmapped(connection.segments.trim())


def _fetch(connection: Connection, reply: _wire.GetReply, deadline: Optional[float]) -> Reading:
    """The bytes in private memory, by READs."""
    data = bytearray(reply.info.size)
    flying: collections.deque = collections.deque()

    def land() -> None:
        offset, length, call = flying.popleft()
        part = connection.wait(call, deadline)
        if len(part) != length:
            raise errors.DataLoss(f"{reply.info.key!r}: {len(part)} bytes for {length}", reason="LENGTH_MISMATCH")
        data[offset : offset + length] = part

    try:
        for offset in range(0, len(data), connection.hello.inline_limit):
            if len(flying) == PIPELINED:
                land()
            length = min(connection.hello.inline_limit, len(data) - offset)
            call = connection.start(Op.READ, _wire.read(reply.lease, offset, length), deadline)
            flying.append((offset, length, call))
        while flying:
            land()
    finally:
        if flying:
            for _, _, call in flying:
                connection.abandon(call)
            connection.keep()
    return Reading(reply.info, memoryview(data).toreadonly(), None)


def _check_length(info: ObjectInfo, length: int) -> None:
    if length != info.size:
        raise errors.DataLoss(f"{info.key!r}: {length} bytes, not {info.size}", reason="LENGTH_MISMATCH")


def _joined(extents: list[Extent]) -> list[Extent]:
    """The same bytes with neighbours of one segment made one."""
    joined: list[Extent] = []
    for extent in extents:
        last = joined[-1] if joined else None
        if last is not None and last.segment == extent.segment and last.offset + last.length == extent.offset:
            joined[-1] = last._replace(length=last.length + extent.length)
        else:
            joined.append(extent)
    return joined
