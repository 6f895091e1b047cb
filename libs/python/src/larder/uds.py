"""The uds:// transport: data.sock, shared memory where the agent's descriptors come through, bytes where not."""

from __future__ import annotations

import functools
import os
import random
import threading
import time
import weakref
from typing import Any, Callable, Optional, TypeVar, Union

from larder import _batch, _leases, _reading, _wire, _writing, errors
from larder._connection import HELLO_TIMEOUT, Connection
from larder._link import remaining
from larder._sync import Signal, check_cancelled
from larder._wire import Op
from larder.objects import Creation, ObjectInfo, Reading, SealResult, Writer

T = TypeVar("T")

_RETRIES = 3
_FIRST_DELAY = 0.1  # seconds, then doubled
_LONGEST_DELAY = 1.0
_LOOK_AGAIN = 0.01  # seconds, for who waits while another thread looks for the agent

_transports: weakref.WeakSet[Transport] = weakref.WeakSet()


def dial(address: str, namespace: str, reconnect_window: float, deadline: Optional[float]) -> Transport:
    """A transport to the agent whose sockets lie in the directory `address`; connected.

    Unavailable naming the socket after 3 retries, PermissionDenied, InvalidArgument.
    """
    if "\0" in address:
        raise errors.InvalidArgument(f"endpoint {address!r} holds a NUL", reason="BAD_ENDPOINT")
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
        self._lock = threading.Lock()  # held for short times only
        self._dialler: Optional[object] = None  # whose turn it is to look for the next agent
        self._earlier: tuple[weakref.ref[Connection], ...] = ()  # replaced, not changed: read without the lock
        self._lost_leases: list[_leases.ReadLease] = []  # of open readers, not had again yet
        self._closed = False
        self._connection: Optional[Connection] = self._dial(0.0, deadline)
        self.namespace = self._connection.hello.namespace
        self.node = self._connection.hello.node
        _transports.add(self)

    def __del__(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.retire()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            connection = self._connection
        if connection is not None:
            connection.retire()

    @property
    def token(self) -> bytes:
        connection = self._connection
        token = b"" if connection is None else connection.hello.token
        return token if any(token) else b""  # all zeros: there is none

    def create(self, creation: Creation, deadline: Optional[float]) -> Writer:
        return self._run(lambda connection: _writing.create(connection, creation, deadline), deadline)

    def put(self, creation: Creation, data: memoryview, deadline: Optional[float]) -> SealResult:
        return self._run(lambda connection: _writing.put(connection, creation, data, deadline), deadline)

    def put_many(
        self, items: list[tuple[Creation, memoryview]], deadline: Optional[float]
    ) -> list[Union[SealResult, errors.Error]]:
        def ask(connection: Connection, some: list) -> list:
            encode = lambda item: _writing.put_request(connection, *item, deadline, _batch.ROOM)
            return _batch.ask_many(connection, Op.PUT, some, encode, _wire.decode_sealed, deadline)

        return self._run_many(items, ask, lambda item: self.put(*item, deadline), deadline)

    def get(self, key: str, deadline: Optional[float]) -> Reading:
        return self._run(lambda connection: _reading.get(connection, key, deadline), deadline)

    def get_many(self, keys: list[str], deadline: Optional[float]) -> list[Union[Reading, errors.Error]]:
        def ask(connection: Connection, some: list) -> list:
            encode = lambda key: _reading.request(connection, key, deadline)
            receive = functools.partial(_reading.received, connection, _leases.ReleaseGroup())
            undo = functools.partial(_reading.give_back, connection)
            finish = lambda got: _reading.finish(connection, got, deadline)
            return _batch.ask_many(connection, Op.GET, some, encode, finish, deadline, receive, undo)

        return self._run_many(keys, ask, lambda key: self.get(key, deadline), deadline)

    def stat(self, key: str, deadline: Optional[float]) -> ObjectInfo:
        return _wire.decode_object(self._ask(Op.STAT, _wire.key(key), deadline))

    def list_page(
        self, prefix: str, after: str, limit: int, local: bool, deadline: Optional[float]
    ) -> tuple[bool, list[ObjectInfo]]:
        return _wire.decode_list(self._ask(Op.LIST, _wire.list_(prefix, after, limit, local), deadline))

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
        """Repeats on a new connection what the loss of one, or an agent that is going, has cut off; on the same, after a
        pause, what an agent refuses that is no member of its cluster yet."""
        retries, delay = 0, _FIRST_DELAY
        while True:
            connection = self._connected(deadline)
            try:
                return attempt(connection)
            except errors.Error as error:
                cut_off = _cut_off(connection, error)
                if not (cut_off or error.reason == "NODE_FENCED") or retries == _RETRIES:
                    raise
                if not cut_off:
                    _pause(delay, deadline, error)
                    delay *= 2
            retries += 1
            if cut_off:
                connection.retire()

    def _run_many(
        self,
        items: list,
        ask: Callable[[Connection, list], list],
        alone: Callable[[Any], Any],
        deadline: Optional[float],
    ) -> list:
        """One result or error per item. Those that a lost connection has cut off are asked again on the next; those for
        which `ask` has no answer, `alone`."""
        results: list = [None] * len(items)
        left = list(range(len(items)))
        for _ in range(1 + _RETRIES):
            try:
                connection = self._connected(deadline)
            except errors.Error as error:
                for index in left:
                    results[index] = error
                break
            for index, result in zip(left, ask(connection, [items[index] for index in left])):
                results[index] = result
            left = [index for index in left if _cut_off(connection, results[index])]
            if not left:
                break
            connection.retire()
        for index, result in enumerate(results):
            if result is None or isinstance(result, errors.Error) and result.reason == "TOO_MANY_WAITING":
                try:
                    results[index] = alone(items[index])
                except errors.Error as error:
                    results[index] = error
        return results

    def _connected(self, deadline: Optional[float]) -> Connection:
        """The connection, a new one if the last is of no more use."""
        self._check_open()
        connection = self._connection
        if connection is not None and connection.usable:
            return connection
        turn = object()
        try:
            self._take_turn(turn, deadline)
            self._check_open()
            if self._connection is None or not self._connection.usable:
                self._replace(deadline)
            return self._connection
        finally:
            if self._dialler is turn:  # no call before: a signal's handler may raise at each
                self._dialler = None

    def _take_turn(self, turn: object, deadline: Optional[float]) -> None:
        """Waits until no other thread looks for an agent, or has leases again."""
        while True:
            check_cancelled()
            with self._lock:
                if self._dialler is None:
                    self._dialler = turn
                    return
            wait = remaining(deadline)
            if wait == 0:
                raise errors.DeadlineExceeded(f"{self._path}: no connection in time", reason="TIMEOUT")
            Signal().wait(_LOOK_AGAIN if wait is None else min(wait, _LOOK_AGAIN))

    def _replace(self, deadline: Optional[float]) -> None:
        """In its turn: a new connection for one that is of no more use."""
        if self._connection is not None:
            self._leave(self._connection)
            self._connection = None
        connection = self._dial(self._reconnect_window, deadline)
        try:
            # Before anybody asks anything: the object may be there for its readers' sake alone.
            self._regain(connection, deadline)
            connection.keep()
            with self._lock:
                self._check_open()
                self._connection = connection
        except BaseException:
            connection.retire()
            raise

    def _leave(self, connection: Connection) -> None:
        """In its turn."""
        self._earlier = (*map(weakref.ref, self._earlier_connections()), weakref.ref(connection))
        connection.retire()

    def _earlier_connections(self) -> list[Connection]:
        connections = [reference() for reference in self._earlier]
        return [connection for connection in connections if connection is not None]

    def _mapped_before(self) -> int:
        """Bytes of earlier agents that this process still maps."""
        return sum(connection.used_bytes() for connection in self._earlier_connections())

    def _regain(self, connection: Connection, deadline: Optional[float]) -> None:
        """In its turn: has the leases again that ended with earlier connections."""
        for earlier in self._earlier_connections():
            self._lost_leases += earlier.take_lost_leases()
        limit = time.monotonic() + HELLO_TIMEOUT
        limit = limit if deadline is None else min(limit, deadline)
        self._lost_leases = _leases.regain(connection, self._lost_leases, limit)

    def _follow(self) -> None:
        """A connection is lost: looks for the next agent if there are readers whose leases it should have again."""
        connections = self._earlier_connections()
        if self._connection is not None:
            connections.append(self._connection)
        if not self._reconnect_window or not any(map(Connection.has_lost_leases, connections)):
            return
        turn = object()
        try:
            connection = self._connected(None)
            self._take_turn(turn, None)
            self._regain(connection, None)
        except errors.Error:
            pass  # the next call tries again, and says so
        finally:
            if self._dialler is turn:
                self._dialler = None

    def _check_open(self) -> None:
        if self._closed:
            raise errors.Conflict("the client is closed", reason="CLOSED")

    def start_anew_in_child(self) -> None:
        """In a forked child: forgets what threads of the parent held. Its connection is lost to the child already."""
        self._lock = threading.Lock()
        self._dialler = None
        self._connection = None
        self._earlier = ()
        self._lost_leases = []

    def _dial(self, window: float, deadline: Optional[float]) -> Connection:
        """Tries for `window` seconds, and at least 1 + 3 times."""
        end = time.monotonic() + window
        retries, delay = 0, _FIRST_DELAY
        while True:
            try:
                return self._dial_once(deadline)
            except errors.Unavailable as error:
                if retries >= _RETRIES and time.monotonic() >= end:
                    tried = f"again for {window:g} s" if window else f"{1 + retries} times"
                    raise error.about(f"tried to connect {tried}")
                _pause(delay, deadline, error)
            self._check_open()
            retries += 1
            delay = min(2 * delay, _LONGEST_DELAY)

    def _dial_once(self, deadline: Optional[float]) -> Connection:
        follow = weakref.WeakMethod(self._follow)
        mapped_before = weakref.WeakMethod(self._mapped_before)
        try:
            return Connection(
                self._path,
                self._asked_namespace,
                deadline,
                lambda: _call(mapped_before, 0),
                lambda: _call(follow, None),
            )
        except PermissionError as error:
            raise errors.PermissionDenied(f"{self._path}: {error.strerror}", reason="EACCES") from error
        except OSError as error:
            if error.errno is None:  # a path that no socket address holds
                raise errors.InvalidArgument(f"{self._path}: {error}", reason="BAD_ENDPOINT") from error
            message = f"no agent at {self._path}: {error.strerror or error}"
            raise errors.Unavailable(message, reason="NO_AGENT") from error
        except errors.DeadlineExceeded as error:
            message = f"no answer at {self._path}: its agent is stopped, or overloaded"
            raise errors.Unavailable(message, reason="NO_AGENT") from error
        except errors.Error as error:
            raise error.about(self._path)


def _start_all_anew_in_child() -> None:
    for transport in list(_transports):
        transport.start_anew_in_child()


os.register_at_fork(after_in_child=_start_all_anew_in_child)


def _call(method: weakref.WeakMethod, otherwise: Any) -> Any:
    """What it gives, `otherwise` once its object is gone."""
    bound = method()
    return otherwise if bound is None else bound()


def _pause(delay: float, deadline: Optional[float], error: errors.Error) -> None:
    """Before what failed with `error` is tried again; DeadlineExceeded where there is no time for that."""
    pause = min(delay * random.uniform(0.5, 1.5), _LONGEST_DELAY)
    if deadline is not None and pause > remaining(deadline):
        raise errors.DeadlineExceeded(error.message, reason=error.reason) from error
    time.sleep(pause)
    check_cancelled()


def _cut_off(connection: Connection, error: Any) -> bool:
    return isinstance(error, errors.Unavailable) and (connection.lost or error.reason == "STOPPING")
