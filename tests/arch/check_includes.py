#!/usr/bin/env python3
"""Checks who includes whom, and what no file of the repository may contain.

    check_includes.py [--root DIR]     prints one line per violation; exit code 1 when there is one

The tables below are the architecture: the folders of engine/ meet at engine/ir, third-party headers stay behind the
adapter that owns them, and nothing includes tests. A new folder is an entry in MAY_INCLUDE.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

# Folder -> project folders its files may include, besides itself. A file belongs to the deepest folder listed here. In a
# value, "server" means that folder and everything below it; "engine" means the facade alone (engine/model.h).
ENGINE_PARTS = {
    "engine/base", "engine/tensor", "engine/cache", "engine/ir", "engine/kernels", "engine/accumulate", "engine/onnx",
    "engine/passes", "engine/quant", "engine/plan", "engine/exec", "engine/search",
}
MAY_INCLUDE = {
    "stats": set(),
    "engine/base": set(),
    "engine/tensor": {"engine/base"},
    "engine/cache": {"engine/base", "engine/tensor"},
    "engine/ir": {"engine/base", "engine/tensor"},
    "engine/kernels": {"engine/base", "engine/tensor", "engine/ir"},
    "engine/accumulate": {"engine/base", "engine/tensor", "engine/ir", "engine/kernels"},
    "engine/onnx": {"engine/base", "engine/tensor", "engine/ir"},
    "engine/passes": {"engine/base", "engine/tensor", "engine/ir", "engine/kernels"},
    "engine/quant": {"engine/base", "engine/tensor", "engine/cache", "engine/ir", "engine/kernels", "proto", "stats"},
    "engine/plan": {"engine/base", "engine/tensor", "engine/ir", "engine/kernels", "engine/accumulate"},
    "engine/exec": {"engine/base", "engine/tensor", "engine/ir", "engine/kernels", "engine/plan"},
    "engine/search": {"engine/base", "engine/tensor", "engine/cache", "engine/ir", "engine/quant", "stats"},
    "engine": ENGINE_PARTS | {"proto", "stats"},
    "client": {"proto"},
    # Reads .npy files and measures accumulators on a model's layers by itself; the library itself does neither.
    "client/cli": {"client", "stats", "engine", "engine/base", "engine/tensor", "engine/accumulate"},
    # Sends serialized requests through gRPC's asynchronous calls, over the client's own channels; reads samples as `precis` does.
    "loadtest": {"proto", "client", "stats", "engine/base", "engine/tensor"},
    # The server sees the engine through its facade and the types that the facade speaks in.
    "server/config": {"engine", "engine/base", "engine/tensor", "proto"},
    "server/metrics": {"engine", "engine/base", "engine/tensor", "stats"},
    "server/drift": {"engine", "engine/base", "engine/tensor", "proto", "stats", "server/metrics"},
    "server/batching": {"engine", "engine/base", "engine/tensor", "server/config", "server/metrics"},
    "server/models": {"engine", "engine/base", "engine/tensor", "proto", "stats", "server/config", "server/metrics",
                      "server/drift", "server/batching"},
    "server/rpc": {"engine", "engine/base", "engine/tensor", "proto", "stats", "server/models", "server/config",
                   "server/metrics", "server/drift", "server/batching"},
    "server/app": {"engine", "engine/base", "engine/tensor", "proto", "server"},
    "server/main": {"engine", "engine/base", "proto", "server"},
    "server": {"engine", "engine/base", "proto", "server/app", "server/config"},
    "proto": set(),
    "tests": {"engine", *ENGINE_PARTS, "proto", "stats", "server", "client", "loadtest"},
}

# Third-party headers that only some folders may include: (what, pattern of the included path, folders). Tests may
# include everything.
OWNED_HEADERS = [
    ("gRPC", re.compile(r"^(grpc|grpcpp|grpc\+\+)/|\.grpc\.pb\.h$"), {"server/rpc", "server/app", "client", "loadtest"}),
    ("ONNX", re.compile(r"^onnx/"), {"engine/onnx"}),
    ("oneDNN", re.compile(r"^(oneapi/dnnl/.*|dnnl[^/]*\.(h|hpp))$"), {"engine/plan", "engine/exec"}),
    ("prometheus", re.compile(r"^prometheus/"), {"server/metrics", "server/app"}),
]

# What no text file may contain. Written in pieces so that this file passes its own check.
REGISTRY_HOSTS = [
    r"(?:deb|ftp|security|snapshot|httpredir|archive)\.(?:\w+\.)?" + "debian" + r"\.org",
    r"archive\.ubun" + r"tu\.com", "pypi" + r"\.org", "python" + r"hosted\.org", "docker" + r"\.io", "ghcr" + r"\.io",
    "quay" + r"\.io", "gcr" + r"\.io", "proxy" + r"\.golang\.org", "registry" + r"\.npmjs\.org",
]
FORBIDDEN_TEXT = [
    ("the host name of a mirror or registry", re.compile(r"(?<![\w.-])(?:[\w-]+\.)*(?:" + "|".join(REGISTRY_HOSTS) + r")\b")),
    ("a path of one particular machine", re.compile(r"(?<![\w.$}/-])/wo" + r"rk/")),
]

# File names that say nothing about the job (STYLE: "name the job").
VAGUE_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?)(_test)?\.(h|cc|py|sh|cmake)$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
SOURCE_SUFFIXES = {".h", ".cc"}
SKIPPED_FOLDERS = {".git", "build", "__pycache__"}
# Violations on purpose, for check_includes_test.py.
FIXTURES = "tests/arch/"


def repository_files(root: Path) -> list[Path]:
    """Paths relative to `root`: what git knows or would add, or every file where there is no git."""
    listing = subprocess.run(["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"],
                             capture_output=True, check=False) if (root / ".git").exists() else None
    if listing is not None and listing.returncode == 0:
        names = [os.fsdecode(name) for name in listing.stdout.split(b"\0") if name]
        return sorted(Path(name) for name in names if (root / name).is_file())
    files = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in SKIPPED_FOLDERS]
        files += [Path(folder, name).relative_to(root) for name in names if Path(folder, name).is_file()]
    return sorted(files)


def layer_of(path: str) -> str | None:
    """The deepest folder of MAY_INCLUDE that holds `path`; None for what is not the project's."""
    folder = path
    while "/" in folder:
        folder = folder.rsplit("/", 1)[0]
        if folder in MAY_INCLUDE:
            return folder
    return None


def included_layer(path: str) -> str | None:
    if re.match(r"^(inference|precis/v\d+)/.*\.pb\.h$", path):
        return "proto"
    return layer_of(path)


def may_include(layer: str, other: str) -> bool:
    allowed = MAY_INCLUDE[layer] | {layer}
    return other in allowed or any(other.startswith(folder + "/") for folder in allowed - {"engine"})


def check_source(path: str, text: str) -> list[str]:
    violations = []
    layer = layer_of(path)
    for number, line in enumerate(text.splitlines(), start=1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, included = match.groups()
        where = f"{path}:{number}"
        if included.startswith(".") or "/../" in included:
            violations.append(f'{where}: "{included}" is relative; write it from the root of the repository')
            continue
        other = included_layer(included)
        if layer is None and other is not None:
            violations.append(f"{where}: {path.rsplit('/', 1)[0]} has no entry in MAY_INCLUDE, yet it includes {included}")
        elif layer is not None and other is not None and not may_include(layer, other):
            violations.append(f"{where}: {layer} may not include {other} ({included})")
        for what, pattern, owners in OWNED_HEADERS:
            if pattern.search(included) and layer != "tests" and layer not in owners:
                violations.append(f"{where}: {what} headers belong to {', '.join(sorted(owners))} ({included})")
    return violations


def check_text(path: str, text: str) -> list[str]:
    return [f"{path}:{number}: contains {what}: {match.group(0)}"
            for number, line in enumerate(text.splitlines(), start=1)
            for what, pattern in FORBIDDEN_TEXT
            if (match := pattern.search(line))]


def check_repository(root: Path) -> list[str]:
    violations = []
    for relative in repository_files(root):
        path = relative.as_posix()
        if path.startswith(FIXTURES):
            continue
        if VAGUE_NAMES.search(relative.name):
            violations.append(f"{path}: a file name says what the file does, not that it helps")
        content = (root / relative).read_bytes()
        if b"\0" in content:
            continue  # binary
        text = content.decode("utf-8", errors="replace")
        violations += check_text(path, text)
        if relative.suffix in SOURCE_SUFFIXES:
            violations += check_source(path, text)
    return violations


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[2])
    violations = check_repository(parser.parse_args().root)
    print("\n".join(violations) if violations else "every include is allowed")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
