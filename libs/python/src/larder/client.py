"""connect() and the Client it gives."""

from __future__ import annotations

import difflib
import hashlib
import re
from typing import Any, Callable, Iterable, List, Mapping, NoReturn, Optional, Union

from larder import _wire, errors, uds
from larder.objects import (
    BytesLike,
    Creation,
    ObjectInfo,
    ObjectReader,
    ObjectWriter,
    SealResult,
    Transport,
    byte_count,
    byte_view,
    deadline_of,
)

DEFAULT_ENDPOINT = "uds:///run/larder"

# How each scheme is dialled: (address after "://", namespace, reconnect window, deadline) -> transport.
_TRANSPORTS: dict[str, Callable[[str, str, float, Optional[float]], Transport]] = {"uds": uds.dial}

_LIST_PAGE = 1000  # objects; the protocol's most
_MOST_TAGS = 0xFFFF  # likewise
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h|d)")
_DURATION_MS = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_TTL_MS = 100 * 365 * 86_400_000
_SIZE = re.compile(r"(\d+(?:\.\d+)?)(?:([kKMGT])|([KMGT])i)?B?")

Meta = Mapping[str, Any]
Items = Union[Mapping[str, BytesLike], Iterable[tuple[Optional[str], BytesLike]]]


def connect(
    endpoint: str = DEFAULT_ENDPOINT,
    *,
    namespace: Optional[str] = None,
    timeout: Optional[float] = None,
    reconnect_window: float = 30.0,
) -> Client:
    """Connects to an agent.

    Args:
        endpoint: "uds://DIR", the directory of the agent's sockets.
        namespace: to work in; None: the caller's own, as the agent knows it.
        timeout: seconds a call may take, connect() itself too; None: no limit.
        reconnect_window: seconds that calls try to reach an agent again that was there before.

    Raises Unavailable, naming the path, when there is no agent after 3 retries; InvalidArgument, PermissionDenied.
    """
    scheme, separator, address = endpoint.partition("://")
    dial = _TRANSPORTS.get(scheme)
    if not separator or not address:
        raise errors.InvalidArgument(f"endpoint {endpoint!r} is not SCHEME://ADDRESS", reason="BAD_ENDPOINT")
    if dial is None:
        _unknown("scheme", scheme, _TRANSPORTS, "UNKNOWN_SCHEME")
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        raise errors.InvalidArgument(f"namespace {namespace!r} is no DNS label", reason="BAD_NAMESPACE")
    return Client(dial(address, namespace or "", reconnect_window, deadline_of(timeout)), timeout)


class Client:
    """An agent's objects, in one namespace. Thread-safe; made by connect().

    Each call may raise any larder.Error: Unavailable when the agent is gone and does not come back,
    DeadlineExceeded after `timeout` seconds (connect()'s where a call names none), InvalidArgument (BAD_KEY).

    Keys are 1 to 1024 bytes of UTF-8, segments of 1 to 255 bytes parted by "/", none "." or "..".

    `meta` describes a new object: ttl (seconds, or "5m"), tags, application, replicas (wanted copies), ack ("local",
    "tracked", "replicated:K", "origin"), piece_length (bytes, or "4MiB").

    Attributes:
        namespace, node: as the agent says.
    """

    def __init__(self, transport: Transport, timeout: Optional[float]) -> None:
        self._transport = transport
        self._timeout = timeout
        self.namespace = transport.namespace
        self.node = transport.node

    @property
    def token(self) -> bytes:
        """Lets gRPC calls on the agent's control.sock act as this client: sent as the metadata `larder-session-bin`.

        Of the connection at present: a new one, as after an agent's restart, has another. b"" if the agent gives none.
        Whoever has it may do what this client may.
        """
        return self._transport.token

    def create(
        self,
        key: Optional[str] = None,
        meta: Optional[Meta] = None,
        *,
        size: int = 0,
        overwrite: bool = False,
        digest: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> ObjectWriter:
        """Starts an object, which others see once it is sealed.

        Waits while somebody else is creating the key, at most `timeout`. Where the key holds an object already: a new
        one takes its place with `overwrite`, else seal() succeeds for the same content and raises Conflict for other.

        Args:
            key: None: content-addressed, the key is known from seal() on.
            size: bytes to expect; 0: unknown.
            digest: "sha256:HEX" that the content must have, or seal() raises DataLoss.
        """
        creation = _creation(key, meta, size, overwrite, digest)
        writer = self._transport.create(creation, self._deadline(timeout))
        return ObjectWriter(writer, key, self._timeout if timeout is None else timeout)

    def put(
        self,
        key: Optional[str],
        data: BytesLike,
        meta: Optional[Meta] = None,
        *,
        overwrite: bool = False,
        digest: Optional[str] = None,
        timeout: Optional[float] = None,
    ) -> SealResult:
        """Creates, writes and seals in one; one round trip if the object is small. As create()."""
        view = byte_view(data)
        creation = _creation(key, meta, len(view), overwrite, digest)
        if not _has_digest(view, creation.digest):
            raise errors.DataLoss(f"the bytes given are not of {digest}", reason="DIGEST_MISMATCH")
        return self._transport.put(creation, view, self._deadline(timeout))

    def get(self, key: str, *, digest: Optional[str] = None, timeout: Optional[float] = None) -> ObjectReader:
        """Opens a sealed object. NotFound, DataLoss if its bytes are not of `digest` ("sha256:HEX")."""
        check_key(key)
        wanted = _digest(digest)
        reader = ObjectReader(self._transport.get(key, self._deadline(timeout)))
        if not _has_digest(reader.buffer, wanted):
            reader.close()
            raise errors.DataLoss(f"{key!r} is not of {digest}", reason="DIGEST_MISMATCH")
        return reader

    def get_bytes(self, key: str, *, digest: Optional[str] = None, timeout: Optional[float] = None) -> bytes:
        """A copy of a sealed object's bytes. As get()."""
        with self.get(key, digest=digest, timeout=timeout) as reader:
            return reader.buffer.tobytes()

    def create_many(
        self,
        items: Items,
        meta: Optional[Meta] = None,
        *,
        overwrite: bool = False,
        return_errors: bool = False,
        timeout: Optional[float] = None,
    ) -> list[Union[SealResult, errors.Error]]:
        """put() for many, pipelined: a mapping of key to bytes, or pairs (a key may be None).

        One result per item, in order. One failure fails no neighbour: all are tried, then the first error is raised,
        or, with `return_errors`, errors stand in the failed items' places.
        """
        pairs = items.items() if isinstance(items, Mapping) else items
        todo = []
        for key, data in pairs:
            view = byte_view(data)
            todo.append((_creation(key, meta, len(view), overwrite, None), view))
        results = self._transport.put_many(todo, self._deadline(timeout))
        return results if return_errors else _raise_first(results)

    def get_many(self, keys: Iterable[str], *, return_errors: bool = False, timeout: Optional[float] = None) -> Batch:
        """get() for many, pipelined; one reader per key, in order. Errors as in create_many()."""
        wanted = list(keys)
        for key in wanted:
            check_key(key)
        found = self._transport.get_many(wanted, self._deadline(timeout))
        if not return_errors:
            _raise_first(found)
        return Batch(item if isinstance(item, errors.Error) else ObjectReader(item) for item in found)

    def stat(self, key: str) -> ObjectInfo:
        """NotFound."""
        check_key(key)
        return self._transport.stat(key, self._deadline(None))

    def exists(self, key: str) -> bool:
        """Whether the key holds a sealed object."""
        try:
            return self.stat(key).state == "SEALED"
        except errors.NotFound:
            return False

    def list(
        self, prefix: str = "", *, after: str = "", limit: Optional[int] = None, local: bool = False
    ) -> List[ObjectInfo]:
        """Sealed objects whose keys start with `prefix` and are above `after`, by key; at most `limit`. The cluster's,
        or (`local`) what this node has: an agent that is too old for that says BAD_LIMIT."""
        for text in (prefix, after):
            _check_utf8(text)
        found: list[ObjectInfo] = []
        more = True
        while more and (limit is None or len(found) < limit):
            page = _LIST_PAGE if limit is None else min(_LIST_PAGE, limit - len(found))
            more, objects = self._transport.list_page(prefix, after, page, local, self._deadline(None))
            if not objects:
                break
            found += objects
            after = objects[-1].key
        return found

    def delete(self, key: str) -> None:
        """Hides the object at once; who has it open keeps it. NotFound."""
        check_key(key)
        self._transport.delete(key, self._deadline(None))

    def pin(self, key: str) -> None:
        """Keeps the object from eviction. NotFound."""
        check_key(key)
        self._transport.set_pinned(key, True, self._deadline(None))

    def unpin(self, key: str) -> None:
        """NotFound."""
        check_key(key)
        self._transport.set_pinned(key, False, self._deadline(None))

    def close(self) -> None:
        """Takes no new calls; readers, views and writers that are open work on until they end. Idempotent."""
        self._transport.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _deadline(self, timeout: Optional[float]) -> Optional[float]:
        return deadline_of(self._timeout if timeout is None else timeout)


class Batch(list):
    """get_many()'s readers, or errors; leaving `with` closes the readers."""

    def close(self) -> None:
        for item in self:
            if isinstance(item, ObjectReader):
                item.close()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def check_key(key: str) -> None:
    """InvalidArgument (BAD_KEY) unless `key` can name an object."""
    if not isinstance(key, str):
        raise errors.InvalidArgument(f"a key is a str, not {type(key).__name__}", reason="BAD_KEY")
    data = _check_utf8(key)
    segments = data.split(b"/")
    if not 1 <= len(data) <= 1024:
        message = f"a key has 1 to 1024 bytes, not {len(data)}"
    elif b"\0" in data:
        message = f"key {key!r} holds a NUL"
    elif any(segment in (b"", b".", b"..") for segment in segments):
        message = f"key {key!r} has an empty segment, '.' or '..'"
    elif any(len(segment) > 255 for segment in segments):
        message = f"key {key!r} has a segment above 255 bytes"
    else:
        return
    raise errors.InvalidArgument(message, reason="BAD_KEY")


def _check_utf8(key: str) -> bytes:
    try:
        return key.encode("utf-8")
    except UnicodeEncodeError:
        raise errors.InvalidArgument(f"key {key!r} has no UTF-8", reason="BAD_KEY") from None


def _raise_first(results: list) -> list:
    for result in results:
        if isinstance(result, errors.Error):
            raise result
    return results


def _creation(key: Optional[str], meta: Optional[Meta], size: int, overwrite: bool, digest: Optional[str]) -> Creation:
    if key is not None:
        check_key(key)
    fields: dict[str, Any] = {}
    for name, value in (meta or {}).items():
        parse = _META.get(name)
        if parse is None:
            _unknown("meta key", name, _META, "UNKNOWN_META")
        try:
            fields.update(parse(value))
        except (TypeError, ValueError, OverflowError) as error:
            raise errors.InvalidArgument(f"meta {name}={value!r}: {error}", reason="BAD_META") from None
    # An acknowledgement by K copies wants K of them.
    fields["replicas"] = max(fields.get("replicas", 1), fields.get("ack_copies", 0))
    return Creation(key=key, overwrite=overwrite, digest=_digest(digest), size_hint=byte_count(size), **fields)


def _digest(digest: Optional[str]) -> Optional[str]:
    if digest is not None and not _DIGEST.fullmatch(digest.lower()):
        raise errors.InvalidArgument(f"digest {digest!r} is not sha256:HEX", reason="BAD_DIGEST")
    return None if digest is None else digest.lower()


def _has_digest(data: memoryview, digest: Optional[str]) -> bool:
    return digest is None or f"sha256:{hashlib.sha256(data).hexdigest()}" == digest


def _unknown(what: str, name: str, known: Iterable[str], reason: str) -> NoReturn:
    near = difflib.get_close_matches(str(name), known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
    raise errors.InvalidArgument(f"unknown {what} {name!r} ({hint})", reason=reason)


# How each key of `meta` becomes fields of a Creation; ValueError and TypeError say what is wrong.


def _ttl(value: Union[int, float, str]) -> dict[str, Any]:
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is None:
            raise ValueError("not a duration such as 300s, 5m, 1h, 7d")
        ms = float(match[1]) * _DURATION_MS[match[2]]
    else:
        ms = value * 1000
    # Rounded up, so that none becomes "over at once".
    if not 0 < ms <= _LONGEST_TTL_MS:
        raise ValueError("not above 0, or above 100 years")
    return {"ttl_ms": max(1, round(ms))}


def _tags(value: Union[str, Iterable[str]]) -> dict[str, Any]:
    tags = (value,) if isinstance(value, str) else tuple(value)
    if not all(isinstance(tag, str) for tag in tags):
        raise TypeError("tags are texts")
    if len(tags) > _MOST_TAGS:
        raise ValueError(f"more than {_MOST_TAGS}")
    for tag in tags:
        tag.encode("utf-8")
    return {"tags": tags}


def _application(value: str) -> dict[str, Any]:
    if not isinstance(value, str):
        raise TypeError("not a text")
    value.encode("utf-8")
    return {"application": value}


def _replicas(value: int) -> dict[str, Any]:
    if not 1 <= value <= 0xFFFF:
        raise ValueError("not within 1 and 65535")
    return {"replicas": int(value)}


def _ack(value: str) -> dict[str, Any]:
    policy, _, copies = value.partition(":") if isinstance(value, str) else ("", "", "")
    if policy == "replicated" and copies.isdecimal() and 1 <= int(copies) <= 0xFF:
        return {"ack": policy, "ack_copies": int(copies)}
    if policy not in _wire.ACKS[1:] or policy == "replicated" or copies:
        raise ValueError("not local, tracked, replicated:K or origin")
    return {"ack": policy}


def _piece_length(value: Union[int, str]) -> dict[str, Any]:
    if isinstance(value, str):
        match = _SIZE.fullmatch(value)
        if match is None:
            raise ValueError("not a size such as 4MiB, 25M")
        power = "KMGT".index((match[2] or match[3]).upper()) + 1 if match[2] or match[3] else 0
        value = int(float(match[1]) * (1024 if match[3] else 1000) ** power)
    if not 1 <= value <= 0xFFFFFFFF:
        raise ValueError("not within 1 byte and 4 GiB")
    return {"piece_length": int(value)}


_META: dict[str, Callable[[Any], dict[str, Any]]] = {
    "ttl": _ttl,
    "tags": _tags,
    "application": _application,
    "replicas": _replicas,
    "ack": _ack,
    "piece_length": _piece_length,
}
