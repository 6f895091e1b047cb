"""`larder top`: samples for pipes and programs, and a live screen on a terminal."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import tempfile
import termios
import time
import unittest

from cli_case import PATIENCE, CliCase

ENTER, LEAVE, HOME, END = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H", "\x1b[J"


class Terminal:
    """`larder` on a terminal of its own; everything that it drew is in `drawn`."""

    def __init__(self, case, *args, rows=24, columns=80):
        self.case = case
        self.master, self.slave = pty.openpty()
        case.addCleanup(os.close, self.master)
        case.addCleanup(os.close, self.slave)
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.drawn = ""

        def own_terminal():
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            [case.larder, *args],
            env={**case.env, "TERM": "xterm"},
            cwd=case.dir,
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=own_terminal,
        )
        case.addCleanup(self.process.wait)
        case.addCleanup(self.process.kill)

    def resize(self, rows, columns):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.master, text.encode())

    def read(self):
        while select.select([self.master], [], [], 0.05)[0]:
            self.drawn += os.read(self.master, 65536).decode()

    def frame(self):
        """The lines of the last whole screen that was drawn."""
        frames = re.findall(re.escape(HOME) + "(.*?)" + re.escape(END), self.drawn, re.DOTALL)
        return re.split(r"\r+\n", re.sub(r"\x1b\[[0-9;]*[mK]", "", frames[-1])) if frames else []

    def until(self, holds, what):
        end = time.monotonic() + PATIENCE
        while not holds(self.frame()):
            self.case.assertLess(time.monotonic(), end, f"never: {what}\n" + "\n".join(self.frame()))
            self.read()

    def ended(self):
        """Its exit code; the terminal must be what it was."""
        code = self.process.wait(PATIENCE)
        self.read()
        self.case.assertEqual(termios.tcgetattr(self.slave), self.before)
        self.case.assertEqual((self.drawn.count(ENTER), self.drawn.count(LEAVE)), (1, 1))
        self.case.assertGreater(self.drawn.index(LEAVE), self.drawn.rindex(END))
        return code


class Samples(CliCase):
    def test_without_a_terminal_it_prints_one_sample_and_ends(self):
        text = self.ok("top", "--interval", "100ms").decode()
        self.assertNotIn("\x1b", text)
        for word in ("node-0", "arena", "gets", "now", "NAMESPACE"):
            self.assertIn(word, text)

    def test_json_is_a_sample_a_line_and_rates_are_what_the_totals_say(self):
        watcher = self.start("top", "-o", "json", "--count", "4", "--interval", "300ms")
        rounds = 0
        while watcher.poll() is None:
            self.ok("import", "-", "--key", self.key(str(rounds)), stdin=b"12345")
            self.ok("export", self.key(str(rounds)))
            rounds += 1
        samples = [json.loads(line) for line in watcher.stdout.read().splitlines()]
        self.assertEqual((watcher.returncode, len(samples)), (0, 4))
        for before, after in zip(samples, samples[1:]):
            rates = after["per_second"]
            sealed = [s["totals"]["requests"]["seal"]["ok"] for s in (before, after)]
            self.assertAlmostEqual(rates["puts"] * rates["seconds"], sealed[1] - sealed[0], places=3)
            self.assertAlmostEqual(rates["seconds"], after["uptime_seconds"] - before["uptime_seconds"], places=3)
        self.assertGreater(samples[-1]["totals"]["bytes_out"], samples[0]["totals"]["bytes_out"])
        namespaces = {row["namespace"]: row for row in samples[-1]["namespaces"]}
        self.assertGreater(namespaces["default"]["objects"], 0)

    def test_no_agent_is_7_at_once(self):
        self.fails(7, "top", "-e", f"uds://{self.dir}/none", says=f"{self.dir}/none/control.sock")

    def test_what_it_does_not_take_is_2(self):
        self.fails(2, "top", "--interval", "10ms", says="--interval")
        self.fails(2, "top", "--interval", "often", says="often")
        self.fails(2, "top", "--count", "few", says="--count")
        self.fails(2, "top", "-e", "udz:///x", says="did you mean 'uds'?")

    def test_a_signal_ends_what_has_no_end_and_interrupts_what_has_one(self):
        for count, code in (("0", 0), ("1000", 10)):
            watcher = self.start("top", "-o", "json", "--count", count, "--interval", "100ms")
            self.assertIn("arena", json.loads(watcher.stdout.readline()))
            watcher.send_signal(signal.SIGINT)
            self.assertEqual(watcher.wait(PATIENCE), code)

    def test_a_timeout_is_8(self):
        self.fails(8, "top", "--count", "0", "--interval", "1m", "--timeout", "300ms")


class Live(CliCase):
    def watch(self, *args, **size):
        terminal = Terminal(self, "top", *args, **size)
        terminal.until(lambda frame: any("arena" in line for line in frame), "it draws")
        return terminal

    def test_q_ends_it_and_the_terminal_is_as_it_was(self):
        terminal = self.watch()
        self.assertIn("q: quit", terminal.frame()[0])
        terminal.type("xq")
        self.assertEqual(terminal.ended(), 0)

    def test_ctrl_c_and_a_signal_end_it_and_the_terminal_is_as_it_was(self):
        terminal = self.watch()
        terminal.type("\x03")
        self.assertEqual(terminal.ended(), 0)
        terminal = self.watch()
        terminal.process.send_signal(signal.SIGTERM)
        self.assertEqual(terminal.ended(), 0)

    def test_it_goes_on_by_itself(self):
        terminal = self.watch("--interval", "100ms")
        self.ok("-n", "seen-live", "import", "-", "--key", self.key(), stdin=b"x")
        terminal.until(lambda frame: any(line.startswith("seen-live") for line in frame), "a new namespace is seen")

    def test_it_follows_the_size_of_the_window(self):
        terminal = self.watch("--interval", "1m", rows=24, columns=80)
        for rows, columns in ((5, 30), (1, 1), (40, 120)):
            terminal.resize(rows, columns)
            terminal.until(
                lambda frame: len(frame) <= rows and len(frame[0]) == columns == max(map(len, frame)),
                f"it is drawn in {rows} rows of {columns}",
            )
        terminal.type("q")
        self.assertEqual(terminal.ended(), 0)

    def test_it_ends_by_itself_after_its_count(self):
        self.assertEqual(self.watch("--count", "3", "--interval", "100ms").ended(), 0)

    def test_it_says_that_the_agent_is_gone_and_goes_on_when_it_is_back(self):
        home = self.enterContext(tempfile.TemporaryDirectory(prefix="ldr", dir="/tmp"))
        ready = self.dir / "ready.json"

        def start_dev():
            process = self.start("dev", "--agents", "1", "--dir", home, "--ready-file", str(ready))
            self.until(ready.exists, "dev is ready")
            return process

        process = start_dev()
        self.env["LARDER_ENDPOINT"] = "uds://" + json.loads(ready.read_text())["agents"][0]["socket_dir"]
        terminal = self.watch("--interval", "100ms")
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)
        terminal.until(lambda frame: "last answer" in frame[1] and "no agent answers" in frame[1], "it says so")
        start_dev()
        terminal.until(lambda frame: "arena" in frame[1], "it goes on")
        terminal.type("q")
        self.assertEqual(terminal.ended(), 0)


if __name__ == "__main__":
    unittest.main()
