"""import -r and export -r: trees of files as keys and back."""

import os
import unittest

from cli_case import KIB, MIB, CliCase, pattern

TREE = {
    "a": b"1",
    "empty": b"",
    "d/b": pattern(64 * KIB),
    "d/e/c": pattern(64 * KIB + 1),
    "d/e/big": pattern(3 * MIB),
    "name with spaces & [brackets]": b"x",
    "ünïcode": b"y",
}


class Tree(CliCase):
    def make(self, root="src"):
        for name, data in TREE.items():
            self.file(f"{root}/{name}", data)
        return str(self.dir / root)

    def read(self, root):
        top = self.dir / root
        return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}

    def test_a_tree_comes_back_as_it_was(self):
        keys = self.ok("import", "-r", self.make(), "--prefix", self.prefix).decode().splitlines()
        self.assertEqual(set(keys), {f"{self.prefix}/{name}" for name in TREE})
        self.ok("export", "-r", self.prefix, "-O", "out")
        self.assertTrue(self.read("out") == TREE)
        self.ok("export", "-r", f"{self.prefix}/d/", "-O", "out2")
        self.assertEqual(set(self.read("out2")), {"b", "e/c", "e/big"})

    def test_a_prefix_is_a_folder_of_keys(self):
        for name in ("p/x", "p2/y"):
            self.ok("import", "-", "--key", self.key(name), stdin=b"")
        self.ok("export", "-r", self.key("p"), "-O", "out")
        self.assertEqual(set(self.read("out")), {"x"})
        self.fails(3, "export", "-r", self.key("none"), "-O", "out3", says="no key begins with")
        self.assertFalse((self.dir / "out3").exists())

    def test_json_is_an_array(self):
        rows = self.json("import", "-r", self.make(), "--prefix", self.prefix)
        self.assertEqual({row["key"]: row["size"] for row in rows}, {self.key(n): len(d) for n, d in TREE.items()})

    def test_one_failure_is_told_and_the_others_go_on(self):
        root = self.make()
        os.symlink("nowhere", f"{root}/broken")
        os.symlink("a", f"{root}/link")
        os.mkfifo(f"{root}/pipe")
        bad_name = os.path.join(os.fsencode(root), b"not-utf8-\xff")
        with open(bad_name, "wb"):
            pass
        self.fails(2, "import", "-r", root, "--prefix", self.prefix, says="broken is a link", lines=3)
        self.ok("export", "-r", self.prefix, "-O", "out")
        self.assertTrue(self.read("out") == {**TREE, "link": TREE["a"]})

    def test_the_first_failures_code_is_the_verbs(self):
        self.ok("import", "-", "--key", self.key("d/b"), stdin=b"other")
        root = self.make()
        os.symlink("nowhere", f"{root}/z-broken")
        self.fails(4, "import", "-r", root, "--prefix", self.prefix, says="import d/b", lines=2)
        self.assertEqual(self.ok("export", self.key("a")), TREE["a"])
        os.unlink(f"{root}/z-broken")
        self.ok("import", "-r", root, "--prefix", self.prefix, "--overwrite")
        self.assertTrue(self.ok("export", self.key("d/b")) == TREE["d/b"])

    def test_files_that_exist_are_kept_unless_replaced(self):
        self.ok("import", "-r", self.make(), "--prefix", self.prefix)
        self.file("out/a", b"mine")
        self.fails(4, "export", "-r", self.prefix, "-O", "out", says="out/a exists")
        self.assertTrue(self.read("out") == {**TREE, "a": b"mine"})
        self.ok("export", "-r", self.prefix, "-O", "out", "--overwrite")
        self.assertTrue(self.read("out") == TREE)

    def test_an_export_does_not_leave_its_directory(self):
        self.ok("import", "-r", self.make(), "--prefix", self.prefix)
        (self.dir / "out").mkdir()
        (self.dir / "elsewhere").mkdir()
        os.symlink("../elsewhere", self.dir / "out/d")
        self.fails(2, "export", "-r", self.prefix, "-O", "out", says="links are not followed", lines=3)
        self.assertEqual(os.listdir(self.dir / "elsewhere"), [])
        self.assertEqual((self.dir / "out/a").read_bytes(), TREE["a"])

    def test_a_key_and_a_key_below_it_cannot_both_be_files(self):
        for name in ("a", "a/b", "c"):
            self.ok("import", "-", "--key", self.key(name), stdin=b"x")
        self.fails(2, "export", "-r", self.prefix, "-O", "out", says="is in the way")
        self.assertEqual(set(self.read("out")), {"a", "c"})

    def test_more_objects_than_a_page_are_listed_and_exported(self):
        for i in range(1100):
            self.file(f"many/{i:04}", b"%d" % i)
        self.ok("import", "-r", str(self.dir / "many"), "--prefix", self.prefix)
        listed = self.ok("list", f"{self.prefix}/", "-q").decode().splitlines()
        self.assertEqual(listed, [self.key(f"{i:04}") for i in range(1100)])
        self.assertEqual(len(self.json("list", f"{self.prefix}/")), 1100)
        self.ok("export", "-r", self.prefix, "-O", "out")
        self.assertEqual(len(self.read("out")), 1100)

    def test_what_does_not_go_together_is_refused(self):
        root = self.make()
        for arguments in (
            ("import", "-r", root, "--key", "k"),
            ("import", "-r", root, "--digest", "crc32c:00000000"),
            ("import", "-r", "-"),
            ("import", root),
            ("import", f"{root}/a", "--prefix", "p"),
            ("export", "-r", "p"),
            ("export", "-r", "p", "-O", "-"),
            ("export", "-r", "p", "-O", "out", "--range", "0-1"),
        ):
            self.fails(2, *arguments)


if __name__ == "__main__":
    unittest.main()
