"""What the agent says of its own accord: REVOKE and LAPSED."""

import unittest

import fake_agent
import larder
from content import MIB, pattern
from test_uds import UdsTest


class RevokedTest(UdsTest):
    def setUp(self):
        super().setUp()
        self.agent.add("k", pattern(MIB))

    def segment(self, key="k"):
        return self.agent.objects[key].extents[0][0].number

    def test_an_idle_client_gives_back_segments_that_nobody_reads(self):
        self.get_bytes("k")
        self.agent.revoke([self.segment()])
        self.agent.wait_seen(fake_agent.UNMAPPED)
        self.assertFalse(self.agent.is_mapped_for_reading("k"))
        with self.agent.changed:
            self.assertEqual(self.agent.connections[0].known, set())
        self.assertEqual(self.get_bytes("k"), pattern(MIB))

    def test_a_segment_that_is_read_goes_with_its_last_view(self):
        self.agent.add("other", pattern(MIB, 1))
        self.get_bytes("other")
        with self.client.get("k") as obj:
            self.agent.revoke([self.segment(), self.segment("other")])
            self.agent.wait_seen(fake_agent.UNMAPPED)  # the other's
            self.assertTrue(self.agent.is_mapped_for_reading("k"))
            self.assertFalse(self.agent.is_mapped_for_reading("other"))
            self.assertEqual(obj.buffer, pattern(MIB))
        self.agent.wait_seen(fake_agent.UNMAPPED, 2)
        self.assertFalse(self.agent.is_mapped_for_reading("k"))

    def test_a_segment_that_is_not_here_is_named_as_given_back(self):
        with self.client.get("k"):
            self.agent.revoke([12345])
            self.agent.wait_seen(fake_agent.UNMAPPED)


class LapsedTest(UdsTest):
    knobs = {"lease_ttl_ms": 60}

    def pass_a_renewal(self):
        """Returns once the client has read all that was said before."""
        self.agent.wait_seen(fake_agent.RENEW, self.agent.seen[fake_agent.RENEW] + 2)

    def test_a_creation_fails_without_asking(self):
        with self.client.create("model") as obj:
            self.agent.lapse(tell=True)
            self.pass_a_renewal()
            with self.assertRaises(larder.Conflict) as caught:
                obj.write(pattern(MIB))
        self.assertEqual((caught.exception.reason, caught.exception.status), ("LEASE_LOST", "ABORTED"))
        self.assertRegex(str(caught.exception), f"'model'.*epoch {obj.epoch}")
        self.assertEqual(self.agent.seen[fake_agent.WRITE], 0)

    def test_a_reader_has_its_lease_again_and_its_views_stay_good(self):
        self.agent.add("k", pattern(MIB))
        for tell in (True, False):  # by LAPSED, by RENEW
            with self.subTest(tell=tell), self.client.get("k") as obj:
                before = self.agent.batched[fake_agent.GET]
                self.agent.lapse(tell)
                self.agent.wait_leases(1)
                self.assertEqual(self.agent.batched[fake_agent.GET], before + 1)
                self.assertEqual(obj.buffer, pattern(MIB))
            self.agent.wait_leases(0)

    def test_a_reader_whose_object_is_gone_keeps_its_bytes_and_no_lease(self):
        self.agent.add("replaced", pattern(MIB))
        self.agent.add("deleted", pattern(MIB, 1))
        with self.client.get("replaced") as replaced, self.client.get("deleted") as deleted:
            with self.agent.changed:
                self.agent.add("replaced", pattern(MIB, 2))
                del self.agent.objects["deleted"]
                self.agent.lapse(tell=True)
            self.agent.wait_seen(fake_agent.RELEASE)  # of the new object, which nobody asked for
            self.agent.wait_leases(0)
            self.assertEqual(replaced.buffer, pattern(MIB))
            self.assertEqual(deleted.buffer, pattern(MIB, 1))
        self.client.stat("replaced")
        self.assertEqual(self.agent.seen[fake_agent.RELEASE], 1)


if __name__ == "__main__":
    unittest.main()
