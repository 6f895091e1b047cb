"""Pipelined calls over one data.sock: who sends, who reads, and for whom."""

from __future__ import annotations

import array
import collections
import copy
import functools
import select
import socket
import threading
import time
from typing import Any, Callable, Optional, TypeVar

from larder import _wire, errors
from larder._calls import BatchCall, Call, Descriptors
from larder._sync import LeftWork, Signal, check_cancelled
from larder._wire import Op

PIPELINED = 16  # calls that one thread has under way

_UNANSWERED = 64  # requests; the agent would queue more all the same
# Calls that may wait for another creator: no more, so that the creator's own, by the same client, always get through.
_UNANSWERED_WAITING = 32
_MAY_WAIT = frozenset({Op.CREATE, Op.PUT})
_LONGEST_POLL = 1e9  # ms; the system call takes an int
_LOOK_AGAIN = 0.01  # seconds, for who waits to send while another thread reads
_LOOK = 1.0  # seconds, for who waits for anything: a signal's exception may have cut short what was to wake it
_ANCILLARY_BYTES = socket.CMSG_SPACE(_wire.MAX_EXTENTS * array.array("i").itemsize)

C = TypeVar("C", bound=Call)


def remaining(deadline: Optional[float]) -> Optional[float]:
    """Seconds until `deadline` (time.monotonic), at least 0; None: no limit."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def wait_ms(deadline: Optional[float]) -> int:
    """How long the agent may make a call wait."""
    return _wire.NO_LIMIT if deadline is None else int(min(remaining(deadline) * 1000, _wire.NO_LIMIT - 1))


class Link:
    """Calls over one socket. Thread-safe.

    There is no reading thread: of the callers that wait, one leads, that is reads, and hands replies to
    the others; when it has its own the next one leads.

    A signal's handler may raise wherever Python code makes a call or loops, in the main thread. So what must not be
    done by halves is written without a call in it, and what others wait for they look for themselves from time to time.

    Attributes:
        guard: the mutex of all state; held for short times only, never while blocking.
        left: for `with left, guard:`, what finalizers have left to do.
        lost: the other end is gone; nothing can be asked any more.
        descriptors: file descriptors come through; False once some were lost on the way.
    """

    def __init__(self, path: str, deadline: float) -> None:
        """Connects. OSError if nobody answers at `path`."""
        self.guard = threading.Lock()
        self.left = LeftWork(self.guard)
        self._calls: dict[int, Call] = {}  # unanswered, by request id
        self._unanswered_waiting = 0
        self._queued: collections.deque[Call] = collections.deque()  # not sent yet, the limit being reached
        self._active = 0  # calls started and neither waited for nor abandoned
        self._last_request = 0
        self._leader: Optional[Call] = None
        self._followers: dict[Call, None] = {}  # in the order of their coming
        self._outbox: collections.deque[bytes] = collections.deque()  # records that want no reply
        self._given_up = 0  # abandoned calls without a reply yet
        self._keeper_wakes = Signal()
        self.lost = False
        self.descriptors = True
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._socket.settimeout(max(0.001, remaining(deadline)))
            self._socket.connect(path)
            self._socket.settimeout(None)
        except BaseException:
            self._socket.close()
            raise
        self._readable = select.poll()
        self._readable.register(self._socket, select.POLLIN)

    # What a connection does with it.

    def keep(self) -> None:
        """Sees to it that somebody reads what given-up calls still bring."""
        raise NotImplementedError

    def _notice(self, op: int, payload: memoryview) -> None:
        """What the agent says of its own accord. Must not ask it anything."""
        raise NotImplementedError

    def _queue_releases(self) -> None:
        """Under the guard: a request is about to be sent, before which what has ended must be said."""
        raise NotImplementedError

    def _close_if_over(self) -> None:
        """Under the guard: a call has ended, or the other end is gone."""
        raise NotImplementedError

    def leave(self, work: Callable[[], None]) -> None:
        """Runs `work` under the guard, soon; never blocks, so that finalizers may call it."""
        self.left.leave(work)

    # Calls.

    def ask(self, op: Op, payload: _wire.Buffer, deadline: Optional[float]) -> memoryview:
        """Sends a request and returns its reply's payload; raises the error it carries, DeadlineExceeded, or
        Unavailable (CONNECTION_LOST)."""
        call = self.start(op, payload, deadline)
        try:
            return self.wait(call, deadline)
        except BaseException:
            self.abandon(call)
            raise

    def start(
        self,
        op: Op,
        payload: _wire.Buffer,
        deadline: Optional[float],
        receive: Optional[Callable] = None,
        undo: Optional[Callable] = None,
    ) -> Call:
        """Sends a request; blocks while too many are unanswered. Errors as those of ask()."""
        return self._start(Call(op, receive, undo), payload, deadline)

    def start_batch(
        self,
        op: Op,
        payloads: list[bytes],
        deadline: Optional[float],
        receive: Optional[Callable] = None,
        undo: Optional[Callable] = None,
    ) -> BatchCall:
        """Sends requests of one kind as a BATCH: at most MAX_BATCH, of BATCH_ROOM bytes."""
        call = BatchCall(len(payloads), receive, undo)
        return self._start(call, _wire.batch(op, payloads), deadline)

    def _start(self, call: C, payload: _wire.Buffer, deadline: Optional[float]) -> C:
        try:
            with self.left, self.guard:
                call.active = True
                self._active += 1
                self._queued.append(call)
                self._admit()
            if not call.admitted:
                self._await(call, lambda: call.admitted or call.done, deadline)
            if call.error is not None:
                raise call.error
            self._send(call, _wire.record(call.op, call.request, payload), deadline)
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
            with self.left, self.guard:
                self._end_call(call)
        except BaseException:
            self.abandon(call)
            self.keep()
            raise
        if call.error is not None:
            raise call.error
        return call.result

    def abandon(self, call: Call) -> None:
        """Gives a started call up, also one that was waited for: what its reply brings is given back. Never blocks;
        idempotent.

        keep() is due after it where the reply may be long or bring something, and may not be called by a finalizer.
        """
        self.leave(functools.partial(self._abandon, call))

    def _abandon(self, call: Call) -> None:
        if call in self._queued:
            self._queued.remove(call)
        elif self._calls.get(call.request) is call:
            if not call.sent:
                self._forget(call)
                self._admit()
            elif not call.abandoned:
                self._given_up += 1
                call.abandoned = True
                self._keeper_wakes.set()
        call.abandoned = True
        self._undo(call)
        self._end_call(call)

    def _end_call(self, call: Call) -> None:
        """Under the guard; idempotent."""
        if call.active:
            call.active = False
            self._active -= 1
        self._close_if_over()

    def _forget(self, call: Call) -> None:
        """Under the guard: the call is no longer unanswered."""
        waited = call.op in _MAY_WAIT
        del self._calls[call.request]
        self._unanswered_waiting -= waited

    def _admit(self) -> None:
        """Under the guard: numbers the queued calls that may go now."""
        if self.lost:
            for call in self._queued:
                self._finish(call, lost_error())
            self._queued.clear()
        held_back = 0
        while held_back < len(self._queued) and len(self._calls) < _UNANSWERED:
            call = self._queued[held_back]
            may_wait = call.op in _MAY_WAIT
            if may_wait and self._unanswered_waiting >= _UNANSWERED_WAITING:
                held_back += 1
                continue
            del self._queued[held_back]
            self._unanswered_waiting += may_wait
            self._last_request += 1
            call.request = self._last_request
            self._calls[call.request] = call
            call.admitted = True
            if call in self._followers:
                call.signal.set()

    def _await(self, call: Call, ready: Callable[[], bool], deadline: Optional[float]) -> None:
        """Leads or follows until `ready`. DeadlineExceeded (TIMEOUT)."""
        try:
            while True:
                check_cancelled()
                with self.left, self.guard:
                    if ready():
                        return
                    leads = self._leader is None or self._leader is call
                    if leads:
                        self._leader = call
                        self._followers.pop(call, None)
                    else:
                        self._followers[call] = None
                look = time.monotonic() + _LOOK
                look = look if deadline is None else min(deadline, look)
                if leads:
                    while not ready() and self._receive(look):
                        pass
                else:
                    call.signal.wait(remaining(look))
                if not ready() and remaining(deadline) == 0:
                    raise errors.DeadlineExceeded(f"no reply to {call.op.name} in time", reason="TIMEOUT")
        finally:
            if self._leader is call:
                self._leader = None
            with self.left, self.guard:
                self._followers.pop(call, None)
                self._wake_next()

    def _lead(self, call: Call) -> bool:
        """Whether `call` reads from now on, until _leader is None again, nobody else doing so."""
        with self.left, self.guard:
            if self._leader is None:
                self._leader = call
            return self._leader is call

    def _wake_next(self) -> None:
        """Under the guard: somebody may have ceased to lead."""
        if self._leader is None and self._followers:
            call = next(iter(self._followers))
            del self._followers[call]  # it comes again if it does not lead
            call.signal.set()

    def _send(self, call: Call, record: bytes, deadline: Optional[float]) -> None:
        """After what is in the outbox: leases end in the order in which the program ended them."""
        while True:
            with self.left, self.guard:
                self._queue_releases()
                self._flush()
                blocked = bool(self._outbox)
            try:
                if not blocked:
                    call.sent = True
                    self._socket.send(record, socket.MSG_DONTWAIT)
                    return
            except BlockingIOError:
                call.sent = False
            except OSError as error:
                call.sent = False
                # Replies may still lie in our queue, so those who wait for one learn it from reading.
                self.lost = True
                raise lost_error() from error
            self._wait_for_room(call, deadline)

    def _wait_for_room(self, call: Call, deadline: Optional[float]) -> None:
        """Until the socket may take more. The agent takes nothing from who does not read, so we read meanwhile, if
        nobody else does."""
        try:
            reads = self._lead(call)
            ready = select.poll()
            ready.register(self._socket, select.POLLOUT | (select.POLLIN if reads else 0))
            wait = remaining(deadline)
            if not reads:
                wait = _LOOK_AGAIN if wait is None else min(wait, _LOOK_AGAIN)
            events = ready.poll(None if wait is None else min(wait * 1000, _LONGEST_POLL))
            if reads and any(event & select.POLLIN for _, event in events):
                self._receive(time.monotonic())
        finally:
            if self._leader is call:
                self._leader = None
            with self.left, self.guard:
                self._wake_next()
        if not events and remaining(deadline) == 0:
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
            self._fail(lost_error())
        except errors.Error as error:
            self._fail(error)
        except BaseException:  # interrupted with a record in hand, maybe another thread's
            self.lost = True
            self._socket.shutdown(socket.SHUT_RDWR)  # so whoever reads next fails too, should this be cut short
            self._fail(lost_error())
            raise
        return True

    def _deliver(self, data: bytes, descriptors: Descriptors, truncated: bool) -> None:
        if not data:
            raise lost_error()
        op, request, code, payload = _wire.split(data)
        with self.left, self.guard:
            call = self._calls.get(request)
        if call is None:
            if request == 0:
                self._notice(op, payload)
                return
            raise _wire.bad_record(f"a reply to request {request}, which was not made")
        if op != call.op:
            raise _wire.bad_record(f"a reply of op {op} to {call.op.name}")
        if truncated:
            self.descriptors = False
        came = None if truncated else descriptors
        error = None
        if code:
            error = _wire.decode_error(code, payload)
        elif isinstance(call, BatchCall):
            if not call.take(payload, came):
                return
        else:
            call.result = payload if call.receive is None else call.receive(payload, came)
        with self.left, self.guard:
            self._finish(call, error)
            self._forget(call)
            self._admit()

    def _finish(self, call: Call, error: Optional[errors.Error]) -> None:
        """Under the guard; the first time counts."""
        if not call.done:
            call.error, call.done = error, True
            self._given_up -= call.abandoned
        if call in self._followers:
            call.signal.set()
        self._undo(call)

    def _undo(self, call: Call) -> None:
        """Under the guard: gives back what has come, if nobody wants it."""
        if call.abandoned and call.done and call.result is not None and call.undo is not None:
            result, call.result = call.result, None
            call.undo(result)

    def _fail(self, error: errors.Error) -> None:
        with self.left, self.guard:
            self.lost = True
            for call in self._calls.values():
                self._finish(call, copy.copy(error))
            self._calls.clear()
            self._admit()
            self._keeper_wakes.set()


def _poll_ms(deadline: Optional[float]) -> Optional[float]:
    return None if deadline is None else min(remaining(deadline) * 1000, _LONGEST_POLL)


def lost_error() -> errors.Unavailable:
    return errors.Unavailable("the connection to the agent was lost", reason="CONNECTION_LOST")
