#!/usr/bin/env python3
"""Tests of what docker/stage puts into images."""

import pathlib
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "docker"))
# docker/stage has no suffix, as it is a program.
stage = type(sys)("stage")
stage.__file__ = str(ROOT / "docker/stage")
exec(compile((ROOT / "docker/stage").read_text(), stage.__file__, "exec"), stage.__dict__)


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


if __name__ == "__main__":
    unittest.main()
