"""Three trackers as processes: what is acknowledged stays, whoever is killed."""

import os
import pathlib
import signal
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import bin_dir  # noqa: E402
from load import Load  # noqa: E402
from trackers import Cluster, Redis, RedisError  # noqa: E402

PATIENCE = 60  # seconds; an election takes one or two
KILLS = int(os.environ.get("LARDER_KILLS", "3"))


class Trackers(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.cluster = self.enterContext(Cluster(bin_dir() / "larder-tracker", self.dir))
        self.one = self.cluster.trackers[0]

    def until(self, condition, what):
        end = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), end, f"{what}: not within {PATIENCE} s")
            time.sleep(0.005)

    def await_more(self, load, count):
        wanted = load.acknowledged + count
        self.until(lambda: load.acknowledged >= wanted, f"{count} more writes")

    def answers(self, tracker):
        with Redis(tracker.resp) as redis:
            try:
                redis.call("GET", "any")
                return True
            except RedisError:
                return False

    def test_what_one_writes_all_read(self):
        for tracker in self.cluster.trackers:
            with Redis(tracker.resp) as redis:
                self.assertEqual(redis.call("SET", f"by {tracker.raft_id}", "x"), b"OK")
                self.assertEqual(redis.call("SET", "shared", str(tracker.raft_id)), b"OK")
            for other in self.cluster.trackers:
                with Redis(other.resp) as redis:
                    self.assertEqual(redis.call("GET", f"by {tracker.raft_id}"), b"x")
                    self.assertEqual(redis.call("GET", "shared"), str(tracker.raft_id).encode())
        with Redis(self.one.resp) as redis:
            self.assertEqual(redis.call("DEL", "by 1", "by 2", "none"), 2)
            self.assertIsNone(redis.call("GET", "by 1"))

    def test_the_leader_is_killed_under_load(self):
        gaps = []
        with Load(self.cluster) as load:
            for _ in range(KILLS):
                self.await_more(load, 50)
                leader = self.cluster.leader()
                leader.kill()
                begun = time.monotonic()
                self.await_more(load, 1)
                gaps.append(time.monotonic() - begun)
                leader.start()
                self.until(lambda: self.answers(leader), "it takes part again")
        load.check(self)
        print(f"{KILLS} kills, {load.acknowledged} acknowledged; next one after {max(gaps):.2f} s at most")

    def test_all_are_killed_at_once_under_load(self):
        with Load(self.cluster) as load:
            self.await_more(load, 200)
            for tracker in self.cluster.trackers:
                tracker.signal(signal.SIGKILL)
            for tracker in self.cluster.trackers:
                tracker.wait()
            for tracker in self.cluster.trackers:
                tracker.start()
            self.await_more(load, 50)
        load.check(self)

    def test_a_stopped_leader_is_replaced_and_takes_its_place_again(self):
        with Load(self.cluster) as load:
            self.await_more(load, 50)
            leader = self.cluster.leader()
            leader.signal(signal.SIGSTOP)
            # Writers that are connected to it wait; others go on.
            self.await_more(load, 50)
            leader.signal(signal.SIGCONT)
            self.until(lambda: self.answers(leader), "it takes part again")
            self.await_more(load, 50)
        load.check(self)

    def test_without_a_quorum_calls_end_in_bounded_time_and_nothing_is_lost(self):
        with Redis(self.one.resp) as redis:
            self.assertEqual(redis.call("SET", "k", "before"), b"OK")
        for tracker in self.cluster.trackers[1:]:
            tracker.kill()
        with Redis(self.one.resp) as redis:
            for command in (("SET", "k", "without"), ("GET", "k"), ("DEL", "k"), ("SET", "k", "without")):
                begun = time.monotonic()
                with self.assertRaises(RedisError) as raised:
                    redis.call(*command)
                self.assertIn(str(raised.exception).split()[0], ("CLUSTERDOWN", "TIMEOUT"))
                self.assertLess(time.monotonic() - begun, 30)  # 3 s, with 10 times as much room
            self.assertEqual(redis.call("PING"), b"PONG")
        self.cluster.trackers[1].start()
        with Redis(self.one.resp) as redis:
            self.until(lambda: self.answers(self.one), "a quorum is there again")
            # What was given up as unknown may have been appended by the leader of that time.
            self.assertIn(redis.call("GET", "k"), (b"before", b"without", None))

    def test_a_leader_that_is_told_to_stop_hands_over(self):
        with Load(self.cluster) as load:
            self.await_more(load, 50)
            self.cluster.leader().stop()
            self.await_more(load, 50)
            for tracker in self.cluster.trackers:
                if not tracker.running:
                    tracker.start()
        load.check(self)

    def test_a_directory_belongs_to_one_tracker(self):
        code, says = self.one.run_to_its_end(listen_raft="127.0.0.1:0", listen_resp="")
        self.assertEqual(code, 4, says)
        self.one.stop()
        code, says = self.one.run_to_its_end(raft_id="2", initial_cluster="")
        self.assertEqual(code, 4, says)
        self.assertIn("is member 1 of cluster 'e2e', not member 2", says)
        code, says = self.one.run_to_its_end(cluster="other")
        self.assertEqual(code, 4, says)
        self.one.start()

    def test_a_damaged_log_is_not_started_on(self):
        with Redis(self.one.resp) as redis:
            for i in range(200):
                redis.call("SET", f"k{i}", "v" * 500)
        self.one.stop()
        logs = sorted((self.one.data / "log/db").glob("*.log"))
        damaged = bytearray(logs[-1].read_bytes())
        damaged[len(damaged) // 2] ^= 0x10
        logs[-1].write_bytes(damaged)
        code, says = self.one.run_to_its_end()
        self.assertEqual(code, 9, says)
        self.assertIn(str(self.one.data), says)
        with Redis(self.cluster.trackers[1].resp) as redis:
            self.until(lambda: self.answers(self.cluster.trackers[1]), "the others go on")
            self.assertEqual(redis.call("GET", "k7"), b"v" * 500)


if __name__ == "__main__":
    unittest.main()
