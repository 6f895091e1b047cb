"""Shared memory as memoryviews: mappings, and the segments that a connection's agent has handed out."""

from __future__ import annotations

import collections
import ctypes
import fcntl
import functools
import mmap
import os
import sys
import weakref
from typing import Any, Callable, Optional

from larder._sync import repeat_once
from larder._wire import Extent

PAGE = mmap.PAGESIZE

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
_libc.mmap.restype = ctypes.c_void_p
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)

_PROT_NONE = 0
_MAP_FIXED = 0x10
_MAP_NORESERVE = 0x4000
_MAP_FAILED = ctypes.c_void_p(-1).value
_PRIVATE_ZEROS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS

_F_GET_SEALS = 1034
_SEAL_SEAL, _SEAL_SHRINK, _SEAL_GROW, _SEAL_FUTURE_WRITE = 1, 2, 4, 16
# With these nobody, the agent included, can cut a segment short (SIGBUS) or hand out another way to write it.
_READ_SEALS = _SEAL_SEAL | _SEAL_SHRINK | _SEAL_GROW | _SEAL_FUTURE_WRITE


def whole_pages(size: int) -> int:
    """`size` rounded up to whole pages."""
    return -(-size // PAGE) * PAGE


class Mapping:
    """Pages of this process's own address space, `size` bytes from `address`, until unmap(), or else until it is dropped,
    as a signal's exception may do; so it lives as long as what shows them.

    OSError when the kernel refuses. Not thread-safe.
    """

    __slots__ = ("address", "size")

    def __init__(self, size: int, protection: int, flags: int, fd: int = -1) -> None:
        self.size = 0
        pages = whole_pages(size)
        self.address = _mmap(None, pages, protection, flags, fd, 0)
        self.size = pages

    def __del__(self) -> None:
        if not sys.is_finalizing():  # the end of the process gives everything back; views may still be in use
            self.unmap()

    @classmethod
    def of_file(cls, fd: int, size: int) -> Mapping:
        """The file from its start, shared, read-only."""
        return cls(size, mmap.PROT_READ, mmap.MAP_SHARED, fd)

    @classmethod
    def reserve(cls, size: int) -> Mapping:
        """Addresses without memory, for place()."""
        return cls(size, _PROT_NONE, _PRIVATE_ZEROS | _MAP_NORESERVE)

    @classmethod
    def zeros(cls, size: int) -> Mapping:
        """Private, writable, all zero."""
        return cls(size, mmap.PROT_READ | mmap.PROT_WRITE, _PRIVATE_ZEROS)

    def place(self, at: int, fd: int, offset: int, length: int, writable: bool) -> None:
        """Maps `length` bytes of the file from `offset`, shared, over the pages from `at`; both whole pages."""
        protection = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
        _mmap(self.address + at, length, protection, mmap.MAP_SHARED | _MAP_FIXED, fd, offset)

    def blank(self) -> None:
        """Puts private zero pages in place of what is mapped; addresses in use stay good."""
        _mmap(self.address, self.size, mmap.PROT_READ | mmap.PROT_WRITE, _PRIVATE_ZEROS | _MAP_FIXED, -1, 0)

    def unmap(self) -> None:
        """Idempotent, also when a signal's exception comes in between: the addresses may be another's by then."""
        size, self.size = self.size, 0
        if size:
            _libc.munmap(self.address, size)


def side_by_side(extents: list[Extent], descriptors: dict[int, Optional[int]], writable: bool) -> Mapping:
    """One mapping of all extents in their order. OSError if a descriptor is gone, or extents are not made of pages."""
    mapping = Mapping.reserve(sum(extent.length for extent in extents))
    try:
        at = 0
        for extent in extents:
            fd = descriptors.get(extent.segment)
            if fd is None or extent.offset % PAGE or at % PAGE:
                raise OSError(f"segment {extent.segment} cannot be mapped")
            mapping.place(at, fd, extent.offset, whole_pages(extent.length), writable)
            at += extent.length
    except BaseException:
        mapping.unmap()
        raise
    return mapping


def _mmap(address: Optional[int], size: int, protection: int, flags: int, fd: int, offset: int) -> int:
    found = _libc.mmap(address, size, protection, flags, fd, offset)
    if found == _MAP_FAILED:
        error = ctypes.get_errno()
        raise OSError(error, f"mmap of {size} bytes: {os.strerror(error)}")
    return found


@functools.lru_cache(maxsize=256)
def _array_type(length: int) -> type:
    # Arrays of ctypes itself take no weak references; those of a subclass do.
    return type("SharedBytes", (ctypes.c_ubyte * length,), {})


def export(
    address: int, length: int, writable: bool, gone: Callable[..., Any], *args: Any
) -> tuple[memoryview, weakref.finalize]:
    """A memoryview over memory, and what tells (`.alive`) whether it, a slice of it or an array over it still lives.

    `gone(*args)` is called once, when the last of them has died: on whichever thread that happens, at any point of it,
    so it must not wait for a lock; once more if it raises. `length` is at least 1.
    """
    array = _array_type(length).from_address(address)
    finalizer = weakref.finalize(array, repeat_once, gone, *args)
    finalizer.atexit = False  # the end of the process gives everything back
    view = memoryview(array).cast("B")
    return (view if writable else view.toreadonly()), finalizer


class Segment:
    """A sealed memfd of the agent, or, without `fd`, one that must not be mapped."""

    __slots__ = ("number", "fd", "size", "users", "asked_for", "mapping")

    def __init__(self, number: int, fd: Optional[int], size: int) -> None:
        self.number = number
        self.fd = fd
        self.size = size
        self.users = 0
        self.asked_for = True  # since the last look
        self.mapping: Optional[Mapping] = None

    def address(self) -> int:
        """Of its first byte; maps all of it the first time."""
        if self.mapping is None:
            assert self.fd is not None
            self.mapping = Mapping.of_file(self.fd, self.size)
        return self.mapping.address

    def close(self) -> None:
        if self.mapping is not None:
            self.mapping.unmap()
            self.mapping = None
        self.close_descriptor()

    def close_descriptor(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None


class SegmentCache:
    """The segments one agent has handed out, by number; keeps at most `idle_limit` bytes of those nobody uses, the
    latest used, and those only from one look of drop_unused() to the next, or until the agent asks for them. Not
    thread-safe."""

    def __init__(self, idle_limit: int) -> None:
        self._idle_limit = idle_limit
        self._known: dict[int, Segment] = {}
        self._idle: collections.OrderedDict[int, Segment] = collections.OrderedDict()  # longest idle first
        self._idle_bytes = 0
        self._asked_back: set[int] = set()  # of those in use

    def add(self, number: int, fd: int, size: int) -> None:
        """Takes `fd` over. Checks its seals and size; if they are wrong the segment is known but never pinned."""
        if number in self._known:
            os.close(fd)
            return
        if not _is_sealed(fd, size):
            os.close(fd)
            self._known[number] = Segment(number, None, size)
            return
        segment = self._known[number] = Segment(number, fd, size)
        self._make_idle(segment)

    def pin(self, numbers: set[int]) -> Optional[list[Segment]]:
        """These segments, to be given back by unpin(); None if one of them cannot be used."""
        segments = [self._known.get(number) for number in numbers]
        if any(segment is None or segment.fd is None for segment in segments):
            return None
        for segment in segments:
            if segment.users == 0:
                del self._idle[segment.number]
                self._idle_bytes -= segment.size
            segment.users += 1
            segment.asked_for = True
        return segments

    def unpin(self, segments: list[Segment]) -> None:
        """Empties the list as it goes: a second try, after an exception of a signal, unpins none twice."""
        while segments:
            segment = segments[-1]
            if segment.users == 1:
                self._make_idle(segment)
            segment.users -= 1
            del segments[-1]

    def trim(self) -> list[int]:
        """Drops idle segments above the limit, or asked back, and returns their numbers, for UNMAPPED."""
        dropped = [number for number in self._asked_back if number in self._idle]
        for number in dropped:
            self._drop_idle(number)
        while self._idle and self._idle_bytes > self._idle_limit:
            number = next(iter(self._idle))
            self._drop_idle(number)
            dropped.append(number)
        return dropped

    def drop_unused(self) -> list[int]:
        """Drops idle segments not asked for since the last look and returns their numbers, for UNMAPPED. Called
        regularly: the agent cannot reuse memory that we map."""
        unused = [number for number, segment in self._idle.items() if not segment.asked_for]
        for number in unused:
            self._drop_idle(number)
        for segment in self._known.values():
            segment.asked_for = False
        return unused

    def asked_back(self, numbers: list[int]) -> list[int]:
        """The agent wants these back: drops the idle ones at once and returns their numbers, for UNMAPPED; those in use
        come with a later trim(). Those that are not here are among the answer, so that the agent learns it."""
        self._asked_back.update(number for number in numbers if number in self._known)
        unusable = [number for number in self._asked_back if self._known[number].fd is None]
        for number in unusable:
            del self._known[number]
        self._asked_back.difference_update(unusable)
        return [number for number in numbers if number not in self._known] + self.trim()

    def any_idle(self) -> bool:
        return bool(self._idle)

    def close(self) -> None:
        """Keeps nothing idle from now on, and no descriptor: those that are mapped do without."""
        self._idle_limit = -1
        self.trim()
        for segment in self._known.values():
            segment.close_descriptor()

    def used_bytes(self) -> int:
        return sum(segment.size for segment in self._known.values() if segment.users)

    def _make_idle(self, segment: Segment) -> None:
        if segment.number not in self._idle:
            self._idle[segment.number] = segment
            self._idle_bytes += segment.size

    def _drop_idle(self, number: int) -> None:
        segment = self._idle.pop(number)
        del self._known[number]
        self._asked_back.discard(number)
        self._idle_bytes -= segment.size
        segment.close()


def _is_sealed(fd: int, size: int) -> bool:
    try:
        seals = fcntl.fcntl(fd, _F_GET_SEALS)
        return seals & _READ_SEALS == _READ_SEALS and os.fstat(fd).st_size == size > 0
    except OSError:  # no memfd at all
        return False
