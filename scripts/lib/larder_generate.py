"""The tree's generated files, made anew beside it."""
import contextlib
import pathlib
import subprocess
import sys
import tempfile

GENERATE = "scripts/lib/generate"


@contextlib.contextmanager
def generated(check):
    """A directory with the tree's generated files, each at its path in the tree. Ends the check if they cannot be made:
    what is wrong then is that the tree does not build."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([check.root / GENERATE, folder], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            print(done.stdout + done.stderr)
            check.finding(GENERATE, 1, f"fails with {done.returncode}", "see above")
            print("nothing to compare with")
            sys.exit(1)
        yield pathlib.Path(folder)
