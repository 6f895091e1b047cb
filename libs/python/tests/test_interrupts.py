"""A signal's handler may raise, as Ctrl-C does, wherever Python code of the main thread makes a call."""

import gc
import itertools
import os
import sys
import tempfile
import threading
import unittest
import warnings
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import larder
from content import KIB, MIB, pattern
from fake_agent import PATIENCE, FakeAgent
from larder._sync import LeftWork

PACKAGE = os.path.dirname(larder.__file__)


class Interrupt(BaseException):
    pass


class Interrupter:
    """Raises once in `with`, at the `at`-th place in Larder's code where a handler could; `came`: it did.

    Those places are the entry of a function, and the return from one in C, which has had its effect then. They are
    counted from the call of the function `since` on, that one not among them.
    """

    def __init__(self, at, since=None):
        self._left = at
        self._since = since
        self.came = False
        self.where = None

    def __enter__(self):
        sys.setprofile(self._look)
        return self

    def __exit__(self, kind, *_):
        sys.setprofile(None)
        return kind is Interrupt

    def _look(self, frame, event, _):
        code = frame.f_code
        if event not in ("call", "c_return") or os.path.dirname(code.co_filename) != PACKAGE:
            return
        if self._since is not None:
            if code.co_name == self._since:
                self._since = None
            return
        self._left -= 1
        if self._left == 0:
            self.came = True
            self.where = f"{os.path.basename(code.co_filename)}:{frame.f_lineno}: {event} of {code.co_name}"
            raise Interrupt


def get(client, _):
    with client.get("big") as obj:
        obj.buffer[0]


def get_small(client, _):
    client.get_bytes("small")


def get_many(client, _):
    with client.get_many(["big", "small"]) as found:
        found[0].buffer[0]


def put(client, key):
    client.put(key, b"x")


def write(client, key):
    with client.create(key) as obj:
        obj.write(pattern(300 * KIB))
        obj.seal()


class InterruptTest(unittest.TestCase):
    def setUp(self):
        warnings.simplefilter("ignore", ResourceWarning)  # of what an interrupt has dropped
        self.addCleanup(gc.collect)
        self.enterContext(mock.patch("sys.unraisablehook", lambda _: None))  # told of those in finalizers
        self.enterContext(mock.patch("larder._link._LOOK", 0.01))
        self.agent = FakeAgent(self.enterContext(tempfile.TemporaryDirectory()))
        self.addCleanup(self.agent.close)
        self.agent.add("big", pattern(MIB))
        self.agent.add("small", b"x")
        self.client = larder.connect(self.agent.endpoint, timeout=PATIENCE)
        self.addCleanup(self.client.close)

    def get_elsewhere(self):
        """What another thread gets."""
        with ThreadPoolExecutor(1) as executor:
            return executor.submit(self.client.get_bytes, "small", timeout=PATIENCE).result()

    def test_wherever_a_call_is_interrupted_other_threads_go_on(self):
        for work in (get, get_small, get_many, put, write):
            for at in itertools.count(1):
                with Interrupter(at) as interrupter:
                    work(self.client, f"{work.__name__}/{at}")
                if not interrupter.came:
                    break
                with self.subTest(work.__name__, where=interrupter.where):
                    connection = self.client._transport._connection
                    if connection is not None:  # its keeper may hold the guard for a moment
                        self.assertTrue(connection.guard.acquire(timeout=PATIENCE))
                        connection.guard.release()
                    self.assertEqual(self.get_elsewhere(), b"x")
            self.assertGreater(at, 100)

    def test_what_a_finalizer_does_is_done_though_it_is_interrupted(self):
        connection = self.client._transport._connection
        for at in itertools.count(1):
            reader = self.client.get("big")
            with Interrupter(at, since="_view_gone") as interrupter:
                reader.close()
            self.agent.wait_leases(0)
            self.assertEqual(connection.used_bytes(), 0, interrupter.where)
            if not interrupter.came:
                break
        self.assertGreater(at, 10)

    def test_what_a_finalizer_leaves_while_the_mutex_is_held_is_done_at_its_end(self):
        mutex = threading.Lock()
        left, done = LeftWork(mutex), []
        with left, mutex:
            left.leave(lambda: done.append(mutex.locked()))
            self.assertEqual(done, [])
        self.assertEqual((done, mutex.locked()), ([True], False))


if __name__ == "__main__":
    unittest.main()
