"""The exceptions of Larder: one class per exit code of the command line."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """Something failed that no subclass names.

    Attributes:
        code: the exit code that the `larder` command gives for it, 1 to 10.
        status: the gRPC status name, "NOT_FOUND".
        reason: a stable word, "LEASE_LOST", for programs to match; "" if there is none.
        message: for people; may change.
        retryable: a repeat may succeed without anybody changing anything.
    """

    code = 1
    _status = "UNKNOWN"

    def __init__(self, message: str, *, reason: str = "", status: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.status = status or self._status

    @property
    def retryable(self) -> bool:
        return self.status in _RETRYABLE

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})" if self.reason else self.message

    def about(self, what: str) -> Error:
        """Itself, with `what: ` before its message."""
        self.message = f"{what}: {self.message}"
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own passes only positional arguments; these travel between processes (multiprocessing).
        return _rebuild, (type(self), self.message, self.reason, self.status)


class InvalidArgument(Error):
    """The call can never succeed as it is: bad key, option or input."""

    code = 2
    _status = "INVALID_ARGUMENT"


class NotFound(Error):
    """There is no such object, or its TTL is over."""

    code = 3
    _status = "NOT_FOUND"


class Conflict(Error):
    """It exists already, or somebody else's change, a lost lease or the object's state forbids it."""

    code = 4
    _status = "FAILED_PRECONDITION"


class PermissionDenied(Error):
    """The caller may not, or the agent does not know it."""

    code = 5
    _status = "PERMISSION_DENIED"


class ResourceExhausted(Error):
    """No space, or a quota is used up."""

    code = 6
    _status = "RESOURCE_EXHAUSTED"


class Unavailable(Error):
    """The agent, or a part of the installation, was not reached, after retries where they are safe."""

    code = 7
    _status = "UNAVAILABLE"


class DeadlineExceeded(Error):
    """The timeout ended first. What was asked may still happen."""

    code = 8
    _status = "DEADLINE_EXCEEDED"


class DataLoss(Error):
    """Bytes differ from their digest or length."""

    code = 9
    _status = "DATA_LOSS"


class Interrupted(Error):
    """Cancelled; can be resumed."""

    code = 10
    _status = "CANCELLED"


# gRPC's status codes by their numbers, from 1.
_BY_STATUS: tuple[tuple[str, type[Error]], ...] = (
    ("CANCELLED", Interrupted),
    ("UNKNOWN", Error),
    ("INVALID_ARGUMENT", InvalidArgument),
    ("DEADLINE_EXCEEDED", DeadlineExceeded),
    ("NOT_FOUND", NotFound),
    ("ALREADY_EXISTS", Conflict),
    ("PERMISSION_DENIED", PermissionDenied),
    ("RESOURCE_EXHAUSTED", ResourceExhausted),
    ("FAILED_PRECONDITION", Conflict),
    ("ABORTED", Conflict),
    ("OUT_OF_RANGE", InvalidArgument),
    ("UNIMPLEMENTED", Error),
    ("INTERNAL", Error),
    ("UNAVAILABLE", Unavailable),
    ("DATA_LOSS", DataLoss),
    ("UNAUTHENTICATED", PermissionDenied),
)
_RETRYABLE = frozenset({"DEADLINE_EXCEEDED", "ABORTED", "UNAVAILABLE"})


def from_status(number: int, reason: str, message: str) -> Error:
    """The exception for gRPC status code `number`; a plain Error for a number without a name."""
    status, kind = _BY_STATUS[number - 1] if 1 <= number <= len(_BY_STATUS) else ("UNKNOWN", Error)
    return kind(message, reason=reason, status=status)


def _rebuild(kind: type[Error], message: str, reason: str, status: str) -> Error:
    return kind(message, reason=reason, status=status)
