"""What the uds:// transport does when things go wrong, and what it sends. Against the fake agent, which can be told to."""

import gc
import os
import socket
import tempfile
import threading
import time
import unittest
import warnings
from unittest import mock

import fake_agent
import larder
from content import KIB, MIB, pattern
from fake_agent import PATIENCE, FakeAgent, Refused
from larder import _leases, _link
from larder._mapping import Mapping, SegmentCache

PAGE = fake_agent.PAGE


class UdsTest(unittest.TestCase):
    knobs = {}

    def setUp(self):
        warnings.simplefilter("error", ResourceWarning)
        # Back-off is counted, not waited for.
        self.pauses = self.enterContext(mock.patch("larder.uds.time.sleep"))
        self.directory = self.enterContext(tempfile.TemporaryDirectory())
        self.agent = FakeAgent(self.directory, **self.knobs)
        self.addCleanup(self.agent.close)
        self.client = self.connect()

    def connect(self, **options):
        options = {"timeout": PATIENCE, "reconnect_window": 0, **options}
        client = larder.connect(self.agent.endpoint, **options)
        self.addCleanup(client.close)
        return client

    def get_bytes(self, key):
        return self.client.get_bytes(key)


class ConnectTest(UdsTest):
    def test_no_agent_is_unavailable_after_three_retries_and_names_the_path(self):
        self.agent.stop()
        with self.assertRaises(larder.Unavailable) as caught:
            self.connect()
        self.assertIn(self.agent.path, str(caught.exception))
        self.assertTrue(caught.exception.retryable)
        delays = [call.args[0] for call in self.pauses.call_args_list]
        self.assertEqual(len(delays), 3)
        for delay, middle in zip(delays, (0.1, 0.2, 0.4)):
            self.assertTrue(middle * 0.5 <= delay <= middle * 1.5, delays)

    def test_hello_asks_for_the_namespace(self):
        client = self.connect(namespace="team-a")
        self.assertEqual(client.namespace, "team-a")
        self.assertEqual(client.node, "node-0")
        self.assertEqual(self.agent.hellos[-1], ("team-a", 0, "larder-python"))

    def test_a_refused_hello_is_not_tried_again(self):
        self.agent.answers[fake_agent.HELLO] = Refused(fake_agent.PERMISSION_DENIED, "FOREIGN_NAMESPACE")
        with self.assertRaises(larder.PermissionDenied) as caught:
            self.connect()
        self.assertEqual(caught.exception.reason, "FOREIGN_NAMESPACE")
        self.pauses.assert_not_called()

    def test_a_kernel_that_is_not_sure_of_the_caller_is_asked_again(self):
        self.agent.answers[fake_agent.HELLO] = Refused(fake_agent.UNAVAILABLE, "CALLER_UNSURE")
        self.connect().put("k", b"x")
        self.assertEqual(self.pauses.call_count, 1)

    def test_the_token_is_that_of_the_session_or_none(self):
        self.agent.token = b"t" * 16
        self.assertEqual(self.connect().token, b"t" * 16)
        self.agent.token = bytes(16)
        self.assertEqual(self.connect().token, b"")

    def test_an_agent_that_does_not_answer_is_unavailable_and_leaves_no_thread(self):
        with (
            self.agent.hold(fake_agent.HELLO),
            mock.patch("larder._connection.HELLO_TIMEOUT", 0.01),
            mock.patch("threading.excepthook") as failed,
        ):
            with self.assertRaises(larder.Unavailable) as caught:
                self.connect(timeout=None)
            for thread in threading.enumerate():
                if thread.name == "larder-keeper":
                    thread.join(PATIENCE)
        self.assertEqual(caught.exception.reason, "NO_AGENT")
        self.assertIn(f"tried to connect 4 times: no answer at {self.agent.path}", str(caught.exception))
        failed.assert_not_called()

    def test_a_path_no_socket_address_can_hold_is_invalid(self):
        self.assertRaises(larder.InvalidArgument, larder.connect, "uds:///" + "x" * 200)

    def test_calls_after_an_agent_restart_go_on(self):
        self.client.put("k", b"x")
        self.agent.restart()
        self.assertEqual(self.client.get_bytes("k"), b"x")
        self.agent.restart()
        self.client.put("l", b"y")
        self.agent.restart()
        with self.client.create("m") as obj:
            obj.seal()
        self.assertEqual(self.agent.accepted, 4)

    def test_a_lost_agent_that_does_not_come_back_is_unavailable(self):
        self.agent.stop()
        with self.assertRaises(larder.Unavailable):
            self.client.stat("k")
        self.assertEqual(self.pauses.call_count, 3)

    def test_a_call_whose_answer_was_lost_is_repeated(self):
        calls = {
            fake_agent.PUT: lambda: self.client.put("k", b"x"),
            fake_agent.STAT: lambda: self.client.stat("k"),
            fake_agent.GET: lambda: self.client.get_bytes("k"),
            fake_agent.LIST: lambda: self.client.list(),
            fake_agent.PIN: lambda: self.client.pin("k"),
            fake_agent.DELETE: lambda: self.client.delete("k"),
        }
        for op, call in calls.items():
            with self.subTest(op=op):
                self.agent.cut.add(op)
                call()
                self.assertEqual(self.agent.cut, set())

    def test_a_create_whose_answer_was_lost_leaves_no_first_creator_to_wait_for(self):
        self.agent.cut.add(fake_agent.CREATE)
        with self.client.create("k") as obj:
            obj.seal()

    def test_an_agent_that_is_stopping_is_left_and_one_that_is_no_member_yet_is_asked_again(self):
        for reason, accepted in (("NODE_FENCED", 1), ("STOPPING", 2)):
            self.agent.answers[fake_agent.CREATE] = Refused(fake_agent.UNAVAILABLE, reason)
            with self.client.create(reason) as obj:
                obj.seal()
            self.assertEqual(self.agent.accepted, accepted, reason)

    def test_another_unavailable_is_the_callers_to_repeat(self):
        self.agent.answers[fake_agent.PUT] = Refused(fake_agent.UNAVAILABLE, "TRACKER_DOWN", "ack tracked")
        with self.assertRaises(larder.Unavailable) as caught:
            self.client.put("k", b"x")
        self.assertEqual(caught.exception.reason, "TRACKER_DOWN")
        self.assertEqual(self.agent.seen[fake_agent.PUT], 1)

    def test_many_calls_cut_off_half_way_all_get_their_answers(self):
        items = {str(i): pattern(100, i) for i in range(60)}
        self.agent.cut.add(fake_agent.PUT)
        self.assertEqual(len(self.client.create_many(items)), 60)
        self.agent.cut.add(fake_agent.GET)
        with self.client.get_many(items) as found:
            self.assertEqual([obj.buffer.tobytes() for obj in found], list(items.values()))

    def test_having_leases_again_takes_no_longer_than_the_call_may(self):
        self.agent.add("k", pattern(MIB))
        client = self.connect(timeout=2)
        with client.get("k"), mock.patch("larder._leases.regain", wraps=_leases.regain) as regain:
            self.agent.restart()
            client.stat("k")
            self.assertLessEqual(regain.call_args.args[2], time.monotonic() + 2)

    def test_open_views_survive_the_agent_and_the_next_hello_tells_of_them(self):
        self.client.put("k", pattern(MIB))
        with self.client.get("k") as obj:
            self.agent.restart()
            self.client.put("other", b"x")
            self.assertEqual(obj.buffer, pattern(MIB))
            self.assertGreaterEqual(self.agent.hellos[-1][1], MIB)
        self.agent.restart()
        self.client.stat("k")
        self.assertEqual(self.agent.hellos[-1][1], 0)

    def test_a_creation_cut_off_is_unavailable_and_names_key_and_epoch(self):
        with self.client.create("model") as obj:
            self.agent.restart()
            with self.assertRaises(larder.Unavailable) as caught:
                obj.write(pattern(200 * KIB))
                obj.seal()
        self.assertRegex(str(caught.exception), f"'model'.*epoch {obj.epoch}")
        self.assertEqual(caught.exception.reason, "CONNECTION_LOST")
        self.assertFalse(self.client.exists("model"))

    def test_a_malformed_reply_ends_the_connection_with_an_error(self):
        broken = mock.Mock(side_effect=lambda agent, *_: b"\0")
        with mock.patch.dict(fake_agent._HANDLERS, {fake_agent.CREATE: broken, fake_agent.GET: broken}):
            for call in (self.client.create, self.client.get):
                with self.assertRaises(larder.Error) as caught:
                    call("k")
                self.assertEqual((caught.exception.code, caught.exception.reason), (1, "BAD_RECORD"))
        self.client.put("k", b"x")


class ThreadsTest(UdsTest):
    def test_replies_in_another_order_reach_their_callers(self):
        self.client.put("k", b"x")
        done = threading.Event()
        with self.agent.hold(fake_agent.LIST):
            lister = threading.Thread(target=lambda: (self.client.list(), done.set()))
            lister.start()
            self.agent.wait_seen(fake_agent.LIST)
            self.assertEqual(self.client.stat("k").size, 1)
            self.assertFalse(done.is_set())
        lister.join(PATIENCE)
        self.assertTrue(done.is_set())

    def test_sixty_four_waiting_creators_leave_room_for_the_first(self):
        with self.client.create("k") as obj:
            threads = [threading.Thread(target=self.client.put, args=("k", b"same")) for _ in range(70)]
            for thread in threads:
                thread.start()
            self.agent.wait_seen(fake_agent.PUT, 32)
            obj.write(b"same")
            obj.seal()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(self.agent.seen[fake_agent.PUT], 70)

    def test_no_more_than_the_formats_calls_are_unanswered(self):
        self.client.put("k", b"x")
        with self.agent.hold(fake_agent.STAT):
            threads = [threading.Thread(target=self.client.stat, args=("k",)) for _ in range(100)]
            for thread in threads:
                thread.start()
            self.agent.wait_seen(fake_agent.STAT, 64)
            self.assertRaises(larder.DeadlineExceeded, self.client.get, "k", timeout=0.01)
            self.assertEqual(self.agent.seen[fake_agent.STAT], 64)
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(self.agent.seen[fake_agent.STAT], 100)

    def test_a_deadline_ends_a_wait_for_another_creator_and_leaves_nothing(self):
        with self.client.create("k") as obj:
            with self.assertRaises(larder.DeadlineExceeded):
                self.client.create("k", timeout=0.01)
            obj.discard()
            self.agent.wait_seen(fake_agent.DISCARD, 2)
            self.agent.wait_leases(0)

    def test_a_leader_that_gives_up_hands_on_reading(self):
        self.client.put("k", b"x")
        found = []
        with self.agent.hold(fake_agent.STAT), self.agent.hold(fake_agent.GET):
            follower = threading.Thread(target=lambda: found.append(self.client.stat("k").size))
            leader = threading.Thread(
                target=lambda: self.assertRaises(larder.DeadlineExceeded, self.client.get, "k", timeout=0.05)
            )
            leader.start()
            self.agent.wait_seen(fake_agent.GET)
            follower.start()
            self.agent.wait_seen(fake_agent.STAT)
            leader.join(PATIENCE)
        follower.join(PATIENCE)
        self.assertEqual(found, [1])

    def test_all_waiting_callers_learn_that_the_agent_is_gone(self):
        failures = []

        def ask():
            try:
                self.client.list()
            except larder.Unavailable as error:
                failures.append(error)

        with self.agent.hold(fake_agent.LIST):
            threads = [threading.Thread(target=ask) for _ in range(5)]
            for thread in threads:
                thread.start()
            self.agent.wait_seen(fake_agent.LIST, 5)
            self.agent.stop()
            for thread in threads:
                thread.join(PATIENCE)
        self.assertEqual(len(failures), 5)
        self.assertEqual(len(set(map(id, failures))), 5)

    def test_an_agent_that_takes_nothing_blocks_calls_to_their_deadline_and_finalizers_never(self):
        self.agent.add("big", pattern(MIB))
        reader = self.client.get("big")
        late = []
        with self.agent.changed:  # its threads handle nothing meanwhile
            for i in range(20):
                with self.assertRaises(larder.DeadlineExceeded) as caught:
                    self.client.put(str(i), bytes(64 * KIB), timeout=0.01)
                late.append(caught.exception.message)
            self.assertIn("the agent takes no requests", late)
            reader.close()
        self.client.stat("big")
        self.agent.wait_leases(0)

    def test_a_client_that_is_dropped_closes_its_connection(self):
        client = larder.connect(self.agent.endpoint)
        client.put("k", b"x")
        del client
        with self.agent.changed:
            self.agent._until(lambda: len(self.agent.connections) == 1)


class ReadTest(UdsTest):
    def setUp(self):
        super().setUp()
        self.data = pattern(5 * MIB + 7)
        self.agent.add("big", self.data)

    def test_a_small_object_holds_no_lease(self):
        self.agent.add("small", b"x")
        with self.client.get("small") as obj:
            self.assertEqual(self.agent.leases(), 0)
            self.assertEqual(obj.buffer, b"x")

    def test_the_lease_ends_with_the_with(self):
        with self.client.get("big") as obj:
            self.assertEqual(self.agent.leases(), 1)
            self.assertEqual(obj.buffer, self.data)
        self.agent.wait_leases(0)

    def test_release_waits_for_the_last_view(self):
        with self.assertWarns(ResourceWarning):
            with self.client.get("big") as obj:
                whole = obj.buffer
                part = whole[MIB : 2 * MIB]
        del whole
        self.client.stat("big")
        self.assertEqual(self.agent.seen[fake_agent.RELEASE], 0)
        self.assertEqual(part, self.data[MIB : 2 * MIB])
        part = None
        self.agent.wait_seen(fake_agent.RELEASE)
        self.agent.wait_leases(0)

    def test_views_of_bytes_that_are_not_shared_hold_no_lease_and_are_not_warned_of(self):
        self.agent.lose_descriptors = True
        with self.client.get("big") as obj:
            self.agent.wait_leases(0)
            part = obj.buffer[MIB : 2 * MIB]
        self.assertEqual(part, self.data[MIB : 2 * MIB])

    def test_a_reader_that_is_dropped_gives_its_lease_back(self):
        self.client.get("big")
        self.agent.wait_leases(0)

    def test_a_view_may_die_in_the_garbage_collector(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with self.client.get("big") as obj:
                cycle = [obj.buffer]
                cycle.append(cycle)
        del cycle
        gc.collect()
        self.agent.wait_leases(0)

    def test_the_same_segment_is_mapped_once(self):
        with mock.patch("larder._mapping.Mapping.of_file", wraps=Mapping.of_file) as mapped:
            for _ in range(3):
                self.assertEqual(self.get_bytes("big"), self.data)
        self.assertEqual(mapped.call_count, 1)

    def test_idle_mappings_above_the_limit_are_dropped_the_longest_idle_first(self):
        self.agent.segment_bytes = 100 * MIB  # sparse
        for name in "abc":
            self.agent.add(name, pattern(MIB, ord(name)))
        for name in "abac":
            self.assertEqual(self.get_bytes(name), pattern(MIB, ord(name)))
        self.agent.wait_seen(fake_agent.UNMAPPED)
        known = [self.agent.objects[name].extents[0][0].number for name in "abc"]
        with self.agent.changed:
            self.assertEqual([number in self.agent.connections[0].known for number in known], [True, False, True])
        self.assertEqual(self.get_bytes("b"), pattern(MIB, ord("b")))

    def test_the_first_look_after_a_use_only_marks_the_second_drops(self):
        cache = SegmentCache(idle_limit=MIB)
        shared = fake_agent.Segment(1, PAGE)
        self.addCleanup(shared.close)
        cache.add(1, os.dup(shared.fd), PAGE)
        self.assertEqual(cache.drop_unused(), [])
        held = cache.pin({1})
        for _ in range(3):
            self.assertEqual(cache.drop_unused(), [])
        cache.unpin(held)
        cache.unpin(cache.pin({1}))
        self.assertEqual(cache.drop_unused(), [])
        self.assertTrue(cache.any_idle())
        self.assertEqual(cache.drop_unused(), [1])
        self.assertFalse(cache.any_idle())
        self.assertIsNone(cache.pin({1}))

    def test_segments_in_use_are_never_dropped(self):
        self.agent.segment_bytes = 300 * MIB
        self.agent.add("a", pattern(MIB))
        with self.client.get("a") as first, self.client.get("a") as second:
            self.assertEqual(self.agent.seen[fake_agent.UNMAPPED], 0)
            self.assertEqual(first.buffer, second.buffer)
        self.agent.wait_seen(fake_agent.UNMAPPED)

    def test_extents_are_laid_side_by_side_over_several_records(self):
        self.agent.extent_bytes = PAGE
        self.agent.add("scattered", self.data[: 300 * PAGE + 9])
        for _ in range(2):
            with self.client.get("scattered") as obj:
                self.assertEqual(obj.buffer, self.data[: 300 * PAGE + 9])
        self.assertEqual(self.agent.seen[fake_agent.EXTENTS], 2 * 4)
        self.assertEqual(self.agent.seen[fake_agent.READ], 0)
        self.agent.wait_leases(0)

    def test_extents_that_are_not_whole_pages_come_as_bytes(self):
        self.agent.extent_bytes = 1000
        self.agent.add("odd", self.data[:70_000])
        self.assertEqual(self.get_bytes("odd"), self.data[:70_000])
        self.assertGreater(self.agent.seen[fake_agent.READ], 0)
        self.agent.wait_leases(0)

    def test_missing_descriptors_are_replaced_by_bytes(self):
        self.agent.lose_descriptors = True
        self.assertEqual(self.get_bytes("big"), self.data)
        self.assertGreater(self.agent.seen[fake_agent.READ], 0)
        self.agent.lose_descriptors = False
        before = self.agent.seen[fake_agent.READ]
        self.assertEqual(self.get_bytes("big"), self.data)  # the agent was told, and sends them again
        self.assertEqual(self.agent.seen[fake_agent.READ], before)

    def test_descriptors_cut_off_by_the_kernel_are_not_asked_for_again(self):
        with mock.patch.object(_link, "_ANCILLARY_BYTES", socket.CMSG_SPACE(0)):
            self.assertEqual(self.get_bytes("big"), self.data)
        self.assertEqual(self.agent.seen[fake_agent.GET], 2)
        self.assertEqual(self.get_bytes("big"), self.data)
        self.assertEqual(self.agent.seen[fake_agent.GET], 3)
        self.agent.wait_leases(0)

    def test_unsealed_memory_is_never_mapped(self):
        self.agent.read_seals = fake_agent.SEAL_SHRINK | fake_agent.SEAL_GROW | fake_agent.SEAL_FUTURE_WRITE
        with mock.patch("larder._mapping.Mapping.of_file") as mapped:
            self.assertEqual(self.get_bytes("big"), self.data)
        mapped.assert_not_called()

    def test_a_segment_of_another_size_than_told_is_never_mapped(self):
        with self.client.get("big"):
            pass
        segment = self.agent.objects["big"].extents[0][0]
        segment.size += PAGE
        with mock.patch("larder._mapping.Mapping.of_file") as mapped:
            client = self.connect()
            self.assertEqual(client.get_bytes("big"), self.data)
        mapped.assert_not_called()

    def test_bytes_that_fall_short_are_data_loss(self):
        self.agent.lose_descriptors = True
        self.agent.short_reads = 1
        with self.assertRaises(larder.DataLoss) as caught:
            self.client.get("big")
        self.assertEqual(caught.exception.reason, "LENGTH_MISMATCH")
        self.agent.wait_leases(0)

    def test_no_descriptor_is_left_open_or_inherited(self):
        def ours():
            # The listing's own descriptor is closed by now.
            return {fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")}

        before = ours()
        client = self.connect()
        self.assertEqual(client.get_bytes("big"), self.data)
        for fd in ours() - before:
            self.assertFalse(os.get_inheritable(int(fd)))
        client.close()
        with self.agent.changed:
            self.agent._until(lambda: len(self.agent.connections) == 1)
        # The fake agent has two of each segment: its own and its mapping's.
        self.assertEqual(len(ours() - before), 2 * len(self.agent.segments))


class WriteTest(UdsTest):
    def test_a_small_put_is_one_record(self):
        self.client.put("k", pattern(64 * KIB))
        self.assertEqual(dict(self.agent.seen), {fake_agent.HELLO: 1, fake_agent.PUT: 1})

    def test_small_writes_share_records(self):
        with self.client.create("k") as obj:
            for _ in range(1000):
                obj.write(b"x" * 100)
            obj.seal()
        self.assertEqual(self.agent.seen[fake_agent.WRITE], 2)
        self.assertEqual(self.agent.seen[fake_agent.WINDOW], 0)

    def test_a_long_stream_goes_round_one_window(self):
        data = pattern(19 * MIB + 3)
        with self.client.create("k") as obj:
            for at in range(0, len(data), 700_001):
                obj.write(data[at : at + 700_001])
            obj.seal()
        self.assertEqual(self.agent.seen[fake_agent.WINDOW], 1)
        self.assertEqual(self.agent.seen[fake_agent.WRITE], 20)
        self.assertEqual(self.agent.objects["k"].data, data)

    def test_windows_of_many_extents_work(self):
        self.agent.extent_bytes = PAGE
        self.agent.piece_limit = 3 * PAGE + 1
        self.client = self.connect()
        data = pattern(100 * PAGE + 5)
        self.client.put("ring", data)
        with self.client.create("buffer") as obj:
            obj.buffer(len(data))[:] = data
            obj.seal()
        self.assertEqual(self.agent.objects["ring"].data, data)
        self.assertEqual(self.agent.objects["buffer"].data, data)
        self.assertEqual(self.agent.seen[fake_agent.EXTENTS], 1)

    def test_a_refused_window_is_done_without(self):
        self.agent.window_refused = Refused(fake_agent.RESOURCE_EXHAUSTED, "ARENA_FULL")
        data = pattern(3 * MIB)
        self.client.put("put", data)
        with self.client.create("buffer") as obj:
            obj.buffer(len(data))[:] = data
            obj.seal()
        for key in ("put", "buffer"):
            self.assertEqual(self.agent.objects[key].data, data)

    def test_lost_descriptors_of_a_window_are_done_without(self):
        self.agent.lose_descriptors = True
        self.client.put("k", pattern(3 * MIB))
        self.assertEqual(self.agent.objects["k"].data, pattern(3 * MIB))

    def test_the_window_is_unmapped_before_the_seal(self):
        def windows():
            with open("/proc/self/maps") as maps:
                # The fake agent's own mapping of each is one more.
                return sum("memfd:larder-test" in line for line in maps)

        counted = []
        original = FakeAgent._seal
        spy = lambda agent, *rest: (counted.append(windows()), original(agent, *rest))[1]
        with mock.patch.dict(fake_agent._HANDLERS, {fake_agent.SEAL: spy}):
            for keep in (False, True):
                with self.client.create(str(keep)) as obj:
                    view = obj.buffer(MIB)
                    self.assertEqual(windows(), 2)
                    if not keep:
                        del view
                    obj.seal()
        self.assertEqual(counted, [1, 1])
        view[0] = 1

    def test_a_lease_that_lapsed_conflicts_and_names_key_and_epoch(self):
        with self.client.create("model") as obj:
            self.agent.lapse()
            obj.write(b"x")
            with self.assertRaises(larder.Conflict) as caught:
                obj.seal()
        self.assertEqual(caught.exception.reason, "LEASE_LOST")
        self.assertRegex(str(caught.exception), f"'model'.*epoch {obj.epoch}")

    def test_a_seal_that_only_lacks_its_acknowledgement_can_be_repeated(self):
        with self.client.create("k") as obj:
            obj.write(b"x")
            self.agent.answers[fake_agent.SEAL] = Refused(fake_agent.UNAVAILABLE, "REPLICAS_MISSING")
            self.assertRaises(larder.Unavailable, obj.seal)
            self.assertEqual(obj.seal().size, 1)

    def test_many_writers_of_one_client_do_not_stall_each_other(self):
        data = pattern(2 * MIB)
        self.agent.window_refused = Refused(fake_agent.RESOURCE_EXHAUSTED, "ARENA_FULL")
        threads = [threading.Thread(target=self.client.put, args=(str(i), data)) for i in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual({len(found.data) for found in self.agent.objects.values()}, {len(data)})
        self.assertEqual(len(self.agent.objects), 12)


class LeaseTest(UdsTest):
    knobs = {"lease_ttl_ms": 30}

    def test_leases_are_renewed_while_held_and_not_after(self):
        with self.client.create("k") as obj:
            self.agent.wait_seen(fake_agent.RENEW, 3)
            obj.seal()
        renewers = [thread for thread in threading.enumerate() if thread.name == "larder-keeper"]
        for renewer in renewers:
            renewer.join(PATIENCE)
            self.assertFalse(renewer.is_alive())

    def test_nothing_is_renewed_where_nothing_is_held(self):
        self.client.put("k", b"x")
        self.assertNotIn("larder-keeper", [thread.name for thread in threading.enumerate()])

    def test_a_renewal_that_tells_of_a_lapse_ends_the_creation(self):
        with self.client.create("k") as obj:
            self.agent.lapse()
            self.agent.wait_seen(fake_agent.RENEW, self.agent.seen[fake_agent.RENEW] + 2)
            with self.assertRaises(larder.Conflict) as caught:
                obj.write(b"x")
        self.assertEqual(caught.exception.reason, "LEASE_LOST")
        self.assertEqual(self.agent.seen[fake_agent.WRITE], 0)


if __name__ == "__main__":
    unittest.main()
