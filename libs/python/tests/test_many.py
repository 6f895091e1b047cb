"""get_many() and create_many() on the wire."""

import unittest
from unittest import mock

import fake_agent
import larder
from content import KIB, MIB, pattern
from fake_agent import Refused
from test_uds import UdsTest


class ManyTest(UdsTest):
    def test_many_small_ones_share_records(self):
        items = {f"k/{i}": pattern(4 * KIB, i) for i in range(200)}
        self.client.create_many(items)
        self.assertEqual(self.agent.batched[fake_agent.PUT], 200)
        self.assertLessEqual(self.agent.seen[fake_agent.BATCH], 10)
        with self.client.get_many(items) as found:
            self.assertEqual([obj.buffer.tobytes() for obj in found], list(items.values()))
        self.assertEqual(self.agent.batched[fake_agent.GET], 200)
        self.assertEqual((self.agent.seen[fake_agent.PUT], self.agent.seen[fake_agent.GET]), (0, 0))

    def test_what_does_not_fit_a_record_goes_alone(self):
        half, large = pattern(40 * KIB), pattern(64 * KIB + 1)
        self.client.create_many({"a": half, "large": large, "b": half, "c": half})
        self.assertEqual(self.agent.batched[fake_agent.PUT], 3)
        self.assertEqual(self.agent.seen[fake_agent.BATCH], 2)
        self.assertEqual(self.agent.objects["large"].data, large)

    def test_a_put_that_may_not_wait_with_the_others_is_asked_alone(self):
        self.agent.answers[fake_agent.PUT] = Refused(fake_agent.RESOURCE_EXHAUSTED, "TOO_MANY_WAITING")
        self.client.create_many({"a": b"1", "b": b"2"})
        self.assertEqual(self.agent.seen[fake_agent.PUT], 1)
        self.assertEqual(self.client.get_bytes("a"), b"1")

    def test_shared_memory_comes_in_batches_too(self):
        items = {f"k/{i}": pattern(70 * KIB, i) for i in range(10)}
        for key, data in items.items():
            self.agent.add(key, data)
        with self.client.get_many(items) as found:
            self.assertEqual([obj.buffer.tobytes() for obj in found], list(items.values()))
            self.assertEqual(self.agent.leases(), 10)
        self.agent.wait_leases(0)
        self.assertEqual(self.agent.batched[fake_agent.RELEASE], 10)
        self.assertEqual(self.agent.seen[fake_agent.RELEASE], 0)
        self.assertEqual(self.agent.seen[fake_agent.READ], 0)

    def test_releases_that_wait_for_others_go_out_before_the_next_request_or_soon(self):
        for key in "abc":
            self.agent.add(key, pattern(MIB))
        found = self.client.get_many("abc")
        found.pop().close()
        self.client.stat("a")
        self.assertEqual(self.agent.leases(), 2)
        found.pop().close()
        self.agent.wait_leases(1)
        found.close()

    def test_lost_descriptors_are_done_without(self):
        self.agent.lose_descriptors = True
        items = {key: pattern(MIB, i) for i, key in enumerate("abc")}
        for key, data in items.items():
            self.agent.add(key, data)
        with self.client.get_many(items) as found:
            self.assertEqual([obj.buffer.tobytes() for obj in found], list(items.values()))
        self.agent.wait_leases(0)

    def test_what_a_lost_connection_cut_off_is_asked_again(self):
        items = {f"k/{i}": pattern(4 * KIB, i) for i in range(100)}
        self.agent.cut.add(fake_agent.BATCH)
        self.assertEqual(len(self.client.create_many(items)), 100)
        self.agent.cut.add(fake_agent.BATCH)
        with self.client.get_many(items) as found:
            self.assertEqual([obj.buffer.tobytes() for obj in found], list(items.values()))
        self.assertEqual(self.agent.accepted, 3)

    def test_answers_of_no_item_end_the_connection(self):
        with mock.patch.dict(fake_agent._HANDLERS, {fake_agent.BATCH: lambda *_: b"\1\0\7\0" + bytes(8)}):
            (found,) = self.client.get_many(["k"], return_errors=True)
        self.assertEqual((found.code, found.reason), (1, "BAD_RECORD"))
        self.client.put("k", b"x")

    def test_a_client_that_cannot_send_reads_meanwhile(self):
        # Keys of more than a socket's buffer, answered with far more.
        data = pattern(60_000)
        keys = ["/".join(["y" * 240] * 4) + f"/{i}" for i in range(256)]
        for key in keys:
            self.agent.add(key, data)
        with self.client.get_many(keys, timeout=fake_agent.PATIENCE) as found:
            self.assertTrue(all(obj.buffer == data for obj in found))

    def test_an_interrupted_call_gives_back_what_came(self):
        for key in "ab":
            self.agent.add(key, pattern(MIB))
        with mock.patch("larder._reading._share", side_effect=KeyboardInterrupt):
            self.assertRaises(KeyboardInterrupt, self.client.get_many, "ab")
        self.client.stat("a")
        self.agent.wait_leases(0)


if __name__ == "__main__":
    unittest.main()
