"""The leading tracker is killed while pods write, and read what they have not read before."""

import time
import unittest

import figures
import kube
import pods
import processes
import release
import traffic

NEXT_WRITE = 3  # seconds


class Leader(unittest.TestCase):
    def test_writes_go_on_when_the_leading_tracker_is_killed(self):
        first, second = release.nodes()[:2]
        with (
            pods.namespace("leader"),
            pods.waiting("leader", release.TEST_POD, seeder=first),
            traffic.running("leader", release.TEST_POD) as going,
        ):
            going.read(second, traffic.seed("leader", "seeder", 200))
            going.write(first)
            old = kube.wait_until("a tracker leads", release.leading_tracker)
            begin = time.time()
            processes.kill(old)
            going.wait_for_more(f"writer-{first}", "write", 50)
            going.wait_for_more(f"reader-{second}", "read", 50)
            end = time.time()
            reader, writer = going.log(f"reader-{second}"), going.log(f"writer-{first}")
            print(reader.describe("read", begin, end))
            print(writer.describe("write", begin, end))
            lost = traffic.check("leader", "seeder", writer.succeeded("write"))
            kube.wait_until("every tracker is Ready", lambda: all(map(release.is_ready, release.pods_of("tracker"))))

        write = writer.longest_gap("write", begin, end)
        figures.seconds("kube.leader_killed", write, longest_read_gap=reader.longest_gap("read", begin, end))
        self.assertEqual(reader.failures("read"), [])
        self.assertEqual(writer.failures("write"), [])
        self.assertEqual(lost, [], "acknowledged writes")
        self.assertLess(write, NEXT_WRITE)
