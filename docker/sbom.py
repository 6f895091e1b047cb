"""What an image is made of, as SPDX 2.3: our programs, the Debian packages that its files are of, and the crates that
are linked in. Nothing in it depends on when or where it is made."""

import hashlib
import json
import pathlib
import platform
import re
import subprocess
import tomllib
import urllib.parse

EPOCH = "1970-01-01T00:00:00Z"
FIELDS = ["Package", "Version", "Architecture", "source:Package", "source:Version"]


def spellings(path: pathlib.Path) -> "set[str]":
    """What dpkg may know a file by: /lib is /usr/lib since the merge, but packages still name either."""
    names = {str(path), str(path.resolve())}
    return names | {name.removeprefix("/usr") for name in names} | {"/usr" + name for name in names}


def owners(paths: "list[pathlib.Path]") -> "set[str]":
    """The Debian packages that files of this system are of. LookupError if one is of none."""
    wanted = {path: spellings(path) for path in paths}
    found = subprocess.run(
        ["dpkg", "-S", *sorted(set().union(*wanted.values()))], capture_output=True, text=True
    ).stdout
    by_name: "dict[str, str]" = {}
    for line in found.splitlines():
        packages, _, name = line.partition(": ")
        if not packages.startswith("diversion by"):
            by_name[name] = packages.split(", ")[0]
    result = set()
    for path, names in wanted.items():
        known = [by_name[name] for name in sorted(names) if name in by_name]
        if not known:
            raise LookupError(f"no Debian package has {path}")
        result.add(known[0])
    return result


def debian_package(name: str) -> "dict[str, object]":
    template = "\t".join(f"${{{field}}}" for field in FIELDS)
    shown = subprocess.run(["dpkg-query", "-W", "-f", template, name], check=True, capture_output=True, text=True)
    package, version, architecture, source, source_version = shown.stdout.split("\t")
    distro = f"debian-{platform.freedesktop_os_release()['VERSION_ID']}"
    return entry(
        f"deb-{package}",
        package,
        version,
        f"pkg:deb/debian/{quoted(package)}@{quoted(version)}?arch={architecture}&distro={distro}",
        sourceInfo=f"built from {source} {source_version}",
    )


def quoted(text: str) -> str:
    """As a part of a package URL."""
    return urllib.parse.quote(text, safe=":~")


def linked(lock: pathlib.Path) -> "set[tuple[str, str]]":
    """(name, version) of the crates whose code is in the library: not those of other systems, nor what only builds it.
    CalledProcessError when the crates are not here."""
    command = ["cargo", "tree", "--manifest-path", lock.with_name("Cargo.toml"), "--locked", "--offline"]
    command += ["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {tuple(re.match(r"(\S+) v(\S+)", line).groups()) for line in shown.splitlines()}


def rust() -> "dict[str, object]":
    """The standard library, which is linked in with the crates."""
    version = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True).stdout.split()[1]
    return entry("rust-std", "rust-std", version, f"pkg:generic/rust-std@{quoted(version)}")


def crates(lock: pathlib.Path) -> "list[dict[str, object]]":
    """Those that come from a registry, and Rust's own; our own is part of Larder."""
    packages, in_it = tomllib.loads(lock.read_text())["package"], linked(lock)
    return [rust()] + [
        entry(
            f"crate-{crate['name']}-{crate['version']}",
            crate["name"],
            crate["version"],
            f"pkg:cargo/{quoted(crate['name'])}@{quoted(crate['version'])}",
            checksums=[{"algorithm": "SHA256", "checksumValue": crate["checksum"]}],
        )
        for crate in packages
        if "checksum" in crate and (crate["name"], crate["version"]) in in_it
    ]


def entry(identifier: str, name: str, version: str, purl: str, **more: object) -> "dict[str, object]":
    return {
        "SPDXID": "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", identifier),
        "name": name,
        "versionInfo": version,
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "externalRefs": [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl},
        ],
        **more,
    }


def contents(root: pathlib.Path) -> str:
    """A SHA-256 over the names and bytes of all files of an image."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*")):
        digest.update(f"{path.relative_to(root)}\0{path.stat().st_mode if path.is_file() else ''}\0".encode())
        if path.is_symlink():
            digest.update(str(path.readlink()).encode())
        elif path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def write(
    file: pathlib.Path,
    name: str,
    root: pathlib.Path,
    origins: "dict[str, pathlib.Path]",
    lock: "pathlib.Path | None",
) -> None:
    """Writes the SBOM of the image `name`, whose files are in `root`, `origins` telling of each where on this Debian
    system it was. LookupError when one of those is of no package."""
    packages = [debian_package(package) for package in sorted(owners(list(origins.values())))]
    packages += crates(lock) if lock else []
    digest = contents(root)
    larder = {
        "SPDXID": "SPDXRef-larder",
        "name": f"larder/{name}",
        "versionInfo": digest[:12],
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseDeclared": "Apache-2.0",
    }
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"larder/{name}",
        "documentNamespace": f"urn:larder:image:{name}:{digest}",
        "creationInfo": {"created": EPOCH, "creators": ["Tool: larder docker/stage"]},
        "documentDescribes": ["SPDXRef-larder"],
        "packages": [larder, *packages],
        "relationships": [
            {"spdxElementId": "SPDXRef-larder", "relationshipType": "CONTAINS", "relatedSpdxElement": package["SPDXID"]}
            for package in packages
        ],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n")
