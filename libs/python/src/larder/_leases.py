"""Read leases, which may move from one connection to the next."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Optional

from larder import _wire, errors
from larder._wire import Op

if TYPE_CHECKING:
    from larder._connection import Connection


class ReleaseGroup:
    """Readers whose leases are given back together: what one get_many() opened."""

    __slots__ = ("open",)

    def __init__(self) -> None:
        self.open = 0


class ReadLease:
    """The lease on mapped bytes: of the connection that mapped them, or of a later one that has it again.

    Attributes:
        key, epoch: of the object.
        held: who holds it, by which number; None once it is lost. One assignment changes both.
        over: the last view is gone.
    """

    __slots__ = ("key", "epoch", "held", "over", "group", "_home")

    def __init__(self, home: Connection, number: int, key: str, epoch: int, group: Optional[ReleaseGroup]) -> None:
        self.key = key
        self.epoch = epoch
        self.held: Optional[tuple[Connection, int]] = (home, number)
        self.over = False
        self.group = group
        self._home = home  # whose segments the bytes lie in

    def end(self, segments: list) -> None:
        """Gives the lease and its segments back. Never blocks: for finalizers."""
        self.over = True  # before looking who holds it: who is about to looks at this then
        held = self.held
        if held is not None and held[0] is not self._home:
            held[0].leave(functools.partial(held[0].let_go_reading, held[1]))
            held = None
        number = 0 if held is None else held[1]
        self._home.leave(functools.partial(self._home.release, number, segments))


def regain(connection: Connection, leases: list[ReadLease], deadline: float) -> list[ReadLease]:
    """Asks for lost leases by key and epoch. Gives those that got no answer; whose object is gone stay lost."""
    leases = [lease for lease in leases if not lease.over]
    unanswered = []
    for at in range(0, len(leases), _wire.MAX_BATCH):
        some = leases[at : at + _wire.MAX_BATCH]
        # The bytes are mapped: no descriptors.
        payloads = [_wire.get(_wire.GET_NO_DESCRIPTORS, 0, lease.key) for lease in some]
        receive = functools.partial(_receive_again, connection)
        undo = functools.partial(_give_back, connection)
        try:
            outcomes = connection.wait(connection.start_batch(Op.GET, payloads, deadline, receive, undo), deadline)
        except errors.Error:
            unanswered += some
            continue
        with connection.left, connection.guard:
            for lease, outcome in zip(some, outcomes):
                if outcome.error is None:
                    _take(connection, lease, *outcome.result)
    return unanswered


def _receive_again(connection: Connection, payload: memoryview, _: object) -> tuple[int, int]:
    reply = _wire.decode_get(payload)
    if reply.lease:
        with connection.left, connection.guard:
            connection.hold(reply.lease)
    return reply.lease, reply.info.epoch


def _take(connection: Connection, lease: ReadLease, number: int, epoch: int) -> None:
    """Under the guard."""
    if not number or epoch != lease.epoch:
        _give_back(connection, (number, epoch))
        return
    connection.hold(number, lease)
    lease.held = (connection, number)
    if lease.over:
        connection.let_go_reading(number)


def _give_back(connection: Connection, result: tuple[int, int]) -> None:
    """Under the guard."""
    connection.let_go_reading(result[0])
