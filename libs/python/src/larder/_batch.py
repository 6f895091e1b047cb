"""Many requests of one kind as BATCHes, several of them on their way at once."""

from __future__ import annotations

import collections
from typing import Any, Callable, Optional, Union

from larder import _wire, errors
from larder._calls import BatchCall, Outcome
from larder._connection import Connection
from larder._wire import Op

ROOM = _wire.BATCH_ROOM - _wire.BATCH_ITEM_OVERHEAD  # bytes of an item that goes in a BATCH at all

_FLYING = 4  # records
# Each may have to wait for another creator: room is left for those that other threads ask for.
_MOST_PUTS = 32


class _Records:
    """Items gathered into records, their answers put where they belong."""

    def __init__(
        self,
        connection: Connection,
        op: Op,
        count: int,
        deadline: Optional[float],
        receive: Optional[Callable],
        undo: Optional[Callable],
    ) -> None:
        self._connection = connection
        self._op = op
        self._deadline = deadline
        self._receive = receive
        self._undo = undo
        self._most = _MOST_PUTS if op == Op.PUT else _wire.MAX_BATCH
        self._indices: list[int] = []
        self._payloads: list[bytes] = []
        self._bytes = 0
        self._flying: collections.deque[tuple[BatchCall, list[int]]] = collections.deque()
        self.outcomes: list[Optional[Outcome]] = [None] * count

    def add(self, index: int, payload: bytes) -> None:
        size = len(payload) + _wire.BATCH_ITEM_OVERHEAD
        if self._bytes + size > _wire.BATCH_ROOM or len(self._indices) == self._most:
            self.send()
        self._indices.append(index)
        self._payloads.append(payload)
        self._bytes += size

    def send(self) -> None:
        if not self._indices:
            return
        if len(self._flying) == _FLYING:
            self.land()
        indices, payloads = self._indices, self._payloads
        self._indices, self._payloads, self._bytes = [], [], 0
        try:
            call = self._connection.start_batch(self._op, payloads, self._deadline, self._receive, self._undo)
        except errors.Error as error:
            self._settle(indices, [Outcome(error=error)] * len(indices))
        else:
            self._flying.append((call, indices))

    def land(self) -> None:
        call, indices = self._flying[0]
        try:
            self._settle(indices, self._connection.wait(call, self._deadline))
        except errors.Error as error:
            kept: list = [None] * len(indices)
            if error is call.error and self._undo is None:
                kept = call.result  # what was answered before the end
            elif error is call.error:  # what it holds ended with the connection
                self._connection.leave(call.undo_all)
            self._settle(indices, [outcome or Outcome(error=error) for outcome in kept])
        del self._flying[0]

    def finish(self) -> None:
        self.send()
        while self._flying:
            self.land()

    def give_up(self) -> None:
        """Undoes what has come, and what still comes."""
        if self._flying:
            for call, _ in self._flying:
                self._connection.abandon(call)
            self._connection.keep()
        for outcome in self.outcomes:
            if self._undo is not None and outcome is not None and outcome.error is None:
                self._connection.leave(lambda result=outcome.result: self._undo(result))

    def _settle(self, indices: list[int], outcomes: list[Optional[Outcome]]) -> None:
        for index, outcome in zip(indices, outcomes):
            self.outcomes[index] = outcome


def ask_many(
    connection: Connection,
    op: Op,
    items: list,
    encode: Callable[[Any], Optional[bytes]],
    finish: Callable[[Any], Any],
    deadline: Optional[float],
    receive: Optional[Callable] = None,
    undo: Optional[Callable] = None,
) -> list[Union[Any, errors.Error, None]]:
    """One result or error per item; None where the item does not go in a BATCH, or `finish` gives none.

    `encode` gives an item's payload, of at most ROOM bytes, or None. `receive` and `undo` are those of a call; `finish`
    turns what was received into the result.
    """
    records = _Records(connection, op, len(items), deadline, receive, undo)
    results: list = [None] * len(items)
    try:
        for index, item in enumerate(items):
            payload = encode(item)
            if payload is not None:
                records.add(index, payload)
        records.finish()
        for index, outcome in enumerate(records.outcomes):
            if outcome is not None:
                results[index] = outcome.error or _finished(finish, outcome.result)
            records.outcomes[index] = None
        return results
    except BaseException:
        records.give_up()
        raise


def _finished(finish: Callable[[Any], Any], result: Any) -> Any:
    try:
        return finish(result)
    except errors.Error as error:
        return error
