"""What every check shares: its arguments, the files of the tree, findings and the verdict."""
import argparse
import importlib
import os
import pathlib
import re
import subprocess
import sys

SKIPPED = 77
NOT_OURS = {"build", "__pycache__", "node_modules", "target"}


class Check:
    """One run of a check. `run(check)` reports findings and returns the words of the verdict line."""

    def __init__(self, root: pathlib.Path, fix: bool, flags: "set[str]" = frozenset()):
        self.root = root.resolve()
        self.fix = fix
        self.flags = flags
        self.count = 0

    def flag(self, name: str) -> bool:
        """Whether a flag of this check alone was given."""
        return name in self.flags

    def finding(self, path: "pathlib.Path | str", line: int, what: str, how: str) -> None:
        path = pathlib.Path(path)
        if path.is_absolute():
            path = path.relative_to(self.root)
        print(f"{path}:{line}: {what}: {how}")
        self.count += 1

    def files(self, *patterns: str) -> "list[pathlib.Path]":
        """Files of the tree with a name like one of the patterns, sorted; no build trees, hidden folders, fixtures."""
        found = []
        for folder, names, files in os.walk(self.root):
            here = pathlib.Path(folder)
            names[:] = [n for n in names if not skipped(here, n)]
            found += [here / f for f in files if any((here / f).match(p) for p in patterns)]
        return sorted(found)

    def text(self, path: pathlib.Path) -> str:
        return path.read_text(encoding="utf-8", errors="replace")

    def relative(self, path: pathlib.Path) -> str:
        return path.relative_to(self.root).as_posix()

    def scripts(self, interpreter: str, *patterns: str) -> "list[pathlib.Path]":
        """Files like one of the patterns, and programs without a suffix whose first line names the interpreter."""
        programs = [p for p in self.files("*") if not p.suffix and p.is_file() and os.access(p, os.X_OK)]
        return sorted(set(self.files(*patterns)) | {p for p in programs if interpreter in first_line(p)})

    def need(self, program: str, package: str) -> None:
        """Ends the check as skipped if the program is missing."""
        if subprocess.run(["which", program], capture_output=True).returncode != 0:
            print(f"{program} is missing: install {package}")
            sys.exit(SKIPPED)

    def need_module(self, module: str, package: str) -> None:
        """The same for a module of Debian's Python."""
        try:
            importlib.import_module(module)
        except ImportError:
            print(f"the Python module {module} is missing: install {package}")
            sys.exit(SKIPPED)


def skipped(parent: pathlib.Path, name: str) -> bool:
    if name in NOT_OURS or name.endswith(".egg-info"):
        return True
    if name == "fixtures":  # of the checks: bad on purpose
        return parent.name == "checks"
    return name.startswith(".") and name != ".ci"


def first_line(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        line = file.readline(80)
    return line.decode(errors="replace") if line.startswith(b"#!") else ""


def without_comments(text: str) -> str:
    """C++ with its comments blanked out; lines and string literals stay."""

    def blank(match: "re.Match[str]") -> str:
        found = match.group(0)
        return found if found[0] in "\"'R" else re.sub(r"[^\n]", " ", found)

    return re.sub(
        r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|//[^\n]*|/\*(?:.|\n)*?\*/', blank, text
    )


def errors_of_a_compiler(
    check: Check, output: str, folder: "pathlib.Path | None" = None
) -> "list[tuple[pathlib.Path, int, str]]":
    """File, line and text of each `file:line:column: error: …` about a file of the tree, once. `folder` is where the
    compiler ran, if not in the tree: through ccache it names files as seen from there."""
    found = {}
    for match in re.finditer(r"^(\S[^:\n]*):(\d+):\d+: (?:fatal )?(?:error|warning): (.*)$", output, re.MULTILINE):
        path = ((folder or check.root) / match[1]).resolve()
        if path.is_relative_to(check.root):
            found[path, int(match[2]), match[3]] = None
    return list(found)


def compiler_findings(check: Check, output: str, how: str) -> None:
    """Reports what a compiler printed as `file:line:column: error: …`."""
    for path, line, what in errors_of_a_compiler(check, output):
        check.finding(path, line, what, how)


def build_findings(check: Check, output: str, how: str, folder: pathlib.Path) -> None:
    """Reports what failed in a build: `output` is what ninja printed for the build tree `folder`. Of a step that names
    no line of the tree, as a linker does not, all that it printed is shown."""
    for path, line, what in errors_of_a_compiler(check, output, folder):
        check.finding(path, line, what, how)
    for step in re.split(r"^(?=FAILED: |\[\d+/\d+\] |ninja: )", output, flags=re.MULTILINE):
        if step.startswith("FAILED: ") and not errors_of_a_compiler(check, step, folder):
            made, _, printed = step.removeprefix("FAILED: ").partition("\n")
            print("\n".join(f"  {line}" for line in printed.splitlines()))
            check.finding("CMakeLists.txt", 1, f"{made.strip()} cannot be built", f"{how}: see above")


def main(description: str, run, **flags: str) -> None:
    """Runs a check; `flags` are flags of its own with their help."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("."), help="the tree to check")
    parser.add_argument("--fix", action="store_true", help="mend what can be mended")
    for name, text in flags.items():
        parser.add_argument(f"--{name}", action="store_true", help=text)
    arguments = parser.parse_args()
    check = Check(arguments.root, arguments.fix, {name for name in flags if getattr(arguments, name)})
    summary = run(check)
    print(summary if check.count == 0 else f"{summary}, {check.count} findings")
    sys.exit(1 if check.count else 0)
