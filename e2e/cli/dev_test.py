"""`larder dev`: starts, tells where, stops, keeps what it should."""

import json
import os
import signal
import subprocess
import time
import unittest
import urllib.error
import urllib.request

from cli_case import PATIENCE, CliCase


class Dev(CliCase):
    def run_dev(self, *arguments):
        """A running `larder dev` and what its ready file says."""
        ready = self.dir / f"ready-{len(list(self.dir.glob('ready-*')))}.json"
        process = self.start("dev", "--ready-file", str(ready), *arguments, stderr=subprocess.STDOUT)
        self.until(lambda: ready.exists() or process.poll() is not None, "dev is ready")
        self.assertTrue(ready.exists(), process.stdout.read() if process.poll() is not None else "")
        return process, json.loads(ready.read_text()), ready

    def page(self, url):
        with urllib.request.urlopen(url, timeout=PATIENCE) as page:
            return page.read().decode()

    def is_ready(self, agent):
        try:
            return self.page(f"http://{agent['admin']}/readyz") == "ready\n"
        except urllib.error.HTTPError:
            return False

    def stop(self, process, number=signal.SIGTERM):
        begin = time.monotonic()
        process.send_signal(number)
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertLess(time.monotonic() - begin, 10)
        return process.stdout.read().decode()

    def test_three_agents_serve_when_the_ready_file_is_there(self):
        process, ready, file = self.run_dev()
        self.assertEqual([agent["name"] for agent in ready["agents"]], ["node-0", "node-1", "node-2"])
        for agent in ready["agents"]:
            self.assertEqual(sorted(agent), ["admin", "name", "socket_dir"])
            self.assertEqual(self.ok("list", "-e", f"uds://{agent['socket_dir']}"), b"")
            self.until(lambda agent=agent: self.is_ready(agent), "the tracker has registered it")
            with urllib.request.urlopen(f"http://{agent['admin']}/configz", timeout=PATIENCE) as page:
                self.assertIn("arena: 256MiB", page.read().decode())
        self.assertEqual(sorted(ready["peer_manager"]), ["admin", "grpc"])
        leads = f"http://{ready['peer_manager']['admin']}/metrics"
        self.until(lambda: "\nlarder_peers_is_leader 1\n" in self.page(leads), "its peer manager leads")
        self.until(lambda: '\nlarder_peers_nodes{state="live"} 3\n' in self.page(leads), "all nodes are alive")
        told = self.stop(process)
        self.assertIn(ready["peer_manager"]["grpc"], told)
        self.assertFalse(file.exists())
        for agent in ready["agents"]:
            self.assertIn(agent["socket_dir"], told)
            self.assertFalse(os.path.exists(agent["socket_dir"]), "a directory that dev made is removed")

    def test_both_signals_stop_it(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.stop(self.run_dev("--agents", "1")[0], number)

    def test_a_client_that_is_connected_does_not_hold_it_up(self):
        process, ready, _ = self.run_dev("--agents", "1")
        self.env["LARDER_ENDPOINT"] = f"uds://{ready['agents'][0]['socket_dir']}"
        importer = self.start("import", "-", "--key", "k", stdin=subprocess.PIPE)
        importer.stdin.write(b"x" * 100_000)
        importer.stdin.flush()
        self.until(lambda: self.creating("k"), "the import has begun")
        self.stop(process)
        importer.stdin.close()
        self.assertEqual(importer.wait(PATIENCE), 7)

    def test_a_given_directory_is_kept_and_a_file_store_in_it_survives(self):
        config = self.file("dev.yaml", b"cache_agent:\n  store: file\n  arena: 64MiB\n")
        home = self.dir / "state"
        arguments = ("--agents", "1", "--dir", str(home), "--config", config)
        for restarted in (False, True):
            process, ready, _ = self.run_dev(*arguments)
            socket_dir = ready["agents"][0]["socket_dir"]
            self.assertTrue(socket_dir.startswith(f"{home}/node-0/"))
            self.env["LARDER_ENDPOINT"] = f"uds://{socket_dir}"
            if not restarted:
                self.ok("import", "-", "--key", "kept", stdin=b"over a restart")
            self.assertEqual(self.ok("export", "kept"), b"over a restart")
            self.stop(process)
        self.assertTrue(home.is_dir())

    def test_what_was_acknowledged_is_there_after_all_were_killed_at_once(self):
        config = self.file("dev.yaml", b"cache_agent:\n  store: file\n  arena: 64MiB\n")
        arguments = ("--agents", "2", "--dir", str(self.dir / "state"), "--config", config)
        process, ready, _ = self.run_dev(*arguments)
        nodes = [f"uds://{agent['socket_dir']}" for agent in ready["agents"]]
        for i in range(20):
            ack = "tracked" if i % 2 == 0 else "local"
            self.ok("import", "-", "--key", f"k/{i}", "--ack", ack, "-e", nodes[i % 2], stdin=b"%d" % i)
        process.kill()
        process.wait()
        process, ready, _ = self.run_dev(*arguments)
        nodes = [f"uds://{agent['socket_dir']}" for agent in ready["agents"]]
        for i in range(20):
            self.assertEqual(self.ok("export", f"k/{i}", "-e", nodes[i % 2]), b"%d" % i)
        # Whoever is asked knows who has it, as soon as the agents have told.
        for i in range(20):
            holder = [f"node-{i % 2}"]

            def known(key=f"k/{i}", asked=nodes[(i + 1) % 2], holder=holder):
                told = self.run_larder("stat", key, "-e", asked, "-o", "json")
                if told.returncode != 0:
                    return False
                stat = json.loads(told.stdout)
                return [where["node"] for where in stat["locations"]] == holder and stat["live_replicas"] == 1

            self.until(known, f"k/{i} is known to be at {holder}")
        self.stop(process)

    def test_a_second_dev_in_the_same_directory_does_not_start(self):
        home = str(self.dir / "state")
        process, ready, _ = self.run_dev("--agents", "1", "--dir", home)
        second = self.run_larder("dev", "--agents", "1", "--dir", home)
        self.assertEqual(second.returncode, 4)
        self.assertRegex(second.stderr.decode().splitlines()[-1], r"^larder: dev: tracker: .*")
        self.ok("list", "-e", f"uds://{ready['agents'][0]['socket_dir']}")
        self.stop(process)

    def test_ports_follow_the_base(self):
        base = 11_000 + os.getpid() % 100 * 200  # below the ports that the kernel gives out
        process, ready, _ = self.run_dev("--agents", "2", "--port-base", str(base))
        self.assertEqual([a["admin"] for a in ready["agents"]], [f"127.0.0.1:{base + 69}", f"127.0.0.1:{base + 169}"])
        at = {"grpc": f"127.0.0.1:{base + 20}", "admin": f"127.0.0.1:{base + 29}"}
        self.assertEqual(ready["peer_manager"], at)
        self.stop(process)

    def test_what_cannot_be_is_refused(self):
        self.fails(2, "dev", "--agents", "0", says="--agents")
        self.fails(2, "dev", "--agents", "65", says="--agents")
        self.fails(2, "dev", "--port-base", "80", says="--port-base")
        self.fails(2, "dev", "--dir", "/tmp/" + "x" * 100, says="too long")
        self.fails(2, "dev", "--dir", "/proc/none", says="--dir")
        self.fails(2, "dev", "--config", "none.yaml", says="none.yaml")
        config = self.file("dev.yaml", b"cache_agent:\n  arna: 64MiB\n")
        self.fails(2, "dev", "--config", config, says="dev.yaml:2: arna: unknown key (did you mean arena?)")
        config = self.file("dev.yaml", b"peer_manager:\n  leader:\n    tl: 5s\n")
        self.fails(2, "dev", "--config", config, says="leader.tl: unknown key (did you mean leader.ttl?)")
        self.env["LARDER_CACHE_AGENT_ARNA"] = "64MiB"
        self.fails(2, "dev", says="did you mean LARDER_CACHE_AGENT_ARENA?")


if __name__ == "__main__":
    unittest.main()
