"""Locks that finalizers and signals can live with: those come anywhere, also in a thread that holds the lock."""

from __future__ import annotations

import collections
import threading
from typing import Callable, Optional, TypeVar

from larder import errors

T = TypeVar("T")


class Signal:
    """Wakes one waiter, or the next one. set() never waits, so a finalizer may call it."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        try:
            self._lock.release()
        except RuntimeError:  # set already
            pass

    def wait(self, seconds: Optional[float]) -> bool:
        return self._lock.acquire(timeout=-1 if seconds is None else min(seconds, threading.TIMEOUT_MAX))


def repeat_once(work: Callable[..., object], *args: object) -> None:
    """`work(*args)`, once more if it raises, as a signal's handler may anywhere in it; then that is raised."""
    try:
        work(*args)
    except BaseException:
        work(*args)
        raise


class Cancellation:
    """Ends a thread's calls from another one: they look once a second, and raise Interrupted (CANCELLED)."""

    _running = threading.local()

    def __init__(self) -> None:
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True

    def run(self, work: Callable[[], T]) -> T:
        """`work()`, whose calls end with cancel()."""
        self._running.cancellation = self
        try:
            return work()
        finally:
            del self._running.cancellation

    @classmethod
    def is_cancelled(cls) -> bool:
        """Whether what this thread runs is."""
        cancellation = getattr(cls._running, "cancellation", None)
        return cancellation is not None and cancellation._cancelled


def check_cancelled() -> None:
    if Cancellation.is_cancelled():
        raise errors.Interrupted("the call was cancelled", reason="CANCELLED")


class LeftWork:
    """Work that finalizers leave to whoever holds a mutex: `with left, mutex:`.

    A finalizer may run anywhere, also in a thread that holds the mutex, so it must not wait for it. What it leaves is
    done at once if the mutex is free, else by its holder on the way out. The mutex is held while the work is done.

    Two context managers, since a signal's handler may raise wherever Python code makes a call: between acquire() and
    the body too, if that were an __enter__ in Python. Those of threading.Lock are C, and whole.
    """

    def __init__(self, mutex: threading.Lock) -> None:
        self._mutex = mutex
        self._left: collections.deque[Callable[[], None]] = collections.deque()

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        if self._left:
            self._settle()

    def leave(self, work: Callable[[], None]) -> None:
        """`work` is repeated once if it raises: what it has done by then it must not do twice."""
        self._left.append(work)
        self._settle()

    def _settle(self) -> None:
        # Looks again after each release: what was left meanwhile found the mutex taken, by us. If another thread takes
        # it after the look we wait for a moment; that thread cannot wait for us, whose mutexes it finds taken.
        while self._left and not self._mutex.locked():
            with self._mutex:
                while self._left:
                    self._do_first()

    def _do_first(self) -> None:
        try:
            repeat_once(self._left[0])
        finally:
            del self._left[0]
