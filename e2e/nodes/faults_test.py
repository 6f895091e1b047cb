"""What goes wrong between agents while an object comes: it arrives right all the same, or the error names every holder
and why."""

import pathlib
import signal
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from agents import bin_dir  # noqa: E402
from nodes import MIB, PATIENCE, Nodes, sample  # noqa: E402
from piece_proxy import PieceProxy  # noqa: E402
from services import Service  # noqa: E402
from trackers import GRPC  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "libs" / "python" / "src"))
import larder  # noqa: E402

FILE_HEADER = 4096  # bytes before an object's own in a file: docs/formats/file-object.md


class Faults(Nodes):
    def begin_with_proxy(self):
        """As begin; others reach `a` through the PieceProxy that is returned."""
        host = self.cluster.trackers[0].host
        proxy = PieceProxy((host, 7461))
        self.addCleanup(proxy.close)
        self.begin(a=(f"--listen-pieces={host}:7461", f"--pieces-advertise={proxy.address}"))
        return proxy

    def store(self, key, bytes_, *nodes):
        """Has `nodes` and nobody else hold it."""
        self.ok(nodes[0], "import", "-", "--key", key, stdin=bytes_)
        for node in nodes[1:]:
            self.finish_export(self.begin_export(node, key), bytes_)
        self.until(lambda: self.holders("a", key) == sorted(nodes), f"{nodes} are known to have it")

    def mismatches(self, agent):
        return self.agents[agent].metric("larder_transfer_digest_mismatch_total")

    def looks(self, agent, result):
        return self.agents[agent].metric(f'larder_transfer_doubts_total{{result="{result}"}}') or 0

    def flip_stored_bytes(self, agent, *offsets):
        (path,) = (self.dir / agent / "data" / "objects" / "objects").glob("??/*")
        with open(path, "r+b") as file:
            for offset in offsets:
                file.seek(FILE_HEADER + offset)
                byte = file.read(1)[0]
                file.seek(FILE_HEADER + offset)
                file.write(bytes([byte ^ 1]))

    def test_a_parent_that_gives_wrong_bytes_is_asked_once_and_others_give_the_object(self):
        proxy = self.begin_with_proxy()
        bytes_ = sample(40 * MIB)
        self.store("k", bytes_, "a", "b")
        proxy.change = lambda data: bytes([data[0] ^ 1]) + data[1:]
        self.finish_export(self.begin_export("c", "k"), bytes_)
        self.assertEqual(self.mismatches("c"), 1)

    def test_where_the_only_holder_gives_wrong_bytes_the_error_says_so_and_nothing_is_published(self):
        proxy = self.begin_with_proxy()
        bytes_ = sample(5 * MIB)
        self.store("k", bytes_, "a")
        proxy.change = lambda data: data[:-1] + bytes([data[-1] ^ 128])
        told = self.fails(7, "b", "export", "k", "-O", str(self.dir / "out"))
        self.assertRegex(told, r"no node that has 'k' can be reached: a, seen .* ago, DIGEST_MISMATCH: piece \d")
        self.assertEqual(self.holders("b", "k"), ["a"])
        self.assertFalse((self.dir / "out").exists())
        # b said of a what was not true: a looked, and has it still.
        self.until(lambda: self.looks("a", "ok") >= 1, "a looked at what b doubts")
        self.assertEqual(self.looks("a", "damaged"), 0)
        proxy.change = None
        self.finish_export(self.begin_export("b", "k"), bytes_)

    def test_a_byte_that_changed_under_a_stored_copy_reaches_nobody(self):
        self.begin()
        bytes_ = sample(20 * MIB)
        self.store("k", bytes_, "a", "b")
        self.flip_stored_bytes("a", 7 * MIB)
        self.finish_export(self.begin_export("c", "k"), bytes_)
        # Of three pieces or so that a was asked for at once, one is the damaged one or none is.
        self.assertIn(self.mismatches("c"), (0, 1))

    def test_where_the_only_copy_has_a_changed_byte_the_error_names_its_holder(self):
        self.begin()
        self.store("k", sample(3 * MIB), "a")
        self.flip_stored_bytes("a", 2 * MIB)
        told = self.fails(7, "b", "export", "k", "-O", str(self.dir / "out"))
        self.assertRegex(told, "no node that has 'k' can be reached: a, seen .* ago, DIGEST_MISMATCH: piece 2")
        self.until(
            lambda: self.run_larder("b", "stat", "k").returncode == 3, "the holder dropped it, and it was the last"
        )

    def test_a_holder_whose_copy_is_damaged_drops_it_once_a_child_got_it_wrong(self):
        self.begin()
        bytes_ = sample(20 * MIB)
        self.store("k", bytes_, "a", "b")
        self.flip_stored_bytes("a", *range(MIB // 2, len(bytes_), MIB))
        self.finish_export(self.begin_export("c", "k"), bytes_)
        self.until(lambda: self.holders("c", "k") == ["b", "c"], "a is known not to have it any more")
        self.assertEqual(self.looks("a", "damaged"), 1)
        self.finish_export(self.begin_export("a", "k"), bytes_)
        self.until(lambda: self.holders("c", "k") == ["a", "b", "c"], "a has a sound copy again")

    def test_a_parent_that_stops_in_the_middle_is_left_for_another(self):
        self.begin("--pieces-rate-out=20MiB")
        bytes_ = sample(60 * MIB)
        self.store("k", bytes_, "a", "b")
        export = self.begin_export("c", "k")
        self.until(lambda: self.received("c") > 5 * MIB, "some of it came")
        self.agents["a"].signal(signal.SIGSTOP)
        try:
            self.finish_export(export, bytes_)
        finally:
            self.agents["a"].signal(signal.SIGCONT)
        self.assertLess(self.received("c"), len(bytes_) + 4 * MIB, "hardly anything came twice")

    def test_where_the_only_parent_stops_for_good_the_error_names_it(self):
        self.begin("--pieces-rate-out=10MiB")
        self.store("k", sample(60 * MIB), "a")
        export = self.begin_export("c", "k")
        self.until(lambda: self.received("c") > 2 * MIB, "some of it came")
        self.agents["a"].signal(signal.SIGSTOP)
        try:
            _, told = export.communicate(timeout=PATIENCE)
        finally:
            self.agents["a"].signal(signal.SIGCONT)
        self.assertEqual(export.returncode, 7)
        self.assertRegex(told.decode(), "no node that has 'k' can be reached: a, seen .* ago, STALLED")

    def test_a_parent_that_trickles_does_not_hold_up_the_rest(self):
        self.begin("--pieces-rate-out=20MiB", a=("--pieces-rate-out=64KiB",))
        bytes_ = sample(60 * MIB)
        self.store("k", bytes_, "b", "a")
        self.finish_export(self.begin_export("c", "k"), bytes_)
        self.assertGreaterEqual(self.agents["c"].metric("larder_swarm_stragglers_total"), 1)

    def test_where_the_only_parent_trickles_the_object_comes_all_the_same(self):
        self.begin(a=("--pieces-rate-out=96KiB",))
        bytes_ = sample(MIB // 2)
        self.store("k", bytes_, "a")
        self.finish_export(self.begin_export("b", "k"), bytes_)
        self.assertLess(self.received("b"), len(bytes_) + MIB // 16, "it was not left and begun anew")

    def test_killed_peer_managers_do_not_touch_a_transfer(self):
        tracker = self.cluster.trackers[0]
        trackers = ",".join(f"{tracker.host}:{GRPC}" for tracker in self.cluster.trackers)
        manager = Service(
            bin_dir() / "larder-peer-manager",
            self.dir / "manager",
            tracker.host,
            7429,
            {"tracker": trackers, "listen-grpc": f"{tracker.host}:7420"},
        )
        self.addCleanup(manager.kill)
        manager.start()
        self.begin("--pieces-rate-out=20MiB", f"--peer-manager={tracker.host}:7420")
        self.until(lambda: manager.metric('larder_peers_nodes{state="live"}') == 3, "it knows all agents")
        bytes_ = sample(60 * MIB)
        self.store("k", bytes_, "a")
        export = self.begin_export("c", "k")
        self.until(lambda: self.received("c") > 5 * MIB, "some of it came")
        manager.kill()
        self.finish_export(export, bytes_)
        self.finish_export(self.begin_export("b", "k"), bytes_)  # begins without one

    def test_clients_of_an_agent_that_is_killed_and_comes_back_over_its_old_sockets_read_on(self):
        self.begin()
        bytes_ = [sample(2 * MIB, seed) for seed in range(20)]
        for number, each in enumerate(bytes_):
            self.ok("a", "import", "-", "--key", f"k/{number}", stdin=each)
        clients = [larder.connect(self.agents["c"].endpoint) for _ in range(4)]  # idle until it is back
        failures = []

        def read(client):
            try:
                for number, each in enumerate(bytes_):
                    with client.get(f"k/{number}") as found:
                        assert found.buffer.tobytes() == each
            except Exception as error:  # pylint: disable=broad-except
                failures.append(repr(error))

        for client in clients:
            self.assertTrue(client.exists("k/0"))
        self.agents["c"].end(signal.SIGKILL)
        self.assertTrue((self.dir / "c" / "run" / "data.sock").exists(), "the socket is left over")
        readers = [threading.Thread(target=read, args=(client,)) for client in clients]
        self.agents["c"].start()
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(PATIENCE)
        self.assertEqual(failures, [])


if __name__ == "__main__":
    unittest.main()
