"""A forked child must not speak on its parent's connection."""

import os
import signal
import threading
import unittest

import fake_agent
import larder
from content import MIB, pattern
from fake_agent import PATIENCE
from test_uds import UdsTest


class ForkTest(UdsTest):
    def in_child(self, work):
        """Whether `work()` was true in a forked child."""
        child = os.fork()
        if child == 0:
            signal.alarm(int(PATIENCE))  # ends it if it hangs
            try:
                os._exit(0 if work() else 1)
            except BaseException:
                os._exit(2)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_a_child_has_a_connection_of_its_own_and_leaves_the_parents_alone(self):
        self.agent.add("k", pattern(MIB))
        with self.client.get("k") as obj:

            def child():
                inherited = obj.buffer == pattern(MIB)
                obj.close()
                return inherited and self.client.get_bytes("k") == pattern(MIB)

            self.assertTrue(self.in_child(child))
            self.agent.wait_leases(1)
            self.assertEqual(self.agent.seen[fake_agent.RELEASE], 1)  # of the child's own get
            self.assertEqual(self.client.stat("k").size, MIB)
        self.assertEqual(self.agent.accepted, 2)

    def test_a_childs_end_does_not_touch_the_parents_creation(self):
        with self.client.create("k") as obj:
            obj.write(b"x")

            def child():
                with self.assertRaises(larder.Unavailable):
                    obj.seal()
                obj.discard()
                return True

            self.assertTrue(self.in_child(child))
            self.assertEqual(obj.seal().size, 1)

    def test_a_child_closes_though_a_thread_of_its_parent_looks_for_the_agent(self):
        self.agent.stop()
        tried, forked = threading.Event(), threading.Event()

        def pause(_):
            tried.set()
            forked.wait(PATIENCE)

        self.pauses.side_effect = pause
        thread = threading.Thread(target=lambda: self.assertRaises(larder.Unavailable, self.client.stat, "k"))
        thread.start()
        self.assertTrue(tried.wait(PATIENCE))

        def child():
            with self.client:
                return True

        self.assertTrue(self.in_child(child))
        forked.set()
        thread.join(PATIENCE)

    def test_a_child_discards_though_a_thread_of_its_parent_writes(self):
        with self.client.create("k") as obj:
            with self.agent.hold(fake_agent.WRITE):
                thread = threading.Thread(target=obj.write, args=(pattern(20 * MIB),))
                thread.start()
                self.agent.wait_seen(fake_agent.WRITE)

                def child():
                    obj.discard()
                    return True

                self.assertTrue(self.in_child(child))
            thread.join(PATIENCE)
            self.assertEqual(obj.seal().size, 20 * MIB)


if __name__ == "__main__":
    unittest.main()
