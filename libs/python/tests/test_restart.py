"""A client when its agent ends and another takes its place."""

import threading
import unittest

import fake_agent
import larder
from content import KIB, MIB, pattern
from fake_agent import PATIENCE
from test_fork import ForkTest
from test_uds import UdsTest


class RestartTest(UdsTest):
    knobs = {"lease_ttl_ms": 60}  # looked after every 20 ms

    def connect(self, **options):
        return super().connect(**{"reconnect_window": PATIENCE, **options})

    def wait(self, condition):
        with self.agent.changed:
            self.agent._until(condition)

    def test_readers_have_their_leases_again_though_nobody_calls(self):
        self.agent.add("k", pattern(MIB))
        with self.client.get("k") as obj:
            self.agent.restart()
            self.agent.wait_leases(1)
            self.assertEqual(self.agent.accepted, 2)
            self.assertEqual(self.agent.batched[fake_agent.GET], 1)
            self.assertEqual(obj.buffer, pattern(MIB))
            self.client.delete("k")
            self.assertEqual(self.agent.accepted, 2)
        self.agent.wait_leases(0)

    def test_bytes_of_earlier_agents_are_told_until_they_are_gone(self):
        for key in "abc":
            self.agent.add(key, pattern(MIB))
        size = MIB + fake_agent.PAGE  # the fake's segments
        a, b, idle = self.client.get("a"), self.client.get("b"), self.client.get("c")
        idle.close()
        self.agent.restart()
        self.wait(lambda: len(self.agent.hellos) == 2)
        self.assertEqual(self.agent.hellos[1][1], 2 * size)
        a.close()
        self.wait(lambda: self.agent.earlier[-1:] == [size])
        self.agent.restart()
        self.wait(lambda: len(self.agent.hellos) == 3)
        self.assertEqual(self.agent.hellos[2][1], size)
        b.close()
        self.wait(lambda: self.agent.earlier[-1:] == [0])

    def test_a_window_that_is_still_written_to_is_of_an_earlier_agent_too(self):
        with self.client.create("w") as obj:
            view = obj.buffer(2 * MIB)
            self.agent.restart()
            self.assertFalse(self.client.exists("w"))
            self.assertEqual(self.agent.hellos[-1][1], 2 * MIB)
            view[:] = bytes(2 * MIB)  # still there to be written to
            self.assertRaises(larder.Unavailable, obj.seal)
        self.wait(lambda: self.agent.earlier[-1:] == [0])

    def test_a_lost_creation_fails_in_whatever_comes_next(self):
        calls = {
            "write": lambda obj: obj.write(pattern(200 * KIB)),
            "buffer": lambda obj: obj.buffer(10),
            "seal": lambda obj: obj.seal(),
        }
        for name, call in calls.items():
            with self.subTest(name), self.client.create(name) as obj:
                self.agent.restart()
                self.client.list()  # so the loss is known
                with self.assertRaises(larder.Unavailable) as caught:
                    call(obj)
                self.assertRegex(str(caught.exception), f"'{name}'.*epoch {obj.epoch}")
                self.assertFalse(self.client.exists(name))

    def test_calls_wait_for_the_next_agent(self):
        self.client.put("k", b"x")
        self.agent.stop()
        tried_in_vain = threading.Event()
        self.pauses.side_effect = lambda _: tried_in_vain.set()
        found = []
        threads = [threading.Thread(target=lambda: found.append(self.client.get_bytes("k"))) for _ in range(3)]
        for thread in threads:
            thread.start()
        self.assertTrue(tried_in_vain.wait(PATIENCE))
        self.agent.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(found, [b"x"] * 3)

    def test_when_the_window_ends_the_error_says_where_and_how_long(self):
        client = self.connect(reconnect_window=0.05)
        self.agent.stop()
        with self.assertRaises(larder.Unavailable) as caught:
            client.stat("k")
        self.assertIn(self.agent.path, str(caught.exception))
        self.assertIn("0.05 s", str(caught.exception))
        for found in client.get_many(["a", "b"], return_errors=True):
            self.assertIsInstance(found, larder.Unavailable)

    def test_no_pause_is_longer_than_a_second(self):
        client = self.connect(reconnect_window=0.05)
        self.agent.stop()
        self.pauses.reset_mock()
        self.assertRaises(larder.Unavailable, client.stat, "k")
        self.assertLessEqual(max(call.args[0] for call in self.pauses.call_args_list), 1.0)

    def test_a_closed_client_looks_for_nobody(self):
        self.agent.add("k", pattern(MIB))
        with self.client.get("k") as obj:
            keeper = self.client._transport._connection._keeper
            self.client.close()
            self.agent.restart()
            keeper.join(PATIENCE)
            self.assertFalse(keeper.is_alive())
            self.assertEqual(obj.buffer, pattern(MIB))
        self.assertEqual(self.agent.accepted, 1)


class ForkRestartTest(UdsTest):
    in_child = ForkTest.in_child

    def test_a_child_tells_nothing_of_its_parents_mappings_and_asks_for_none_of_its_leases(self):
        self.agent.add("k", pattern(MIB))
        with self.client.get("k"):
            self.assertTrue(self.in_child(lambda: not self.client.exists("none")))
        self.assertEqual([hello[1] for hello in self.agent.hellos], [0, 0])
        self.assertEqual(self.agent.batched[fake_agent.GET], 0)


if __name__ == "__main__":
    unittest.main()
