#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_includes.py [ROOT]: reads the source tree against the rules of the house: which room may
include which, which file names may use which package, and the limits on files and functions. Each
rule is also seen failing, on a small tree with one planted violation. Prints TAP lines.
"""
import pathlib
import re
import sys
import tempfile

# Who may include whom (docs/architecture.md). Nobody includes upward.
ROOMS = {
    "shared/base": set(),
    "shared/packet": {"shared/base"},
    "shared/capture": {"shared/base", "shared/packet"},
    "shared/store": {"shared/base", "shared/packet"},
    "shared/options": {"shared/base"},
    "shared/wire": {"shared/base", "shared/packet"},
    "shared/jobs": {"shared/base"},
    "shared/swarm": {"shared/base", "shared/packet"},
    "shared/merge": {"shared/base", "shared/packet"},
}
PROGRAMS = ("cli", "node")
MAX_ROOMS = 3  # rooms that one file may reach into, besides its own and the two free ones
FREE_ROOMS = {"shared/base", "shared/options"}  # what every command is told by
MAX_FILE_LINES = 600
MAX_FUNCTION_LINES = 80

# Package headers and the suffixes that may include them.
PACKAGES = {
    r"pcap(\.h|/.*)|pcap-.*": ("pcap",),
    r"sqlite3(ext)?\.h|sqlcipher/.*": ("sqlite",),
    r"uv(\.h|/.*)": ("uv",),
    r"sodium(\.h|/.*)": ("sodium", "posix", "sqlite"),
    r"zstd.*\.h|zdict\.h": ("zstd", "posix", "sqlite"),
    r"zlib\.h": ("zlib",),
    r"wslay/.*": ("wslay",),
    r"llhttp(/.*)?\.h": ("llhttp",),
    r"openssl/.*": ("tls",),
    r"ini\.h": ("inih",),
}
# The operating system: clocks, files, sockets, threads. Only these suffixes may, inside shared/.
SYSTEM = re.compile(r"(pthread|threads|unistd|fcntl|time|poll|signal|dirent|netdb|semaphore|sched"
                    r"|spawn|ifaddrs|termios)\.h|net/if.*|linux/.*|sys/(?!types\.h|param\.h).*")
SYSTEM_SUFFIXES = {"posix", "pcap", "sqlite", "uv"}
IO_FILES = {"shared/base/log.c"}  # the one global state that there is; it writes to stderr
BANNED = re.compile(r"\b(strcpy|strcat|v?sprintf|atoi|atol|atoll|strtok|alloca|gets)\s*\(")
BAD_NAMES = {"util", "utils", "common", "helpers", "helper", "misc"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)


class Source:
    def __init__(self, root, path):
        self.path = path.relative_to(root).as_posix()
        self.text = path.read_text(errors="replace")
        self.lines = self.text.splitlines()
        self.stem = path.stem
        self.suffix = path.stem.rpartition("_")[2] if "_" in path.stem else ""
        if path.name == "sqlite.h":  # the one door to the package's own headers
            self.suffix = "sqlite"
        self.is_c = path.suffix in (".c", ".h")
        self.room = room_of(self.path)
        self.includes = INCLUDE.findall(self.text) if self.is_c else []


def room_of(path):
    parts = path.split("/")
    if parts[0] == "shared" and len(parts) > 2:
        return "/".join(parts[:2])
    return parts[0] if len(parts) > 1 else ""


def read_tree(root):
    found = []
    for top in ("shared", *PROGRAMS, "tests", "cmake"):
        for path in sorted((root / top).rglob("*")):
            if path.is_file() and (path.suffix in (".c", ".h", ".cmake", ".sh", ".py")
                                   or path.name == "CMakeLists.txt"):
                found.append(Source(root, path))
    return found


def code_of(source):
    """The text without comments and the insides of strings, lines kept."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: '""' + "\n" * m[0].count("\n"), source.text, flags=re.S)


def directions(tree, root):
    """rooms include only what stands below them"""
    for s in tree:
        for kind, name in s.includes:
            room = room_of(name)
            if kind != '"' or not s.room or s.room == "tests" or room == s.room:
                continue
            if s.room in PROGRAMS:
                allowed = room.startswith("shared/")
            else:
                allowed = room in ROOMS.get(s.room, set())
            if not allowed:
                yield f"{s.path} includes {name}: {s.room} may not use {room or name}"


def reach(tree, root):
    """no file reaches into more than three rooms besides its own, base and options"""
    for s in tree:
        rooms = {room_of(n) for k, n in s.includes if k == '"'} - FREE_ROOMS - {s.room, ""}
        if s.room != "tests" and len(rooms) > MAX_ROOMS:
            yield f"{s.path} includes {len(rooms)} rooms: {', '.join(sorted(rooms))}"


def from_the_root(tree, root):
    """our own headers are included from the root of the tree, and exist"""
    for s in tree:
        for kind, name in s.includes:
            if kind == '"' and not (root / name).is_file():
                yield f'{s.path} includes "{name}": no such file from the root'


def packages(tree, root):
    """the suffix of a file names the package that it uses"""
    for s in tree:
        for kind, name in s.includes:
            for pattern, suffixes in PACKAGES.items():
                if kind == "<" and s.room != "tests" and re.fullmatch(pattern, name) \
                        and s.suffix not in suffixes:
                    yield f"{s.path} includes <{name}>: only *_{', *_'.join(suffixes)} may"


def system(tree, root):
    """unsuffixed files in shared/ use no clock, file, socket or thread"""
    for s in tree:
        for kind, name in s.includes:
            if s.path.startswith("shared/") and s.suffix not in SYSTEM_SUFFIXES \
                    and SYSTEM.fullmatch(name):
                yield f"{s.path} includes <{name}>: move it to a file with a suffix"


def libraries(tree, root):
    """each file of shared/ is in one library: pr_pure, or pr_io when its suffix does I/O"""
    listed = {}
    for s in tree:
        if s.path.endswith("CMakeLists.txt") and s.path.startswith("shared/"):
            for m in re.finditer(r"target_sources\(\s*(\w+)\s+PRIVATE([^)]*)\)", s.text):
                for name in re.sub(r"#[^\n]*", "", m[2]).split():
                    listed.setdefault(f"{s.room}/{name}", []).append(m[1])
    for s in tree:
        if s.path.startswith("shared/") and s.path.endswith(".c"):
            io = s.suffix in SYSTEM_SUFFIXES or s.path in IO_FILES
            want = "pr_io" if io else "pr_pure"
            if listed.get(s.path) != [want]:
                yield f"{s.path} is in {listed.get(s.path, 'no library')}, not in {want}"


def file_length(tree, root):
    """no file is longer than 600 lines"""
    for s in tree:
        if s.is_c and len(s.lines) > MAX_FILE_LINES:
            yield f"{s.path}: {len(s.lines)} lines"


def function_length(tree, root):
    """no function is longer than 80 lines"""
    for s in tree:
        start = None
        for i, line in enumerate(s.lines if s.is_c else []):
            if line == "{":
                start = i
                while start > 0 and not re.match(r"$|.*(;|}|\*/)$|#", s.lines[start - 1]):
                    start -= 1
            elif line == "}" and start is not None:
                if i - start + 1 > MAX_FUNCTION_LINES:
                    yield f"{s.path}:{start + 1}: {i - start + 1} lines"
                start = None


def names(tree, root):
    """file names say what the file does"""
    for s in tree:
        if BAD_NAMES & set(re.split(r"[_-]", s.stem)):
            yield f"{s.path}: util, common, helpers and misc say nothing"


def licence(tree, root):
    """the licence stands in the first line (the second of scripts)"""
    for s in tree:
        first = s.lines[1:2] if s.text.startswith("#!") else s.lines[:1]
        if not first or "SPDX-License-Identifier: Apache-2.0" not in first[0]:
            yield f"{s.path}: no SPDX line"


def pragma(tree, root):
    """each header is guarded by #pragma once"""
    for s in tree:
        if s.path.endswith(".h") and "#pragma once" not in s.lines:
            yield f"{s.path}: no #pragma once"


def banned(tree, root):
    """no function that cannot be told how much room there is"""
    for s in tree:
        for i, line in enumerate(code_of(s).splitlines() if s.is_c else []):
            for m in BANNED.finditer(line):
                yield f"{s.path}:{i + 1}: {m[1]}"


RULES = (directions, reach, from_the_root, packages, system, libraries, file_length,
         function_length, names, licence, pragma, banned)

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
HEADER = SPDX + "#pragma once\n"
CLEAN = {
    "shared/base/CMakeLists.txt": "# SPDX-License-Identifier: Apache-2.0\n"
                                  "target_sources(pr_pure PRIVATE a.c)\n",
    "shared/base/a.h": HEADER,
    "shared/base/a.c": SPDX + '#include "shared/base/a.h"\n\n#include <stdio.h>\n',
    "shared/packet/p.h": HEADER + '#include "shared/base/a.h"\n',
    "shared/capture/c.h": HEADER, "shared/store/s.h": HEADER, "shared/wire/w.h": HEADER,
    "cli/main.c": SPDX + '#include "shared/packet/p.h"\n#include <unistd.h>\n'
                         "/* strcpy(a, b) */\nint main(void)\n{\n    return 0;\n}\n",
}
LONG_FUNCTION = SPDX + "int f(void)\n{\n" + "    g();\n" * 79 + "}\n"
PLANTED = (
    (directions, "shared/base/b.h", HEADER + '#include "shared/packet/p.h"\n'),
    (directions, "shared/store/t.h", HEADER + '#include "shared/capture/c.h"\n'),
    (directions, "shared/base/b.h", HEADER + '#include "cli/x.h"\n'),
    (reach, "cli/x.c", SPDX + "".join(f'#include "shared/{x}.h"\n' for x in (
        "packet/p", "capture/c", "store/s", "wire/w"))),
    (from_the_root, "cli/x.c", SPDX + '#include "x.h"\n'),
    (packages, "shared/capture/live.c", SPDX + "#include <pcap/pcap.h>\n"),
    (packages, "cli/x.c", SPDX + "#include <sqlite3.h>\n"),
    (packages, "shared/wire/loop_posix.c", SPDX + "#include <uv.h>\n"),
    (system, "shared/base/b.c", SPDX + "#include <pthread.h>\n"),
    (system, "shared/base/b_zstd.c", SPDX + "#include <sys/socket.h>\n"),
    (system, "shared/base/b.h", HEADER + "#  include <time.h>\n"),
    (libraries, "shared/base/b.c", SPDX),
    (libraries, "shared/base/CMakeLists.txt", CLEAN["shared/base/CMakeLists.txt"]
     + "target_sources(pr_io PRIVATE a.c)\n"),
    (file_length, "cli/x.c", SPDX + "int x;\n" * 600),
    (function_length, "cli/x.c", LONG_FUNCTION),
    (names, "cli/string_util.c", SPDX),
    (licence, "cli/x.c", "int x;\n"),
    (licence, "tests/x.sh", "#!/bin/sh\necho\n"),
    (pragma, "cli/x.h", SPDX),
    (banned, "cli/x.c", SPDX + "int f(void)\n{\n    return atoi(x);\n}\n"),
)


def violations(rule, files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return list(rule(read_tree(root), root))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parents[2]
    tree = read_tree(root)
    good = True

    def tell(name, wrong):
        nonlocal good
        good = good and not wrong
        print(f"{'not ok' if wrong else 'ok'} - {name}")
        for line in wrong:
            print(f"# {line}")

    for rule in RULES:
        tell(rule.__doc__, list(rule(tree, root)))
    for rule in RULES:
        plants = [(name, text) for r, name, text in PLANTED if r is rule]
        wrong = [f"false alarm: {v}" for v in violations(rule, CLEAN)]
        wrong += [f"not seen: {name}" for name, text in plants
                  if not violations(rule, CLEAN | {name: text})]
        wrong += [] if plants else ["nothing planted"]
        tell(f"a planted violation is found: {rule.__doc__}", wrong)
    sys.exit(0 if good else 1)


main()
