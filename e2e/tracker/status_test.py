"""`larder tracker status`, while trackers are killed one after the other."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import bin_dir  # noqa: E402
from trackers import GRPC, Cluster, Redis  # noqa: E402

PATIENCE = 60  # seconds


class TrackerStatus(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.cluster = self.enterContext(Cluster(bin_dir() / "larder-tracker", self.dir))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LARDER_")}
        self.addresses = [f"{tracker.host}:{GRPC}" for tracker in self.cluster.trackers]
        self.env = {**kept, "HOME": str(self.dir), "LARDER_TRACKER": ",".join(self.addresses)}

    def larder(self, *args, code=0):
        done = subprocess.run(
            [str(bin_dir() / "larder"), "tracker", "status", *args],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def rows(self, code=0):
        return json.loads(self.larder("-o", "json", code=code).stdout)

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not (rows := condition()):
            self.assertLess(time.monotonic(), end, f"never: {what}")
        return rows

    def led(self, members):
        """The rows, once somebody leads whom so many follow without a lag."""

        def rows():
            now = self.rows()
            leaders = {row["leader"] for row in now if row["reachable"]}
            done = len(leaders) == 1 and None not in leaders
            return now if done and [row["lag_entries"] for row in now].count(0) >= members else None

        return self.until(rows, f"{members} that agree")

    def test_whoever_is_left_tells_what_it_knows(self):
        with Redis(self.cluster.trackers[0].resp) as redis:
            redis.call("SET", "a", "x" * 1000)
        rows = self.led(3)
        self.assertEqual([row["id"] for row in rows], [1, 2, 3])
        self.assertEqual([row["address"] for row in rows], self.addresses)
        self.assertEqual(sorted(row["role"] for row in rows), ["follower", "follower", "leader"])
        for row in rows:
            self.assertGreater(row["log_bytes"], 1000)
            self.assertGreater(row["term"], 0)
            self.assertIsNone(row["error"])

        leader = next(row for row in rows if row["role"] == "leader")["id"]
        self.cluster.trackers[leader - 1].kill()
        rows = self.led(2)
        lost = rows[leader - 1]
        self.assertEqual((lost["id"], lost["reachable"], lost["role"]), (leader, False, None))
        self.assertIsNotNone(lost["error"])
        table = self.larder().stdout.splitlines()
        self.assertEqual(len(table), 4, table)
        self.assertIn("no: ", table[leader])
        answer = self.larder("-q").stdout.split()
        self.assertEqual(answer, [address for i, address in enumerate(self.addresses) if i != leader - 1])

        left = leader % 3 + 1
        other = left % 3 + 1
        self.cluster.trackers[other - 1].kill()
        rows = self.rows()
        self.assertEqual([row["reachable"] for row in rows], [i + 1 == left for i in range(3)])
        self.assertEqual(rows[left - 1]["id"], left)

        self.cluster.trackers[left - 1].kill()
        self.assertEqual([row["reachable"] for row in self.rows(code=7)], [False] * 3)
        self.assertIn("none of 3 answers", self.larder(code=7).stderr)

    def test_somebody_has_to_be_named(self):
        del self.env["LARDER_TRACKER"]
        self.assertIn("--tracker", self.larder(code=2).stderr)
        self.assertEqual(len(self.larder("--tracker", self.addresses[0], "-q").stdout.split()), 1)
        self.assertIn("nowhere", self.larder("--tracker", "nowhere", code=2).stderr)


if __name__ == "__main__":
    unittest.main()
