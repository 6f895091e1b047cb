#!/usr/bin/env python3
"""What a pod of the tests does to its node's agent: it reads, or writes, until it is told to end (SIGTERM), and prints
each operation as a line of JSON: {"at", "took", "op", "key", "error"}, with times in seconds of the machine's clock.

usage: traffic.py read KEY…             reads the keys in turn, and holds the first one's memory mapped all the while
       traffic.py write PREFIX          puts PREFIX/0, PREFIX/1, …, and deletes them when it is told to end
       traffic.py write PREFIX COUNT    puts so many, and ends
       traffic.py check < KEYS          reads each key once, and ends; KEYS has one a line
"""
import concurrent.futures
import functools
import hashlib
import itertools
import json
import signal
import sys
import time

import larder

SIZE = 128 * 1024  # large enough to be mapped, and not to travel inside a record
PAUSE = 0.05
TIMEOUT = 60


def bytes_of(key: str) -> bytes:
    """What every object of these tests holds: it follows from the key, so that any pod can tell."""
    return hashlib.shake_256(key.encode()).digest(SIZE)


def report(op: str, key: str, begin: float, error: "Exception | None") -> None:
    line = {"at": time.time(), "took": time.time() - begin, "op": op, "key": key}
    # In one piece: several threads may do so.
    sys.stdout.write(json.dumps({**line, "error": f"{type(error).__name__}: {error}" if error else None}) + "\n")
    sys.stdout.flush()


def attempt(op: str, key: str, act) -> None:
    """Does it once; whatever goes wrong, be it a refusal or wrong bytes, is a failure of this operation."""
    begin = time.time()
    try:
        act()
    except Exception as error:
        report(op, key, begin, error)
    else:
        report(op, key, begin, None)


@functools.lru_cache(maxsize=None)
def digest_of(key: str) -> bytes:
    return hashlib.sha256(bytes_of(key)).digest()


def check(key: str, data) -> None:
    assert hashlib.sha256(data).digest() == digest_of(key), f"{key} has other bytes"


def read(client: larder.Client, keys: "list[str]") -> None:
    """Without end."""
    with client.get(keys[0], timeout=TIMEOUT) as held:
        for key in itertools.cycle(keys):
            attempt("read", key, lambda: check(key, client.get_bytes(key, timeout=TIMEOUT)))
            attempt("mapped", keys[0], lambda: check(keys[0], held.buffer))
            time.sleep(PAUSE)


def write_some(client: larder.Client, prefix: str, count: int) -> None:
    for key in (f"{prefix}/{number}" for number in range(count)):
        attempt("write", key, lambda: client.put(key, bytes_of(key), timeout=TIMEOUT))


def write(client: larder.Client, prefix: str) -> None:
    """Without end. Nodes drop no last copy: they would be full some tests later if what is written were to stay."""
    keys = []
    try:
        for number in itertools.count():
            keys.append(f"{prefix}/{number}")
            attempt("write", keys[-1], lambda: client.put(keys[-1], bytes_of(keys[-1]), timeout=TIMEOUT))
            time.sleep(PAUSE)
    finally:
        for key in keys:
            attempt("delete", key, lambda: client.delete(key))


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    what, *names = sys.argv[1:]
    client = larder.connect("uds:///run/larder")
    if what == "read":
        read(client, names)
    elif what == "write":
        if len(names) == 1:
            write(client, *names)
        else:
            write_some(client, names[0], int(names[1]))
    elif what == "check":
        # Several at once: others write meanwhile.
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for key in sys.stdin.read().splitlines():
                pool.submit(attempt, "check", key, lambda key=key: check(key, client.get_bytes(key, timeout=TIMEOUT)))
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
