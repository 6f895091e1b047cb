"""Writers that know what must be there, whatever happens to the trackers meanwhile."""

import threading

from trackers import Redis, RedisError


class Writer(threading.Thread):
    """Counts a key up, one write at a time, each answered with the number before. After a write whose outcome is not
    known it takes another key: what is still under way must not meet later writes."""

    def __init__(self, name, trackers, start):
        super().__init__(daemon=True)
        self._name = name
        self._trackers = trackers
        self._at = start
        self._keys = 0
        self._ended = threading.Event()
        self.acknowledged = 0
        self.errors = []  # of what should never be
        self.allowed = {}  # key -> the values that it may have in the end

    def run(self):
        while not self._ended.is_set():
            self._at = (self._at + 1) % len(self._trackers)
            try:
                with Redis(self._trackers[self._at].resp) as redis:
                    while not self._ended.is_set() and self._count(redis):
                        pass
            except OSError:
                pass  # it is down

    def _count(self, redis):
        """A key, up to the first write that is not acknowledged; False if that was the connection's fault."""
        key = f"{self._name}:{self._keys}"
        self._keys += 1
        last = None
        number = 0
        while not self._ended.is_set():
            number += 1
            value = str(number).encode()
            self.allowed[key] = {last, value}
            try:
                before = redis.call("SET", key, value, "GET")
            except RedisError as error:
                if str(error).split()[0] not in ("CLUSTERDOWN", "TIMEOUT"):
                    self.errors.append(f"{key}: {error}")
                return True
            except OSError:
                return False
            if before != last:
                self.errors.append(f"{key}: {before} was there before {number}, not {last}")
            last = value
            self.allowed[key] = {value}
            self.acknowledged += 1
        return True

    def end(self):
        self._ended.set()
        self.join(60)
        assert not self.is_alive(), "a writer waits for ever"


class Load:
    """Several writers; what they wrote can be compared with what is there."""

    def __init__(self, cluster, writers=8):
        self._trackers = cluster.trackers
        self._writers = [Writer(f"w{i}", cluster.trackers, i) for i in range(writers)]

    def __enter__(self):
        for writer in self._writers:
            writer.start()
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        for writer in self._writers:
            writer.end()

    @property
    def acknowledged(self):
        return sum(writer.acknowledged for writer in self._writers)

    def check(self, test):
        """After the end: nothing acknowledged is lost or doubled, by the word of every tracker."""
        for writer in self._writers:
            test.assertEqual(writer.errors, [])
        for tracker in self._trackers:
            with Redis(tracker.resp) as redis:
                for writer in self._writers:
                    for key, values in writer.allowed.items():
                        test.assertIn(redis.call("GET", key), values, f"{key} at tracker {tracker.raft_id}")
