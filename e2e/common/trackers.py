"""Real trackers for end-to-end tests: processes of one cluster, each on an address of its own, and a Redis client."""

import pathlib
import random
import signal
import socket
import subprocess
import time

from metrics import metric

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


class Tracker:
    """A `larder-tracker`, which can be ended and started again on its directory."""

    def __init__(self, binary, directory, raft_id, host, cluster, name="e2e"):
        self.raft_id = raft_id
        self.host = host
        self.resp = (host, RESP)
        self.data = directory / "data"
        self.log = directory / "log"
        directory.mkdir()
        ports = {"raft": RAFT, "resp": RESP, "grpc": GRPC, "admin": ADMIN}
        self._binary = str(binary)
        self._flags = {
            "data-dir": str(self.data),
            "raft-id": str(raft_id),
            "initial-cluster": cluster,
            "cluster": name,
            "log-format": "json",
            **{f"listen-{which}": f"{host}:{port}" for which, port in ports.items()},
        }
        self._process = None

    def _command(self, **other):
        flags = {**self._flags, **{name.replace("_", "-"): value for name, value in other.items()}}
        return [self._binary, *(word for name, value in flags.items() for word in (f"--{name}", value))]

    def start(self, seconds=60):
        """Returns once it serves, with or without a quorum."""
        with open(self.log, "ab") as log:
            seen = log.tell()
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until = time.monotonic() + seconds
        while b'"event":"started"' not in self.log.read_bytes()[seen:]:
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
            if self._process.returncode is not None or time.monotonic() > until:
                self.kill()
                raise AssertionError("larder-tracker did not start:\n" + self.log.read_text())

    def run_to_its_end(self, seconds=60, **flags):
        """Of one that must not start, with other flags: its exit code and what it says."""
        ended = subprocess.run(self._command(**flags), capture_output=True, text=True, timeout=seconds)
        return ended.returncode, ended.stderr

    @property
    def running(self):
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def signal(self, number):
        self._process.send_signal(number)

    def wait(self, seconds=60):
        return self._process.wait(seconds)

    def kill(self):
        if self.running:
            self._process.kill()
            self._process.wait()

    def stop(self):
        """SIGTERM, which must give exit code 0."""
        self.signal(signal.SIGTERM)
        code = self.wait()
        assert code == 0, f"it ended with {code}:\n" + self.log.read_text()

    def metric(self, series):
        return metric(f"{self.host}:{ADMIN}", series)

    def leads(self):
        return self.running and self.metric("larder_raft_is_leader") == 1


class Cluster:
    """Trackers with the ids 1 to `count`, all of them voters."""

    def __init__(self, binary, directory, count=3):
        # Addresses of loopback that nobody else uses, so that ports need not be found.
        net = f"127.{random.randint(1, 254)}.{random.randint(0, 255)}"
        hosts = [f"{net}.{i + 1}" for i in range(count)]
        members = ",".join(f"{i + 1}={host}:{RAFT}" for i, host in enumerate(hosts))
        directory = pathlib.Path(directory)
        self.trackers = [
            Tracker(binary, directory / f"tracker-{i + 1}", i + 1, host, members) for i, host in enumerate(hosts)
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
