"""The records of data.sock as values: docs/formats/uds.md. Pure functions; no sockets, no state."""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple, Optional, Union

from larder import errors
from larder.objects import Creation, ObjectInfo, SealResult

Buffer = Union[bytes, bytearray, memoryview]

MAX_RECORD = 96 * 1024
MAX_EXTENTS = 64  # a record's most, so also its most descriptors
MAX_BATCH = 64  # items
NO_LIMIT = 0xFFFFFFFF  # of a wait, in ms
GET_NO_DESCRIPTORS = 1
LIST_LOCAL = 1 << 31  # in the limit: only what the node has
UNAVAILABLE = 14

_HEADER = struct.Struct("<4sHHQIIQ")
_MAGIC = b"LRD1"
_VERSION = 1
HEADER_SIZE = _HEADER.size

_U16 = struct.Struct("<H")
_BATCH_ITEM = struct.Struct("<HI")  # op, length
_BATCH_ANSWER = struct.Struct("<HII")  # item, code, length
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_LEASE_EPOCH = struct.Struct("<QQ")
_EXTENT = struct.Struct("<IIQQQ")
_OBJECT_NUMBERS = struct.Struct("<IqIB")  # piece length, TTL left, wanted copies, pinned
_EXTENT_HAS_DESCRIPTOR = 1

_CREATE_OVERWRITE = 1
_CREATE_ACCEPT_SAME = 2
_CREATE_SHA256 = 4

ACKS = ("default", "local", "tracked", "replicated", "origin")
_STATES = {1: "CREATING", 2: "SEALED", 3: "DELETED"}
_DURABILITIES = {1: "memory", 2: "async", 3: "sync"}


class Op(enum.IntEnum):
    HELLO = 1
    CREATE = 2
    WINDOW = 3
    WRITE = 4
    SEAL = 5
    PUT = 6
    DISCARD = 7
    GET = 8
    READ = 9
    RELEASE = 10
    RENEW = 11
    UNMAPPED = 12
    STAT = 13
    LIST = 14
    DELETE = 15
    PIN = 16
    PING = 17
    EXTENTS = 18
    BATCH = 19
    REVOKE = 20
    LAPSED = 21
    GET_RANGE = 22


class Form(enum.IntEnum):
    """How a GET's bytes come."""

    INLINE = 0
    SHARED = 1
    STREAM = 2


class Extent(NamedTuple):
    segment: int
    has_descriptor: bool
    segment_size: int  # bytes
    offset: int  # of the bytes, in the segment
    length: int  # bytes


class Hello(NamedTuple):
    session: int
    token: bytes
    lease_ttl: float  # seconds
    inline_limit: int  # bytes
    piece_limit: int  # bytes
    namespace: str
    node: str
    agent_version: str


class GetReply(NamedTuple):
    lease: int  # 0: inline, nothing is held
    info: ObjectInfo
    form: int
    inline: memoryview  # of Form.INLINE, read-only
    total: int  # extents of Form.SHARED, this record's and those still to ask for
    extents: list[Extent]


def bad_record(message: str) -> errors.Error:
    """The error for a record that the format does not allow."""
    return errors.Error(message, reason="BAD_RECORD", status="INTERNAL")


def record(op: int, request: int, payload: Buffer = b"") -> bytes:
    """A request's record; request 0 wants no reply."""
    if HEADER_SIZE + len(payload) > MAX_RECORD:
        raise errors.InvalidArgument(f"{Op(op).name} with {len(payload)} bytes of names and tags", reason="TOO_LONG")
    return _HEADER.pack(_MAGIC, _VERSION, op, request, len(payload), 0, 0) + payload


def split(data: bytes) -> tuple[int, int, int, memoryview]:
    """Op, request id, code and payload of a reply; BAD_RECORD if it is none."""
    if len(data) < HEADER_SIZE:
        raise bad_record(f"a record of {len(data)} bytes")
    magic, version, op, request, length, code, _ = _HEADER.unpack_from(data)
    if magic != _MAGIC or version != _VERSION or length != len(data) - HEADER_SIZE:
        raise bad_record(f"a header of magic {magic!r}, version {version}, length {length} in {len(data)} bytes")
    return op, request, code, memoryview(data)[HEADER_SIZE:]


class _Reader:
    """Takes fields off a payload from its start; BAD_RECORD where it ends too early."""

    def __init__(self, payload: memoryview) -> None:
        self._payload = payload
        self._at = 0

    def take(self, layout: struct.Struct) -> tuple:
        try:
            fields = layout.unpack_from(self._payload, self._at)
        except struct.error:
            raise bad_record("a payload that ends within a field") from None
        self._at += layout.size
        return fields

    def u8(self) -> int:
        return self.raw(1)[0]

    def u16(self) -> int:
        return self.take(_U16)[0]

    def u32(self) -> int:
        return self.take(_U32)[0]

    def u64(self) -> int:
        return self.take(_U64)[0]

    def raw(self, length: int) -> memoryview:
        taken = self._payload[self._at : self._at + length]
        if len(taken) != length:
            raise bad_record("a payload that ends within a field")
        self._at += length
        return taken

    def text(self) -> str:
        try:
            return str(self.raw(self.u16()), "utf-8")
        except UnicodeDecodeError:
            raise bad_record("a string that is not UTF-8") from None

    def rest(self) -> memoryview:
        return self._payload[self._at :]

    def texts(self) -> tuple[str, ...]:
        return tuple(self.text() for _ in range(self.u16()))

    def digest(self) -> Optional[str]:
        kind = self.u8()
        if kind == 0:
            return None
        if kind == 1:
            return f"crc32c:{self.u32():08x}"
        if kind == 2:
            return f"sha256:{self.raw(32).hex()}"
        raise bad_record(f"a digest of kind {kind}")

    def info(self) -> ObjectInfo:
        key, state = self.text(), self.u8()
        epoch, size = self.take(_LEASE_EPOCH)
        digest = self.digest()
        piece_length, ttl_ms, wanted, pinned = self.take(_OBJECT_NUMBERS)
        tier, application, tags = self.text(), self.text(), self.texts()
        if state not in _STATES:
            raise bad_record(f"an object of state {state}")
        return ObjectInfo(
            key=key,
            state=_STATES[state],
            epoch=epoch,
            size=size,
            digest=digest,
            piece_length=piece_length,
            ttl_left_seconds=None if ttl_ms < 0 else ttl_ms / 1000,
            wanted_replicas=wanted,
            pinned=pinned != 0,
            tier=tier,
            application=application,
            tags=tags,
        )

    def extents(self) -> tuple[int, list[Extent]]:
        total, count = self.u32(), self.u16()
        if count > MAX_EXTENTS or count > total:
            raise bad_record(f"{count} extents in a record, of {total}")
        found = []
        for _ in range(count):
            segment, flags, segment_size, offset, length = self.take(_EXTENT)
            if offset + length > segment_size:
                raise bad_record(f"an extent past the end of segment {segment}")
            found.append(Extent(segment, bool(flags & _EXTENT_HAS_DESCRIPTOR), segment_size, offset, length))
        return total, found


def _str(text: str) -> bytes:
    data = text.encode("utf-8")
    if len(data) > 0xFFFF:
        raise errors.InvalidArgument(f"a text of {len(data)} bytes, above 65535", reason="TOO_LONG")
    return _U16.pack(len(data)) + data


def _digest(digest: Optional[str]) -> bytes:
    return b"\0" if digest is None else b"\2" + bytes.fromhex(digest[len("sha256:") :])


_CREATION_NUMBERS = struct.Struct("<IBBHIQqI")


def create(creation: Creation, wait_ms: int) -> bytes:
    flags = _CREATE_OVERWRITE if creation.overwrite else _CREATE_ACCEPT_SAME
    if creation.digest is not None:
        flags |= _CREATE_SHA256
    numbers = _CREATION_NUMBERS.pack(
        flags,
        ACKS.index(creation.ack),
        creation.ack_copies,
        creation.replicas,
        creation.piece_length,
        creation.size_hint,
        -1 if creation.ttl_ms is None else creation.ttl_ms,
        wait_ms,
    )
    tags = _U16.pack(len(creation.tags)) + b"".join(map(_str, creation.tags))
    return numbers + _str(creation.key or "") + _str(creation.application) + tags


def hello(namespace: str, mapped_before: int, client: str) -> bytes:
    """`mapped_before`: bytes this process still maps of earlier agents."""
    return _str(namespace) + _U64.pack(mapped_before) + _str(client)


def window(lease: int, size: int) -> bytes:
    return _LEASE_EPOCH.pack(lease, size)


def write_inline(lease: int, epoch: int, data: Buffer) -> bytes:
    return b"".join((_LEASE_EPOCH.pack(lease, epoch), b"\0", data))


_WRITE_WINDOW = struct.Struct("<QQBQI")


def write_window(lease: int, epoch: int, offset: int, length: int) -> bytes:
    return _WRITE_WINDOW.pack(lease, epoch, 1, offset, length)


def seal(lease: int, epoch: int, size: int, digest: Optional[str]) -> bytes:
    return _LEASE_EPOCH.pack(lease, epoch) + _U64.pack(size) + _digest(digest)


def put(creation: Creation, wait_ms: int, data: Buffer) -> bytes:
    return b"".join((create(creation, wait_ms), _digest(creation.digest), data))


def discard(lease: int, epoch: int) -> bytes:
    return _LEASE_EPOCH.pack(lease, epoch)


_GET = struct.Struct("<II")
_READ = struct.Struct("<QQI")
_EXTENTS = struct.Struct("<QI")


def get(flags: int, wait_ms: int, key: str) -> bytes:
    return _GET.pack(flags, wait_ms) + _str(key)


def read(lease: int, offset: int, length: int) -> bytes:
    return _READ.pack(lease, offset, length)


def release(lease: int) -> bytes:
    return _U64.pack(lease)


def unmapped(segments: list[int], earlier_bytes: int = 0) -> bytes:
    """`earlier_bytes`: what is still mapped of agents before this one."""
    return _U64.pack(earlier_bytes) + _U16.pack(len(segments)) + b"".join(map(_U32.pack, segments))


BATCH_ROOM = MAX_RECORD - HEADER_SIZE - _U16.size  # bytes of a BATCH's items
BATCH_ITEM_OVERHEAD = _BATCH_ITEM.size


def batch(op: int, payloads: list[bytes]) -> bytes:
    """Requests of one kind as a BATCH."""
    parts = [_U16.pack(len(payloads))]
    for payload in payloads:
        parts += (_BATCH_ITEM.pack(op, len(payload)), payload)
    return b"".join(parts)


def key(name: str) -> bytes:
    """STAT's and DELETE's request."""
    return _str(name)


def list_(prefix: str, after: str, limit: int, local: bool = False) -> bytes:
    return _str(prefix) + _str(after) + _U32.pack(limit | (LIST_LOCAL if local else 0))


def pin(pinned: bool, name: str) -> bytes:
    return bytes((pinned,)) + _str(name)


def extents(lease: int, first: int) -> bytes:
    return _EXTENTS.pack(lease, first)


def decode_error(code: int, payload: memoryview) -> errors.Error:
    reader = _Reader(payload)
    reason = reader.text()
    return errors.from_status(code, reason, reader.text())


_HELLO_NUMBERS = struct.Struct("<Q16sIII")


def decode_hello(payload: memoryview) -> Hello:
    reader = _Reader(payload)
    session, token, ttl_ms, inline_limit, piece_limit = reader.take(_HELLO_NUMBERS)
    # Zero would make clients that write in steps of these, or renew in a third of the TTL, spin.
    if not ttl_ms or not inline_limit or not piece_limit:
        raise bad_record("a HELLO with a limit of 0")
    names = (reader.text(), reader.text(), reader.text())
    return Hello(session, token, ttl_ms / 1000, inline_limit, piece_limit, *names)


def decode_create(payload: memoryview) -> tuple[int, int]:
    """Lease and epoch."""
    return _Reader(payload).take(_LEASE_EPOCH)


def decode_size(payload: memoryview) -> int:
    """WRITE's: bytes appended so far."""
    return _Reader(payload).u64()


def decode_sealed(payload: memoryview) -> SealResult:
    reader = _Reader(payload)
    info = reader.info()
    ack, durability, existed = reader.u8(), reader.u8(), reader.u8()
    if ack >= len(ACKS) or durability not in _DURABILITIES:
        raise bad_record(f"ack policy {ack}, durability {durability}")
    return SealResult(
        key=info.key,
        epoch=info.epoch,
        size=info.size,
        digest=info.digest,
        ack=ACKS[ack],
        durability=_DURABILITIES[durability],
        existed=existed != 0,
        info=info,
    )


def decode_get(payload: memoryview) -> GetReply:
    reader = _Reader(payload)
    lease, info, form = reader.u64(), reader.info(), reader.u8()
    inline, total, found = memoryview(b""), 0, []
    if form == Form.INLINE:
        inline = reader.rest()
    elif form == Form.SHARED:
        total, found = reader.extents()
    elif form != Form.STREAM:
        raise bad_record(f"a GET of form {form}")
    return GetReply(lease, info, form, inline, total, found)


def decode_extents(payload: memoryview) -> tuple[int, list[Extent]]:
    """How many there are in all, and this record's."""
    return _Reader(payload).extents()


def decode_leases(payload: memoryview) -> list[int]:
    """LAPSED, and RENEW's: the leases that lapsed."""
    reader = _Reader(payload)
    return [reader.u64() for _ in range(reader.u16())]


def decode_segments(payload: memoryview) -> list[int]:
    """REVOKE."""
    reader = _Reader(payload)
    return [reader.u32() for _ in range(reader.u16())]


def decode_batch(payload: memoryview) -> list[tuple[int, int, memoryview]]:
    """Item, code and payload of each answer in one record."""
    reader = _Reader(payload)
    answers = []
    for _ in range(reader.u16()):
        item, code, length = reader.take(_BATCH_ANSWER)
        answers.append((item, code, reader.raw(length)))
    return answers


def decode_object(payload: memoryview) -> ObjectInfo:
    return _Reader(payload).info()


def decode_list(payload: memoryview) -> tuple[bool, list[ObjectInfo]]:
    """Whether there are more, and the objects."""
    reader = _Reader(payload)
    more = reader.u8() != 0
    return more, [reader.info() for _ in range(reader.u16())]
