"""A small agent in memory, for tests: data.sock by docs/formats/uds.md, written apart from the client's own wire code.

It keeps real sealed memfds, answers each connection on a thread, and has knobs for what real agents do rarely.
"""

from __future__ import annotations

import array
import collections
import contextlib
import hashlib
import os
import socket
import struct
import threading

from fake_records import *  # the names of operations and codes are for tests too


class FakeAgent:
    """Attributes are knobs, to be set at any time.

    inline_limit, piece_limit: of new connections, bytes.
    lease_ttl_ms: of new connections.
    token: of new connections, 16 bytes.
    extent_bytes: objects and windows are shared in extents of so many bytes, in two segments by turns; 0: in one.
    segment_bytes: least size of a segment.
    lose_descriptors: descriptors do not ride.
    read_seals: of segments for reading.
    window_refused: a Refused for WINDOWs, or None.
    answers: op -> Refused for the next request of that op.
    cut: ops whose next request ends its connection, after it took effect.
    short_reads: bytes missing of each READ.
    """

    def __init__(self, directory, **knobs):
        self.path = os.path.join(directory, "data.sock")
        self.endpoint = "uds://" + directory
        self.inline_limit = 64 * 1024
        self.piece_limit = 1 << 20
        self.lease_ttl_ms = 30_000
        self.token = bytes(16)
        self.extent_bytes = 0
        self.segment_bytes = 0
        self.lose_descriptors = False
        self.read_seals = READ_SEALS
        self.window_refused = None
        self.short_reads = 0
        self.answers = {}
        self.cut = set()
        for name, value in knobs.items():
            setattr(self, name, value)
        self.changed = threading.Condition(threading.RLock())  # guards all below
        self.objects = {}
        self.creating = {}  # key -> creation
        self.waiting = collections.defaultdict(collections.deque)  # key -> CREATEs and PUTs to try again
        self.segments = []
        self.connections = []
        self.seen = collections.Counter()
        self.batched = collections.Counter()  # items of BATCHes
        self.earlier = []  # bytes of earlier agents that UNMAPPEDs told
        self.hellos = []  # (namespace, bytes mapped before, client)
        self.holding = {}  # op -> [replies]
        self.numbers = 0
        self.accepted = 0
        self.listener = None
        self.start()

    # What tests do.

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(MAX_CONNECTIONS)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self):
        """The socket goes and all connections end; objects stay for the next start()."""
        os.unlink(self.path)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop_connections()

    def close(self):
        if os.path.exists(self.path):
            self.stop()
        with self.changed:
            for segment in self.segments:
                segment.close()

    def restart(self):
        self.stop()
        self.start()

    def drop_connections(self):
        with self.changed:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.socket.shutdown(socket.SHUT_RDWR)
            self._until(lambda: not self.connections)

    def wait_seen(self, op, count=1):
        """Until so many requests of `op` came, since the beginning."""
        with self.changed:
            self._until(lambda: self.seen[op] >= count)

    def wait_leases(self, count):
        with self.changed:
            self._until(lambda: self.leases() == count)

    def leases(self):
        with self.changed:
            return sum(len(c.creations) + len(c.reads) for c in self.connections)

    def lapse(self, tell=False):
        """Ends all leases, as if none had been renewed; `tell`: and says so at once."""
        with self.changed:
            for connection in self.connections:
                leases = [*connection.creations, *connection.reads]
                connection.lapsed += leases
                if tell:
                    self.reply(connection, LAPSED, 0, struct.pack(f"<H{len(leases)}Q", len(leases), *leases))
                for lease in list(connection.creations):
                    self._end_creation(connection, lease)
                connection.reads.clear()

    def revoke(self, segments):
        """Asks all clients for segments, by their numbers."""
        with self.changed:
            for connection in self.connections:
                self.reply(connection, REVOKE, 0, struct.pack(f"<H{len(segments)}I", len(segments), *segments))

    @contextlib.contextmanager
    def hold(self, op):
        """Replies to `op` wait for the end of `with`."""
        with self.changed:
            self.holding[op] = []
        try:
            yield
        finally:
            with self.changed:
                held = self.holding.pop(op)
            for send in held:
                send()

    def is_mapped_for_reading(self, key):
        """Whether this process maps an object's segment as clients do; the agent maps it writable."""
        inode = os.fstat(self.objects[key].extents[0][0].fd).st_ino
        with open("/proc/self/maps") as maps:
            fields = [line.split() for line in maps]
        return any(line[1] == "r--s" and line[4] == str(inode) for line in fields)

    def add(self, key, data):
        """A sealed object."""
        with self.changed:
            creation = {"key": key, "flags": 0, "piece_length": 0, "ttl_ms": -1, "replicas": 1}
            self._publish({**creation, "application": "", "tags": [], "data": bytearray(data), "epoch": self._number()})

    # The rest is the agent's.

    def _until(self, condition):
        if not self.changed.wait_for(condition, PATIENCE):
            raise AssertionError("what the test waits for did not come")

    def _number(self):
        self.numbers += 1
        return self.numbers

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self.changed:
                if len(self.connections) >= MAX_CONNECTIONS:
                    sock.close()
                    continue
                connection = Connection(sock)
                self.connections.append(connection)
                self.accepted += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            while True:
                record = connection.socket.recv(96 * 1024 + 1)
                if not record:
                    return
                magic, version, op, request, length, _, _ = HEADER.unpack_from(record)
                well_formed = magic == b"LRD1" and version == 1 and length == len(record) - HEADER.size
                if not well_formed or len(record) > 96 * 1024:
                    self._refuse(connection, op, request, Refused(INVALID_ARGUMENT, "BAD_RECORD"))
                    return
                with self.changed:
                    self.seen[op] += 1
                    self._handle(connection, op, request, record[HEADER.size :])
                    self.changed.notify_all()
                    if op in self.cut:
                        self.cut.remove(op)
                        return
        except OSError:
            pass
        finally:
            with self.changed:
                connection.alive = False
                for lease in list(connection.creations):
                    self._end_creation(connection, lease)
                connection.socket.close()
                self.connections.remove(connection)
                self.changed.notify_all()

    def _handle(self, connection, op, request, payload):
        answer = self.answers.pop(op, None)
        try:
            if answer is not None:
                raise answer
            reply = _HANDLERS[op](self, connection, request, Fields(payload))
        except Refused as refused:
            self._refuse(connection, op, request, refused)
            return
        if reply is not None:
            payload, fds = reply if isinstance(reply, tuple) else (reply, [])
            self._reply(connection, op, request, payload, fds)

    def _refuse(self, connection, op, request, refused):
        self._reply(connection, op, request, text(refused.reason) + text(str(refused)), [], refused.code)

    def _reply(self, connection, op, request, payload, fds=(), code=0):
        if isinstance(request, Item):
            request.batch.add(request.number, code, payload, fds)
        elif request != 0:
            self.reply(connection, op, request, payload, fds, code)

    def reply(self, connection, op, request, payload, fds=(), code=0):
        """Sends a record."""
        if op in self.cut:
            return
        record = HEADER.pack(b"LRD1", 1, op, request, len(payload), code, 0) + payload

        def send():
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
            with connection.sending, contextlib.suppress(OSError):
                connection.socket.sendmsg([record], ancillary)

        if op in self.holding:
            self.holding[op].append(send)
            self.changed.notify_all()
        else:
            send()

    def _batch(self, connection, request, fields):
        batch = Batch(self, connection, request)
        for number in range(fields.take("H")):
            op, length = fields.take("HI")
            if op not in (PUT, GET, RELEASE, STAT, DELETE):
                raise Refused(INVALID_ARGUMENT, "BAD_RECORD")
            self.batched[op] += 1
            self._handle(connection, op, Item(batch, number) if request else 0, fields.bytes(length))
        batch.gathering = False
        batch.flush()

    def _hello(self, connection, request, fields):
        self.hellos.append((fields.text(), fields.take("Q"), fields.text()))
        numbers = struct.pack("<III", self.lease_ttl_ms, self.inline_limit, self.piece_limit)
        names = text(self.hellos[-1][0] or "default") + text("node-0") + text("fake")
        return struct.pack("<Q", self._number()) + self.token + numbers + names

    def _creation(self, fields):
        flags, ack, copies, replicas, piece_length, hint, ttl_ms, wait_ms = fields.take("IBBHIQqI")
        key, application = fields.text(), fields.text()
        tags = [fields.text() for _ in range(fields.take("H"))]
        return {
            "flags": flags,
            "ack": ack or 1,
            "copies": copies,
            "replicas": replicas,
            "piece_length": piece_length,
            "hint": hint,
            "ttl_ms": ttl_ms,
            "key": key,
            "application": application,
            "tags": tags,
            "data": bytearray(),
            "window": [],
            "sealed": None,
        }

    def _begin(self, connection, op, request, creation, go):
        """`go` now, or when the key's other creator has ended; it gives the reply."""
        if creation["key"] in self.creating:
            self.waiting[creation["key"]].append((connection, op, request, creation, go))
            return None
        return go()

    def _create(self, connection, request, fields):
        creation = self._creation(fields)

        def go():
            lease, creation["epoch"] = self._number(), self._number()
            connection.creations[lease] = creation
            if creation["key"]:
                self.creating[creation["key"]] = creation
            return struct.pack("<QQ", lease, creation["epoch"])

        return self._begin(connection, CREATE, request, creation, go)

    def _put(self, connection, request, fields):
        creation = self._creation(fields)
        digest = fields.digest()
        creation["data"] += fields.rest()

        def go():
            creation["epoch"] = self._number()
            return self._seal_creation(creation, digest)

        return self._begin(connection, PUT, request, creation, go)

    def _leased(self, connection, fields):
        lease, epoch = fields.take("QQ")
        creation = connection.creations.get(lease)
        if creation is None or creation["epoch"] != epoch:
            raise Refused(ABORTED, "LEASE_LOST")
        return lease, creation

    def _window(self, connection, request, fields):
        lease, size = fields.take("QQ")
        creation = connection.creations.get(lease)
        if creation is None:
            raise Refused(ABORTED, "LEASE_LOST")
        if self.window_refused is not None:
            raise self.window_refused
        creation["window"] = self._lay_out(size, SEAL_SEAL | SEAL_SHRINK | SEAL_GROW)
        return self._extents(connection, creation["window"], 0)

    def _write(self, connection, request, fields):
        _, creation = self._leased(connection, fields)
        if fields.take("B") == 0:
            data = fields.rest()
            if len(data) > self.inline_limit:
                raise Refused(INVALID_ARGUMENT, "TOO_LONG")
        else:
            offset, length = fields.take("QI")
            if length > self.piece_limit:
                raise Refused(INVALID_ARGUMENT, "TOO_LONG")
            window = b"".join(s.memory[at : at + n] for s, at, n in creation["window"])
            data = window[offset : offset + length]
        creation["data"] += data
        return struct.pack("<Q", len(creation["data"]))

    def _seal(self, connection, request, fields):
        lease, creation = self._leased(connection, fields)
        size, digest = fields.take("Q"), fields.digest()
        if size != len(creation["data"]):
            raise Refused(INVALID_ARGUMENT, "SIZE_MISMATCH")
        try:
            return self._seal_creation(creation, digest)
        finally:
            self._end_creation(connection, lease)

    def _seal_creation(self, creation, digest):
        if digest[0] == 2 and hashlib.sha256(creation["data"]).digest() != digest[1]:
            raise Refused(DATA_LOSS, "DIGEST_MISMATCH")
        key = creation["key"] or "sha256:" + hashlib.sha256(creation["data"]).hexdigest()
        there = self.objects.get(key)
        existed = there is not None and not creation["flags"] & 1
        if existed and there.data != creation["data"]:
            raise Refused(ALREADY_EXISTS, "EXISTS")
        sealed = there if existed else self._publish(creation)
        return sealed.record() + struct.pack("<BBB", creation["ack"], 1, existed)

    def _publish(self, creation):
        data = bytes(creation["data"])
        if sum(len(o.data) for o in self.objects.values()) + len(data) > MAX_BYTES:
            raise Refused(RESOURCE_EXHAUSTED, "ARENA_FULL")
        key = creation["key"] or "sha256:" + hashlib.sha256(data).hexdigest()
        self.objects[key] = Object(key, creation["epoch"], creation, data)
        return self.objects[key]

    def _discard(self, connection, request, fields):
        lease, _ = fields.take("QQ")
        if lease in connection.creations:
            self._end_creation(connection, lease)
        return b""

    def _end_creation(self, connection, lease):
        creation = connection.creations.pop(lease)
        for segment in {extent[0] for extent in creation["window"]}:
            segment.close()
            self.segments.remove(segment)
        key = creation["key"]
        if key:
            del self.creating[key]
        while key and self.waiting[key] and key not in self.creating:
            other, op, request, waiting, go = self.waiting[key].popleft()
            if not other.alive:
                continue
            try:
                reply = self._begin(other, op, request, waiting, go)
                self._reply(other, op, request, reply)
            except Refused as refused:
                self._refuse(other, op, request, refused)

    def _lay_out(self, size, seals):
        """Extents over new segments; the first of a single one lies off the page's start, as packed objects do."""
        writable = not seals & SEAL_FUTURE_WRITE
        if not self.extent_bytes:
            offset = 0 if writable else 100
            room = max(self.segment_bytes, -(-(size + offset) // PAGE) * PAGE)
            segment = Segment(self._number(), room, seals)
            self.segments.append(segment)
            return [(segment, offset, size)]
        lengths = [min(self.extent_bytes, size - at) for at in range(0, size, self.extent_bytes)]
        pair = [Segment(self._number(), len(lengths) * self.extent_bytes, seals) for _ in range(2)]
        self.segments += pair
        return [(pair[i % 2], i * self.extent_bytes, length) for i, length in enumerate(lengths)]

    def _extents(self, connection, extents, first):
        fds, entries = [], []
        for segment, offset, length in extents[first : first + 64]:
            rides = segment.number not in connection.known
            if rides:
                connection.known.add(segment.number)
                fds.append(segment.fd)
            entries.append(struct.pack("<IIQQQ", segment.number, rides, segment.size, offset, length))
        head = struct.pack("<IH", len(extents), len(entries))
        return head + b"".join(entries), [] if self.lose_descriptors else fds

    def _object(self, key):
        if key not in self.objects:
            raise Refused(NOT_FOUND, "NO_OBJECT", f"no object {key}")
        return self.objects[key]

    def _get(self, connection, request, fields):
        flags, _ = fields.take("II")
        found = self._object(fields.text())
        if len(found.data) <= self.inline_limit:
            return struct.pack("<Q", 0) + found.record() + b"\0" + found.data
        lease = self._number()
        connection.reads[lease] = found
        head = struct.pack("<Q", lease) + found.record()
        if flags & 1:
            return head + b"\2"
        if found.extents is None:
            found.extents = self._lay_out(len(found.data), self.read_seals)
            at = 0
            for segment, offset, length in found.extents:
                segment.memory[offset : offset + length] = found.data[at : at + length]
                at += length
        payload, fds = self._extents(connection, found.extents, 0)
        return head + b"\1" + payload, fds

    def _more_extents(self, connection, request, fields):
        lease, first = fields.take("QI")
        if lease in connection.reads:
            return self._extents(connection, connection.reads[lease].extents, first)
        return self._extents(connection, connection.creations[lease]["window"], first)

    def _read(self, connection, request, fields):
        lease, offset, length = fields.take("QQI")
        if lease not in connection.reads:
            raise Refused(ABORTED, "LEASE_LOST")
        return connection.reads[lease].data[offset : offset + length - self.short_reads]

    def _release(self, connection, request, fields):
        connection.reads.pop(fields.take("Q"), None)
        return b""

    def _renew(self, connection, request, fields):
        lapsed, connection.lapsed = connection.lapsed, []
        return struct.pack(f"<H{len(lapsed)}Q", len(lapsed), *lapsed)

    def _unmapped(self, connection, request, fields):
        self.earlier.append(fields.take("Q"))
        for _ in range(fields.take("H")):
            connection.known.discard(fields.take("I"))
        return b""

    def _stat(self, connection, request, fields):
        return self._object(fields.text()).record()

    def _list(self, connection, request, fields):
        prefix, after, limit = fields.text(), fields.text(), fields.take("I") & 0x7FFFFFFF
        keys = sorted(key for key in self.objects if key.startswith(prefix) and key > after)
        page = keys[: min(limit, 100)]
        records = b"".join(self.objects[key].record() for key in page)
        return struct.pack("<BH", len(keys) > len(page), len(page)) + records

    def _delete(self, connection, request, fields):
        del self.objects[self._object(fields.text()).key]
        return b""

    def _pin(self, connection, request, fields):
        pinned = fields.take("B")
        self._object(fields.text()).pinned = bool(pinned)
        return b""

    def _ping(self, connection, request, fields):
        return b""


_HANDLERS = {
    HELLO: FakeAgent._hello,
    CREATE: FakeAgent._create,
    WINDOW: FakeAgent._window,
    WRITE: FakeAgent._write,
    SEAL: FakeAgent._seal,
    PUT: FakeAgent._put,
    DISCARD: FakeAgent._discard,
    GET: FakeAgent._get,
    READ: FakeAgent._read,
    RELEASE: FakeAgent._release,
    RENEW: FakeAgent._renew,
    UNMAPPED: FakeAgent._unmapped,
    STAT: FakeAgent._stat,
    LIST: FakeAgent._list,
    DELETE: FakeAgent._delete,
    PIN: FakeAgent._pin,
    PING: FakeAgent._ping,
    EXTENTS: FakeAgent._more_extents,
    BATCH: FakeAgent._batch,
}
