"""Reads the calls of cmake/*.cmake out of a tree's CMakeLists.txt: which targets there are, of what they are made."""
import dataclasses
import pathlib
import re

KINDS = (
    "larder_library",
    "larder_service",
    "larder_test",
    "larder_bench",
    "larder_fuzz",
    "larder_proto",
    "larder_rust",
)
WORDS = {"NAME", "BASE", "BINARY", "HDRS", "SRCS", "DEPS", "PRIVATE_DEPS", "TIMEOUT", "LABELS", "RESOURCE_LOCK"}
WORDS |= {"PROTO", "KIND", "NAMESPACE", "REGISTRY", "HEADER", "ROOT", "ROOTS", "EXTENDS", "FOLDER", "CRATE"}


@dataclasses.dataclass
class Target:
    kind: str  # "library", "service", "test", "bench", "fuzz", "proto", "rust", "executable", "registrations"
    name: str  # as in larder::NAME
    folder: str  # of its CMakeLists.txt, relative to the root
    line: int
    headers: "dict[str, str]" = dataclasses.field(default_factory=dict)  # as included -> path, "" if generated
    sources: "set[str]" = dataclasses.field(default_factory=set)  # paths relative to the root
    public: "set[str]" = dataclasses.field(default_factory=set)  # names of larder targets
    private: "set[str]" = dataclasses.field(default_factory=set)
    labels: "set[str]" = dataclasses.field(default_factory=set)  # of a test

    @property
    def group(self) -> str:
        """The row of the table of libraries: "base", "backends/file", "services/cli"."""
        parts = self.folder.split("/")
        if parts[0] == "libs" and len(parts) > 1:
            return "/".join(parts[1:3]) if parts[1] in ("backends", "transport") else parts[1]
        return "/".join(parts[:2]) if parts[0] == "services" else parts[0]

    @property
    def product(self) -> bool:
        """Whether it is shipped: not a test, nor what tests are made from."""
        if self.kind == "proto":
            return all(source.startswith("proto/") for source in self.sources)
        if self.kind == "executable" and self.folder.startswith("e2e/"):
            return False
        return self.kind not in ("test", "bench", "fuzz") and "testing" not in self.name.split("_")

    @property
    def list_file(self) -> str:
        return f"{self.folder}/CMakeLists.txt"


def calls(text: str):
    """(line, function, arguments) of each call; comments are dropped, variables stay as they are."""
    text = re.sub(r"#[^\n]*", "", text)
    for match in re.finditer(r"(\w+)\s*\(", text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        words = re.findall(r'"[^"]*"|[^\s"]+', text[match.end() : end - 1])
        yield text.count("\n", 0, match.start()) + 1, match[1], [w.strip('"') for w in words]


def keyed(words: "list[str]") -> "dict[str, list[str]]":
    result, key = {}, ""
    for word in words:
        if word in WORDS:
            key = word
        result.setdefault(key, [])
        if word not in WORDS:
            result[key].append(word)
    return result


def larder_names(words: "list[str]") -> "set[str]":
    return {w.removeprefix("larder::") for w in words if w.startswith("larder::")}


def join(folder: str, path: str) -> str:
    return pathlib.PurePosixPath(folder, path).as_posix()


def read_target(kind: str, folder: str, line: int, words: "list[str]", root: pathlib.Path) -> Target:
    given = keyed(words)
    name = (given.get("NAME") or ["?"])[0]
    target = Target(kind.removeprefix("larder_"), name, folder, line)
    base = (given.get("BASE") or ["include"])[0]
    for header in given.get("HDRS", []):
        target.headers[header.removeprefix(base + "/")] = join(folder, header)
    for source in given.get("SRCS", []):
        if "$" not in source:
            target.sources.add(join(folder, source))
    for proto in given.get("PROTO", []):
        stem = proto.removesuffix(".proto")
        target.headers.update({f"{stem}.pb.h": "", f"{stem}.grpc.pb.h": ""})
        protos = (given.get("ROOT") or ["proto"])[0].replace("${CMAKE_CURRENT_SOURCE_DIR}", folder)
        target.sources.add(join(protos, proto))
    target.public = larder_names(given.get("DEPS", []))
    target.private = larder_names(given.get("PRIVATE_DEPS", []))
    target.labels = set(given.get("LABELS", []))
    return target


def read_list(path: pathlib.Path, root: pathlib.Path) -> "list[Target]":
    folder = path.parent.relative_to(root).as_posix()
    targets: "dict[str, Target]" = {}
    globs: "dict[str, list[str]]" = {}
    for line, function, words in calls(path.read_text(encoding="utf-8")):
        if function in KINDS:
            target = read_target(function, folder, line, words, root)
            targets[target.name] = target
            for word in words:
                target.sources.update(globs.get(word, []))
            if "BINARY" in words:
                main = Target("executable", words[words.index("BINARY") + 1], folder, line)
                main.sources = {join(folder, "main.cpp")}
                main.private = {target.name} | target.public
                targets[main.name] = main
        elif function == "file" and words[:1] in (["GLOB"], ["GLOB_RECURSE"]):
            found = [p for pattern in words[2:] for p in path.parent.glob(pattern) if pattern != "CONFIGURE_DEPENDS"]
            globs[f"${{{words[1]}}}"] = [p.relative_to(root).as_posix() for p in found]
        elif function == "larder_extension_folders":
            given = keyed(words)
            target = Target("registrations", f"{given['KIND'][0]}_registrations", folder, line)
            if "NAMESPACE" in given:  # else it defines what another's header declares
                target.headers[f"larder/{given['NAMESPACE'][0]}/register_all.h"] = ""
            targets[target.name] = target
        elif function == "add_executable":
            target = Target("executable", words[0], folder, line)
            target.sources = {join(folder, w) for w in words[1:] if "$" not in w}
            targets[target.name] = target
        elif function == "target_link_libraries" and words[0] in targets:
            targets[words[0]].private |= larder_names(words[1:])
    return list(targets.values())


def read_tree(check) -> "list[Target]":
    lists = [p for p in check.files("CMakeLists.txt") if p.parent != check.root and p.parts[-2] != "cmake"]
    return [target for path in lists for target in read_list(path, check.root)]
