"""Mappings that nobody asks for are given back to the agent."""

import unittest

import fake_agent
from content import MIB, pattern
from fake_agent import PATIENCE
from test_uds import UdsTest


class IdleTest(UdsTest):
    knobs = {"lease_ttl_ms": 60}

    def test_mappings_that_nobody_asks_for_are_dropped_and_the_agent_is_told(self):
        data = pattern(MIB)
        self.agent.add("k", data)
        with self.client.get("k") as obj:
            self.agent.wait_seen(fake_agent.RENEW, 4)  # as many looks
            self.assertEqual(self.agent.seen[fake_agent.UNMAPPED], 0)
            self.assertEqual(obj.buffer, data)
            self.assertTrue(self.agent.is_mapped_for_reading("k"))
        self.agent.wait_seen(fake_agent.UNMAPPED)
        self.assertFalse(self.agent.is_mapped_for_reading("k"))
        with self.agent.changed:
            self.assertEqual(self.agent.connections[0].known, set())
        self.assertEqual(self.get_bytes("k"), data)
        self.assertEqual(self.agent.seen[fake_agent.READ], 0)
        self.agent.wait_seen(fake_agent.UNMAPPED, 2)

    def test_the_keeper_ends_when_neither_leases_nor_mappings_are_left(self):
        self.agent.add("k", pattern(MIB))
        with self.client.get("k"):
            keeper = self.client._transport._connection._keeper
            self.assertTrue(keeper.daemon)
        keeper.join(PATIENCE)
        self.assertFalse(keeper.is_alive())
        self.assertFalse(self.agent.is_mapped_for_reading("k"))
        self.agent.wait_seen(fake_agent.UNMAPPED)


if __name__ == "__main__":
    unittest.main()
