"""What the fake agent is made of: records, sealed memory, objects."""

import fcntl
import hashlib
import mmap
import os
import struct
import threading
import zlib

HEADER = struct.Struct("<4sHHQIIQ")
PAGE = mmap.PAGESIZE
MAX_CONNECTIONS = 64
MAX_BYTES = 1 << 30  # of all objects
PATIENCE = 60.0  # seconds a test waits for what must come

HELLO, CREATE, WINDOW, WRITE, SEAL, PUT, DISCARD, GET, READ = range(1, 10)
RELEASE, RENEW, UNMAPPED, STAT, LIST, DELETE, PIN, PING, EXTENTS, BATCH, REVOKE, LAPSED = range(10, 22)

INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED = 3, 5, 6, 7, 8
ABORTED, UNAVAILABLE, DATA_LOSS = 10, 14, 15

SEAL_SEAL, SEAL_SHRINK, SEAL_GROW, SEAL_FUTURE_WRITE = 1, 2, 4, 16
READ_SEALS = SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_FUTURE_WRITE
_ADD_SEALS = 1033


class Refused(Exception):
    def __init__(self, code, reason, message="as the test wants it"):
        super().__init__(message)
        self.code = code
        self.reason = reason


class Fields:
    def __init__(self, payload):
        self.payload = payload
        self.at = 0

    def take(self, layout):
        size = struct.calcsize("<" + layout)
        if self.at + size > len(self.payload):
            raise Refused(INVALID_ARGUMENT, "BAD_RECORD")
        fields = struct.unpack_from("<" + layout, self.payload, self.at)
        self.at += size
        return fields if len(fields) > 1 else fields[0]

    def bytes(self, length):
        self.at += length
        return self.payload[self.at - length : self.at]

    def text(self):
        return self.bytes(self.take("H")).decode()

    def digest(self):
        kind = self.take("B")
        return (kind, self.bytes((0, 4, 32)[kind]))

    def rest(self):
        return self.bytes(len(self.payload) - self.at)


def text(value):
    return struct.pack("<H", len(value.encode())) + value.encode()


class Segment:
    """A memfd that is sealed from birth and filled through an older mapping."""

    def __init__(self, number, size, seals=READ_SEALS):
        self.number = number
        self.size = size
        fd = os.memfd_create("larder-test", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        self.memory = mmap.mmap(fd, size)
        if seals:
            fcntl.fcntl(fd, _ADD_SEALS, seals)
        self.fd = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY if seals & SEAL_FUTURE_WRITE else os.O_RDWR)
        os.close(fd)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.memory.close()
            self.fd = -1


class Object:
    def __init__(self, key, epoch, creation, data):
        self.key = key
        self.epoch = epoch
        self.creation = creation
        self.data = data
        self.pinned = False
        self.extents = None  # [(segment, offset, length)], once it was shared

    def digest(self):
        if self.creation["key"] == "" or self.creation["flags"] & 4:
            return b"\2" + hashlib.sha256(self.data).digest()
        return b"\1" + struct.pack("<I", zlib.crc32(self.data))  # another polynomial than CRC-32C, which zlib lacks

    def record(self):
        c = self.creation
        return (
            text(self.key)
            + struct.pack("<BQQ", 2, self.epoch, len(self.data))
            + self.digest()
            + struct.pack("<IqIB", c["piece_length"] or 1 << 20, c["ttl_ms"], c["replicas"], self.pinned)
            + text("hot")
            + text(c["application"])
            + struct.pack("<H", len(c["tags"]))
            + b"".join(map(text, c["tags"]))
        )


class Connection:
    def __init__(self, sock):
        self.socket = sock
        self.sending = threading.Lock()
        self.creations = {}  # lease -> dict
        self.reads = {}  # lease -> Object
        self.known = set()  # segments whose descriptor was sent
        self.lapsed = []
        self.alive = True


class Batch:
    """A BATCH's answers, gathered until all items have been begun."""

    def __init__(self, agent, connection, request):
        self.send = lambda payload, fds: agent.reply(connection, BATCH, request, payload, fds)
        self.gathering = True
        self.answers = []
        self.fds = []

    def add(self, item, code, payload, fds):
        size = sum(map(len, self.answers)) + len(payload) + 10
        if size > 96 * 1024 - HEADER.size - 2 or len(self.fds) + len(fds) > 64:
            self.flush()
        self.answers.append(struct.pack("<HII", item, code, len(payload)) + payload)
        self.fds += fds
        if not self.gathering:
            self.flush()

    def flush(self):
        if self.answers:
            self.send(struct.pack("<H", len(self.answers)) + b"".join(self.answers), self.fds)
        self.answers, self.fds = [], []


class Item:
    """What stands for the request id of a BATCH's item."""

    def __init__(self, batch, number):
        self.batch = batch
        self.number = number
