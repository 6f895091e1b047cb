"""One connection to an agent's data.sock, shared by all threads of a client: calls, leases, segments."""

from __future__ import annotations

import array
import collections
import copy
import functools
import os
import select
import socket
import threading
import time
import weakref
from typing import Any, Callable, Optional

from larder import _wire, errors
from larder._mapping import SegmentCache
from larder._sync import Guard, Signal
from larder._wire import Op

IDLE_MAPPED_BYTES = 256 << 20  # of segments that no view shows, kept for a while for the next get
HELLO_TIMEOUT = 5.0  # seconds
PIPELINED = 16  # calls that one thread has under way

_UNANSWERED = 64  # the format's limit
# Calls that may wait for another creator: no more, so that the creator's own, by the same client, always get through.
_UNANSWERED_WAITING = 32
_MAY_WAIT = frozenset({Op.CREATE, Op.PUT})
_UNMAPPED_AT_ONCE = 4096  # segments that one record names, well within its bounds
_LONGEST_POLL = 1e9  # ms; the system call takes an int
_ANCILLARY_BYTES = socket.CMSG_SPACE(_wire.MAX_EXTENTS * array.array("i").itemsize)

_connections: weakref.WeakSet[Connection] = weakref.WeakSet()


def remaining(deadline: Optional[float]) -> Optional[float]:
    """Seconds until `deadline` (time.monotonic), at least 0; None: no limit."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def wait_ms(deadline: Optional[float]) -> int:
    """How long the agent may make a call wait."""
    return _wire.NO_LIMIT if deadline is None else int(min(remaining(deadline) * 1000, _wire.NO_LIMIT - 1))


class Call:
    """A request on its way. Whoever started it passes it to wait() or abandon(), once."""

    __slots__ = ("op", "request", "receive", "undo", "signal", "admitted", "done", "abandoned", "result", "error")

    def __init__(self, op: Op, receive: Optional[Callable], undo: Optional[Callable]) -> None:
        self.op = op
        self.request = 0
        self.receive = receive  # (payload, Descriptors or None if some were lost) -> result; on the leader's thread
        self.undo = undo  # (result), when nobody wants it any more; under the guard
        self.signal = Signal()
        self.admitted = False
        self.done = False
        self.abandoned = False
        self.result: Any = None
        self.error: Optional[errors.Error] = None


class Connection:
    """One session with an agent. Thread-safe.

    There is no reading thread: of the callers that wait, one leads, that is reads, and hands replies to
    the others; when it has its own the next one leads.

    Attributes:
        guard: the mutex of all state; held for short times only, never while blocking.
        segments: what the agent has handed out for reading; under the guard.
        hello: what the agent said at the start.
        lost: the other end is gone; nothing can be asked any more.
        descriptors: file descriptors come through; False once some were lost on the way.
    """

    def __init__(self, path: str, namespace: str, mapped_before: int, deadline: Optional[float]) -> None:
        """Connects and says HELLO. OSError if nobody answers at `path`, errors.Error as the agent says."""
        self.guard = Guard()
        self._calls: dict[int, Call] = {}  # unanswered, by request id
        self._unanswered_waiting = 0
        self._queued: collections.deque[Call] = collections.deque()  # not sent yet, the format's limit being reached
        self._active = 0  # calls started and neither waited for nor abandoned
        self._last_request = 0
        self._leader: Optional[Call] = None
        self._followers: dict[Call, None] = {}  # in the order of their coming
        self._outbox: collections.deque[bytes] = collections.deque()  # records that want no reply
        self._leases: dict[int, bool] = {}  # by number; True: it has lapsed
        self.segments = SegmentCache(IDLE_MAPPED_BYTES)
        self._retired = False
        self._given_up = 0  # abandoned calls without a reply yet
        self._keeper: Optional[threading.Thread] = None
        self._keeper_reads = False
        self._keeper_wakes = Signal()
        self.lost = False
        self.descriptors = True

        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            limit = time.monotonic() + HELLO_TIMEOUT
            deadline = limit if deadline is None else min(limit, deadline)
            self._socket.settimeout(max(0.001, remaining(deadline)))
            self._socket.connect(path)
            self._socket.settimeout(None)
            self._readable = select.poll()
            self._readable.register(self._socket, select.POLLIN)
            payload = _wire.hello(namespace, mapped_before, "larder-python")
            self.hello = _wire.decode_hello(self.ask(Op.HELLO, payload, deadline))
        except BaseException:
            self._socket.close()
            raise
        _connections.add(self)

    @property
    def usable(self) -> bool:
        """New calls may be made."""
        return not (self.lost or self._retired)

    def used_bytes(self) -> int:
        """Of segments that views of this process still show."""
        with self.guard:
            return self.segments.used_bytes()

    def retire(self) -> None:
        """Closes once nothing is under way and no lease is held; what is open works on till then. Never blocks."""
        self.leave(self._retire)

    def _retire(self) -> None:
        self._retired = True
        self._close_if_over()

    # Calls.

    def ask(self, op: Op, payload: _wire.Buffer, deadline: Optional[float]) -> memoryview:
        """Sends a request and returns its reply's payload; raises the error it carries, DeadlineExceeded, or
        Unavailable (CONNECTION_LOST)."""
        return self.wait(self.start(op, payload, deadline), deadline)

    def start(
        self,
        op: Op,
        payload: _wire.Buffer,
        deadline: Optional[float],
        receive: Optional[Callable] = None,
        undo: Optional[Callable] = None,
    ) -> Call:
        """Sends a request; blocks while too many are unanswered. Errors as those of ask()."""
        call = Call(op, receive, undo)
        with self.guard:
            self._active += 1
            self._queued.append(call)
            self._admit()
        try:
            if not call.admitted:
                self._await(call, lambda: call.admitted or call.done, deadline)
            if call.error is not None:
                raise call.error
            self._send(_wire.record(op, call.request, payload), deadline)
        except errors.Error:  # it was not sent
            self._withdraw(call)
            raise
        except BaseException:
            self.abandon(call)
            self.keep()
            raise
        return call

    def wait(self, call: Call, deadline: Optional[float]) -> Any:
        """The reply to a started call: its payload, or what its `receive` made of it."""
        try:
            if not call.done:
                self._await(call, lambda: call.done, deadline)
        except BaseException:
            self.abandon(call)
            self.keep()
            raise
        with self.guard:
            self._end_call()
        if call.error is not None:
            raise call.error
        return call.result

    def abandon(self, call: Call) -> None:
        """Gives a started call up: what its reply brings is given back when it comes. Never blocks.

        keep() is due after it where the reply may be long or bring something, and may not be called by a finalizer.
        """
        self.leave(functools.partial(self._abandon, call))

    def _abandon(self, call: Call) -> None:
        call.abandoned = True
        if call in self._queued:
            self._queued.remove(call)
        if call.admitted and not call.done:
            self._given_up += 1
            self._keeper_wakes.set()
        elif call.done and call.error is None and call.undo is not None:
            call.undo(call.result)
        self._end_call()

    def _withdraw(self, call: Call) -> None:
        with self.guard:
            if call in self._queued:
                self._queued.remove(call)
            elif self._calls.get(call.request) is call:
                self._forget(call)
                self._admit()
            self._end_call()

    def _end_call(self) -> None:
        """Under the guard."""
        self._active -= 1
        self._close_if_over()

    def _forget(self, call: Call) -> None:
        """Under the guard: the call is no longer unanswered."""
        del self._calls[call.request]
        if call.op in _MAY_WAIT:
            self._unanswered_waiting -= 1

    def _admit(self) -> None:
        """Under the guard: numbers the queued calls that may go now."""
        if self.lost:
            for call in self._queued:
                self._finish(call, error=_lost())
            self._queued.clear()
        held_back = []
        while self._queued and len(self._calls) < _UNANSWERED:
            call = self._queued.popleft()
            if call.op in _MAY_WAIT:
                if self._unanswered_waiting >= _UNANSWERED_WAITING:
                    held_back.append(call)
                    continue
                self._unanswered_waiting += 1
            self._last_request += 1
            call.request = self._last_request
            self._calls[call.request] = call
            call.admitted = True
            if call in self._followers:
                call.signal.set()
        self._queued.extendleft(reversed(held_back))

    def _await(self, call: Call, ready: Callable[[], bool], deadline: Optional[float]) -> None:
        """Leads or follows until `ready`. DeadlineExceeded (TIMEOUT)."""
        try:
            while True:
                with self.guard:
                    if ready():
                        return
                    leads = self._leader is None
                    if leads:
                        self._leader = call
                        self._followers.pop(call, None)
                    else:
                        self._followers[call] = None
                if leads:
                    while not ready() and self._receive(deadline):
                        pass
                elif call.signal.wait(remaining(deadline)):
                    continue
                if not ready():
                    raise errors.DeadlineExceeded(f"no reply to {call.op.name} in time", reason="TIMEOUT")
        finally:
            with self.guard:
                self._followers.pop(call, None)
                if self._leader is call:
                    self._leader = None
                if self._leader is None and self._followers:
                    next(iter(self._followers)).signal.set()

    def _send(self, record: bytes, deadline: Optional[float]) -> None:
        """After what is in the outbox: leases end in the order in which the program ended them."""
        while True:
            with self.guard:
                self._flush()
                blocked = bool(self._outbox)
            try:
                if not blocked:
                    self._socket.send(record, socket.MSG_DONTWAIT)
                    return
            except BlockingIOError:
                pass
            except OSError as error:
                # Replies may still lie in our queue, so those who wait for one learn it from reading.
                self.lost = True
                raise _lost() from error
            writable = select.poll()
            writable.register(self._socket, select.POLLOUT)
            if not writable.poll(_poll_ms(deadline)) and remaining(deadline) == 0:
                raise errors.DeadlineExceeded("the agent takes no requests", reason="TIMEOUT")

    def _flush(self) -> None:
        """Under the guard: sends from the outbox what the socket takes at once."""
        while self._outbox:
            try:
                self._socket.send(self._outbox[0], socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except OSError:
                self.lost = True
                self._outbox.clear()
                return
            self._outbox.popleft()

    # Replies; only the leader is here.

    def _receive(self, deadline: Optional[float]) -> bool:
        """Reads one record and hands it on; False once the deadline has passed."""
        if not self._readable.poll(_poll_ms(deadline)):
            return remaining(deadline) != 0
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                _wire.MAX_RECORD, _ANCILLARY_BYTES, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
            )
            descriptors = Descriptors(ancillary)
            try:
                self._deliver(data, descriptors, truncated=bool(flags & socket.MSG_CTRUNC))
            finally:
                descriptors.close()
        except BlockingIOError:
            pass
        except OSError:
            self._fail(_lost())
        except errors.Error as error:
            self._fail(error)
        except BaseException:  # interrupted with a record in hand, maybe another thread's
            self._fail(_lost())
            raise
        return True

    def _deliver(self, data: bytes, descriptors: Descriptors, truncated: bool) -> None:
        if not data:
            raise _lost()
        op, request, code, payload = _wire.split(data)
        with self.guard:
            call = self._calls.get(request)
        if call is None:
            if request == 0:  # the agent's own; version 1 has none that clients must know
                return
            raise _wire.bad_record(f"a reply to request {request}, which was not made")
        if op != call.op:
            raise _wire.bad_record(f"a reply of op {op} to {call.op.name}")
        result, error = None, None
        if code:
            error = _wire.decode_error(code, payload)
        elif call.receive is None:
            result = payload
        else:
            result = call.receive(payload, None if truncated else descriptors)
        if truncated:
            self.descriptors = False
        with self.guard:
            self._forget(call)
            self._finish(call, result, error)
            self._admit()

    def _finish(self, call: Call, result: Any = None, error: Optional[errors.Error] = None) -> None:
        """Under the guard."""
        call.result, call.error, call.done = result, error, True
        self._given_up -= call.abandoned
        if call in self._followers:
            call.signal.set()
        if call.abandoned and error is None and call.undo is not None:
            call.undo(result)

    def _fail(self, error: errors.Error) -> None:
        with self.guard:
            self.lost = True
            for call in self._calls.values():
                self._finish(call, error=copy.copy(error))
            self._calls.clear()
            self._admit()
            self._keeper_wakes.set()

    def _close_if_over(self) -> None:
        """Under the guard. Waits for the calls, since their threads may be about to use the socket."""
        if self._active or not (self.lost or self._retired and not self._leases and not self._outbox):
            return
        self.lost = True
        if self._keeper_reads:
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes it; it comes here once more
            return
        self._socket.close()
        self.segments.close()
        self._keeper_wakes.set()

    # Leases.

    def hold(self, lease: int) -> None:
        """Counts a lease as held; it is renewed until let_go(). Under the guard, by a call's `receive`."""
        self._leases[lease] = False

    def lapsed(self, lease: int) -> bool:
        """The agent has ended it, for want of renewals in time."""
        return self._leases.get(lease, True)

    def keep(self) -> None:
        """Sees to it that a thread renews leases while some are held, drops idle segments, and reads what given-up
        calls still bring."""
        with self.guard:
            if self._keeper is not None or self.lost or not self._needs_keeper():
                return
            keeper = self._keeper = threading.Thread(target=self._keep, name="larder-keeper", daemon=True)
        try:
            keeper.start()
        except RuntimeError as error:
            with self.guard:
                self._keeper = None
            raise errors.ResourceExhausted(f"no thread to renew leases: {error}", reason="NO_THREAD") from error

    def _needs_keeper(self) -> bool:
        """Under the guard."""
        return bool(self._leases or self._given_up or self._outbox) or self.segments.any_idle()

    def let_go(self, lease: int, ending: Optional[bytes] = None) -> None:
        """Under the guard: a lease is over, by the record `ending` if that is still to be said."""
        if self._leases.pop(lease, None) is False and ending is not None and not self.lost:
            self._outbox.append(ending)
            self._flush()
        self._close_if_over()

    def leave(self, work: Callable[[], None]) -> None:
        """Runs `work` under the guard, soon; never blocks, so that finalizers may call it."""
        self.guard.leave(work)

    def _keep(self) -> None:
        """Ends when nothing is left to do at a tick: a program that gets and releases in a loop starts no thread each
        time."""
        while True:
            tick = time.monotonic() + self.hello.lease_ttl / 3
            while not self.lost and remaining(tick):
                if self._given_up:
                    self._read_given_up(tick)
                else:
                    self._keeper_wakes.wait(remaining(tick))
            with self.guard:
                self._flush()
                self.tell_unmapped(self.segments.drop_unused())
                if self.lost or not self._needs_keeper():
                    self._keeper = None
                    self._close_if_over()
                    return
                if not (self._leases or self._outbox):
                    continue
            try:
                lapsed = _wire.decode_renew(self.ask(Op.RENEW, b"", None))
            except errors.Error:
                continue  # the connection is lost, or the agent is going: the next tick tells
            with self.guard:
                for lease in lapsed:
                    if lease in self._leases:
                        self._leases[lease] = True

    def _read_given_up(self, tick: float) -> None:
        # Nobody else may come to read; leases that late replies bring would stay, and the agent's queue be full.
        with self.guard:
            if self.lost:
                return
            self._keeper_reads = True
        try:
            self._await(Call(Op.PING, None, None), lambda: not self._given_up, tick)
        except errors.DeadlineExceeded:
            pass
        finally:
            with self.guard:
                self._keeper_reads = False
                self._close_if_over()

    def release(self, lease: int, segments: list) -> None:
        """Under the guard: the end of a read lease and its use of segments."""
        self.let_go(lease, _wire.record(Op.RELEASE, 0, _wire.release(lease)))
        self.segments.unpin(segments)
        self.tell_unmapped(self.segments.trim())

    def tell_unmapped(self, numbers: list[int]) -> None:
        """Under the guard."""
        if self.lost or not numbers:
            return
        for at in range(0, len(numbers), _UNMAPPED_AT_ONCE):
            payload = _wire.unmapped(numbers[at : at + _UNMAPPED_AT_ONCE])
            self._outbox.append(_wire.record(Op.UNMAPPED, 0, payload))
        self._flush()

    def drop_in_child(self) -> None:
        """In a forked child: gives up the parent's connection without a word on it. Views stay good."""
        self.guard = Guard()  # another thread may have held it
        self._active = 0
        self._keeper_reads = False
        self._leases.clear()
        self._outbox.clear()
        self._calls.clear()
        self._queued.clear()
        self.lost = True
        self._close_if_over()


class Descriptors:
    """The file descriptors that came with a record, in their order; those not taken are closed."""

    def __init__(self, ancillary: list[tuple[int, int, bytes]]) -> None:
        self._fds: collections.deque[int] = collections.deque()
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
                self._fds.extend(fds)

    def take(self) -> Optional[int]:
        """The next, the caller's from now on; None when there are no more."""
        return self._fds.popleft() if self._fds else None

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.popleft())


def _poll_ms(deadline: Optional[float]) -> Optional[float]:
    return None if deadline is None else min(remaining(deadline) * 1000, _LONGEST_POLL)


def _lost() -> errors.Unavailable:
    return errors.Unavailable("the connection to the agent was lost", reason="CONNECTION_LOST")


def _drop_all_in_child() -> None:
    for connection in list(_connections):
        connection.drop_in_child()


os.register_at_fork(after_in_child=_drop_all_in_child)
