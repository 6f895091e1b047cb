"""`larder uninstall check`, as the chart's job runs it, against an API server of the test's."""

import contextlib
import http.server
import json
import pathlib
import ssl
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

from cli_case import PATIENCE, bin_dir

TOKEN = "a-token"


def pod(name, driver, phase="Running"):
    volumes = [{"name": "larder", "csi": {"driver": driver}}]
    metadata = {"namespace": "web", "name": name}
    return {"metadata": metadata, "spec": {"nodeName": "n1", "volumes": volumes}, "status": {"phase": phase}}


class ApiServer:
    """Answers with its `pods`, two on a page, whoever has the token; with `status` and `text` once these are set."""

    def __init__(self, certificate, key):
        self.pods, self.status, self.text, self.paths = [], 200, None, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, text = outer.answer(self.path, self.headers.get("Authorization"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port

    def answer(self, path, authorization):
        self.paths.append(path)
        if self.text is not None or self.status != 200:
            return self.status, self.text or ""
        if authorization != f"Bearer {TOKEN}":
            return 401, json.dumps({"kind": "Status", "message": "Unauthorized"})
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
        first = int(query.get("continue", ["0"])[0])
        more = str(first + 2) if first + 2 < len(self.pods) else ""
        page = {"kind": "PodList", "metadata": {"continue": more}, "items": self.pods[first : first + 2]}
        return 200, json.dumps(page)

    @contextlib.contextmanager
    def serving(self):
        thread = threading.Thread(target=self.server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            thread.join()
            self.server.server_close()


def certificate(folder, name):
    """A key and a certificate for 127.0.0.1 that vouches for itself."""
    key, signed = folder / f"{name}.key", folder / f"{name}.crt"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=kubernetes", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", signed],
        check=True,
        capture_output=True,
    )
    return signed, key


class UninstallCheck(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        mine, key = certificate(self.dir, "api")
        self.account = self.dir / "account"
        self.account.mkdir()
        (self.account / "token").write_text(TOKEN)
        (self.account / "ca.crt").write_bytes(mine.read_bytes())
        self.api = self.enterContext(ApiServer(mine, key).serving())

    def check(self, *arguments, port=None):
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port or self.api.port)}
        command = [bin_dir() / "larder", "uninstall", "check", "--account", self.account, *arguments]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE)

    def test_who_has_a_volume_is_printed_and_it_fails(self):
        self.api.pods = [
            *(pod("a", "csi.larder.io"), pod("b", "csi.other.io"), pod("c", "csi.larder.io", "Succeeded")),
            pod("d", "csi.larder.io"),
        ]
        done = self.check()
        self.assertEqual(done.returncode, 4)
        self.assertEqual(
            [line.split() for line in done.stdout.splitlines()],
            [["NAMESPACE", "POD", "NODE"], ["web", "a", "n1"], ["web", "d", "n1"]],
        )
        self.assertIn("pods that have a volume of csi.larder.io, and could not be removed without it: 2", done.stderr)
        self.assertEqual(self.check("-q").stdout.splitlines(), ["web/a", "web/d"])
        self.assertEqual(json.loads(self.check("-o", "json").stdout)[1]["name"], "d")

    def test_without_such_pods_it_succeeds(self):
        self.api.pods = [pod("a", "csi.other.io")]
        done = self.check()
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual(self.check("--driver", "csi.other.io").returncode, 4)

    def test_what_it_cannot_know_is_no_yes(self):
        (self.account / "token").write_text("another")
        done = self.check()
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn("refuses this ServiceAccount", done.stderr)
        (self.account / "token").write_text(TOKEN)
        for answer in ((500, "no"), (200, "<html>"), (200, '{"kind": "Status"}'), (404, "")):
            self.api.status, self.api.text = answer
            done = self.check()
            self.assertNotIn(done.returncode, (0, 4), done.stderr)
            self.assertIn("the API server's answer is", done.stderr)

    def test_a_server_that_ca_crt_does_not_vouch_for_gets_no_token(self):
        stranger, key = certificate(self.dir, "stranger")
        with ApiServer(stranger, key).serving() as other:
            done = self.check(port=other.port)
            self.assertEqual(done.returncode, 7, done.stderr)
            self.assertIn("does not vouch", done.stderr)
            self.assertEqual(other.paths, [])

    def test_outside_of_a_pod_it_says_so(self):
        command = [bin_dir() / "larder", "uninstall", "check"]
        done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 2)
        self.assertIn("run this in a pod", done.stderr)


if __name__ == "__main__":
    unittest.main()
