"""What lies between a node and those that fetch pieces from it: docs/formats/pieces.md, frame by frame."""

import contextlib
import socket
import struct
import threading

HEADER = struct.Struct("<IIBBH")  # length of the payload, CRC-32C, kind, flags, reserved
PIECE = 5
PIECE_FIELDS = 12  # bytes of a PIECE's payload before its data


class PieceProxy:
    """Listens on a port of loopback and passes every connection on to `target`. Of what the parent sends, `change`, once
    it is set, makes the data of each PIECE others, as many; such a frame comes without a checksum of its own, which the
    protocol allows."""

    def __init__(self, target):
        self.change = None
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        # Wakes the thread in accept(), which a close alone would not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                child = self._listener.accept()[0]
                threading.Thread(target=self._serve, args=(child,), daemon=True).start()

    def _serve(self, child):
        with child, socket.create_connection(self._target) as parent:
            back = threading.Thread(target=self._to_parent, args=(child, parent), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                self._to_child(child, parent)
            # What the child has said goes to the parent all the same.
            with contextlib.suppress(OSError):
                child.shutdown(socket.SHUT_RDWR)
            back.join()

    @staticmethod
    def _to_parent(child, parent):
        with contextlib.suppress(OSError):
            while some := child.recv(1 << 16):
                parent.sendall(some)
        with contextlib.suppress(OSError):
            parent.shutdown(socket.SHUT_RDWR)

    def _to_child(self, child, parent):
        with parent.makefile("rb") as frames:
            while header := frames.read(HEADER.size):
                length, crc, kind, flags, reserved = HEADER.unpack(header)
                payload = frames.read(length)
                if kind == PIECE and self.change is not None:
                    header = HEADER.pack(length, 0, kind, flags & ~1, reserved)
                    payload = payload[:PIECE_FIELDS] + self.change(payload[PIECE_FIELDS:])
                child.sendall(header + payload)
