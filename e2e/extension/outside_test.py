"""A project outside the tree, which has only public headers, brings a backend, a transport and a peer."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from projects import HERE, project  # noqa: E402

TOYS = {
    "backends/toy": HERE / "folder/backends/toy",
    "transport/toy": HERE / "folder/transport/toy",
}


class Outside(unittest.TestCase):
    def test_extensions_keep_the_contracts_and_work_together(self):
        with project("outside", TOYS) as outside:
            outside.ninja()
            said = outside.run(outside.build / "outside_test")
        for suite in ("Outside/BackendContract", "Outside/PeerContract", "Outside/TransportContract", "Outside."):
            self.assertRegex(said, rf"(?m)^\[       OK \] {suite}")
        self.assertNotIn("[  SKIPPED ]", said)


if __name__ == "__main__":
    unittest.main()
