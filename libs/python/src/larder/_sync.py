"""Locks that finalizers can live with: those run anywhere, also in a thread that holds the lock."""

from __future__ import annotations

import collections
import threading
from typing import Callable, Optional


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


class Guard:
    """A mutex that finalizers can leave work with.

    A finalizer may run anywhere, also in a thread that holds the mutex, so it must not wait for it. What it leaves is
    done at once if the mutex is free, else by its holder on the way out. The mutex is held while the work is done.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._left: collections.deque[Callable[[], None]] = collections.deque()

    def __enter__(self) -> None:
        self._mutex.acquire()

    def __exit__(self, *_: object) -> None:
        self._mutex.release()
        if self._left:
            self._settle()

    def leave(self, work: Callable[[], None]) -> None:
        self._left.append(work)
        self._settle()

    def _settle(self) -> None:
        # Looks again after each release: what was left meanwhile found the mutex taken, by us.
        while self._left and self._mutex.acquire(blocking=False):
            try:
                while self._left:
                    self._left.popleft()()
            finally:
                self._mutex.release()
