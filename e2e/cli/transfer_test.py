"""import and export against a real agent: bytes come back whole, or not at all."""

import json
import os
import pathlib
import resource
import signal
import subprocess
import threading
import unittest

from cli_case import KIB, MIB, PATIENCE, CliCase, pattern, sanitized, sha256

SIZES = (0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300 * KIB, MIB, 40 * MIB)


class Transfer(CliCase):
    def test_bytes_of_all_sizes_come_back_whole(self):
        for size in SIZES:
            data = pattern(size, size)
            path = self.file("source", data)
            for how, arguments, stdin in (("file", (path,), b""), ("stdin", ("-",), data)):
                with self.subTest(size=size, how=how):
                    key = self.key(f"{how}-{size}")
                    self.assertEqual(self.ok("import", *arguments, "--key", key, stdin=stdin), f"{key}\n".encode())
                    self.assertTrue(self.ok("export", key) == data)
                    self.assertEqual(self.ok("export", key, "-O", f"{how}-{size}"), b"")
                    self.assertTrue((self.dir / f"{how}-{size}").read_bytes() == data)
                    self.assertEqual(self.json("stat", key)["size"], size)
                    self.ok("delete", key)

    def test_without_a_key_the_content_is_the_name(self):
        data = pattern(3 * MIB)
        path = self.file("f", data)
        self.assertEqual(self.ok("import", path).decode().strip(), sha256(data))
        self.assertEqual(self.ok("import", "-", stdin=data).decode().strip(), sha256(data))
        self.assertEqual(self.ok("import", path, "--digest", sha256(data)).decode().strip(), sha256(data))
        self.assertEqual(self.json("stat", sha256(data))["digest"], sha256(data))

    def test_ranges_are_those_of_http(self):
        data = pattern(2 * MIB + 17)
        self.ok("import", "-", "--key", self.key(), stdin=data)
        for text, part in (
            ("0-0", data[:1]),
            ("10-19", data[10:20]),
            ("1048570-1048590", data[1048570:1048591]),
            ("2097152-", data[2 * MIB :]),
            ("-5", data[-5:]),
            ("-99999999", data),
            ("2097160-99999999", data[2 * MIB + 8 :]),
        ):
            with self.subTest(text):
                self.assertTrue(self.ok("export", self.key(), "--range", text) == part)
                self.ok("export", self.key(), "--range", text, "-O", "part", "--overwrite")
                self.assertTrue((self.dir / "part").read_bytes() == part)
        self.fails(2, "export", self.key(), "--range", "2097169-", says="begins at byte 2097169")
        for text in ("5-4", "x", "-", "-0"):
            self.fails(2, "export", self.key(), "--range", text, says=f"--range '{text}'")

    def test_a_digest_is_checked_on_the_way_in(self):
        data = pattern(MIB)
        path = self.file("f", data)
        stored = self.json("import", path, "--key", self.key(), "--digest", sha256(data))
        self.assertEqual(stored["digest"], sha256(data))
        for source, stdin in ((path, b""), ("-", data)):
            self.fails(9, "import", source, "--key", self.key("bad"), "--digest", sha256(b""), stdin=stdin)
            self.fails(9, "import", source, "--digest", sha256(b"x"), stdin=stdin)
            self.fails(3, "stat", self.key("bad"))
        self.fails(9, "import", path, "--key", self.key(), "--digest", sha256(b""))
        self.fails(2, "import", path, "--digest", "md5:00", says="md5:00")

    def test_a_digest_is_checked_on_the_way_out(self):
        data = pattern(MIB)
        self.ok("import", "-", "--key", self.key(), stdin=data)
        self.assertTrue(self.ok("export", self.key(), "--digest", sha256(data)) == data)
        self.ok("export", self.key(), "--range", "0-9", "--digest", sha256(data[:10]))
        self.fails(9, "export", self.key(), "-O", "f", "--digest", sha256(b""), says="--digest says")
        self.assertEqual(os.listdir(self.dir), [])

    def test_the_same_content_again_succeeds_and_changes_nothing(self):
        data = pattern(5 * MIB)
        path = self.file("f", data)
        for digest in ((), ("--digest", sha256(data))):
            key = self.key(f"k{len(digest)}")
            first = self.json("import", path, "--key", key, *digest)
            self.assertEqual((first["ack"], first["durability"]), ("tracked", "memory"))
            for source, stdin in ((path, b""), ("-", data)):
                again = self.json("import", source, "--key", key, stdin=stdin)
                self.assertEqual((again["epoch"], again["size"]), (first["epoch"], first["size"]))
        small = self.file("small", b"x" * 100)
        epochs = {self.json("import", small, "--key", self.key("small"))["epoch"] for _ in range(2)}
        self.assertEqual(len(epochs), 1)

    def test_the_same_content_with_other_settings_gets_them(self):
        for size in (100, 5 * MIB):
            with self.subTest(size=size):
                path, key = self.file("f", pattern(size)), self.key(f"{size}")
                self.ok("import", path, "--key", key, "--ttl", "60s")
                self.ok("import", path, "--key", key, "--ttl", "7d", "--tag", "x")
                told = self.json("stat", key)
                self.assertEqual(told["tags"], ["x"])
                self.assertGreater(told["ttl_left_seconds"], 24 * 3600)

    def test_other_content_is_a_conflict_unless_it_may_replace(self):
        for size in (10, 64 * KIB + 1, 2 * MIB):
            key = self.key(f"{size}")
            old, new = pattern(size, 1), pattern(size, 2)
            self.ok("import", "-", "--key", key, stdin=old)
            path = self.file("new", new)
            self.fails(4, "import", path, "--key", key, says="exists")
            self.fails(4, "import", self.file("longer", new + b"!"), "--key", key, says="exists")
            self.fails(4, "import", "-", "--key", key, stdin=new, says="exists")
            self.assertTrue(self.ok("export", key) == old)
            self.ok("import", path, "--key", key, "--overwrite")
            self.assertTrue(self.ok("export", key) == new)

    def test_a_file_is_replaced_only_if_asked_and_appears_complete(self):
        self.ok("import", "-", "--key", self.key(), stdin=b"new")
        path = self.file("f", b"old")
        self.fails(4, "export", self.key(), "-O", path, says=f"{path} exists")
        self.assertEqual(pathlib.Path(path).read_bytes(), b"old")
        self.ok("export", self.key(), "-O", path, "--overwrite")
        self.assertEqual(pathlib.Path(path).read_bytes(), b"new")
        self.fails(2, "export", self.key(), "-O", "none/f", says="none")
        self.fails(2, "export", self.key(), "-O", str(self.dir), says="not a regular file")
        self.fails(2, "export", self.key(), "-O", "/dev/null", "--overwrite", says="not a regular file")
        self.assertEqual(os.listdir(self.dir), ["f"])

    def test_a_source_that_changes_meanwhile_makes_no_object(self):
        path = self.file("f", pattern(40 * MIB))
        stop = threading.Event()

        def touch():
            while not stop.is_set():
                os.utime(path)

        toucher = threading.Thread(target=touch)
        toucher.start()
        try:
            self.fails(2, "import", path, "--key", self.key(), says="was changed while it was read")
        finally:
            stop.set()
            toucher.join()
        self.fails(3, "stat", self.key())

    def test_a_reader_of_stdout_that_leaves_ends_the_export(self):
        self.ok("import", "-", "--key", self.key(), stdin=pattern(4 * MIB))
        export = self.start("export", self.key())
        self.assertEqual(len(export.stdout.read(10)), 10)
        export.stdout.close()
        self.assertEqual(export.wait(PATIENCE), 10)
        self.assertIn(b"has gone", export.stderr.read())

    def test_a_full_disk_is_no_space(self):
        self.ok("import", "-", "--key", self.key(), stdin=b"x")
        with open("/dev/full", "wb") as full:
            export = self.start("export", self.key(), stdout=full)
            self.assertEqual(export.wait(PATIENCE), 6)

    def test_memory_of_its_own_stays_bounded(self):
        if sanitized():
            self.skipTest("the limit is of all that a process maps, and a sanitizer's shadow alone is terabytes")

        def limit():
            resource.setrlimit(resource.RLIMIT_DATA, (64 * MIB, 64 * MIB))

        path = self.dir / "big"
        with open(path, "wb") as big:
            big.truncate(150 * MIB)
        for source in (str(path), "-"):
            with open(path, "rb") as stdin:
                importer = self.start("import", source, "--key", self.key(), stdin=stdin, preexec_fn=limit)
                self.assertEqual(importer.wait(PATIENCE), 0, importer.stderr.read())
            exporter = self.start("export", self.key(), "-O", "copy", "--overwrite", preexec_fn=limit)
            self.assertEqual(exporter.wait(PATIENCE), 0, exporter.stderr.read())
            self.ok("delete", self.key())


class Interrupted(CliCase):
    def import_until_it_runs(self, key):
        """An import from a pipe that has sent some bytes and will never end."""
        importer = self.start("import", "-", "--key", key, stdin=subprocess.PIPE)
        importer.stdin.write(pattern(3 * MIB))
        importer.stdin.flush()
        self.until(lambda: self.creating(key), "the import has begun")
        return importer

    def test_a_signal_in_the_middle_of_an_import_leaves_no_object(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number.name):
                importer = self.import_until_it_runs(self.key(number.name))
                importer.send_signal(number)
                self.assertEqual(importer.wait(PATIENCE), 10)
                self.assertRegex(importer.stderr.read(), rb"^larder: import: interrupted[^\n]*\n$")
                self.fails(3, "stat", self.key(number.name))

    def test_a_killed_import_leaves_no_object(self):
        importer = self.import_until_it_runs(self.key())
        importer.kill()
        importer.wait(PATIENCE)
        self.until(lambda: not self.creating(self.key()), "the agent has reclaimed it")
        self.fails(3, "stat", self.key())

    def test_a_second_creator_waits_at_most_its_timeout(self):
        self.import_until_it_runs(self.key())
        self.fails(8, "import", "-", "--key", self.key(), "--timeout", "200ms", stdin=b"x", says="creating")

    def test_a_second_creator_gets_the_key_when_the_first_gives_up(self):
        first = self.import_until_it_runs(self.key())
        second = self.start("import", "-", "--key", self.key(), stdin=subprocess.PIPE)
        second.stdin.write(b"second")
        second.stdin.close()
        first.send_signal(signal.SIGINT)
        self.assertEqual(second.wait(PATIENCE), 0)
        self.assertEqual(self.ok("export", self.key()), b"second")

    def test_what_takes_too_long_is_ended(self):
        importer = self.start("import", "-", "--timeout", "100ms", stdin=subprocess.PIPE)
        self.assertEqual(importer.wait(PATIENCE), 8)
        self.assertIn(b"not done in time", importer.stderr.read())

    def test_waiting_for_a_seal_ends_with_it(self):
        importer = self.import_until_it_runs(self.key())
        waiter = self.start("stat", self.key(), "--wait", "sealed", "-o", "json")
        self.fails(8, "stat", self.key(), "--wait", "sealed", "--timeout", "100ms")
        importer.stdin.close()
        self.assertEqual(waiter.wait(PATIENCE), 0)
        self.assertEqual(json.load(waiter.stdout)["state"], "SEALED")


if __name__ == "__main__":
    unittest.main()
