"""CMake projects outside the tree, built against the tested build as it was built itself."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "common"))
from agents import bin_dir, build_settings  # noqa: E402


class Project:
    """A copy of a folder of e2e/extension, in a temporary directory; `folders` are copied into it."""

    def __init__(self, directory, name, folders):
        self.dir = directory / "source"
        self.build = directory / "build"
        shutil.copytree(HERE / name, self.dir)
        for where, source in folders.items():
            shutil.copytree(source, self.dir / where)
        self.env = {**os.environ, "CCACHE_BASEDIR": str(directory), "CCACHE_NOHASHDIR": "1"}

    def configure(self):
        cache = build_settings()
        flags = cache["CMAKE_CXX_FLAGS"]
        if cache.get("LARDER_SANITIZE"):
            flags += f" -O1 -fsanitize={cache['LARDER_SANITIZE']}"
        options = {
            "Larder_DIR": bin_dir().parent,
            "CMAKE_BUILD_TYPE": cache["CMAKE_BUILD_TYPE"],
            "CMAKE_CXX_COMPILER": cache["CMAKE_CXX_COMPILER"],
            "CMAKE_CXX_FLAGS": flags.strip(),
        }
        if cache.get("LARDER_COVERAGE") == "ON":
            # Of the library alone: counts of what is compiled a second time do not fit those of the first.
            options["CMAKE_EXE_LINKER_FLAGS"] = "--coverage"
        if shutil.which("ccache"):
            options["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
        self.run("cmake", "-G", "Ninja", "-S", self.dir, "-B", self.build, *(f"-D{k}={v}" for k, v in options.items()))

    def ninja(self):
        """Builds; the sources that were compiled, by name."""
        out = self.run("ninja", "-C", self.build, "-j2")
        return sorted(re.findall(r"Building CXX object \S*/([^/\s]+)\.o$", out, re.MULTILINE))

    def run(self, *command):
        run = subprocess.run(
            list(map(str, command)), env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if run.returncode != 0:
            raise AssertionError(f"{' '.join(map(str, command))}: exit code {run.returncode}\n{run.stdout}")
        return run.stdout


@contextlib.contextmanager
def project(name, folders):
    with tempfile.TemporaryDirectory(prefix="larder-") as directory:
        made = Project(pathlib.Path(directory), name, folders)
        made.configure()
        yield made
