"""10 GiB from node to node as objects of 2.5 GiB, through standard input and output: every byte is right at both ends and in
the store, and neither agent's memory grows with them."""

import hashlib
import os
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "common"))
from nodes import MIB, Nodes, sample  # noqa: E402

FILE_HEADER = 4096  # bytes before an object's own in a file: docs/formats/file-object.md
SIZE = 2560 * MIB
OBJECTS = 4
# Bytes, 256 MiB of arena included; with a sanitizer, which keeps freed memory and a shadow of all, only less than an object.
MOST_RSS = 2e9 if os.environ.get("LARDER_SANITIZE") else 600e6


class Large(Nodes):
    def write(self, agent, seed):
        """Streams an object of its own in; returns its key, which is its content's SHA-256 as the agent knows it."""
        block = bytearray(sample(MIB, seed))
        sha = hashlib.sha256()
        importing = subprocess.Popen(
            **self.agents[agent].larder("import", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for number in range(SIZE // MIB):
            block[:8] = number.to_bytes(8, "little")
            sha.update(block)
            importing.stdin.write(block)
        key = importing.communicate()[0].decode().strip()
        self.assertEqual(importing.returncode, 0)
        self.assertEqual(key, f"sha256:{sha.hexdigest()}")
        return key

    def read(self, agent, key):
        exporting = subprocess.Popen(**self.agents[agent].larder("export", key, "-O", "-"), stdout=subprocess.PIPE)
        with exporting:
            sha, size = self.digest(exporting.stdout)
        self.assertEqual(exporting.returncode, 0)
        self.assertEqual((f"sha256:{sha}", size), (key, SIZE))

    def check_stored(self, agent, key):
        (path,) = (self.dir / agent / "data" / "objects" / "objects").glob("??/*")
        with open(path, "rb") as file:
            file.seek(FILE_HEADER)
            self.assertEqual(f"sha256:{self.digest(file, SIZE)[0]}", key)

    @staticmethod
    def digest(stream, most=sys.maxsize):
        sha, size = hashlib.sha256(), 0
        while size < most and (some := stream.read(min(MIB, most - size))):
            sha.update(some)
            size += len(some)
        return sha.hexdigest(), size

    def peak_rss(self, agent):
        status = pathlib.Path(f"/proc/{self.agents[agent].pid}/status").read_text()
        return int(re.search(r"VmHWM:\s*(\d+) kB", status).group(1)) * 1024

    def test_10_gib_pass_from_node_to_node(self):
        self.begin(arena="256MiB")
        for seed in range(OBJECTS):
            key = self.write("a", seed)
            self.read("c", key)
            for agent in "ac":
                self.check_stored(agent, key)
            self.ok("a", "delete", key)
            self.until(lambda: not self.ok("c", "list", "--local", "-q"), "its copy goes")
        for agent in "ac":
            peak = self.peak_rss(agent)
            print(f"VmHWM of {agent} after {OBJECTS * SIZE >> 30} GiB: {peak / 1e6:.0f} MB", file=sys.stderr)
            self.assertLess(peak, MOST_RSS)


if __name__ == "__main__":
    unittest.main()
