"""A new folder is all that a new extension takes: plain `ninja` finds it and compiles nothing but it and the list."""

import pathlib
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from projects import HERE, project  # noqa: E402

TOY = HERE / "folder/backends/toy"


def add_folder(backends, name):
    """The toy again, under another name."""
    shutil.copytree(TOY, backends / name)
    shutil.move(backends / name / "include/larder/backends/toy", backends / name / f"include/larder/backends/{name}")
    for path in (backends / name).rglob("*.*"):
        path.write_text(path.read_text().replace("toy", name))


class Growth(unittest.TestCase):
    def test_a_new_folder_costs_its_own_files_and_the_list(self):
        with project("growing", {"backends/toy": TOY}) as growing:
            self.assertEqual(growing.ninja(), ["backend.cpp", "main.cpp", "register_all.cpp"])
            self.assertEqual(growing.run(growing.build / "names"), "toy\n")
            add_folder(growing.dir / "backends", "another")
            self.assertEqual(growing.ninja(), ["backend.cpp", "register_all.cpp"])
            self.assertEqual(growing.run(growing.build / "names"), "another\ntoy\n")
            self.assertEqual(growing.ninja(), [])
            shutil.rmtree(growing.dir / "backends/another")
            self.assertEqual(growing.ninja(), ["register_all.cpp"])
            self.assertEqual(growing.run(growing.build / "names"), "toy\n")


if __name__ == "__main__":
    unittest.main()
