"""Real trackers for end-to-end tests: processes of one cluster, each on an address of its own, and a Redis client."""

import pathlib
import random
import socket
import time

from services import Service

RESP, RAFT, GRPC, ADMIN = 6379, 7411, 7410, 7419


class RedisError(Exception):
    """An error reply; its text begins with Redis's word, as in `CLUSTERDOWN …`."""


class Redis:
    """One connection. ConnectionError and TimeoutError leave open whether the last command was done."""

    def __init__(self, address, timeout=30):
        self._socket = socket.create_connection(address, timeout)
        self._file = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def call(self, *words):
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self._socket.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
        return self._reply()

    def _reply(self):
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the tracker closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            raise RedisError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        if rest == b"-1":
            return None
        body = self._file.read(int(rest) + 2)
        if len(body) != int(rest) + 2:
            raise ConnectionError("the tracker closed the connection")
        return body[:-2]


class Tracker(Service):
    """A `larder-tracker`, which can be ended and started again on its directory."""

    def __init__(self, binary, directory, raft_id, host, cluster, name="e2e", **other):
        self.raft_id = raft_id
        self.resp = (host, RESP)
        self.data = directory / "data"
        ports = {"raft": RAFT, "resp": RESP, "grpc": GRPC}
        flags = {
            "data-dir": str(self.data),
            "raft-id": str(raft_id),
            "initial-cluster": cluster,
            "cluster": name,
            **{f"listen-{which}": f"{host}:{port}" for which, port in ports.items()},
            **{flag.replace("_", "-"): value for flag, value in other.items()},
        }
        super().__init__(binary, directory, host, ADMIN, flags)

    def leads(self):
        return self.running and self.metric("larder_raft_is_leader") == 1


class Cluster:
    """Trackers with the ids 1 to `count`, all of them voters; `flags` as of Tracker's command line."""

    def __init__(self, binary, directory, count=3, **flags):
        # Addresses of loopback that nobody else uses, so that ports need not be found.
        net = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}"
        hosts = [f"{net}.{i + 1}" for i in range(count)]
        members = ",".join(f"{i + 1}={host}:{RAFT}" for i, host in enumerate(hosts))
        directory = pathlib.Path(directory)
        self.trackers = [
            Tracker(binary, directory / f"tracker-{i + 1}", i + 1, host, members, **flags)
            for i, host in enumerate(hosts)
        ]

    def __enter__(self):
        for tracker in self.trackers:
            tracker.start()
        return self

    def __exit__(self, *_):
        for tracker in self.trackers:
            tracker.kill()

    def leader(self, seconds=60):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for tracker in self.trackers:
                if tracker.leads():
                    return tracker
        raise AssertionError("nobody leads")
