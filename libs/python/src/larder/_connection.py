"""One session with an agent, shared by all threads of a client: leases, segments, and the thread that looks after them."""

from __future__ import annotations

import functools
import os
import socket
import threading
import time
import weakref
from typing import Callable, Optional

from larder import _wire, errors
from larder._calls import Call
from larder._leases import ReadLease, ReleaseGroup, regain
from larder._link import Link, remaining
from larder._mapping import Mapping, SegmentCache
from larder._sync import LeftWork
from larder._wire import Op

IDLE_MAPPED_BYTES = 256 << 20  # of segments that no view shows, kept for a while for the next get
HELLO_TIMEOUT = 5.0  # seconds

_UNMAPPED_AT_ONCE = 4096  # segments that one record names, well within its bounds
_LOOK = 1.0  # seconds that what the agent says of its own accord may lie unread

_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


class Connection(Link):
    """One session with an agent. Thread-safe.

    Attributes:
        segments: what the agent has handed out for reading; under the guard.
        hello: what the agent said at the start.
    """

    def __init__(
        self,
        path: str,
        namespace: str,
        deadline: Optional[float],
        mapped_before: Callable[[], int] = lambda: 0,
        on_loss: Callable[[], None] = lambda: None,
    ) -> None:
        """Connects and says HELLO. OSError if nobody answers at `path`, errors.Error as the agent says.

        `mapped_before` tells how many bytes of earlier agents are still mapped. `on_loss` is called, by the thread
        that looks after leases, when the agent is gone.
        """
        limit = time.monotonic() + HELLO_TIMEOUT
        deadline = limit if deadline is None else min(limit, deadline)
        super().__init__(path, deadline)
        self._leases: dict[int, Optional[ReadLease]] = {}  # by number; None: a creation's, or nobody's yet
        self._lapsed: set[int] = set()  # of creations
        self._lost_leases: list[ReadLease] = []  # that lapsed, or were held when the agent went
        self._releases: list[int] = []  # that wait for others of their group
        self._windows: dict[int, int] = {}  # bytes of those that writers have mapped, by their Mapping's id
        self.segments = SegmentCache(IDLE_MAPPED_BYTES)
        self._retired = False
        self._keeper: Optional[threading.Thread] = None
        self._keeper_reads = False
        self._mapped_before = mapped_before
        self._said_before = mapped_before()
        self._welcome = False  # HELLO has been answered
        self._on_loss = on_loss
        try:
            payload = _wire.hello(namespace, self._said_before, "larder-python")
            self.hello = _wire.decode_hello(self.ask(Op.HELLO, payload, deadline))
            self._welcome = True
        except BaseException:
            self._socket.close()
            raise
        _connections.add(self)

    @property
    def usable(self) -> bool:
        """New calls may be made."""
        return not (self.lost or self._retired)

    def used_bytes(self) -> int:
        """Of segments that views of this process still show, and of windows that writers still have."""
        with self.left, self.guard:
            return self.segments.used_bytes() + sum(self._windows.values())

    def take_lost_leases(self) -> list[ReadLease]:
        """The read leases that have lapsed, or ended with the connection."""
        with self.left, self.guard:
            if self.lost:
                self._lose_all()
            leases, self._lost_leases = self._lost_leases, []
            return leases

    def has_lost_leases(self) -> bool:
        """There are readers who should have theirs again."""
        with self.left, self.guard:
            if self.lost:
                self._lose_all()
            return any(not lease.over for lease in self._lost_leases)

    def retire(self) -> None:
        """Closes once nothing is under way and no lease is held; what is open works on till then. Never blocks."""
        self.leave(self._retire)

    def _retire(self) -> None:
        self._retired = True
        self._close_if_over()

    def _close_if_over(self) -> None:
        """Under the guard. Waits for the calls, since their threads may be about to use the socket."""
        if self._active or not (self.lost or self._retired and not self._leases and not self._outbox):
            return
        self.lost = True
        self._lose_all()
        if self._keeper_reads:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes it; it comes here once more
            return
        self._socket.close()
        self.segments.close()
        self._keeper_wakes.set()

    # Leases.

    def hold(self, number: int, lease: Optional[ReadLease] = None) -> None:
        """Counts a lease as held, by that reader if one is named; it is renewed until let_go(). Under the guard."""
        self._leases[number] = lease

    def lapsed(self, number: int) -> bool:
        """The agent has ended a creation's lease, for want of renewals in time."""
        return number in self._lapsed or number not in self._leases

    def let_go(self, number: int, ending: Optional[bytes] = None) -> None:
        """Under the guard: a creation's lease is over, by the record `ending` if that is still to be said."""
        if number in self._leases:
            if number not in self._lapsed and ending is not None and not self.lost:
                self._outbox.append(ending)
            del self._leases[number]
        self._lapsed.discard(number)
        self._flush()
        self._close_if_over()

    def let_go_reading(self, number: int) -> None:
        """Under the guard: a read lease is over, if it is still held here. One of a group waits for the others."""
        group: Optional[ReleaseGroup] = None
        if number in self._leases:
            lease = self._leases[number]
            del self._leases[number]
            if lease is not None and lease.group is not None:
                group = lease.group
                group.open -= 1
            if not self.lost:
                self._releases.append(number)
        if not self.lost and (group is None or group.open == 0 or len(self._releases) >= _wire.MAX_BATCH):
            self._queue_releases()
            self._flush()
        self._close_if_over()

    def _queue_releases(self) -> None:
        """Under the guard."""
        count = min(len(self._releases), _wire.MAX_BATCH)
        if not count:
            return
        payloads = [_wire.release(number) for number in self._releases[:count]]
        op, payload = (Op.RELEASE, payloads[0]) if count == 1 else (Op.BATCH, _wire.batch(Op.RELEASE, payloads))
        self._outbox.append(_wire.record(op, 0, payload))
        del self._releases[:count]

    def _mark_lapsed(self, numbers: list[int]) -> None:
        with self.left, self.guard:
            for number in numbers:
                lease = self._leases.get(number, self)
                if lease is None:
                    self._lapsed.add(number)
                elif lease is not self:
                    del self._leases[number]
                    self._lose(lease)
            self._keeper_wakes.set()

    def _lose(self, lease: ReadLease) -> None:
        """Under the guard."""
        if lease.group is not None:
            lease.group.open -= 1
            lease.group = None
        lease.held = None
        if not lease.over:
            self._lost_leases.append(lease)

    def _lose_all(self) -> None:
        """Under the guard."""
        for lease in self._leases.values():
            if lease is not None:
                self._lose(lease)
        self._leases.clear()

    def _notice(self, op: int, payload: memoryview) -> None:
        """What the agent says of its own accord."""
        if op == Op.REVOKE:
            with self.left, self.guard:
                self.tell_unmapped(self.segments.asked_back(_wire.decode_segments(payload)))
        elif op == Op.LAPSED:
            self._mark_lapsed(_wire.decode_leases(payload))

    # The keeper: a thread while there is something to look after.

    def keep(self) -> None:
        """Sees to it that a thread renews leases while some are held, drops idle segments, answers what the agent asks,
        and reads what given-up calls still bring."""
        with self.left, self.guard:
            if self._keeper is not None or self.lost or not self._welcome or not self._needs_keeper():
                return
            keeper = self._keeper = threading.Thread(target=self._keep, name="larder-keeper", daemon=True)
        try:
            keeper.start()
        except RuntimeError as error:
            with self.left, self.guard:
                self._keeper = None
            raise errors.ResourceExhausted(f"no thread to renew leases: {error}", reason="NO_THREAD") from error

    def _needs_keeper(self) -> bool:
        """Under the guard."""
        busy = self._leases or self._lost_leases or self._given_up or self._outbox or self._said_before
        return bool(busy) or self.segments.any_idle()

    def _keep(self) -> None:
        """Ends when nothing is left to do at a tick: a program that gets and releases in a loop starts no thread each
        time."""
        tick = time.monotonic() + self.hello.lease_ttl / 3
        while True:
            self._pause(min(tick, time.monotonic() + _LOOK))
            self._read_what_came()
            self._regain()
            self._say_what_is_left()
            if not self.lost and remaining(tick):
                continue
            with self.left, self.guard:
                over = self.lost or not self._needs_keeper()
                if over:
                    self._keeper = None
                    self._close_if_over()
            if over:
                break
            self._renew()
            tick = time.monotonic() + self.hello.lease_ttl / 3
        if self.lost:
            self._on_loss()

    def _regain(self) -> None:
        if not self._lost_leases or self.lost:
            return
        left = regain(self, self.take_lost_leases(), time.monotonic() + HELLO_TIMEOUT)
        with self.left, self.guard:
            self._lost_leases += left

    def _pause(self, until: float) -> None:
        if self._given_up and not self.lost:
            self._read_given_up(until)
        elif not self.lost:
            self._keeper_wakes.wait(remaining(until))

    def _read_what_came(self) -> None:
        """What the agent says of its own accord, or its end, would lie there until somebody waits for a reply."""
        with self.left, self.guard:
            if self.lost or self._leader is not None:
                return
            self._keeper_reads = True
        call = Call(Op.PING, None, None)
        try:
            while self._lead(call) and not self.lost and self._readable.poll(0):
                self._receive(time.monotonic())
        finally:
            if self._leader is call:
                self._leader = None
            with self.left, self.guard:
                self._wake_next()
                self._keeper_reads = False
                self._close_if_over()

    def _say_what_is_left(self) -> None:
        """Of earlier agents' bytes, if that has changed; and what has waited for others."""
        before = self._mapped_before() if self._said_before else 0
        with self.left, self.guard:
            if before != self._said_before and not self.lost:
                self._said_before = before
                self._outbox.append(_wire.record(Op.UNMAPPED, 0, _wire.unmapped([], before)))
            self._queue_releases()
            self._flush()

    def _renew(self) -> None:
        with self.left, self.guard:
            self.tell_unmapped(self.segments.drop_unused())
            if not (self._leases or self._outbox):
                return
        try:
            self._mark_lapsed(_wire.decode_leases(self.ask(Op.RENEW, b"", None)))
        except errors.Error:
            pass  # the connection is lost, or the agent is going: the next look tells

    def _read_given_up(self, tick: float) -> None:
        # Nobody else may come to read; leases that late replies bring would stay, and the agent's queue be full.
        with self.left, self.guard:
            if self.lost:
                return
            self._keeper_reads = True
        try:
            self._await(Call(Op.PING, None, None), lambda: not self._given_up, tick)
        except errors.DeadlineExceeded:
            pass
        finally:
            with self.left, self.guard:
                self._keeper_reads = False
                self._close_if_over()

    # Segments and windows.

    def release(self, number: int, segments: list) -> None:
        """Under the guard: the end of a read lease (0: of none) and its use of segments."""
        self.segments.unpin(segments)
        self.let_go_reading(number)
        self.tell_unmapped(self.segments.trim())

    def tell_unmapped(self, numbers: list[int]) -> None:
        """Under the guard."""
        if self.lost or not numbers:
            return
        for at in range(0, len(numbers), _UNMAPPED_AT_ONCE):
            payload = _wire.unmapped(numbers[at : at + _UNMAPPED_AT_ONCE], self._said_before)
            self._outbox.append(_wire.record(Op.UNMAPPED, 0, payload))
        self._flush()

    def add_window(self, window: Mapping) -> None:
        with self.left, self.guard:
            self._windows[id(window)] = window.size

    def window_gone(self, window: Mapping) -> None:
        """It shows the agent's memory no more. Never blocks."""
        self.leave(functools.partial(self._forget_window, window))

    def _forget_window(self, window: Mapping) -> None:
        """Under the guard."""
        self._windows.pop(id(window), None)

    def drop_in_child(self) -> None:
        """In a forked child: gives up the parent's connection without a word on it. Views stay good."""
        self.guard = threading.Lock()  # another thread may have held it
        self.left = LeftWork(self.guard)
        self._active = 0
        self._keeper_reads = False
        self._leases.clear()
        self._lost_leases.clear()
        self._releases.clear()
        self._outbox.clear()
        self._calls.clear()
        self._queued.clear()
        self.lost = True
        self._close_if_over()


def _drop_all_in_child() -> None:
    for connection in list(_connections):
        connection.drop_in_child()


os.register_at_fork(after_in_child=_drop_all_in_child)
