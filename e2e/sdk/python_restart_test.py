"""A Python program goes on while its node's agent ends, in whatever way, and the next one starts."""

import contextlib
import pathlib
import signal
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "e2e" / "common"))
sys.path.insert(0, str(ROOT / "libs" / "python" / "src"))
from agents import Agent, bin_dir  # noqa: E402
import larder  # noqa: E402

BIG = bytes(range(256)) * (3 << 12)  # 3 MiB


class Restarts(unittest.TestCase):
    def setUp(self):
        # Short: the path of a Unix socket has at most 107 bytes.
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp")))

    def each_way(self):
        """Each store, and each way for an agent to end."""
        for store in ("memory", "file"):
            for end in (signal.SIGTERM, signal.SIGKILL):
                with self.subTest(store=store, end=end.name), contextlib.ExitStack() as stack:
                    directory = self.directory / f"{store}{end.value}"
                    agent = Agent(bin_dir() / "larder-agent", directory, f"--store={store}", "--arena=64MiB")
                    stack.callback(lambda: agent.end(signal.SIGTERM))
                    client = stack.enter_context(larder.connect(agent.endpoint, timeout=60))
                    yield store, client, lambda: (agent.end(end), agent.start())

    def test_open_views_stay_valid_and_a_file_store_has_the_same_object_still(self):
        for store, client, restart in self.each_way():
            client.put("k", BIG)
            with client.get("k") as obj:
                epoch = obj.epoch
                restart()
                self.assertEqual(obj.buffer, BIG)
                if store == "memory":
                    self.assertRaises(larder.NotFound, client.get, "k")
                else:
                    with client.get("k") as again:
                        self.assertEqual((again.epoch, again.buffer), (epoch, BIG))
                client.put("k", b"new", overwrite=True)
                self.assertEqual(client.get_bytes("k"), b"new")
                self.assertEqual(obj.buffer, BIG)

    def test_repeated_gets_wait_through_it_and_never_fail(self):
        for store, client, restart in self.each_way():
            items = {"small": b"some bytes", "big": BIG}
            client.create_many(items)
            stop, failures, rounds = threading.Event(), [], threading.Semaphore(0)

            def get_again_and_again():
                try:
                    while not stop.is_set():
                        with client.get_many(items, return_errors=True) as found:
                            for obj, data in zip(found, items.values()):
                                lost = store == "memory" and isinstance(obj, larder.NotFound)
                                if not lost and obj.buffer != data:
                                    failures.append(obj)
                        rounds.release()
                except Exception as error:
                    failures.append(error)

            thread = threading.Thread(target=get_again_and_again)
            thread.start()
            for _ in range(2):
                for _ in range(10):
                    self.assertTrue(rounds.acquire(timeout=60), failures)
                restart()
            while rounds.acquire(blocking=False):
                pass
            for _ in range(10):
                self.assertTrue(rounds.acquire(timeout=60), failures)
            stop.set()
            thread.join()
            self.assertEqual(failures, [])

    def test_writers_fail_and_nothing_of_them_is_published(self):
        for _, client, restart in self.each_way():
            with client.create("writes") as writes, client.create("buffers") as buffers:
                writes.write(BIG)
                buffers.buffer(len(BIG))[:] = BIG
                restart()
                self.assertRaises(larder.Unavailable, buffers.seal)
                with self.assertRaises(larder.Unavailable) as caught:
                    writes.write(BIG)
                self.assertRegex(str(caught.exception), f"'writes'.*epoch {writes.epoch}")
            self.assertEqual(client.list(), [])
            client.put("writes", b"again")

    def test_without_a_next_agent_calls_end_with_the_window(self):
        agent = Agent(bin_dir() / "larder-agent", self.directory, "--arena=64MiB")
        client = larder.connect(agent.endpoint, reconnect_window=0.5)
        client.put("k", BIG)
        with client.get("k") as obj:
            agent.end(signal.SIGTERM)
            with self.assertRaises(larder.Unavailable) as caught:
                client.get("k")
            self.assertRegex(str(caught.exception), f"0.5 s.*{self.directory}/run/data.sock")
            self.assertEqual(obj.buffer, BIG)


if __name__ == "__main__":
    unittest.main()
