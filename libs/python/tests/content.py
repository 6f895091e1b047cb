"""Bytes to write and find again."""

import hashlib

KIB, MIB = 1024, 1024 * 1024


def pattern(size, seed=0):
    """Bytes in which each kibibyte differs from its neighbours."""
    block = b"".join(hashlib.sha256(b"%d %d" % (seed, i)).digest() for i in range(37))
    return (block * (size // len(block) + 1))[:size]
