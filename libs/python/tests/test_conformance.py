"""What holds with every agent. LARDER_TEST_ENDPOINT names a real one; without it the fake one serves."""

import gc
import hashlib
import os
import tempfile
import threading
import unittest
import uuid
import warnings
from unittest import mock

import larder
from larder import _wire
from content import KIB, MIB, pattern
from fake_agent import PATIENCE, FakeAgent

SIZES = (0, 1, 5, 4095, 64 * KIB, 64 * KIB + 1, 300 * KIB, 5 * MIB + 7)


class ConformanceTest(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("error", ResourceWarning)
        endpoint = os.environ.get("LARDER_TEST_ENDPOINT")
        if endpoint is None:
            directory = self.enterContext(tempfile.TemporaryDirectory())
            agent = FakeAgent(directory)
            self.addCleanup(agent.close)
            endpoint = agent.endpoint
        self.client = larder.connect(endpoint, timeout=PATIENCE)
        self.addCleanup(self.client.close)
        self.prefix = f"test/{uuid.uuid4().hex}/"

    def key(self, name="k"):
        return self.prefix + name

    def test_what_the_readme_shows_works(self):
        with self.client.create(key=self.key(), meta={"ttl": 60}) as obj:
            obj.write(b"Hello")
            obj.seal()
        self.assertEqual(obj.id, self.key())
        with self.client.get(obj.id) as obj:
            self.assertEqual(obj.buffer.tobytes(), b"Hello")

    def test_bytes_of_all_sizes_come_back_whole_however_they_were_written(self):
        def by_put(key, data):
            return self.client.put(key, data)

        def by_one_write(key, data):
            with self.client.create(key) as obj:
                obj.write(data)
                return obj.seal()

        def by_many_writes(key, data):
            with self.client.create(key) as obj:
                for at in range(0, len(data), 50_001):
                    self.assertEqual(obj.write(data[at : at + 50_001]), len(data[at : at + 50_001]))
                return obj.seal()

        def by_buffer(key, data):
            with self.client.create(key) as obj:
                obj.buffer(len(data))[:] = data
                return obj.seal()

        for write in (by_put, by_one_write, by_many_writes, by_buffer):
            for size in SIZES:
                with self.subTest(write=write.__name__, size=size):
                    key, data = self.key(f"{write.__name__}/{size}"), pattern(size, seed=size)
                    result = write(key, data)
                    self.assertEqual((result.key, result.size, result.existed), (key, size, False))
                    self.assertEqual(self.client.get_bytes(key), data)

    def test_a_buffer_is_zero_where_nothing_was_written(self):
        with self.client.create(self.key()) as obj:
            obj.buffer(100 * KIB)[10:13] = b"abc"
            obj.seal()
        self.assertEqual(self.client.get_bytes(self.key()), bytes(10) + b"abc" + bytes(100 * KIB - 13))

    def test_a_seal_tells_epoch_digest_ack_and_durability(self):
        result = self.client.put(self.key(), b"x", {"ack": "local"})
        self.assertGreater(result.epoch, 0)
        self.assertEqual(result.ack, "local")
        self.assertIn(result.durability, ("memory", "async", "sync"))
        self.assertRegex(result.digest, "crc32c:[0-9a-f]{8}")

    def test_without_a_key_the_content_names_the_object(self):
        data = self.prefix.encode()
        name = "sha256:" + hashlib.sha256(data).hexdigest()
        with self.client.create() as obj:
            self.assertIsNone(obj.id)
            obj.write(data)
            self.assertEqual(obj.seal().digest, name)
        self.assertEqual(obj.id, name)
        self.assertTrue(self.client.put(None, data).existed)
        self.assertEqual(self.client.get_bytes(name, digest=name), data)

    def test_leaving_with_before_the_seal_discards(self):
        with self.client.create(self.key()) as obj:
            obj.write(b"x")
        self.assertFalse(self.client.exists(self.key()))
        with self.assertRaises(larder.Conflict):
            obj.seal()

    def test_an_exception_in_with_discards_and_goes_through(self):
        with self.assertRaises(ZeroDivisionError):
            with self.client.create(self.key()) as obj:
                obj.write(b"x" * MIB)
                raise ZeroDivisionError
        self.assertFalse(self.client.exists(self.key()))

    def test_an_unsealed_object_is_not_visible(self):
        with self.client.create(self.key()) as obj:
            obj.write(b"x")
            with self.assertRaises(larder.NotFound):
                self.client.get(self.key())

    def test_the_same_content_again_succeeds_and_says_so(self):
        first = self.client.put(self.key(), b"same")
        with self.client.create(self.key()) as obj:
            obj.write(b"same")
            again = obj.seal()
        self.assertTrue(again.existed)
        self.assertEqual(again.epoch, first.epoch)

    def test_other_content_under_a_taken_key_conflicts(self):
        self.client.put(self.key(), b"one")
        with self.assertRaises(larder.Conflict) as caught:
            self.client.put(self.key(), b"two")
        self.assertEqual((caught.exception.code, caught.exception.reason), (4, "EXISTS"))
        self.assertEqual(self.client.get_bytes(self.key()), b"one")

    def test_overwrite_gives_a_new_epoch_and_leaves_open_views_alone(self):
        data = pattern(200 * KIB)
        first = self.client.put(self.key(), data)
        with self.client.get(self.key()) as old:
            second = self.client.put(self.key(), b"new", overwrite=True)
            self.assertGreater(second.epoch, first.epoch)
            self.assertEqual(old.buffer, data)
        self.assertEqual(self.client.get_bytes(self.key()), b"new")

    def test_a_deleted_object_is_gone_for_others_and_stays_for_who_has_it(self):
        data = pattern(200 * KIB)
        self.client.put(self.key(), data)
        with self.client.get(self.key()) as obj:
            self.client.delete(self.key())
            self.assertFalse(self.client.exists(self.key()))
            self.assertEqual(obj.buffer, data)
        with self.assertRaises(larder.NotFound):
            self.client.delete(self.key())

    def test_a_second_creator_waits_for_the_first(self):
        results = []
        with self.client.create(self.key()) as obj:
            second = threading.Thread(target=lambda: results.append(self.client.put(self.key(), b"same")))
            second.start()
            obj.write(b"same")
            first = obj.seal()
        second.join(PATIENCE)
        self.assertEqual(results[0].epoch, first.epoch)
        self.assertTrue(results[0].existed)

    def test_many_waiting_creators_keep_the_first_from_nothing(self):
        with self.client.create(self.key()) as obj:
            results = []
            waiters = [
                threading.Thread(target=lambda: results.append(self.client.put(self.key(), b"same"))) for _ in range(80)
            ]
            for waiter in waiters:
                waiter.start()
            obj.write(pattern(2 * MIB))
            obj.discard()
        for waiter in waiters:
            waiter.join(PATIENCE)
        self.assertEqual(sorted(result.existed for result in results), [False] + [True] * 79)

    def test_a_view_is_read_only(self):
        for size in (5, 200 * KIB):
            self.client.put(self.key(str(size)), bytes(size))
            with self.client.get(self.key(str(size))) as obj, self.assertRaises(TypeError):
                obj.buffer[0] = 1

    def test_kept_views_outlive_with(self):
        data = pattern(3 * MIB)
        self.client.put(self.key(), data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # given where they hold a lease: the agent shares memory
            with self.client.get(self.key()) as obj:
                part = obj.buffer[MIB : MIB + 1000]
        self.assertEqual(part, data[MIB : MIB + 1000])
        with self.assertRaises(larder.Conflict):
            obj.buffer

    def test_a_writer_that_is_dropped_is_discarded_with_a_warning(self):
        obj = self.client.create(self.key())
        obj.write(b"x")
        with self.assertWarns(ResourceWarning):
            del obj
            gc.collect()
        self.client.put(self.key(), b"other")

    def test_a_buffer_of_a_bad_size_is_refused_and_the_creation_goes_on(self):
        with self.client.create(self.key()) as obj:
            for size in (-1, 1.5, 1 << 63):
                with self.assertRaises(larder.InvalidArgument) as caught:
                    obj.buffer(size)
                self.assertEqual(caught.exception.reason, "BAD_SIZE")
            obj.buffer(1)
            self.assertEqual(obj.seal().size, 1)

    def test_a_list_of_what_no_key_can_be_is_refused(self):
        self.assertRaises(larder.InvalidArgument, self.client.list, "\ud800")
        self.assertRaises(larder.InvalidArgument, self.client.list, after="\ud800")

    def test_write_and_buffer_do_not_mix(self):
        with self.client.create(self.key("a")) as obj:
            obj.write(b"x")
            with self.assertRaises(larder.Conflict) as caught:
                obj.buffer(1)
        self.assertEqual(caught.exception.reason, "MIXED_WRITE")
        with self.client.create(self.key("b")) as obj:
            obj.buffer(1)
            self.assertRaises(larder.Conflict, obj.write, b"x")
            self.assertRaises(larder.Conflict, obj.buffer, 1)

    def test_a_write_buffer_kept_past_the_seal_changes_nothing(self):
        for size in (1000, 300 * KIB):
            with self.subTest(size=size), self.client.create(self.key(str(size))) as obj:
                view = obj.buffer(size)
                view[:] = pattern(size)
                obj.seal()
                view[:5] = b"late!"
                self.assertEqual(self.client.get_bytes(self.key(str(size))), pattern(size))

    def test_a_sealed_object_takes_no_more_bytes(self):
        with self.client.create(self.key()) as obj:
            obj.write(b"x")
            result = obj.seal()
            self.assertIs(obj.seal(), result)
            self.assertRaises(larder.Conflict, obj.write, b"y")

    def test_a_wrong_digest_is_data_loss_and_publishes_nothing(self):
        wrong = "sha256:" + "0" * 64
        with self.assertRaises(larder.DataLoss):
            self.client.put(self.key(), b"x", digest=wrong)
        with self.client.create(self.key(), digest=wrong) as obj:
            obj.write(b"x")
            with self.assertRaises(larder.DataLoss) as caught:
                obj.seal()
        self.assertEqual(caught.exception.code, 9)
        self.assertFalse(self.client.exists(self.key()))

    def test_a_get_checks_the_digest_asked_for(self):
        data = pattern(100 * KIB)
        name = "sha256:" + hashlib.sha256(data).hexdigest()
        self.assertEqual(self.client.put(self.key(), data, digest=name).digest, name)
        self.client.get(self.key(), digest=name.upper().replace("SHA", "sha")).close()
        with self.assertRaises(larder.DataLoss):
            self.client.get(self.key(), digest="sha256:" + "0" * 64)

    def test_stat_tells_what_the_creator_said(self):
        meta = {"ttl": "5m", "tags": ["a", "b"], "application": "train", "replicas": 1, "piece_length": "2MiB"}
        self.client.put(self.key(), b"12345", meta)
        info = self.client.stat(self.key())
        self.assertEqual((info.key, info.state, info.size, info.pinned), (self.key(), "SEALED", 5, False))
        self.assertEqual((set(info.tags), info.application, info.wanted_replicas), ({"a", "b"}, "train", 1))
        self.assertTrue(200 < info.ttl_left_seconds <= 300, info.ttl_left_seconds)
        self.assertEqual(info.piece_length, 2 * MIB)
        self.client.put(self.key("for-ever"), b"")
        self.assertIsNone(self.client.stat(self.key("for-ever")).ttl_left_seconds)

    def test_pin_and_unpin_show_in_stat(self):
        self.client.put(self.key(), b"x")
        self.client.pin(self.key())
        self.assertTrue(self.client.stat(self.key()).pinned)
        self.client.unpin(self.key())
        self.assertFalse(self.client.stat(self.key()).pinned)

    def test_list_gives_all_keys_of_a_prefix_in_order_over_pages(self):
        keys = [self.key(f"list/{i:04}") for i in range(1203)]
        self.client.create_many((key, b"x") for key in reversed(keys))
        self.client.put(self.key("lisu"), b"x")
        self.assertEqual([info.key for info in self.client.list(self.key("list/"))], keys)
        self.assertEqual([info.key for info in self.client.list(self.key("list/"), limit=7)], keys[:7])
        after = self.client.list(self.key("list/"), after=keys[1200])
        self.assertEqual([info.key for info in after], keys[1201:])

    def test_a_list_may_be_of_this_node_alone(self):
        self.client.put(self.key("here"), b"x")
        with mock.patch.object(_wire, "list_", wraps=_wire.list_) as asked:
            self.assertEqual([info.key for info in self.client.list(self.key("here"), local=True)], [self.key("here")])
        asked.assert_called_once_with(self.key("here"), "", 1000, True)

    def test_create_many_and_get_many_keep_the_order_and_mix_sizes(self):
        items = {self.key(str(i)): pattern(size, i) for i, size in enumerate(SIZES * 5)}
        results = self.client.create_many(items)
        self.assertEqual([result.key for result in results], list(items))
        with self.client.get_many(items) as found:
            self.assertEqual([obj.buffer.tobytes() for obj in found], list(items.values()))

    def test_a_thousand_objects_are_created_and_got_at_once(self):
        items = {self.key(str(i)): pattern(70 * KIB if i % 10 == 0 else 4 * KIB, i) for i in range(1000)}
        self.assertEqual([result.size for result in self.client.create_many(items)], list(map(len, items.values())))
        with self.client.get_many(items) as found:
            for obj, data in zip(found, items.values()):
                self.assertEqual(obj.buffer, data)

    def test_one_failure_of_many_fails_no_neighbour(self):
        self.client.put(self.key("b"), b"taken")
        items = [(self.key("a"), b"1"), (self.key("b"), b"2"), (None, self.prefix.encode())]
        results = self.client.create_many(items, return_errors=True)
        self.assertEqual([type(result) for result in results], [larder.SealResult, larder.Conflict, larder.SealResult])
        with self.client.get_many([self.key("a"), self.key("none")], return_errors=True) as found:
            self.assertEqual(found[0].buffer, b"1")
            self.assertIsInstance(found[1], larder.NotFound)
        self.assertRaises(larder.Conflict, self.client.create_many, items)
        self.assertRaises(larder.NotFound, self.client.get_many, [self.key("a"), self.key("none")])

    def test_threads_share_a_client(self):
        failures = []

        def work(seed):
            try:
                for i in range(20):
                    key, data = self.key(f"{seed}/{i}"), pattern((seed * 7919 + i * 31337) % (200 * KIB), seed)
                    self.client.put(key, data)
                    with self.client.get(key) as obj:
                        if obj.buffer != data:
                            failures.append(key)
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(failures, [])

    def test_any_contiguous_buffer_can_be_written(self):
        words = memoryview(bytearray(range(16))).cast("I")
        for i, data in enumerate((bytearray(b"ab"), words, memoryview(b""))):
            self.client.put(self.key(str(i)), data)
            self.assertEqual(self.client.get_bytes(self.key(str(i))), bytes(data))
        for data in ("text", 5, memoryview(b"abcd")[::2]):
            self.assertRaises(larder.InvalidArgument, self.client.put, self.key(), data)

    def test_open_handles_outlive_the_client(self):
        data = pattern(MIB)
        self.client.put(self.key(), data)
        reader, writer = self.client.get(self.key()), self.client.create(self.key("w"))
        self.client.close()
        self.assertEqual(reader.buffer, data)
        writer.write(data)
        self.assertEqual(writer.seal().size, MIB)
        reader.close()
        with self.assertRaises(larder.Conflict):
            self.client.stat(self.key())


if __name__ == "__main__":
    unittest.main()
