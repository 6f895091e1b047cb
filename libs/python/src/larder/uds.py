"""The uds:// transport: data.sock, shared memory where the agent's descriptors come through, bytes where not."""

from __future__ import annotations

import collections
import os
import random
import threading
import time
import weakref
from typing import Any, Callable, Optional, TypeVar, Union

from larder import _reading, _wire, _writing, errors
from larder._connection import PIPELINED, Connection, remaining
from larder._wire import Op
from larder.objects import Creation, ObjectInfo, Reading, SealResult, Writer

T = TypeVar("T")

_RETRIES = 3
_FIRST_DELAY = 0.1  # seconds, then doubled
_LONGEST_DELAY = 1.0


def dial(address: str, namespace: str, reconnect_window: float, deadline: Optional[float]) -> Transport:
    """A transport to the agent whose sockets lie in the directory `address`; connected.

    Unavailable naming the socket after 3 retries, PermissionDenied, InvalidArgument.
    """
    return Transport(os.path.join(address, "data.sock"), namespace, reconnect_window, deadline)


class Transport:
    """objects.Transport over one connection at a time. A lost one is dialled anew by the next call.

    Calls made here may all be repeated on a new connection: what an unanswered CREATE or GET held ended with the old
    one, and PUT accepts its own earlier content.
    """

    def __init__(self, path: str, namespace: str, reconnect_window: float, deadline: Optional[float]) -> None:
        self._path = path
        self._asked_namespace = namespace
        self._reconnect_window = reconnect_window
        self._lock = threading.Lock()
        self._earlier: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._closed = False
        self._pid = os.getpid()
        self._connection: Optional[Connection] = self._dial(0.0, deadline)
        self.namespace = self._connection.hello.namespace
        self.node = self._connection.hello.node

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.retire()

    def close(self) -> None:
        self._closed = True  # before the lock: ends the tries of one that is dialling
        with self._lock:
            if self._connection is not None:
                self._connection.retire()

    def create(self, creation: Creation, deadline: Optional[float]) -> Writer:
        return self._run(lambda connection: _writing.create(connection, creation, deadline), deadline)

    def put(self, creation: Creation, data: memoryview, deadline: Optional[float]) -> SealResult:
        return self._run(lambda connection: _writing.put(connection, creation, data, deadline), deadline)

    def put_many(
        self, items: list[tuple[Creation, memoryview]], deadline: Optional[float]
    ) -> list[Union[SealResult, errors.Error]]:
        return self._pipeline(
            items,
            lambda connection, item: _writing.start_put(connection, item[0], item[1], deadline),
            lambda connection, call: _wire.decode_sealed(connection.wait(call, deadline)),
            lambda item: self.put(item[0], item[1], deadline),
            deadline,
        )

    def get(self, key: str, deadline: Optional[float]) -> Reading:
        return self._run(lambda connection: _reading.get(connection, key, deadline), deadline)

    def get_many(self, keys: list[str], deadline: Optional[float]) -> list[Union[Reading, errors.Error]]:
        return self._pipeline(
            keys,
            lambda connection, key: _reading.start_get(connection, key, deadline),
            lambda connection, call: _reading.finish_get(connection, call, deadline),
            lambda key: self.get(key, deadline),
            deadline,
        )

    def stat(self, key: str, deadline: Optional[float]) -> ObjectInfo:
        return _wire.decode_object(self._ask(Op.STAT, _wire.key(key), deadline))

    def list_page(
        self, prefix: str, after: str, limit: int, deadline: Optional[float]
    ) -> tuple[bool, list[ObjectInfo]]:
        return _wire.decode_list(self._ask(Op.LIST, _wire.list_(prefix, after, limit), deadline))

    def delete(self, key: str, deadline: Optional[float]) -> None:
        first = True

        def attempt(connection: Connection) -> None:
            nonlocal first
            repeated, first = not first, False
            try:
                connection.ask(Op.DELETE, _wire.key(key), deadline)
            except errors.NotFound:
                if not repeated:  # else the lost answer may have been a success
                    raise

        self._run(attempt, deadline)

    def set_pinned(self, key: str, pinned: bool, deadline: Optional[float]) -> None:
        self._ask(Op.PIN, _wire.pin(pinned, key), deadline)

    def _ask(self, op: Op, payload: bytes, deadline: Optional[float]) -> memoryview:
        return self._run(lambda connection: connection.ask(op, payload, deadline), deadline)

    def _run(self, attempt: Callable[[Connection], T], deadline: Optional[float]) -> T:
        """Repeats on a new connection what the loss of one, or an agent that is going, has cut off."""
        retries = 0
        while True:
            connection = self._connected(deadline)
            try:
                return attempt(connection)
            except errors.Error as error:
                if not _cut_off(connection, error) or retries == _RETRIES:
                    raise
            retries += 1
            connection.retire()

    def _pipeline(
        self,
        items: list,
        start: Callable[[Connection, Any], Any],
        finish: Callable[[Connection, Any], Any],
        alone: Callable[[Any], Any],
        deadline: Optional[float],
    ) -> list:
        """One result or error per item. `start` or `finish` giving None, and a lost connection, leave it to `alone`."""
        connection = self._connected(deadline)
        results: list = [None] * len(items)
        flying: collections.deque = collections.deque()

        def settle(index: int, act: Callable[[], Any]) -> None:
            try:
                results[index] = act()
            except errors.Error as error:
                results[index] = None if _cut_off(connection, error) else error

        def land() -> None:
            index, call = flying.popleft()
            settle(index, lambda: finish(connection, call))

        try:
            for index, item in enumerate(items):
                if len(flying) == PIPELINED:
                    land()
                settle(index, lambda: start(connection, item))
                if results[index] is not None and not isinstance(results[index], errors.Error):
                    flying.append((index, results[index]))
            while flying:
                land()
        finally:
            if flying:
                for _, call in flying:
                    connection.abandon(call)
                connection.keep()
        for index, item in enumerate(items):
            if results[index] is None:
                try:
                    results[index] = alone(item)
                except errors.Error as error:
                    results[index] = error
        return results

    def _connected(self, deadline: Optional[float]) -> Connection:
        """The connection, a new one if the last is of no more use."""
        if self._pid != os.getpid():
            self._start_anew_in_child()
        if not self._lock.acquire(timeout=-1 if deadline is None else min(remaining(deadline), threading.TIMEOUT_MAX)):
            raise errors.DeadlineExceeded(f"{self._path}: no connection in time", reason="TIMEOUT")
        try:
            self._check_open()
            if self._connection is not None and self._connection.usable:
                return self._connection
            if self._connection is not None:
                self._earlier.add(self._connection)
                self._connection.retire()
                self._connection = None
            self._connection = self._dial(self._reconnect_window, deadline)
            return self._connection
        finally:
            self._lock.release()

    def _check_open(self) -> None:
        if self._closed:
            raise errors.Conflict("the client is closed", reason="CLOSED")

    def _start_anew_in_child(self) -> None:
        # The parent's lock may have been held at the fork. Its connection is lost to the child already.
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def _dial(self, window: float, deadline: Optional[float]) -> Connection:
        """Tries for `window` seconds, and at least 1 + 3 times."""
        end = time.monotonic() + window
        retries, delay = 0, _FIRST_DELAY
        while True:
            try:
                return self._dial_once(deadline)
            except errors.Unavailable as error:
                if retries >= _RETRIES and time.monotonic() >= end:
                    raise
                pause = delay * random.uniform(0.5, 1.5)
                if deadline is not None and pause > remaining(deadline):
                    raise errors.DeadlineExceeded(error.message, reason=error.reason) from error
            time.sleep(pause)
            self._check_open()
            retries += 1
            delay = min(2 * delay, _LONGEST_DELAY)

    def _dial_once(self, deadline: Optional[float]) -> Connection:
        mapped = sum(connection.used_bytes() for connection in list(self._earlier))
        try:
            return Connection(self._path, self._asked_namespace, mapped, deadline)
        except PermissionError as error:
            raise errors.PermissionDenied(f"{self._path}: {error.strerror}", reason="EACCES") from error
        except OSError as error:
            if error.errno is None:  # a path that no socket address holds
                raise errors.InvalidArgument(f"{self._path}: {error}", reason="BAD_ENDPOINT") from error
            message = f"no agent at {self._path}: {error.strerror or error}"
            raise errors.Unavailable(message, reason="NO_AGENT") from error
        except errors.DeadlineExceeded as error:
            raise errors.Unavailable(f"no answer at {self._path}", reason="NO_AGENT") from error
        except errors.Error as error:
            raise error.about(self._path)


def _cut_off(connection: Connection, error: errors.Error) -> bool:
    return isinstance(error, errors.Unavailable) and (connection.lost or error.reason == "STOPPING")
