"""The other verbs, settings, and what every failure says and exits with."""

import os
import socket
import subprocess
import tempfile
import time
import unittest

from cli_case import MIB, PATIENCE, CliCase, pattern

STAT_FIELDS = [
    *("namespace", "key", "state", "size", "digest", "epoch", "piece_length", "ttl_left_seconds", "wanted_replicas"),
    *("live_replicas", "locations", "staged_age_seconds", "pinned", "tags", "application"),
]
IMPORT_FIELDS = [*STAT_FIELDS[:6], "ack", "durability"]


class Verbs(CliCase):
    def test_stat_tells_what_was_given(self):
        given = ["--ttl", "1h", "--tag", "x", "--tag", "y", "--application", "train", "--replicas", "2"]
        stored = self.json("import", "-", "--key", self.key(), "--piece-length", "2MiB", *given, stdin=pattern(MIB))
        self.assertEqual(list(stored), IMPORT_FIELDS)
        told = self.json("stat", self.key())
        self.assertEqual(list(told), STAT_FIELDS)
        self.assertEqual({name: told[name] for name in IMPORT_FIELDS[:6]}, {n: stored[n] for n in IMPORT_FIELDS[:6]})
        self.assertEqual((told["namespace"], told["state"], told["size"]), ("default", "SEALED", MIB))
        self.assertEqual((told["tags"], told["application"], told["piece_length"]), (["x", "y"], "train", 2 * MIB))
        self.assertEqual((told["wanted_replicas"], told["live_replicas"]), (2, 1))
        self.assertTrue(3500 < told["ttl_left_seconds"] <= 3600)
        self.assertRegex(told["digest"], "^crc32c:[0-9a-f]{8}$")
        node = self.dev.agents[0]["name"]
        here = [{"node": node, "kind": "replica", "tier": "hot", "last_seen_seconds": 0}]
        self.assertEqual(told["locations"], here)
        self.assertIn(b"Replicas      1 live, 2 wanted", self.ok("stat", self.key()))
        self.assertEqual(self.ok("stat", self.key(), "-q"), f"{self.key()}\n".encode())

    def test_stat_says_null_where_there_is_nothing(self):
        self.ok("import", "-", "--key", self.key(), stdin=b"x")
        told = self.json("stat", self.key())
        for name in ("ttl_left_seconds", "staged_age_seconds", "application"):
            self.assertIsNone(told[name])

    def test_list_shows_a_prefix_in_order(self):
        for name in ("b", "a", "c/d"):
            self.ok("import", "-", "--key", self.key(name), stdin=b"12345")
        keys = [self.key("a"), self.key("b"), self.key("c/d")]
        self.assertEqual(self.ok("list", self.prefix, "-q").decode().splitlines(), keys)
        rows = self.json("list", self.prefix)
        self.assertEqual([row["key"] for row in rows], keys)
        self.assertEqual(list(rows[0]), STAT_FIELDS)
        table = self.ok("list", self.prefix).decode().splitlines()
        self.assertEqual(table[0].split(), ["SIZE", "TTL", "PINNED", "KEY"])
        self.assertEqual(table[1].split(), ["5", "B", "-", "-", keys[0]])
        self.assertIn("DIGEST", self.ok("list", self.prefix, "-o", "wide").decode().splitlines()[0])
        self.assertEqual(self.json("list", f"{self.prefix}/none"), [])
        self.assertEqual(self.ok("list", f"{self.prefix}/none"), b"")

    def test_delete_goes_on_after_a_failure(self):
        for name in ("a", "b"):
            self.ok("import", "-", "--key", self.key(name), stdin=b"x")
        self.fails(3, "delete", self.key("a"), self.key("none"), self.key("b"), says=f"delete {self.key('none')}")
        self.assertEqual(self.ok("list", self.prefix, "-q"), b"")
        self.ok("import", "-", "--key", self.key("a"), stdin=b"x")
        self.assertEqual(self.json("delete", self.key("a")), [{"namespace": "default", "key": self.key("a")}])

    def test_pin_and_unpin(self):
        self.ok("import", "-", "--key", self.key(), stdin=b"x")
        self.assertEqual(self.ok("pin", self.key()), b"")
        self.assertTrue(self.json("stat", self.key())["pinned"])
        row = {"namespace": "default", "key": self.key(), "pinned": False}
        self.assertEqual(self.json("unpin", self.key()), [row])
        self.assertFalse(self.json("stat", self.key())["pinned"])
        self.fails(3, "pin", self.key("none"))

    def test_namespaces_do_not_see_each_other(self):
        self.ok("-n", "team-a", "import", "-", "--key", self.key(), stdin=b"a")
        self.fails(3, "stat", self.key())
        self.env["LARDER_NAMESPACE"] = "team-a"
        self.assertEqual(self.json("stat", self.key())["namespace"], "team-a")
        self.fails(2, "-n", "Team_A", "list", says="DNS label")

    def test_settings_come_from_flag_variable_and_file_in_this_order(self):
        config = self.file(".config/larder/larder.yaml", b"namespace: from-file\noutput: json\n")
        shown = self.ok("config", "show", "-o", "table").decode()
        self.assertIn(f"namespace: from-file  # {config}:1", shown)
        rows = {row["path"]: (row["value"], row["source"]) for row in self.json("config", "show")}
        self.assertEqual(rows["namespace"], ("from-file", f"{config}:1"))
        self.assertEqual(rows["endpoint"], (self.dev.endpoint(), "LARDER_ENDPOINT"))
        self.assertEqual(rows["output"], ("json", "--output"))
        self.assertEqual(rows["timeout"][1], "default")
        self.env["LARDER_CONFIG"] = self.file("other.yaml", b"namespce: x\n")
        self.fails(2, "config", "show", says="other.yaml:1: namespce: unknown key (did you mean namespace?)")

    def test_config_check_names_file_line_and_nearest_key(self):
        for text, ok in (
            (b"cache_agent:\n  arena: 64MiB\n", "settings of dev"),
            (b"arena: 64MiB\nnode:\n  name: n1\n", "settings of cache_agent"),
            (b"endpoint: uds:///x\n", "settings of cli"),
        ):
            self.assertIn(ok, self.ok("config", "check", self.file("f.yaml", text)).decode())
        for text, says in (
            (b"cache_agent:\n  arna: 64MiB\n", "f.yaml:2: arna: unknown key (did you mean arena?)"),
            (b"cache_agnt:\n  arena: 64MiB\n", "cache_agnt: unknown section (did you mean cache_agent?)"),
            (b"node:\n  name: n1\nsocket_dr: /x\n", "f.yaml:3: socket_dr: unknown key (did you mean socket_dir?)"),
            (b"arena: many\n", "f.yaml:1: arena"),
            (b"endpoint: uds:///x\ntimeout: soon\n", "f.yaml:2: timeout"),
        ):
            self.fails(2, "config", "check", self.file("f.yaml", text), says=says)
        self.fails(2, "config", "check", self.file("f.yaml", b"arena: 64MiB\n"), "--as", "cli", says="unknown key")
        self.fails(2, "config", "check", "none.yaml", says="none.yaml")

    def test_help_and_version(self):
        self.assertRegex(self.ok("--version"), rb"^larder \d+\.\d+\.\d+\n$")
        for verb in (
            "import",
            "export",
            "stat",
            "list",
            "delete",
            "pin",
            "unpin",
            "top",
            "doctor",
            "dev",
            "completion",
        ):
            self.assertIn(verb.encode(), self.ok("--help"))
            self.assertIn(b"Example:\n  ", self.ok(verb, "--help"))
        for verb in ("show", "check"):
            self.assertIn(b"Example:\n  ", self.ok("config", verb, "--help"))

    def test_completion_is_a_script_bash_can_read(self):
        script = self.ok("completion", "bash")
        subprocess.run(["bash", "-n"], input=script, check=True, timeout=PATIENCE)
        self.fails(2, "completion", "tcsh", says="bash, zsh, fish")


class Failures(CliCase):
    """Each documented code: one line, and quickly."""

    def test_usage_is_2_and_names_the_nearest(self):
        self.fails(2, "imprt", "f", says="did you mean import?")
        self.fails(2, "list", "--namespce", "x", says="did you mean --namespace?")
        self.fails(2, says="no verb is given")
        self.fails(2, "stat", says="usage: larder stat KEY")
        self.fails(2, "list", "-o", "xml", says="xml")
        self.fails(2, "list", "--timeout", "5", says="--timeout")

    def test_bad_input_is_2(self):
        for key in ("a//b", "/a", "a/", "a/../b", ".", "x" * 1025, "y" * 256):
            self.fails(2, "import", "-", "--key", key, stdin=b"x", says="key")
            self.fails(2, "stat", key)
        for flag, value in (("--ttl", "soon"), ("--ttl", "0s"), ("--replicas", "0"), ("--ack", "sometimes")):
            self.fails(2, "import", "-", "--key", self.key(), flag, value, stdin=b"x")
        self.fails(2, "import", "-", "--piece-length", "3MiB", stdin=b"x", says="power of two")
        self.fails(2, "import", "-", "--ack", "replicated:3", "--replicas", "2", stdin=b"x", says="replicated:3")

    def test_an_ack_that_needs_other_nodes_or_an_origin_is_2(self):
        for ack in ("replicated:2", "origin"):
            self.fails(2, "import", "-", "--ack", ack, stdin=b"x", says="can acknowledge 'local' and 'tracked'")
        for ack in ("local", "tracked"):
            self.assertEqual(self.json("import", "-", "--ack", ack, stdin=ack.encode())["ack"], ack)
        self.fails(2, "stat", "k", "--wait", "uploaded", says="uploaded")

    def test_a_local_file_that_cannot_be_read_or_made_is_2(self):
        self.ok("import", "-", "--key", self.key(), stdin=b"x")
        self.fails(2, "import", "none", says="none")
        self.fails(2, "import", str(self.dir), says="-r")
        self.fails(2, "import", "-r", "none", says="none")
        self.fails(2, "export", self.key(), "-O", "/proc/none/f", says="/proc/none")

    def test_what_is_not_there_is_3(self):
        self.fails(3, "stat", self.key(), says=self.key())
        self.fails(3, "export", self.key(), says=self.key())
        self.fails(3, "export", self.key(), "-O", "f")
        self.assertEqual(os.listdir(self.dir), [])

    def test_nobody_need_read_stderr(self):
        for redirection in ("2>&-", "2>/dev/full", "0<&- 2>&-"):
            for verb in ("export", "stat", "delete"):
                with self.subTest(verb, redirection=redirection):
                    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", self.larder, verb, self.key()]
                    done = subprocess.run(command, env=self.env, cwd=self.dir, capture_output=True, timeout=PATIENCE)
                    self.assertEqual((done.returncode, done.stdout), (3, b""))

    def test_no_agent_is_7_at_once_naming_the_path(self):
        begin = time.monotonic()
        self.fails(7, "list", "-e", f"uds://{self.dir}/none", says=f"{self.dir}/none/control.sock")
        stale = self.dir / "data.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
            dead.bind(str(stale))
        self.fails(7, "import", "-", "-e", f"uds://{self.dir}", stdin=b"x", says=str(stale))
        self.assertLess(time.monotonic() - begin, 10)

    def test_an_agent_that_does_not_answer_is_8_after_the_timeout(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.bind(str(self.dir / "data.sock"))
            silent.listen()
            self.fails(8, "list", "-e", f"uds://{self.dir}", "--timeout", "300ms")

    def test_an_endpoint_of_an_unknown_kind_is_2(self):
        self.fails(2, "list", "-e", "udz:///x", says="did you mean 'uds'?")
        self.fails(2, "list", "-e", "/run/larder", says="/run/larder")


class NoSpace(CliCase):
    @classmethod
    def setUpClass(cls):
        config = cls.enterClassContext(tempfile.NamedTemporaryFile(suffix=".yaml"))
        config.write(b"cache_agent:\n  arena: 64MiB\n")
        config.flush()
        cls.dev_arguments = ("--config", config.name)
        super().setUpClass()

    def test_a_full_arena_is_6_and_what_was_there_stays(self):
        self.ok("import", "-", "--key", self.key(), stdin=b"x")
        path = self.dir / "big"
        with open(path, "wb") as big:
            big.truncate(100 * MIB)
        self.fails(6, "import", str(path), "--key", self.key("big"), says="arena")
        with open(path, "rb") as stdin:
            importer = self.start("import", "-", "--key", self.key("big"), stdin=stdin)
            self.assertEqual(importer.wait(PATIENCE), 6)
        self.fails(3, "stat", self.key("big"))
        self.assertEqual(self.ok("export", self.key()), b"x")


if __name__ == "__main__":
    unittest.main()
