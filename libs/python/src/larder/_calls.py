"""Requests on their way over data.sock, and what comes with their replies."""

from __future__ import annotations

import array
import collections
import os
import socket
from typing import Any, Callable, NamedTuple, Optional

from larder import _wire, errors
from larder._sync import Signal
from larder._wire import Op


class Call:
    """A request on its way. Whoever started it passes it to wait() or abandon()."""

    __slots__ = ("op", "request", "receive", "undo", "signal", "active", "admitted", "sent", "done")
    __slots__ += ("abandoned", "result", "error")

    def __init__(self, op: Op, receive: Optional[Callable], undo: Optional[Callable]) -> None:
        self.op = op
        self.request = 0
        self.receive = receive  # (payload, Descriptors or None if some were lost) -> result; on the leader's thread
        self.undo = undo  # (result), when nobody wants it any more; under the guard
        self.signal = Signal()
        self.active = False  # started, and neither waited for nor abandoned
        self.admitted = False
        self.sent = False  # or about to be, with nothing in between
        self.done = False
        self.abandoned = False
        self.result: Any = None
        self.error: Optional[errors.Error] = None


class Outcome(NamedTuple):
    """Of one item of a BATCH: one of the two."""

    result: Any = None
    error: Optional[errors.Error] = None


class BatchCall(Call):
    """A BATCH. Its result is a list of Outcomes in the items' order; `receive` and `undo` are those of one item."""

    __slots__ = ("_receive_item", "_undo_item", "_unanswered")

    def __init__(self, count: int, receive: Optional[Callable], undo: Optional[Callable]) -> None:
        super().__init__(Op.BATCH, None, None)
        self._receive_item = receive
        self._undo_item = undo
        self._unanswered = count
        self.result = [None] * count
        self.undo = self._undo

    def take(self, payload: memoryview, descriptors: Optional[Descriptors]) -> bool:
        """Takes one record's answers; whether all have come."""
        for item, code, answer in _wire.decode_batch(payload):
            if item >= len(self.result) or self.result[item] is not None:
                raise _wire.bad_record(f"an answer to item {item} of {len(self.result)}, or a second one")
            if code:
                outcome = Outcome(error=_wire.decode_error(code, answer))
            elif self._receive_item is None:
                outcome = Outcome(answer)
            else:
                outcome = Outcome(self._receive_item(answer, descriptors))
            self.result[item] = outcome
            self._unanswered -= 1
        return self._unanswered == 0

    def undo_all(self) -> None:
        """Under the guard."""
        self._undo(self.result)

    def _undo(self, outcomes: list[Optional[Outcome]]) -> None:
        for outcome in outcomes:
            if self._undo_item is not None and outcome is not None and outcome.error is None:
                self._undo_item(outcome.result)


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
