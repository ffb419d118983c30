#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_protocol_doc.py [ROOT]: docs/protocol-swarm.md against the headers of shared/swarm: each limit
has a row with its value, each frame a row with its number, and no row is of something that is gone.
Prints TAP lines.
"""
import pathlib
import re
import sys

# Headers of which every constant must have a row; rows may be of any header.
COMPLETE = ("swim_limits.h", "swim_frame.h")
DEFINE = re.compile(r"^#define (SWIM_\w+)(?:[ \t]|\\\n)+(\d+)u?\b", re.M)
ROW = re.compile(r"^\| `(SWIM_\w+)` \| (\d+) \|", re.M)
FRAME = re.compile(r"^    SWIM_(\w+?)(?:_FRAME)? = (\d+),", re.M)
FRAME_ROW = re.compile(r"^\| (\d+) ([A-Z]+) \|", re.M)


def compare(headers, doc):
    """What is wrong, one line each. headers: {name: text}"""
    values = {n: v for text in headers.values() for n, v in DEFINE.findall(text)}
    rows = dict(ROW.findall(doc))
    for name, value in rows.items():
        if values.get(name) != value:
            yield f"{name} is {values.get(name, 'gone')}, not {value}"
    for header in COMPLETE:
        for name, value in DEFINE.findall(headers[header]):
            if name not in rows:
                yield f"{name} of {header} has no row"
    enum = re.search(r"enum swim_frame_type \{.*?\n\};", headers["swim_frame.h"], re.S)[0]
    frames = dict(FRAME.findall(enum))
    told = {name: number for number, name in FRAME_ROW.findall(doc)}
    for name in sorted(frames.keys() | told.keys()):
        if frames.get(name) != told.get(name):
            yield f"frame {name} is {frames.get(name, 'gone')}, told is {told.get(name, 'nothing')}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parents[2]
    headers = {p.name: p.read_text() for p in sorted((root / "shared/swarm").glob("*.h"))}
    doc = (root / "docs/protocol-swarm.md").read_text()
    good = True

    def tell(name, wrong):
        nonlocal good
        good = good and not wrong
        print(f"{'not ok' if wrong else 'ok'} - {name}")
        for line in wrong:
            print(f"# {line}")

    tell("limits and frames are those of the headers", list(compare(headers, doc)))
    planted = (
        ("another value", doc.replace("| 16384 |", "| 16385 |")),
        ("a limit without a row", re.sub(r"^\| `SWIM_SEEDS_MAX`.*\n", "", doc, flags=re.M)),
        ("a row of something gone", doc.replace("`SWIM_KEYS_MAX`", "`SWIM_LOCKS_MAX`")),
        ("a frame of another number", doc.replace("| 10 YOUARE |", "| 11 YOUARE |")),
        ("a frame without a row", re.sub(r"^\| 17 VIEW.*\n", "", doc, flags=re.M)),
    )
    tell("planted errors are found",
         [name for name, text in planted if text == doc or not list(compare(headers, text))])
    sys.exit(0 if good else 1)


main()
