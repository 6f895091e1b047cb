#!/usr/bin/env python3
"""Tests of what docker/stage puts into images, and that the same is made of the same."""

import hashlib
import io
import json
import os
import pathlib
import shutil
import sys
import tarfile
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "docker"))


def program(name):
    """A program of docker/ as a module: it has no suffix."""
    module = type(sys)(name)
    module.__file__ = str(ROOT / "docker" / name)
    exec(compile((ROOT / "docker" / name).read_text(), module.__file__, "exec"), module.__dict__)
    return module


stage, normalize = program("stage"), program("normalize")


class Authorities(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.root = stage.Root(self.folder / "image")
        self.listed = [self.certificate("mozilla/b.crt"), self.certificate("mozilla/a.crt")]
        self.certificate("local/planted.crt")

    def certificate(self, name):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{path.stem}\n")
        return str(path)

    def add(self, listed):
        with unittest.mock.patch.object(stage, "lines", return_value=listed):
            self.root.add_authorities()

    def test_are_those_of_the_package_in_order_and_no_others(self):
        self.add(self.listed + [str(self.folder / "mozilla"), str(self.folder / "README")])
        self.assertEqual((self.root.folder / stage.AUTHORITIES).read_text(), "a\nb\n")

    def test_are_told_of_in_the_sbom(self):
        self.add(self.listed)
        self.assertEqual(self.root.origins, {"/" + stage.AUTHORITIES: self.folder / "mozilla/a.crt"})

    def test_must_be_some(self):
        with self.assertRaisesRegex(SystemExit, "apt-get install --reinstall ca-certificates"):
            self.add([])


class Reproduced(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.addCleanup(os.umask, os.umask(0o022))

    def staged(self, place, of="true"):
        """A hash of all that an image holds, with a program of Debian's in the place of ours: names, modes, bytes."""
        programs = self.folder / place / "bin"
        programs.mkdir(parents=True)
        shutil.copy(f"/usr/bin/{of}", programs / "larder-peer-manager")
        image = self.folder / place / "image"
        stage.stage("peer-manager", programs, image)
        digest = hashlib.sha256()
        for path in sorted(image.rglob("*")):
            held = path.read_bytes() if path.is_file() else b""
            digest.update(
                f"{path.relative_to(image)} {path.lstat().st_mode:o} {hashlib.sha256(held).hexdigest()}\n".encode()
            )
        return digest.hexdigest()

    def test_what_is_staged_twice_is_the_same_wherever_and_by_whomever(self):
        first = self.staged("one")
        os.umask(0o077)
        self.assertEqual(self.staged("somewhere/else"), first)
        self.assertNotEqual(self.staged("three", of="false"), first)

    def saved(self, name, files, time):
        """An archive as docker saves it, of one layer, made at that time."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for path, data in files:
                member = tarfile.TarInfo(path)
                member.size, member.mtime, member.uid, member.uname = len(data), time + 0.5, 1000, "builder"
                tar.addfile(member, io.BytesIO(data))
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"User": "65532:65532", "Entrypoint": ["/usr/bin/larder"], "Image": f"sha256:{time}"},
            "created": f"2026-01-01T00:00:{time:02}Z",
            "container": f"of {time}",
        }
        manifest = [{"Config": "c.json", "RepoTags": ["larder/cli:1"], "Layers": [f"{time}/layer.tar"]}]
        parts = {"c.json": json.dumps(config), "manifest.json": json.dumps(manifest), f"{time}/layer.tar": None}
        with tarfile.open(self.folder / name, "w") as tar:
            for path, text in parts.items():
                normalize.add(tar, path, layer.getvalue() if text is None else text.encode())
        return self.folder / name

    def test_what_docker_made_twice_is_the_same_once_it_is_normal(self):
        files = [("usr/bin/larder", b"program"), ("etc/passwd", b"larder")]
        made = []
        for time, held in enumerate((files, files[::-1], files[:1])):
            image = normalize.normalize(self.saved(f"{time}.saved", held, time), self.folder / f"{time}.tar")
            made.append((image, (self.folder / f"{time}.tar").read_bytes()))
        self.assertEqual(made[0], made[1])
        self.assertNotEqual(made[0], made[2])
        with tarfile.open(self.folder / "0.tar") as tar:
            config = json.load(tar.extractfile(f"{made[0][0]}.json"))
        self.assertEqual(config["config"], {"User": "65532:65532", "Entrypoint": ["/usr/bin/larder"]})


if __name__ == "__main__":
    unittest.main()
