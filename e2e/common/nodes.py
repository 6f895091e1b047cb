"""Agents of one cluster for end-to-end tests: what one has the others read."""

import hashlib
import json
import pathlib
import random
import signal
import subprocess
import tempfile
import time
import unittest

from agents import Agent, bin_dir
from trackers import GRPC, Cluster

PATIENCE = 60  # seconds
MIB = 1 << 20


def sample(size, seed=0):
    return random.Random(seed * 1_000_003 + size).randbytes(size)


class Nodes(unittest.TestCase):
    """Agents a (files), b (memory), c (files) of one cluster."""

    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))
        self.cluster = self.enterContext(Cluster(bin_dir() / "larder-tracker", self.dir))
        self.agents = {}

    def begin(self, *flags, arena="512MiB", **of_one):
        """All three with `flags`; `of_one`: more of them, by the agent's name."""
        addresses = ",".join(f"{tracker.host}:{GRPC}" for tracker in self.cluster.trackers)
        for name, store in (("a", "file"), ("b", "memory"), ("c", "file")):
            self.agents[name] = Agent(
                bin_dir() / "larder-agent",
                self.dir / name,
                f"--node-name={name}",
                f"--tracker={addresses}",
                f"--store={store}",
                f"--arena={arena}",
                *flags,
                *of_one.get(name, ()),
            )
            self.addCleanup(self.agents[name].end, signal.SIGTERM)

    def run_larder(self, agent, *arguments, stdin=b""):
        return subprocess.run(
            **self.agents[agent].larder(*arguments), input=stdin, capture_output=True, timeout=4 * PATIENCE
        )

    def ok(self, agent, *arguments, stdin=b""):
        done = self.run_larder(agent, *arguments, stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout

    def fails(self, code, agent, *arguments):
        done = self.run_larder(agent, *arguments)
        self.assertEqual(done.returncode, code, done.stderr.decode())
        return done.stderr.decode()

    def holders(self, agent, key):
        return [where["node"] for where in json.loads(self.ok(agent, "stat", key, "-o", "json"))["locations"]]

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within {PATIENCE} s")
            time.sleep(0.02)

    def begin_export(self, agent, key):
        """An export to standard output that has begun; all bytes of it come from finish_export."""
        return subprocess.Popen(
            **self.agents[agent].larder("export", key, "-O", "-"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def finish_export(self, process, bytes_):
        out, err = process.communicate(timeout=4 * PATIENCE)
        self.assertEqual(process.returncode, 0, err.decode())
        self.assertEqual(hashlib.sha256(out).digest(), hashlib.sha256(bytes_).digest())

    def received(self, agent):
        return self.agents[agent].metric('larder_transfer_bytes_total{direction="in",source="peer"}')
