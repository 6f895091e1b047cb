"""`larder doctor`: an agent that is well, and each thing that can be wrong with it."""

import json
import os
import signal
import subprocess
import tempfile
import unittest

from cli_case import KIB, MIB, PATIENCE, CliCase

CHECKS = [
    *("endpoint", "directory", "data socket", "kernel", "session", "write window", "small object", "large object"),
    *(
        "control",
        "version",
        "clock",
        "identity",
        "cluster",
        "arena",
        "quarantine",
        "waste",
        "recycling",
        "quota",
        "open files",
    ),
    *("disk", "damage"),
]


class Doctor(CliCase):
    def finding(self, name, *args, code=0):
        """One finding of a doctor that ends with `code`."""
        done = self.run_larder("doctor", "-o", "json", *args)
        self.assertEqual(done.returncode, code, done.stderr)
        found = [row for row in json.loads(done.stdout) if row["name"] == name]
        self.assertEqual(len(found), 1, done.stdout)
        return found[0]

    def start_dev(self):
        """A `larder dev` of this test's own, and its sockets' directory."""
        ready = self.dir / "ready.json"
        home = self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp"))
        process = self.start("dev", "--agents", "1", "--dir", home, "--ready-file", str(ready))
        self.until(ready.exists, "dev is ready")
        return process, json.loads(ready.read_text())["agents"][0]["socket_dir"]

    def setUp(self):
        super().setUp()
        self.until(lambda: self.finding("cluster", "--read-only")["verdict"] == "ok", "the node is a member")

    def test_an_agent_that_is_well_is_ok_line_by_line(self):
        lines = self.ok("doctor").decode().splitlines()
        self.assertEqual([line[6:19].strip() for line in lines], CHECKS)
        for line in lines:
            self.assertTrue(line.startswith("ok    "), line)
        self.assertEqual(self.ok("doctor", "-q"), b"")

    def test_json_has_the_same(self):
        rows = self.json("doctor")
        self.assertEqual([row["name"] for row in rows], CHECKS)
        for row in rows:
            self.assertEqual(list(row), ["verdict", "name", "what", "remedy", "see", "code"])
            self.assertEqual((row["verdict"], row["remedy"], row["see"], row["code"]), ("ok", None, None, None))

    def test_what_it_stores_is_gone_and_read_only_stores_nothing(self):
        def stored():
            return self.json("top", "--interval", "100ms")["totals"]["requests"]["seal"]["ok"]

        before = stored()
        self.json("doctor", "--read-only")
        self.assertEqual(stored(), before)
        self.json("doctor")
        self.assertEqual(stored(), before + 2)
        self.assertEqual(self.ok("list", "-q", ".larder-doctor"), b"")

    def test_read_only_reads_an_object_that_is_there(self):
        name = self.json("-n", "read-only", "import", "-", "--key", self.key(), stdin=bytes(MIB))["namespace"]
        found = self.finding("large object", "-n", name, "--read-only")
        self.assertIn("mapping", found["what"])

    def test_it_speaks_of_the_namespace_that_was_asked_for(self):
        self.assertIn("team-x", self.finding("session", "-n", "team-x")["what"])
        self.assertIn("team-x", self.finding("identity", "-n", "team-x")["what"])

    def test_no_directory_is_7_and_says_what_to_do(self):
        stdout = self.fails(7, "doctor", "-e", f"uds://{self.dir}/none", says="directory: ")
        fails = [line for line in stdout.decode().splitlines() if line.startswith("fail  ")]
        self.assertIn("directory", fails[0])
        self.assertIn("docs/troubleshooting.md#no-agent", fails[0])
        self.assertIn("control", fails[1])

    def test_an_endpoint_of_an_unknown_kind_is_2(self):
        self.assertIn(b"fail  endpoint", self.fails(2, "doctor", "-e", "udz:///x", says="did you mean 'uds'?"))
        self.fails(2, "doctor", "-e", "uds://run", says="absolute")

    def test_sockets_of_a_killed_agent_are_stale(self):
        process, sockets = self.start_dev()
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        endpoint = f"uds://{sockets}"
        found = self.finding("data socket", "-e", endpoint, code=7)
        self.assertEqual((found["verdict"], found["code"]), ("fail", "UNAVAILABLE"))
        self.assertIn("stale", found["what"])
        self.assertEqual(found["see"], "docs/troubleshooting.md#stale-sockets")
        self.assertEqual(self.finding("control", "-e", endpoint, code=7)["verdict"], "fail")

    def test_a_control_socket_that_is_gone_is_found_beside_a_data_socket_that_serves(self):
        process, sockets = self.start_dev()
        os.unlink(f"{sockets}/control.sock")
        found = self.finding("control", "-e", f"uds://{sockets}", code=7)
        self.assertEqual(found["see"], "docs/troubleshooting.md#no-control")
        self.assertEqual(self.finding("large object", "-e", f"uds://{sockets}", code=7)["verdict"], "ok")

    def test_nobody_need_read_it_to_the_end(self):
        command = ["sh", "-c", '"$0" doctor | head -n 1', self.larder]
        done = subprocess.run(command, env=self.env, cwd=self.dir, capture_output=True, timeout=PATIENCE)
        self.assertEqual(done.stdout.count(b"\n"), 1)


class DoctorOfAFullAgent(CliCase):
    @classmethod
    def setUpClass(cls):
        config = cls.enterClassContext(tempfile.NamedTemporaryFile(suffix=".yaml"))
        config.write(b"cache_agent:\n  arena: 64MiB\n")
        config.flush()
        cls.dev_arguments = ("--config", config.name)
        super().setUpClass()

    def fill(self, name, size):
        for i in range(100):
            if self.run_larder("import", "-", "--key", self.key(f"{name}-{i}"), stdin=bytes(size)).returncode == 6:
                return
        self.fail("the arena took more than it has")

    def test_a_full_arena_is_6_and_a_warning_of_its_own(self):
        self.fill("large", MIB)
        # What the last importer wrote through is free again: the rest goes to objects that need no ring.
        self.fill("small", 100 * KIB)
        stdout = self.fails(6, "doctor", says="large object: ").decode()
        self.assertRegex(stdout, r"(?m)^fail  large object .*docs/troubleshooting\.md#full-arena\)$")
        self.assertRegex(stdout, r"(?m)^warn  arena .*evict_last.*docs/troubleshooting\.md#full-arena\)$")


class DoctorOfAnAgentOnDisk(CliCase):
    @classmethod
    def setUpClass(cls):
        config = cls.enterClassContext(tempfile.NamedTemporaryFile(suffix=".yaml"))
        config.write(b"cache_agent:\n  arena: 64MiB\n  store: file\n")
        config.flush()
        cls.dev_arguments = ("--config", config.name)
        super().setUpClass()

    def test_objects_without_shared_memory_are_no_failure(self):
        rows = {row["name"]: row for row in self.json("doctor")}
        self.assertIn("through the socket", rows["large object"]["what"])
        self.assertIn("free at", rows["disk"]["what"])


if __name__ == "__main__":
    unittest.main()
